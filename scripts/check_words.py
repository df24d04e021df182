"""Find words of the project's former private vocabulary, so that prose and names keep to plain English.

``WORDS`` maps each word or phrase to what to write instead. A phrase matches in any case, across line breaks, in the
plural, and as a part of a name (``of_hidden`` in ``of_hidden_BTD``), but never inside another word.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "docs", "scripts", "src", "tests")
SUFFIXES = {"", ".py", ".md", ".toml", ".jinja", ".c", ".css", ".js"}
"""Files that people write; the others are data."""
LEFT_OUT = (
    "benchmarks/results/",  # records of past runs
    "docs/torture/",  # records of past runs
    "docs/guide/recorded/",  # the recorded run
    "src/semilla/stories/material/plots/",  # text of the stories
    "src/semilla/stories/material/words/",  # text of the stories
    "scripts/check_words.py",  # the list itself
    "tests/test_words.py",  # plants words
)
WORDS = {
    "anew": "again",
    "apparatus": "boilerplate",
    "are wanted": "are needed, or: target",
    "at hand": "available",
    "became another": "changed",
    "choose_scored": "draw_negative_samples",
    "come to its end": "end",
    "for want of": "without, or: because ... ran out",
    "halve_contexts": "sequence-length warm-up",
    "helper process": "worker process",
    "helping process": "worker process",
    "is to be": "must be, or: will be",
    "is wanted": "is needed, or: target",
    "know each other": "import each other",
    "lie in order": "are contiguous",
    "lies in order": "is contiguous",
    "memory that lies": "contiguous memory",
    "of before": "older, earlier",
    "of now": "current",
    "of one's own": "your own",
    "of_hidden": "grad_hidden",
    "of_weight": "grad_weight",
    "receive_lent": "receive_matrices",
    "that is none": "name what it is: NaN or infinity, not a number, no file",
    "what is left of": "the rest of",
    "whatever was": "name it",
    "whoever": "name the person or the code that does it",
}
"""Wrong everywhere."""
TRAINING_WORDS = {
    "candidate": "negative sample",
    "helper": "worker",
    "lend": "send",
    "lent": "sent",
    "portion": "worker batch, micro-batch",
    "scored": "sampled softmax",
    "shard": "worker batch, micro-batch",
    "thin(": "apply_dropout",
    "turn(": "apply_rotary",
}
"""Wrong in the code of network and training, where the field has a term for each; elsewhere they are plain English."""
TRAINING = ("src/semilla/model/", "src/semilla/training/", "tests/model/", "tests/training/")


def find_words(text: str, words: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the line, from 1, and the phrase of every match in ``text``."""
    for phrase in words:
        for match in compile_phrase(phrase).finditer(text):
            yield text.count("\n", 0, match.start()) + 1, phrase


def compile_phrase(phrase: str) -> re.Pattern[str]:
    """Build the pattern of a phrase; a line break inside it may be followed by the ``#`` of a comment."""
    words = r"\s+(?:#\s*)?".join(re.escape(word) for word in phrase.split())
    end = "(?:e?s)?(?![a-z])" if phrase[-1].isalpha() else ""
    return re.compile(f"(?<![a-z]){words}{end}", re.IGNORECASE)


def list_files() -> list[str]:
    """Return the paths of all files that are checked, relative to the project."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("*.toml"),
        *(path for one in FOLDERS for path in (ROOT / one).rglob("*")),
    ]
    paths = sorted(
        path.relative_to(ROOT).as_posix() for path in found if path.is_file() and path.suffix in SUFFIXES
    )
    return [path for path in paths if not path.startswith(LEFT_OUT)]


def check_tree() -> list[str]:
    """Return a line for every forbidden word in the project, with what to write instead."""
    complaints = []
    for path in list_files():
        words = WORDS | TRAINING_WORDS if path.startswith(TRAINING) else WORDS
        text = (ROOT / path).read_text(encoding="utf-8")
        complaints += [
            f"{path}:{line}: {phrase!r}: {words[phrase]}" for line, phrase in find_words(text, words)
        ]
    return complaints


def main() -> int:
    complaints = check_tree()
    print("\n".join(complaints) or "no forbidden words")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
