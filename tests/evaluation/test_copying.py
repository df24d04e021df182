"""The longest copied run is that of a search for every run of a text."""

from __future__ import annotations

import numpy as np
import pytest

from semilla.evaluation import copying
from semilla.evaluation.copying import measure_copying


def search_copies(text: list[int], training_text: list[int]) -> int:
    runs = [text[start:end] for start in range(len(text)) for end in range(start, len(text) + 1)]
    stream = ",".join(map(str, ["", *training_text, ""]))
    return max(
        (len(run) for run in runs if ",".join(map(str, ["", *run, ""])) in stream),
        default=0,
    )


@pytest.mark.parametrize("num_searched", [7, 50, copying.SEARCHED_TOKENS])
@pytest.mark.parametrize("vocab_size", [2, 6, 100])
def test_the_longest_run_is_found(
    monkeypatch: pytest.MonkeyPatch, num_searched: int, vocab_size: int
) -> None:
    """Whatever the vocabulary, the length of the run, and where the searched parts of the text end."""
    monkeypatch.setattr(copying, "SEARCHED_TOKENS", num_searched)
    draw = np.random.default_rng(0).integers
    stream = draw(0, vocab_size, 150)
    new = [draw(0, vocab_size + 1, size).tolist() for size in (0, 1, 2, 5, 12, 25)]
    copied = [[*new[3], *stream[40 : 40 + size].tolist(), *new[4]] for size in (3, 8, 17, 30)]
    whole, end, unknown = stream[:20].tolist(), stream[-9:].tolist(), [vocab_size] * 4
    texts = [*new, *copied, whole, end, unknown]
    assert measure_copying(texts, stream) == [search_copies(text, stream.tolist()) for text in texts]


def test_nothing_is_copied_from_no_text() -> None:
    """An empty training text has no run; no texts have no results."""
    assert measure_copying([[1, 2], []], np.zeros(0, np.int32)) == [0, 0]
    assert measure_copying([], np.arange(9)) == []
