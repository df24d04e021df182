"""The story corpus: one document per language, of a given size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from itertools import accumulate, product
from typing import Any

from semilla.errors import InvalidConfigError
from semilla.stories.heldout import Combination
from semilla.stories.stories import Story, tell_story
from semilla.stories.terms import Language
from semilla.system.pool import compute_meanwhile

TITLES: dict[Language, str] = {"en": "Semilla: little stories", "es": "Semilla: cuentos pequeños"}
_BLANK_LINE = "\n\n"

_LEAST_SHARED = 1 << 20
"""Bytes of stories that are worth another process."""
_GRADE_SIZES = (5 << 19, 8 << 20)
"""Bytes from which a corpus has the words and plots of grades 2 and 3."""


@dataclass(frozen=True)
class SampleDocument:
    """Stories in one language; in a story, each paragraph and each speech is one line."""

    language: Language
    title: str
    stories: tuple[str, ...]
    groups: tuple[str, ...]
    """For each story, the combination it is about; validation holds out whole groups."""

    @property
    def text(self) -> str:
        """All stories, separated by blank lines."""
        return _BLANK_LINE.join(self.stories) + "\n"


def choose_grade(size_bytes: int) -> int:
    """How rich the stories are: 1 to 3, what a model of that budget can learn."""
    return 1 + sum(size_bytes >= least for least in _GRADE_SIZES)


def generate_corpus(*, seed: int, size_bytes: int, grade: int = 0) -> list[SampleDocument]:
    """Whole stories in English and Spanish, about half of ``size_bytes`` (UTF-8) each, at least one.

    The same arguments give the same bytes on every machine; a larger size adds stories to the same ones. ``grade`` is 1
    to 3, or 0 for that of the size. Raises InvalidConfigError when ``size_bytes`` is not positive.
    """
    if size_bytes < 1:
        raise InvalidConfigError(f"a corpus of {size_bytes} bytes cannot be made; ask for at least 1")
    grade = grade or choose_grade(size_bytes)
    half, setup = size_bytes // 2, {"seed": seed, "grade": grade}
    with compute_meanwhile(make_spanish_teller, setup, [half] if half > _LEAST_SHARED else []) as found:
        # One story more than half the size needs, so that the two counts can be fitted to the size.
        english = _tell_stories("en", seed=seed, size_bytes=half, grade=grade, num_extra=1)
        told = [_read_story(one) for stories in found for one in stories]
    shortest = sum(map(_measure, english[:-2]))
    spanish = _tell_stories("es", seed=seed, size_bytes=size_bytes - shortest, grade=grade, told=told)
    num_english, num_spanish = _fit_counts(english, spanish, size_bytes=size_bytes)
    return [_bind("en", english[:num_english]), _bind("es", spanish[:num_spanish])]


def _tell_stories(
    language: Language,
    *,
    seed: int,
    size_bytes: int,
    grade: int,
    num_extra: int = 0,
    told: Sequence[Story] = (),
) -> list[Story]:
    """Tell stories until they fill ``size_bytes``, and then ``num_extra`` more; the first may be ``told`` already."""
    stories = list(told)
    size_bytes -= sum(map(_measure, told))
    while size_bytes > 0 or not stories or num_extra:
        num_extra -= size_bytes <= 0 and bool(stories)
        stories.append(tell_story(language, seed=seed, index=len(stories), grade=grade))
        size_bytes -= _measure(stories[-1])
    return stories


def make_spanish_teller(setup: dict[str, int]) -> Callable[[int], list[tuple[Any, ...]]]:
    """A function that tells Spanish stories of a size in bytes, for a process of its own."""
    seed, grade = setup["seed"], setup["grade"]
    return lambda size_bytes: [
        astuple(one) for one in _tell_stories("es", seed=seed, size_bytes=size_bytes, grade=grade)
    ]


def _read_story(told: tuple[Any, ...]) -> Story:
    """A story that another process told."""
    language, plot, is_twin, text, combination = told
    return Story(language, plot, is_twin, text, Combination(*combination))


def _measure(story: Story) -> int:
    """Bytes of a story and the two line ends after it."""
    return len(story.text.encode()) + len(_BLANK_LINE)


def _fit_counts(english: list[Story], spanish: list[Story], *, size_bytes: int) -> tuple[int, int]:
    """How many stories of each come closest to the size; of equals, the counts closest to two halves."""
    totals = [list(accumulate(map(_measure, stories), initial=0)) for stories in (english, spanish)]

    def measure_misfit(counts: tuple[int, int]) -> int:
        in_english, in_spanish = totals[0][counts[0]], totals[1][counts[1]]
        return 4 * abs(in_english + in_spanish - 2 - size_bytes) + abs(in_english - in_spanish)

    options = product(range(max(1, len(english) - 2), len(english) + 1), range(1, len(spanish) + 1))
    return min(options, key=measure_misfit)


def _bind(language: Language, stories: list[Story]) -> SampleDocument:
    groups = tuple("/".join(astuple(story.combination)) for story in stories)
    return SampleDocument(language, TITLES[language], tuple(story.text for story in stories), groups)
