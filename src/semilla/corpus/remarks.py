"""What a run says about the texts it cleaned: what was left out, joined or looks like markup, each with an example."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

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


_MARKUP = "markup: "
"""Begins the subject of a kind of markup."""
PackedRemarks = tuple[dict[str, dict[str, int]], dict[str, str]]


class Remarks:
    """Collects what a run says about its texts, so that a thousand texts do not take a thousand lines."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        """For each subject, the texts or kinds that it is about, each with a number."""
        self._examples: dict[str, str] = {}
        """The first example of a subject."""

    def _note(self, subject: str, name: str, count: int = 1, *, example: str = "") -> None:
        self._counts[subject][name] += count
        if example:
            self._examples.setdefault(subject, example)

    def add(self, clean: CleanText, *, name: str) -> None:
        removed = {kind: count for kind, count in clean.removed.items() if kind not in _BOOK_KINDS}
        share = sum(removed.values()) / max(1, clean.decoded_characters)
        if share > _TOLD_SHARE:
            largest = sorted(removed, key=lambda kind: -removed[kind])[:_NUM_KINDS]
            kinds = ", ".join(
                _describe_kind(kind, removed[kind], clean.examples.get(kind)) for kind in largest
            )
            self._note("removed", f"{share:.1%} of {name} ({kinds})")
        if clean.own_characters:
            header = clean.removed.get("header_and_licence", 0)
            self._note(
                "around",
                f"{name}: {clean.own_characters:,} characters before, between or after the books of Project "
                f"Gutenberg were kept, and {header:,} of their headers and licences left out",
            )
        if joined := clean.replaced.get("line_breaks"):
            self._note("joined", name, joined)
        if clean.columns:
            self._note("columns", name, example=clean.columns)
        if markup := find_markup(clean.text):
            kind, example = markup
            self._note(f"{_MARKUP}{kind}", name, example=example)

    def pack(self) -> PackedRemarks:
        """What was collected, in built-in types."""
        return {subject: dict(counts) for subject, counts in self._counts.items()}, self._examples

    def merge(self, packed: PackedRemarks) -> None:
        """Add what was collected on later texts, perhaps by another process."""
        counts, examples = packed
        for subject, found in counts.items():
            self._counts[subject].update(found)
        self._examples = examples | self._examples

    def add_notes(self, notes: Iterable[str]) -> None:
        """Note what the reader of a file has to say."""
        for note in filter(None, notes):
            self._note("notes", note)

    def add_lone_surrogates(self, count: int, *, name: str) -> None:
        """Note how many halves of surrogate pairs a file had."""
        if count:
            self._note("lone", name, count)

    def add_repair(self, repaired: Repaired, *, name: str) -> None:
        """Note what was mended in a file."""
        if repaired.count:
            self._note("repaired", name, repaired.count, example=_show_change(repaired))

    def add_personal_data(self, counts: Mapping[str, int], *, name: str) -> None:
        """Note the e-mail addresses and telephone numbers of a file."""
        for kind, count in counts.items():
            self._note("personal", kind, count)
            self._note("personal names", name)

    def tell(self, progress: Progress) -> None:
        """Say what was collected."""
        for note in self._list_notes():
            progress(note)
        for warning in self._list_warnings():
            progress(warning)

    def _list_notes(self) -> Iterator[Note]:
        if removed := self._counts["removed"]:
            yield Note(f"Cleaning left out {_name_some(removed)}; {names.CORPUS_MANIFEST} counts it.")
        notes = list(self._counts["notes"])
        for remark in (*list(self._counts["around"])[:_NUM_NAMED], *notes[:_NUM_NAMED]):
            yield Note(f"{remark}.")
        if len(notes) > _NUM_NAMED:
            yield Note(f"So it is in {len(notes) - _NUM_NAMED:,} more files.")
        if joined := self._counts["joined"]:
            texts = _name_some(joined)
            yield Note(f"{joined.total():,} wrapped lines were joined into paragraphs in {texts}.")
        if repaired := self._counts["repaired"]:
            example, texts = self._examples["repaired"], _name_some(repaired)
            yield Note(
                f"{repaired.total():,} characters that were encoded twice were mended in {texts}: {example}."
            )

    def _list_warnings(self) -> Iterator[Warned]:
        if personal := self._counts["personal"]:
            found = " and ".join(f"{count:,} {kind}" for kind, count in personal.items())
            texts = _name_some(self._counts["personal names"])
            yield Warned(
                f"the text has {found} (in {texts}), which a model may repeat", topic="personal_data"
            )
        if lone := self._counts["lone"]:
            yield Warned(
                f"{_name_some(lone)}: half characters (lone surrogates, such as \\ud800 in JSON) became U+FFFD: "
                f"{lone.total():,}",
                topic="characters",
            )
        if columns := self._counts["columns"]:
            yield Warned(
                f"{_name_some(columns)}: two columns of text stand side by side, and each line will be "
                f"learned across both ({self._examples['columns']}); give the document that the text came from, "
                "or copy one column after the other",
                topic="invalid_corpus",
            )
        for subject, texts_with in self._counts.items():
            if subject.startswith(_MARKUP):
                kind, example = subject.removeprefix(_MARKUP), self._examples[subject]
                yield Warned(
                    f"{_name_some(texts_with)}: {kind} will be learned as text: {example}",
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


def _name_some(found: Collection[str]) -> str:
    """The first names, and how many more there are."""
    more = len(found) - _NUM_NAMED
    return ", ".join(list(found)[:_NUM_NAMED]) + (f" and {more:,} more" if more > 0 else "")
