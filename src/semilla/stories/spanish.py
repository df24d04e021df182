"""Spanish grammar: gender and number, articles, short forms, agreement, contractions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from semilla.stories.spanish_sounds import (
    accentuate,
    count_after_stress,
    find_nuclei,
    has_accent,
    starts_with_stressed_a,
    strip_accents,
)
from semilla.stories.spanish_verbs import PERSONS, IrregularVerbs, conjugate
from semilla.stories.terms import Gender, Term

_VOWELS = "aeiouáéíóúü"

_AGREEING = {
    "el": ("el", "la", "los", "las"),
    "un": ("un", "una", "unos", "unas"),
    "uno": ("uno", "una", "unos", "unas"),
    "este": ("este", "esta", "estos", "estas"),
    "ese": ("ese", "esa", "esos", "esas"),
    "aquel": ("aquel", "aquella", "aquellos", "aquellas"),
    "él": ("él", "ella", "ellos", "ellas"),
    "lo": ("lo", "la", "los", "las"),
    "le": ("le", "le", "les", "les"),
    "su": ("su", "su", "sus", "sus"),
    "mi": ("mi", "mi", "mis", "mis"),
    "tu": ("tu", "tu", "tus", "tus"),
    "algún": ("algún", "alguna", "algunos", "algunas"),
    "ningún": ("ningún", "ninguna", "ningunos", "ningunas"),
    "mejor": ("mejor", "mejor", "mejores", "mejores"),
    "mayor": ("mayor", "mayor", "mayores", "mayores"),
    "menor": ("menor", "menor", "menores", "menores"),
}
"""Masculine singular -> the four forms, where they do not follow the rules for adjectives."""

_BEFORE_MASCULINE = {
    "bueno": "buen",
    "malo": "mal",
    "primero": "primer",
    "tercero": "tercer",
    "alguno": "algún",
    "ninguno": "ningún",
    "uno": "un",
}
_PREPOSITIONS = frozenset({"a", "al", "con", "de", "del", "en", "para"})
_UNCHANGING = frozenset({"muy", "más", "menos", "tan", "cada"})
_COMPARISON = {"bueno": "mejor", "malo": "peor"}

_CONTRACTION = re.compile(r"\b([Dd]e|[Aa]) el\b")
_Y_BEFORE_I = re.compile(r"\by (?=[iíIÍ]|[hH][iíIÍ](?![eaEA]))")
_O_BEFORE_O = re.compile(r"\bo (?=[oóOÓ]|[hH][oóOÓ])")


class Spanish:
    """Inflects words; the irregular verbs come from the lexicon."""

    def __init__(self, irregular_verbs: IrregularVerbs) -> None:
        self.irregular_verbs = irregular_verbs

    def render_phrase(self, terms: Sequence[Term], *, target: Term | None = None) -> str:
        """The inflected words of a slot: they agree with the target, or else with the phrase's own noun."""
        head = target or next((term for term in terms if term.part in ("noun", "name")), None)
        if head is None:
            return " ".join(self._inflect(term, "m", is_plural=False) for term in terms)
        words = [self._inflect(term, head.gender, is_plural=head.is_several) for term in terms]
        if target is None and not head.is_several:
            _shorten_before(words, terms, gender=head.gender)
        return " ".join(words)

    def finish(self, text: str) -> str:
        """Contract ``de el`` and ``a el``; write e for y before i, and u for o before o."""
        text = _CONTRACTION.sub(lambda match: f"{match[1]}l", text)
        return _O_BEFORE_O.sub("u ", _Y_BEFORE_I.sub("e ", text))

    @cache  # noqa: B019 - one grammar lives as long as the process
    def conjugate(self, verb: str, form: str) -> str:
        """A form (``inf``, ``ger``, ``part``, or tense and person: ``pret3s``) of a verb or a verb phrase."""
        return conjugate(verb, form, self.irregular_verbs)

    def _inflect(self, term: Term, gender: Gender, *, is_plural: bool) -> str:
        if term.part == "noun":
            return term.inflect_noun(pluralise)
        if term.part in ("name", "adverb", "phrase"):
            return term.text
        if term.part == "verb" or (term.part == "literal" and term.form):
            return self.conjugate(term.text, _add_person(term.form or "inf", is_plural=is_plural))
        if term.part == "adjective" and term.form:
            return compare(term.text, gender=gender, is_plural=is_plural)
        if term.is_invariable:
            return term.text
        return agree(term.text, gender=gender, is_plural=is_plural)


def _add_person(form: str, *, is_plural: bool) -> str:
    """Add the third person to a tense without a person."""
    if form in ("inf", "ger", "part") or form.endswith(PERSONS):
        return form
    return form + ("3p" if is_plural else "3s")


def _shorten_before(words: list[str], terms: Sequence[Term], *, gender: Gender) -> None:
    """Replace the word right before a singular noun by its short form, in place: buen, gran, el agua."""
    for place in range(1, len(terms)):
        if terms[place].part != "noun":
            continue
        before = words[place - 1]
        if before == "grande":
            words[place - 1] = "gran"
        elif gender == "m":
            words[place - 1] = _BEFORE_MASCULINE.get(before, before)
        elif before in ("la", "una") and starts_with_stressed_a(words[place]):
            words[place - 1] = {"la": "el", "una": "un"}[before]


@cache
def pluralise(noun: str) -> str:
    """The regular plural, also of an adjective (``osos polares``) but not of a complement (``osos de peluche``)."""
    head, space, rest = noun.partition(" ")
    nuclei = find_nuclei(head)
    if head[-1] in "íú":
        plural = head + "es"
    elif head[-1] in _VOWELS:
        plural = head + "s"
    elif head.endswith("z"):
        plural = head[:-1] + "ces"
    elif head.endswith("s") and len(nuclei) > 1 and not has_accent(nuclei[-1]):
        plural = head
    elif head.endswith("n") and count_after_stress(head) and not has_accent(head):
        plural = accentuate(head + "es", num_after=2)
    elif head[-1] in "ns":
        plural = head[:-2] + strip_accents(head[-2]) + head[-1] + "es"
    else:
        plural = head + "es"
    is_complement = rest.partition(" ")[0] in _PREPOSITIONS
    return plural + space + (pluralise(rest) if rest and not is_complement else rest)


@cache
def agree(word: str, *, gender: Gender, is_plural: bool) -> str:
    """Inflect an adjective, article or pronoun given in the masculine singular."""
    if word in _UNCHANGING:
        return word
    if word in _AGREEING:
        return _AGREEING[word][2 * is_plural + (gender == "f")]
    singular = _make_feminine(word) if gender == "f" else word
    return pluralise(singular) if is_plural else singular


def _make_feminine(adjective: str) -> str:
    head, space, rest = adjective.partition(" ")
    if head.endswith("o"):
        head = head[:-1] + "a"
    elif head.endswith("ol"):
        head = head + "a"
    elif head.endswith(("or", "ón", "án", "ín", "és")) and head not in ("marrón",):
        head = head[:-2] + strip_accents(head[-2]) + head[-1] + "a"
    return head + space + rest


@cache
def compare(adjective: str, *, gender: Gender, is_plural: bool) -> str:
    """The comparative: más grande, mejor."""
    if adjective in _COMPARISON:
        return agree(_COMPARISON[adjective], gender=gender, is_plural=is_plural)
    return "más " + agree(adjective, gender=gender, is_plural=is_plural)
