"""The account of what cleaning removes: characters by kind, with an example of each kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_EXAMPLE_CHARACTERS = 60


@dataclass(frozen=True)
class Step:
    """A step of cleaning: the text before and after it."""

    name: str
    before: str
    after: str


@dataclass
class Ledger:
    """Counts the removed characters that are not white space, which ``close`` adds as one sum."""

    removed: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    """Characters that another one stands for, by kind."""
    examples: dict[str, str] = field(default_factory=dict)
    steps: list[Step] | None = None
    """The steps that changed something, if they are kept."""

    def show(self, name: str, before: str, after: str) -> None:
        """Keep a step, if steps are kept and it changed something."""
        if self.steps is not None and before != after:
            self.steps.append(Step(name, before, after))

    def note(self, kind: str, text: str) -> None:
        """Count a text that is removed."""
        words = text.split()
        self.count(kind, sum(map(len, words)), example=" ".join(words))

    def count(self, kind: str, count: int, *, example: str) -> None:
        """Count characters that are removed. ``example`` is one of them, or the first of them."""
        self.removed[kind] += count
        if count > 0 and kind not in self.examples:
            self.examples[kind] = example[:_EXAMPLE_CHARACTERS]

    def replace(
        self, kind: str, pattern: re.Pattern[str], text: str, keep: Callable[[re.Match[str]], str] | str = ""
    ) -> str:
        """Remove every match but for what is kept of it, which is a part of the match or a mark of our own."""

        def cut(match: re.Match[str]) -> str:
            kept = keep if isinstance(keep, str) else keep(match)
            self.note(kind, match[0].replace(kept.strip(), "", 1) if kept else match[0])
            return kept

        return pattern.sub(cut, text)

    def close(self, before: str, after: str) -> dict[str, int]:
        """Return the counts, with the white space by which the text became shorter."""
        total = len(before) - len(after)
        counts = Counter({"white_space": total - self.removed.total()}) + self.removed
        return {kind: count for kind, count in sorted(counts.items()) if count > 0}
