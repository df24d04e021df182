"""Measures generated text: its language and its repetition.

Texts are token ids or strings; nothing here depends on how they were generated, and nothing imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from semilla.corpus.language import load_identifier

Ids = Sequence[int] | npt.NDArray[np.integer]

NGRAM = 6
"""Length of the token runs whose repetition is counted (``docs/experiments`` explains the figures)."""


def measure_repetition(ids: Ids) -> float:
    """Share of a text's 6-grams that occurred in it before: 0 means no repetition, 1 nothing else."""
    grams = [tuple(ids[i : i + NGRAM]) for i in range(len(ids) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def measure_usual_repetition(
    stream: Ids, *, length: int, quantile: float = 0.95, num_windows: int = 400
) -> float:
    """The repetition that is usual in a text: a quantile over windows of ``length`` tokens."""
    starts = np.linspace(0, max(0, len(stream) - length), num_windows).astype(int)
    shares = [measure_repetition(np.asarray(stream[start : start + length]).tolist()) for start in starts]
    return float(np.quantile(shares, quantile))


def measure_language_share(texts: Iterable[str], language: str) -> float:
    """Share of ``texts`` that py3langid, choosing among all its languages, identifies as ``language``."""
    verdicts = [load_identifier().classify(text)[0] == language for text in texts]
    return sum(verdicts) / len(verdicts) if verdicts else math.nan
