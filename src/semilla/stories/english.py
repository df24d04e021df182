"""English grammar: articles, plurals, verbs, comparison, pronouns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from semilla.errors import InternalError
from semilla.stories.terms import Term

IrregularVerbs = Mapping[str, Mapping[str, str]]

_VOWELS = "aeiou"
_PRONOUNS = {
    "he": ("he", "she", "it", "they"),
    "him": ("him", "her", "it", "them"),
    "his": ("his", "her", "its", "their"),
    "himself": ("himself", "herself", "itself", "themselves"),
    "it": ("it", "it", "it", "they"),
    "it-object": ("it", "it", "it", "them"),
    "this": ("this", "this", "this", "these"),
}
"""Word -> its form for a male, a female, a thing, several."""

_ARTICLE = re.compile(
    r"\b([Aa]) (?=(?:[aeiouéAEIOUÉ]|honest|hour))(?!(?:one|once|use|uni|uku|eu)\w*)", re.ASCII
)
_COMPARISON = {"good": ("better", "best"), "bad": ("worse", "worst"), "little": ("smaller", "smallest")}


class English:
    """Inflects words; the irregular verbs come from the lexicon."""

    def __init__(self, irregular_verbs: IrregularVerbs) -> None:
        self.irregular_verbs = irregular_verbs

    def render_phrase(self, terms: Sequence[Term], *, target: Term | None = None) -> str:
        """The inflected words of a slot; with a target, each agrees with it."""
        if target:
            return " ".join(self._agree(term, target) for term in terms)
        head = next((term for term in terms if term.part == "noun"), None)
        return " ".join(self._inflect(term, head) for term in terms)

    def finish(self, text: str) -> str:
        """Write ``an`` for ``a`` before a vowel sound."""
        return _ARTICLE.sub(r"\1n ", text)

    def _inflect(self, term: Term, head: Term | None) -> str:
        if term.part == "noun":
            return term.inflect_noun(pluralise)
        if term.part == "adjective" and term.form:
            return compare(term.text, term.form)
        if term.part == "verb":
            return self.conjugate(term.text, term.form or "base")
        if term.text == "a" and head and (head.is_several or head.is_mass):
            return "some"
        return term.text

    def _agree(self, term: Term, target: Term) -> str:
        if term.form:
            return self.conjugate(term.text, _choose_verb_form(term, is_several=target.is_several))
        if term.text in _PRONOUNS:
            one = ("m", "f").index(target.gender) if target.is_animate else 2
            return _PRONOUNS[term.text][3 if target.is_several else one]
        raise InternalError(f"{term.text!r} has no forms to agree with {target.text!r}")

    @cache  # noqa: B019 - one grammar lives as long as the process
    def conjugate(self, verb: str, form: str) -> str:
        """A form (base, third, past, participle, ing) of a verb, or of a phrase that begins with one."""
        head, space, rest = verb.partition(" ")
        irregular = self.irregular_verbs.get(head, {})
        regular = irregular.get("past", "") if form == "participle" else ""
        return (irregular.get(form) or regular or _conjugate_regular(head, form)) + space + rest


def _choose_verb_form(term: Term, *, is_several: bool) -> str:
    if is_several and term.text == "be":
        return {"past": "past-plural", "present": "plural"}[term.form]
    return {"present": "base" if is_several else "third"}.get(term.form, term.form)


def _conjugate_regular(verb: str, form: str) -> str:
    if form == "base":
        return verb
    if form == "third":
        return pluralise(verb)
    if form == "ing":
        return (verb[:-1] if re.search(r"[^eoy]e$", verb) else _double_consonant(verb)) + "ing"
    if form in ("past", "participle"):
        if re.search(rf"[^{_VOWELS}]y$", verb):
            return verb[:-1] + "ied"
        return verb + "d" if verb.endswith("e") else _double_consonant(verb) + "ed"
    raise InternalError(f"{form!r} is not a form of the verb {verb!r}")


def _double_consonant(word: str) -> str:
    """Double the last letter of stop and big, but not of visit, rain or show."""
    is_short = re.fullmatch(rf"(?:[^{_VOWELS}]|qu)*[{_VOWELS}][^{_VOWELS}wxy]", word)
    return word + word[-1] if is_short else word


@cache
def pluralise(noun: str) -> str:
    """The regular plural; the same rule gives a verb's third person."""
    head, of, rest = noun.partition(" of ")
    if re.search(rf"(s|x|z|ch|sh|[^{_VOWELS}]o)$", head):
        plural = head + "es"
    elif re.search(rf"[^{_VOWELS}]y$", head):
        plural = head[:-1] + "ies"
    else:
        plural = head + "s"
    return plural + of + rest


@cache
def compare(adjective: str, degree: str) -> str:
    """The comparative (``er``) or superlative (``est``)."""
    place = ("er", "est").index(degree)
    if adjective in _COMPARISON:
        return _COMPARISON[adjective][place]
    if re.search(rf"[^{_VOWELS}]y$", adjective):
        return adjective[:-1] + "i" + degree
    num_vowel_groups = len(re.findall(rf"[{_VOWELS}]+", adjective.removesuffix("e")))
    if num_vowel_groups > 1:
        return ("more ", "most ")[place] + adjective
    return adjective + degree[1:] if adjective.endswith("e") else _double_consonant(adjective) + degree
