"""Which languages a text is written in, detected by py3langid on samples spread over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from semilla.system.temporary import keep_in_memory

_MAX_SAMPLES = 50
_SAMPLE_CHARACTERS = 400
_MIN_SHARE = 0.2
"""A language found in fewer of the samples is a quotation or a mistake of the detector."""


def detect_languages(text: str, *, allowed: Collection[str] = ()) -> dict[str, float]:
    """Return two-letter language codes and their shares of the text, the largest first. Shares add up to 1.

    ``allowed`` limits the choice; empty, it allows every language of the detector. A language in fewer than a fifth
    of the samples is ignored.
    """
    samples = _take_samples(text)
    identifier = load_identifier()
    choice = set(allowed) & set(identifier.labels) or set(identifier.labels)
    if len(choice) == len(identifier.labels):
        votes = Counter(identifier.classify(sample)[0] for sample in samples)
    else:
        votes = Counter(
            next(code for code, _ in identifier.rank(sample) if code in choice) for sample in samples
        )
    ranked = sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    kept = [(code, count) for code, count in ranked if count >= _MIN_SHARE * len(samples)] or ranked[:1]
    total = sum(count for _, count in kept)
    return {code: count / total for code, count in kept}


@lru_cache(maxsize=1)
def load_identifier() -> Any:
    """Load py3langid's own model."""
    # Imported late: loading takes a tenth of a second, and only corpora without given languages need it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415

    with keep_in_memory():  # it unpacks its model into a temporary file
        return LanguageIdentifier.from_model_file(MODEL_FILE)


def free_identifier() -> None:
    """Give back the 70 MB that the model takes; it is loaded again when it is needed."""
    load_identifier.cache_clear()


def _take_samples(text: str) -> list[str]:
    num_samples = min(_MAX_SAMPLES, max(len(text) // _SAMPLE_CHARACTERS, 1))
    stride = len(text) / num_samples
    return [text[int(i * stride) : int(i * stride) + _SAMPLE_CHARACTERS] for i in range(num_samples)]
