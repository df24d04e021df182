"""What a run says about the texts it cleaned: what was left out, joined or looks like markup, each with an example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from semilla.corpus.cleaning.clean import CleanText
from semilla.corpus.cleaning.markup import find_markup
from semilla.corpus.cleaning.repair import Repaired
from semilla.events import Note, Progress, Warned
from semilla.records import names

_TOLD_SHARE = 0.01
_NUM_NAMED = 3
_NUM_KINDS = 3
_CHANGE_CHARACTERS = 30
_BOOK_KINDS = {"header_and_licence", "white_space"}
"""Left out of every book, and told by themselves."""


@dataclass
class Remarks:
    """Collects what a run says about its texts, so that a thousand texts do not take a thousand lines."""

    _removed: list[str] = field(default_factory=list)
    _around: list[str] = field(default_factory=list)
    _lone: list[tuple[str, int]] = field(default_factory=list)
    _repaired: dict[str, int] = field(default_factory=dict)
    _repair_example: str = ""
    _personal: Counter[str] = field(default_factory=Counter)
    _personal_names: dict[str, None] = field(default_factory=dict)
    _joined: list[tuple[str, int]] = field(default_factory=list)
    _columns: list[str] = field(default_factory=list)
    _columns_example: str = ""
    _notes: dict[str, None] = field(default_factory=dict)
    _markup: dict[str, list[str]] = field(default_factory=dict)
    _examples: dict[str, str] = field(default_factory=dict)

    def add(self, clean: CleanText, *, name: str) -> None:
        removed = {kind: count for kind, count in clean.removed.items() if kind not in _BOOK_KINDS}
        share = sum(removed.values()) / max(1, clean.decoded_characters)
        if share > _TOLD_SHARE:
            largest = sorted(removed, key=lambda kind: -removed[kind])[:_NUM_KINDS]
            kinds = ", ".join(
                _describe_kind(kind, removed[kind], clean.examples.get(kind)) for kind in largest
            )
            self._removed.append(f"{share:.1%} of {name} ({kinds})")
        if clean.own_characters:
            header = clean.removed.get("header_and_licence", 0)
            self._around.append(
                f"{name}: {clean.own_characters:,} characters before, between or after the books of Project "
                f"Gutenberg were kept, and {header:,} of their headers and licences left out"
            )
        if clean.replaced.get("line_breaks"):
            self._joined.append((name, clean.replaced["line_breaks"]))
        if clean.columns:
            self._columns.append(name)
            self._columns_example = self._columns_example or clean.columns
        markup = find_markup(clean.text)
        if markup:
            kind, example = markup
            self._markup.setdefault(kind, []).append(name)
            self._examples.setdefault(kind, example)

    def pack(self) -> dict[str, Any]:
        """What was collected, in built-in types."""
        return vars(self) | {"_personal": dict(self._personal)}

    def merge(self, packed: Mapping[str, Any]) -> None:
        """Add what was collected on later texts, perhaps by another process."""
        later = Remarks(**packed)
        self._removed += later._removed
        self._around += later._around
        self._lone += later._lone
        self._joined += later._joined
        for name, count in later._repaired.items():
            self._repaired[name] = self._repaired.get(name, 0) + count
        self._repair_example = self._repair_example or later._repair_example
        self._personal.update(later._personal)
        self._personal_names.update(later._personal_names)
        self._columns += later._columns
        self._columns_example = self._columns_example or later._columns_example
        self._notes.update(later._notes)
        for kind, names_of_kind in later._markup.items():
            self._markup.setdefault(kind, []).extend(names_of_kind)
        self._examples = later._examples | self._examples

    def add_notes(self, notes: Iterable[str]) -> None:
        """Note what the reader of a file has to say."""
        self._notes.update((note, None) for note in notes if note)

    def add_lone_surrogates(self, count: int, *, name: str) -> None:
        """Note how many halves of surrogate pairs a file had."""
        if count:
            self._lone.append((name, count))

    def add_repair(self, repaired: Repaired, *, name: str) -> None:
        """Note what was mended in a file."""
        if repaired.count:
            self._repaired[name] = self._repaired.get(name, 0) + repaired.count
            self._repair_example = self._repair_example or _show_change(repaired)

    def add_personal_data(self, counts: Mapping[str, int], *, name: str) -> None:
        """Note the e-mail addresses and telephone numbers of a file."""
        if counts:
            self._personal.update(counts)
            self._personal_names[name] = None

    def tell(self, progress: Progress) -> None:
        """Say what was collected."""
        for note in self._list_notes():
            progress(note)
        for warning in self._list_warnings():
            progress(warning)

    def _list_notes(self) -> Iterator[Note]:
        if self._removed:
            yield Note(f"Cleaning left out {_name_some(self._removed)}; {names.CORPUS_MANIFEST} counts it.")
        for remark in (*self._around[:_NUM_NAMED], *list(self._notes)[:_NUM_NAMED]):
            yield Note(f"{remark}.")
        if len(self._notes) > _NUM_NAMED:
            yield Note(f"So it is in {len(self._notes) - _NUM_NAMED:,} more files.")
        if self._joined:
            total = sum(count for _, count in self._joined)
            texts = _name_some([name for name, _ in self._joined])
            yield Note(f"{total:,} wrapped lines were joined into paragraphs in {texts}.")
        if self._repaired:
            total = sum(self._repaired.values())
            texts = _name_some(list(self._repaired))
            yield Note(
                f"{total:,} characters that were encoded twice were mended in {texts}: {self._repair_example}."
            )

    def _list_warnings(self) -> Iterator[Warned]:
        if self._personal:
            found = " and ".join(f"{count:,} {kind}" for kind, count in self._personal.items())
            texts = _name_some(list(self._personal_names))
            yield Warned(
                f"the text has {found} (in {texts}), which a model may repeat", topic="personal_data"
            )
        if self._lone:
            total = sum(count for _, count in self._lone)
            texts = _name_some([name for name, _ in self._lone])
            yield Warned(
                f"{texts}: half characters (lone surrogates, such as \\ud800 in JSON) became U+FFFD: {total:,}",
                topic="characters",
            )
        if self._columns:
            yield Warned(
                f"{_name_some(self._columns)}: two columns of text stand side by side, and each line will be "
                f"learned across both ({self._columns_example}); give the document that the text came from, "
                "or copy one column after the other",
                topic="invalid_corpus",
            )
        for kind, texts_with in self._markup.items():
            yield Warned(
                f"{_name_some(texts_with)}: {kind} will be learned as text: {self._examples[kind]}",
                topic="invalid_corpus",
            )


def _show_change(repaired: Repaired) -> str:
    """The words around the first change of a line."""
    pairs = enumerate(zip(repaired.before, repaired.after, strict=False))
    same = next((place for place, pair in pairs if pair[0] != pair[1]), 0)
    start = repaired.before.rfind(" ", 0, same) + 1
    before, after = (text[start : start + _CHANGE_CHARACTERS] for text in (repaired.before, repaired.after))
    return f"{before!r} became {after!r}"


def _describe_kind(kind: str, count: int, example: str | None) -> str:
    words = f"{count:,} characters of {kind.replace('_', ' ')}"
    return f"{words}: {example}" if example else words


def _name_some(all_names: Sequence[str]) -> str:
    """The first names; the pieces of a large file have one."""
    found = list(dict.fromkeys(all_names))
    more = len(found) - _NUM_NAMED
    return ", ".join(found[:_NUM_NAMED]) + (f" and {more:,} more" if more > 0 else "")
