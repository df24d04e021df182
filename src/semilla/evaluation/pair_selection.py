"""Selects the minimal pairs that a text can be asked about: those whose words it has. Nothing here imports torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from semilla.corpus.manifest import LARGE_BYTES, Document, read_documents, read_manifest
from semilla.stories.minimal_pairs import MinimalPair, make_pairs
from semilla.stories.stories import MAX_GRADE
from semilla.stories.terms import LANGUAGES, Language
from semilla.system import interrupts
from semilla.system.pool import compute_meanwhile

LEAST_COVERAGE = 0.5
"""Share of a language's pairs whose words the training text must know; fewer would be a biased selection."""
GRADE_COVERAGE = 0.6
"""The same share from which a text has the words of a grade of the stories."""
LEAST_PAIRS = 50
"""Pairs of known words that a phenomenon needs; with fewer the interval is too wide to say anything."""
PROBE_PAIRS = 10
PROBE_STORIES = 500
SEED = 0
"""The same pairs for every run, so that results can be compared."""
SEARCHED_CHARACTERS = 64_000_000
"""Of a language's training text, so much is searched for the words and the sentences of the pairs."""
_SPLIT_CHARACTERS = 8_000_000
"""So much of it is also kept as a set of sentences."""
_WORD = re.compile(r"\w+")
_SENTENCE_BORDER = re.compile(r"(?<=[.!?]) |\n")


@dataclass(frozen=True)
class Selection:
    """The pairs of a language, the share of its pairs whose words the text knows, and what could not be selected."""

    language: Language
    pairs: list[MinimalPair]
    coverage: float
    remark: str


def select_pairs(documents: Sequence[Document], language: Language) -> Selection:
    """The pairs to ask a model of these texts about; none where they have few of the words, or nothing to train on."""
    interrupts.check()
    texts = _take_texts(one.train_text for one in documents if one.language == language)
    # Each line once: half of the text of stories.
    text = "\n".join(dict.fromkeys(line for text in texts for line in text.split("\n")))
    if not text:
        return Selection(language, [], 0.0, "")
    grade, probe, coverage = _find_grade(language, text)
    if coverage < LEAST_COVERAGE:
        remark = (
            f"No minimal pairs in {language}: the training text has the words of {coverage:.0%} of them, and "
            f"{LEAST_COVERAGE:.0%} are needed."
        )
        return Selection(language, [], coverage, remark)
    pairs, rare = _select_known(language, text, grade=grade, phenomena=[pair.phenomenon for pair in probe])
    return Selection(language, pairs, coverage, rare)


@contextmanager
def select_meanwhile(directory: Path, documents: Sequence[Document]) -> Iterator[Iterator[Selection]]:
    """Select the pairs of each language for the corpus in ``directory``, in processes of their own.

    For a large text, which these would read again, the iterator selects them from ``documents``.
    """
    languages = [language for language in LANGUAGES if any(one.language == language for one in documents)]
    if read_manifest(directory).corpus_bytes > LARGE_BYTES:
        yield (select_pairs(documents, language) for language in languages)
        return
    with compute_meanwhile(make_selector, str(directory), languages) as found:
        yield map(read_selection, found)


def make_selector(directory: str) -> Callable[[Language], dict[str, Any]]:
    """A function that selects the pairs of a language for the corpus in ``directory``, for a process of its own."""
    documents = read_documents(Path(directory))

    def select(language: Language) -> dict[str, Any]:
        found = select_pairs(documents, language)
        pairs = [(pair.phenomenon, pair.right, pair.wrong) for pair in found.pairs]
        return {"language": language, "pairs": pairs, "coverage": found.coverage, "remark": found.remark}

    return select


def read_selection(found: dict[str, Any]) -> Selection:
    """What a selector has found."""
    pairs = [MinimalPair(found["language"], *texts) for texts in found["pairs"]]
    return Selection(**{**found, "pairs": pairs})


def _take_texts(texts: Iterable[str]) -> Iterator[str]:
    """The texts until there are SEARCHED_CHARACTERS."""
    num_characters = 0
    for text in texts:
        yield text
        num_characters += len(text)
        if num_characters > SEARCHED_CHARACTERS:
            return


def _find_grade(language: Language, training_text: str) -> tuple[int, list[MinimalPair], float]:
    """The highest grade of the stories whose words the training text knows, a few pairs of it, and their coverage.

    A few pairs of each phenomenon show that; making all pairs takes seconds.
    """
    for grade in range(MAX_GRADE, 0, -1):
        probe = make_pairs(
            language,
            seed=SEED,
            grade=grade,
            per_phenomenon=PROBE_PAIRS,
            num_stories=PROBE_STORIES,
            check=interrupts.check,
        )
        coverage = measure_coverage(probe, training_text)
        if coverage >= GRADE_COVERAGE:
            break
    return grade, probe, coverage


def _select_known(
    language: Language, training_text: str, *, grade: int, phenomena: Sequence[str]
) -> tuple[list[MinimalPair], str]:
    """The pairs of known words, without phenomena that have too few of them, and a remark that names those."""
    accept = accept_new(training_text)
    pairs = make_pairs(language, seed=SEED, grade=grade, accept=accept, check=interrupts.check)
    counts = Counter(pair.phenomenon for pair in pairs)
    rare = {name: counts[name] for name in phenomena if counts[name] < LEAST_PAIRS}
    remark = (
        f"Too few minimal pairs in {language} have only known words; {LEAST_PAIRS} are needed: "
        f"{', '.join(f'{name} ({count})' for name, count in rare.items())}."
    )
    return [pair for pair in pairs if pair.phenomenon not in rare], remark if rare else ""


def measure_coverage(pairs: Sequence[MinimalPair], training_text: str) -> float:
    """Share of the pairs whose words, of both sentences, all occur in the training text."""
    known = list_words(training_text)
    return sum(_is_covered(pair, known) for pair in pairs) / len(pairs)


def accept_new(training_text: str) -> Callable[[MinimalPair], bool]:
    """Accept a pair that tests grammar: every word is known, and the sentence itself is not in the training text."""
    known = list_words(training_text)
    # Most sentences are found in the set; a search through the text takes a millisecond.
    whole = set(_SENTENCE_BORDER.split(training_text[:_SPLIT_CHARACTERS]))

    @cache  # many stories have the same sentence
    def accept(pair: MinimalPair) -> bool:
        return _is_covered(pair, known) and pair.right not in whole and pair.right not in training_text

    return accept


def _is_covered(pair: MinimalPair, known: set[str]) -> bool:
    return list_words(pair.right) | list_words(pair.wrong) <= known


def list_words(text: str) -> set[str]:
    """Every word that occurs, in lower case."""
    return set(_WORD.findall(text.lower()))
