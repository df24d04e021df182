"""Reads the words of the stories from ``material/words/``; ``material/README.md`` describes the format."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from itertools import count
from typing import Any

from semilla.errors import InternalError
from semilla.stories.templates import Template, compile_lines
from semilla.stories.terms import LANGUAGES, Gender, Language, Part, Term

_NAMES_KNOWN = 12
"""Names of each gender in grades 1 and 2: a model only learns to follow a name if it reads it often."""

Forms = Mapping[str, Mapping[Language, tuple[Template, ...]]]

_ANIMATE = frozenset({"animal", "child", "family", "job"})
_ARTICLES: dict[str, tuple[Gender, bool]] = {
    "el": ("m", False),
    "la": ("f", False),
    "los": ("m", True),
    "las": ("f", True),
}


@dataclass(frozen=True, eq=False)
class Entry:
    """One concept in both languages.

    ``tags`` say what it is, and plots query them; the first is its table in the file. ``fits`` are tags of the nouns
    that an adjective or phrase can go with; empty means any. ``forms`` are its own phrases (``in``, ``to``).
    """

    key: str
    terms: Mapping[Language, Term]
    tags: tuple[str, ...]
    fits: tuple[str, ...] = ()
    forms: Forms = field(default_factory=dict)

    @property
    def grade(self) -> int:
        """The smallest corpus that has the word: 1, unless it is tagged ``g2`` or ``g3``."""
        return 3 if "g3" in self.tags else 2 if "g2" in self.tags else 1

    @cached_property
    def marks(self) -> frozenset[str]:
        """What two facts of a story must not share: key, words, and the initials of a name.

        Two entries can share a word: ``el gato`` and ``la gata`` are both cats in English.
        """
        texts = [term.text for term in self.terms.values() if term.text]
        initials = [f"initial {text[0]}" for text in texts if self.terms["en"].part == "name"]
        return frozenset([self.key, *texts, *initials])

    @cache  # noqa: B019 - the lexicon lives as long as the process
    def get_term(self, language: Language, form: str = "") -> Term:
        term = self.terms[language]
        return replace(term, form=form) if form else term

    def goes_with(self, tags: tuple[str, ...]) -> bool:
        return not self.fits or any(tag in tags for tag in self.fits)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Every entry, in the order of the files: the corpus depends on it."""

    entries: tuple[Entry, ...]
    irregular_verbs: Mapping[Language, Mapping[str, Mapping[str, str]]]

    @cached_property
    def tagged(self) -> dict[str, list[Entry]]:
        tagged: dict[str, list[Entry]] = {}
        for entry in self.entries:
            for tag in (*entry.tags, f"={entry.key}"):
                tagged.setdefault(tag, []).append(entry)
        return tagged

    @cache  # noqa: B019 - one lexicon lives as long as the process
    def select(self, query: str) -> tuple[Entry, ...]:
        """The entries that match: ``toy pocket !soft | =book`` means small hard toys, or the book."""
        found: dict[str, Entry] = {}
        for alternative in query.split("|"):
            first, *others = alternative.split()
            matches = [entry for entry in self.tagged.get(first, []) if _matches(entry, others)]
            found.update((entry.key, entry) for entry in matches)
        if not found:
            raise InternalError(f"no entry of the lexicon is {query!r}")
        return tuple(found.values())

    @cache  # noqa: B019
    def select_for(self, query: str, target: Entry) -> tuple[Entry, ...]:
        """The entries that match and go with ``target``."""
        found = tuple(entry for entry in self.select(query) if entry.goes_with(target.tags))
        if not found:
            raise InternalError(f"no entry of the lexicon is {query!r} and goes with {target.key!r}")
        return found


def _matches(entry: Entry, tags: list[str]) -> bool:
    own = (*entry.tags, f"={entry.key}")
    return all((tag[1:] not in own) if tag[0] == "!" else tag in own for tag in tags)


def read_tables(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of every TOML file of a folder of ``material/``, in alphabetical order."""
    for path in sorted((files(__package__) / "material" / folder).iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            try:
                yield path.name.removesuffix(".toml"), tomllib.loads(path.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise InternalError(f"{folder}/{path.name} is not TOML: {error}") from error


def load_lexicon(grade: int) -> Lexicon:
    """The entries of ``words/`` up to a grade; InternalError when two entries have the same key."""
    entries: dict[str, Entry] = {}
    irregular_verbs: dict[Language, Mapping[str, Mapping[str, str]]] = {}
    for name, content in read_tables("words"):
        if name == "irregular_verbs":
            irregular_verbs = {language: content[language] for language in LANGUAGES}
            continue
        for entry in _read_entries(content):
            if entry.key in entries:
                raise InternalError(f"the lexicon has two entries {entry.key!r}")
            if entry.grade <= grade:
                entries[entry.key] = entry
    return Lexicon(tuple(entries.values()), irregular_verbs)


def _read_entries(content: dict[str, Any]) -> Iterator[Entry]:
    part = content.pop("part")
    for category, table in content.items():
        if part == "name":
            for spelling, rank in zip(table["names"], count(), strict=False):
                yield _make_name(spelling, category, grade=1 if rank < _NAMES_KNOWN else 3)
        else:
            for key, row in (*table.items(), *_read_lines(category, table)):
                if isinstance(row, dict):
                    yield make_entry(key, row, part=part, category=category)


def _read_lines(category: str, table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the table's ``words``: lines ``en | es | tags | fits``, where the last two are optional.

    ``goose/geese`` gives an irregular plural; ``el cocinero, la cocinera`` makes two entries, one for each gender.
    """
    for line in table.get("words", "").strip().splitlines():
        english, spanish, tags, fits = [*map(str.strip, line.split("|")), "", "", ""][:4]
        for text, gender in zip(spanish.split(", "), ("male", "female"), strict=False):
            words = {"en": english.partition("/"), "es": text.partition("/")}
            row: dict[str, Any] = {language: word for language, (word, _, _) in words.items()}
            row["plural"] = {language: plural for language, (_, _, plural) in words.items()}
            is_plural = text.startswith(("los ", "las "))
            row["is"] = f"{table.get('is', '')} {tags}{' plural' * is_plural}"
            row["fits"] = gender if ", " in spanish else f"{table.get('fits', '')} {fits}"
            row["invariable"] = "invariable" in row["is"].split()
            yield f"{category}.{row['es'].replace(' ', '_')}", row


def _make_name(spelling: str, category: str, *, grade: int) -> Entry:
    """The entry of ``Luna``, or of ``Lucy/Lucía``, a name that differs between the languages."""
    english, _, spanish = spelling.partition("/")
    gender: Gender = "f" if category == "girl-name" else "m"
    texts: dict[Language, str] = {"en": english, "es": spanish or english}
    terms = {language: Term(text, "name", gender=gender, is_animate=True) for language, text in texts.items()}
    return Entry(english, terms, (category, f"g{grade}"))


def make_entry(key: str, row: Mapping[str, Any], *, part: Part, category: str) -> Entry:
    """The entry of a row such as ``{ en = "kite", es = "la cometa", is = "light" }``."""
    known = ("en", "es", "is", "fits", "plural", "invariable")
    tags = (category, *row.get("is", "").split())
    forms = {form: _compile_form(texts) for form, texts in row.items() if form not in known}
    if part == "phrase":
        forms[""] = _compile_form(row)
    try:
        terms = {language: _make_term(row, part, tags, language) for language in LANGUAGES}
    except (KeyError, ValueError, AttributeError) as error:
        raise InternalError(f"the lexicon's entry {key!r} is not complete: {error!r}") from error
    return Entry(key, terms, tags, tuple(row.get("fits", "").split()), forms)


def _compile_form(texts: Mapping[str, str | list[str]]) -> dict[Language, tuple[Template, ...]]:
    lines = {language: texts[language] for language in LANGUAGES}
    return {
        key: compile_lines(text if isinstance(text, str) else "\n".join(text)) for key, text in lines.items()
    }


def _make_term(row: Mapping[str, Any], part: Part, tags: tuple[str, ...], language: Language) -> Term:
    text = row[language]
    if part == "phrase":
        return Term("", part)
    gender, is_plural = _ARTICLES["el"]
    if part == "noun":
        article, _, noun = row["es"].removesuffix(" (f)").partition(" ")
        gender, is_plural = _ARTICLES[article]
        gender = "f" if row["es"].endswith("(f)") else gender
        text = noun if language == "es" else text
    return Term(
        text,
        part,
        gender=gender,
        plural=row.get("plural", {}).get(language, ""),
        is_plural=is_plural,
        is_mass="mass" in tags,
        is_animate=not _ANIMATE.isdisjoint(tags),
        is_invariable=row.get("invariable", False),
    )
