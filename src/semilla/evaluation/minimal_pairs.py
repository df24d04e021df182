"""Minimal pairs: how often a model finds the grammatical sentence likelier than its twin with one mistake.

The method is that of BLiMP (Warstadt et al. 2020, https://doi.org/10.1162/tacl_a_00321): no threshold to choose, no
text to generate, and about 50 % for a model that knows nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from semilla.evaluation.pair_selection import Selection
from semilla.model.transformer import Transformer
from semilla.records.results import GrammarResults, PairAccuracy
from semilla.stories.minimal_pairs import MinimalPair
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import NEWLINE_ID, Tokenizer

BATCH_TOKENS = 4096
CHUNK_ROWS = 512
"""Rows of logits at a time, as in training."""
_Z = NormalDist().inv_cdf(0.975)
"""Half the width of a 95 % interval, in standard deviations."""

Score = Callable[[Sequence[str]], npt.NDArray[np.float64]]
"""Summed log-probability of each sentence, in nats."""


def assess_grammar(
    model: Transformer, tokenizer: Tokenizer, selections: Iterable[Selection]
) -> tuple[dict[str, GrammarResults], list[str]]:
    """Results by language, and remarks about what could not be measured."""
    score = make_score(model, tokenizer)
    results: dict[str, GrammarResults] = {}
    remarks: list[str] = []
    for one in selections:
        remarks += [one.remark] if one.remark else []
        if one.pairs:
            results[one.language] = measure_grammar(one.pairs, score, coverage=one.coverage)
    return results, remarks


def measure_grammar(pairs: Sequence[MinimalPair], score: Score, *, coverage: float) -> GrammarResults:
    """Accuracy on the pairs, over all and by phenomenon."""
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
    """Whether the grammatical sentence of each pair scores higher; a tie counts as a failure."""
    scores = score([sentence for pair in pairs for sentence in (pair.right, pair.wrong)])
    return [bool(right > wrong) for right, wrong in scores.reshape(-1, 2)]


def _count(outcomes: Sequence[bool]) -> PairAccuracy:
    low, high = compute_wilson_interval(sum(outcomes), len(outcomes))
    return PairAccuracy(accuracy=sum(outcomes) / len(outcomes), low=low, high=high, num_pairs=len(outcomes))


def compute_wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); it stays within 0 and 1, and is accurate near them."""
    share, weight = successes / trials, _Z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = _Z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def make_score(model: Transformer, tokenizer: Tokenizer) -> Score:
    """A function that scores sentences with a network, each as the beginning of a line."""
    return lambda sentences: score_sentences(
        model, [tokenizer.encode(sentence).tolist() for sentence in sentences]
    )


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
        interrupts.check()
        length = max(len(rows[place]) for place in places)
        padded = torch.full((len(places), length), NEWLINE_ID)
        for row, place in enumerate(places):
            padded[row, : len(rows[place])] = torch.tensor(rows[place])
        inside = torch.tensor([[t < len(rows[place]) for t in range(1, length)] for place in places])
        scores[places] = _sum_log_probabilities(model, padded, inside)
    model.train(was_training)
    return scores


def _batch_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of rows of similar length, up to ``BATCH_TOKENS`` tokens a batch."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and (len(batch) + 1) * lengths[place] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _sum_log_probabilities(
    model: Transformer, padded: torch.Tensor, inside: torch.Tensor
) -> npt.NDArray[np.float64]:
    """Sums by row of ``padded`` [B, T + 1], over the targets that ``inside`` [B, T] marks as not padding."""
    hidden = model(padded[:, :-1].to(model.device)).float()[inside]
    targets = padded[:, 1:][inside].to(model.device)
    losses = torch.empty(len(targets))
    for start in range(0, len(targets), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        logits = hidden[rows] @ model.output_weight_VD.t()
        losses[rows] = cross_entropy(logits, targets[rows], reduction="none").cpu()
    row_of_token = torch.arange(len(padded))[:, None].expand_as(inside)[inside]
    sums = torch.zeros(len(padded), dtype=torch.float64).index_add_(0, row_of_token, losses.double())
    return -sums.numpy()
