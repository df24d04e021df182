"""Is generated text in the right language, does it repeat itself, is it copied? Figures, not opinions.

Texts are judged as token ids or as strings; nothing here knows how they were generated, nor imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Ids = Sequence[int] | npt.NDArray[np.integer]

NGRAM = 6
"""Length of the token runs whose repetition is counted (``docs/experiments`` explains the figures)."""


def measure_repetition(ids: Ids) -> float:
    """Share of the 6-grams of a text that have already occurred in it: 0 never, towards 1 always."""
    grams = [tuple(ids[i : i + NGRAM]) for i in range(len(ids) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def measure_usual_repetition(
    stream: Ids, *, length: int, quantile: float = 0.95, num_windows: int = 400
) -> float:
    """The same share in windows of ``length`` tokens of a text, at a quantile: what is usual for it."""
    starts = np.linspace(0, max(0, len(stream) - length), num_windows).astype(int)
    shares = [measure_repetition(np.asarray(stream[start : start + length]).tolist()) for start in starts]
    return float(np.quantile(shares, quantile))


def spell_ids(ids: Ids) -> str:
    """Token ids as characters of a private alphabet, so that runs can be found at the speed of string search."""
    return "".join(map(chr, np.asarray(ids).tolist()))


def measure_copying(ids: Ids, spelled_training_text: str) -> int:
    """Tokens in the longest run of a text that stands verbatim in the training text (spelled by ``spell_ids``)."""
    text, longest = spell_ids(ids), 0
    for start in range(len(text)):
        while start + longest < len(text) and text[start : start + longest + 1] in spelled_training_text:
            longest += 1
    return longest


def measure_frequency_baseline(train_ids: Ids, held_out_ids: Ids, *, vocab_size: int) -> float:
    """Nats per token of a model that only knows how often each token occurs in training (add-one smoothing)."""
    counts = np.bincount(np.asarray(train_ids), minlength=vocab_size) + 1
    nats = -np.log(counts / counts.sum())
    return float(nats[np.asarray(held_out_ids)].mean())


def measure_language_share(texts: Iterable[str], language: str) -> float:
    """Share of ``texts`` that py3langid, with all its languages allowed, takes for ``language``."""
    import py3langid  # noqa: PLC0415 - loads a model of its own

    verdicts = [py3langid.classify(text)[0] == language for text in texts]
    return sum(verdicts) / len(verdicts) if verdicts else math.nan
