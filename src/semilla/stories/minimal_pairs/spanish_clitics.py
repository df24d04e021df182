"""Mistakes with Spanish clitic pronouns: their position, their number and their gender."""

from __future__ import annotations

import re

from semilla.stories.minimal_pairs.mistakes import Mistake, any_of, make_mistake
from semilla.stories.minimal_pairs.words import SpanishWords, index_nouns, list_names, match_name

WORD = r"([a-záéíóúñ]+)\b"
ADVERBS = r"(?:no |ya |siempre |nunca |también |solo |casi )?"
CLITICS = r"(?:me |te |se |lo |la |los |las |le |les |nos )?"
_FEMININE_ARTICLE = re.compile(r"\b(?:[Ll]as?|[Uu]nas?|esta|otra|toda)\b")
_MASCULINE_ARTICLE = re.compile(r"\b(?:[Ee]l|[Ll]os|[Aa]l|[Dd]el|[Uu]n(?:os)?|este|otro|todo)\b")


def spoil_clitic_position(words: SpanishWords) -> tuple[Mistake, ...]:
    """Move a clitic from its place before a finite verb to the place after it: no encuentro lo."""

    def replace(match: re.Match[str]) -> str | None:
        clitic, verb = match[1], match[2]
        if verb not in words.finite_forms:
            return None
        return f"{verb.capitalize()} {clitic.lower()}" if clitic[0].isupper() else f"{verb} {clitic}"

    return (make_mistake(rf"\b([Ll]o|[Mm]e|[Tt]e|[Ll]es?|[Nn]os|[Ss]e) {WORD}", replace),)


def spoil_clitic_number() -> tuple[Mistake, ...]:
    """The clitic that doubles an indirect object has another number than it: les dio a Lucas."""
    animate = {form: noun for form, noun in index_nouns("es").items() if noun.is_animate}
    singular = any_of([form for form, noun in animate.items() if not noun.is_plural])
    plural = any_of([form for form, noun in animate.items() if noun.is_plural])
    one = rf"(?:{match_name()}|(?:la|su|mi|tu) {singular}|él|ella)"
    someone = rf"(?:a {one}|al {singular})\b(?! y\b)"
    several = rf"a (?:los|las|sus|mis) (?:[a-záéíóúñ]+ )?{plural}\b"
    # Not past a subordinate clause, whose verb may have an object of its own.
    until = r"[a-záéíóúñ]+(?: (?!que\b|y\b)[a-záéíóúñ]+(?<![aei]r)){0,3}"
    return (
        make_mistake(rf"\b([Ll]e) (?={until} {someone})", r"\1s "),
        make_mistake(rf"\b([Ll]e)s (?={until} {several})", r"\1 "),
        make_mistake(rf"(?<!y a )\b(A {one},? {ADVERBS}le) ", r"\1s "),
    )


def spoil_clitic_gender(words: SpanishWords) -> tuple[Mistake, ...]:
    """Only where every noun and name before it has one gender: Ana tenía una cometa, y lo llevaba."""
    nouns, women, names = index_nouns("es"), list_names("f"), list_names()
    others = {"lo": "la", "la": "lo", "los": "las", "las": "los"}
    known = re.compile(rf"\b(?:{any_of(nouns)}|{any_of(names)})\b")

    def replace(match: re.Match[str]) -> str | None:
        clitic, before = match[1], match.string[: match.start()]
        if match[2] not in words.finite_forms:
            return None
        genders, numbers = set(), set()
        for found in known.finditer(match.string):
            noun = nouns.get(found[0])
            genders.add(noun.gender if noun else "f" if found[0] in women else "m")
            if noun and found.start() < len(before):
                numbers.add(noun.is_plural)
        expected = "m" if clitic.startswith("lo") else "f"
        others_before = _FEMININE_ARTICLE if expected == "m" else _MASCULINE_ARTICLE
        if genders != {expected} or numbers != {clitic.endswith("s")} or others_before.search(before):
            return None
        return others[clitic] + match[0].removeprefix(clitic)

    return (make_mistake(rf"\b(lo|la|los|las) {WORD}", replace),)
