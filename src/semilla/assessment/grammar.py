"""Minimal pairs: how often a model finds the grammatical sentence likelier than its twin with one mistake.

The method is that of BLiMP (Warstadt et al. 2020, https://doi.org/10.1162/tacl_a_00321): no threshold to choose, no text to
generate, and 50 % for a model that knows nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from semilla.corpus.manifest import Document
from semilla.corpus.sample.minimal_pairs import MinimalPair
from semilla.model.transformer import Transformer
from semilla.records.status import Finding, GrammarResults, PairAccuracy
from semilla.tokenizer import NEWLINE_ID, Tokenizer

LEAST_ACCURACY = 0.9
LEAST_COVERAGE = 0.9
"""Share of a language's pairs whose every word the training text has; with less, it is words that are tested."""
BATCH_TOKENS = 4096
_Z = 1.959964
"""Half the width of a 95 % interval, in standard deviations."""
_WORD = re.compile(r"\w+")

Score = Callable[[Sequence[str]], npt.NDArray[np.float64]]
"""Summed log-probability of each sentence, in nats."""


def measure_grammar(
    pairs: Mapping[str, Sequence[MinimalPair]], documents: Iterable[Document], score: Score
) -> tuple[dict[str, GrammarResults], dict[str, float]]:
    """Measure each language whose vocabulary covers its pairs; also return the coverage of every language.

    A pair is covered when the training text in its language has every word of both its sentences: what is left to go
    by is how they are put together.
    """
    documents = list(documents)
    results, coverage = {}, {}
    for language, found in pairs.items():
        known = list_words(one.train_text for one in documents if one.language == language)
        covered = [pair for pair in found if list_words([pair.right, pair.wrong]) <= known]
        coverage[language] = len(covered) / len(found)
        if coverage[language] >= LEAST_COVERAGE:
            results[language] = _judge_pairs(covered, score, coverage=coverage[language])
    return results, coverage


def list_words(texts: Iterable[str]) -> set[str]:
    """Every word that occurs, in lower case."""
    return {word for text in texts for word in _WORD.findall(text.lower())}


def _judge_pairs(pairs: Sequence[MinimalPair], score: Score, *, coverage: float) -> GrammarResults:
    preferred = prefer_right(pairs, score)
    by_phenomenon: dict[str, list[bool]] = {}
    for pair, is_right in zip(pairs, preferred, strict=True):
        by_phenomenon.setdefault(pair.phenomenon, []).append(is_right)
    return GrammarResults(
        **_count(preferred).model_dump(),
        coverage=coverage,
        phenomena={name: _count(outcomes) for name, outcomes in by_phenomenon.items()},
    )


def prefer_right(pairs: Sequence[MinimalPair], score: Score) -> list[bool]:
    """Tell for each pair whether its grammatical sentence scores higher; a tie is a failure."""
    scores = score([sentence for pair in pairs for sentence in (pair.right, pair.wrong)])
    return [bool(right > wrong) for right, wrong in scores.reshape(-1, 2)]


def _count(outcomes: Sequence[bool]) -> PairAccuracy:
    low, high = compute_wilson_interval(sum(outcomes), len(outcomes))
    return PairAccuracy(accuracy=sum(outcomes) / len(outcomes), low=low, high=high, num_pairs=len(outcomes))


def compute_wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); it stays within 0 and 1 and is honest where the share is near them."""
    share, weight = successes / trials, _Z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = _Z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def judge_grammar(results: Mapping[str, GrammarResults]) -> Iterator[Finding]:
    """One target a language."""
    for language, found in results.items():
        name = f"minimal_pairs.{language}.accuracy"
        yield Finding.judge(name, "target", found.accuracy, ">=", LEAST_ACCURACY)


def make_score(model: Transformer, tokenizer: Tokenizer) -> Score:
    """Score sentences with a network, each as the beginning of a line."""
    return lambda sentences: score_sentences(model, [tokenizer.encode(sentence).tolist() for sentence in sentences])


@torch.no_grad()
def score_sentences(model: Transformer, encoded: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """Summed log-probability in nats of each row of token ids after a line break.

    A row longer than the model's context is scored up to there.
    """
    was_training = model.training
    model.eval()
    rows = [[NEWLINE_ID, *ids][: model.max_positions + 1] for ids in encoded]
    scores = np.zeros(len(rows))
    for places in _batch_by_length([len(row) for row in rows]):
        length = max(len(rows[place]) for place in places)
        padded_BT = torch.full((len(places), length), NEWLINE_ID)
        for row, place in enumerate(places):
            padded_BT[row, : len(rows[place])] = torch.tensor(rows[place])
        inside_BT = torch.tensor([[t < len(rows[place]) for t in range(1, length)] for place in places])
        scores[places] = _sum_log_probabilities(model, padded_BT, inside_BT)
    model.train(was_training)
    return scores


def _batch_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of rows of like length, up to ``BATCH_TOKENS`` tokens together."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and (len(batch) + 1) * lengths[place] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _sum_log_probabilities(
    model: Transformer, padded_BT: torch.Tensor, inside_BT: torch.Tensor
) -> npt.NDArray[np.float64]:
    hidden_ND = model(padded_BT[:, :-1].to(model.device)).float()[inside_BT]
    targets_N = padded_BT[:, 1:][inside_BT].to(model.device)
    losses_N = torch.cat(
        [
            F.cross_entropy(hidden @ model.output_weight_VD.t(), targets, reduction="none")
            for hidden, targets in zip(hidden_ND.split(512), targets_N.split(512), strict=True)
        ]
    )
    sums_B = torch.zeros(len(padded_BT), dtype=torch.float64)
    row_N = torch.arange(len(padded_BT))[:, None].expand_as(inside_BT)[inside_BT]
    sums_B.index_add_(0, row_N, losses_N.double().cpu())
    return -sums_B.numpy()
