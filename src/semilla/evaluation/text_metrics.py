"""Measures generated text: its language, its repetition, and what it copies from the training text.

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


def spell_ids(ids: Ids) -> str:
    """Token ids as one character each, so that string search finds runs of tokens fast."""
    return np.asarray(ids).astype("<u4").tobytes().decode("utf-32-le")  # no id is as high as a surrogate


def measure_copying(ids: Ids, spelled_training_text: str) -> int:
    """Tokens in the longest run that occurs verbatim in the training text, which ``spell_ids`` has spelled."""
    text, longest = spell_ids(ids), 0
    for start in range(len(text)):
        while start + longest < len(text) and text[start : start + longest + 1] in spelled_training_text:
            longest += 1
    return longest


def measure_language_share(texts: Iterable[str], language: str) -> float:
    """Share of ``texts`` that py3langid, choosing among all its languages, identifies as ``language``."""
    verdicts = [load_identifier().classify(text)[0] == language for text in texts]
    return sum(verdicts) / len(verdicts) if verdicts else math.nan
