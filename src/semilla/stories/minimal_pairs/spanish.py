"""The mistakes of Spanish, by phenomenon."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from semilla.stories.minimal_pairs.mistakes import Mistake, Replace, any_of, expect
from semilla.stories.minimal_pairs.spanish_clitics import (
    ADVERBS,
    CLITICS,
    WORD,
    mistake_clitic_gender,
    mistake_clitic_number,
    mistake_clitic_position,
)
from semilla.stories.minimal_pairs.words import SpanishWords, index_nouns, list_names, match_name
from semilla.stories.spanish import agree
from semilla.stories.spanish_sounds import starts_with_stressed_a
from semilla.stories.terms import Gender

_ARTICLES = ("el", "la", "los", "las", "un", "una", "unos", "unas")
_BOTH_GENDERS = frozenset({"cometa", "mañana", "trompeta", "guía", "orden", "cometas", "trompetas", "pez"})
"""Nouns that Spanish also has in the other gender, with another meaning: el cometa flies too."""
_NUMBERS = (
    "dos tres cuatro cinco seis siete ocho nueve diez once doce quince veinte muchos muchas varios varias"
)
_ESTAR_TO_SER = {
    "está": "es", "estaba": "era", "están": "son", "estaban": "eran", "estoy": "soy", "estás": "eres",
    "estuvo": "fue",
}  # fmt: skip
_SER_TO_ESTAR = {
    "es": "está",
    "era": "estaba",
    "son": "están",
    "eran": "estaban",
    "soy": "estoy",
    "eres": "estás",
}
_PLACES = r"(?:detrás|delante|debajo|encima|dentro|cerca|junto|allí|aquí|ahí|al lado|lejos|a punto)\b"
_COPULAS = "estaba|está|estuvo|era|es|quedó|sentía|puso|parecía|parece"
_LINKS = "muy|tan|bastante|demasiado|más|casi|ya|un poco"
_HABER = "he|has|ha|hemos|han|había|habías|habíamos|habían|habrá|haber|habría"
_LIKING = {
    "gusta": "gustan", "gustaba": "gustaban", "gustó": "gustaron", "gustaría": "gustarían", "encanta": "encantan",
    "encantaba": "encantaban",
}  # fmt: skip


@cache
def list_spanish_mistakes() -> Mapping[str, tuple[Mistake, ...]]:
    """Every phenomenon with the ways to get it wrong."""
    words = SpanishWords()
    return {
        "adjective_gender": _mistake_adjectives(words, changes_gender=True),
        "adjective_number": _mistake_adjectives(words, changes_gender=False),
        "article_gender": _mistake_articles(changes_gender=True),
        "article_number": _mistake_articles(changes_gender=False),
        "clitic_gender": mistake_clitic_gender(words),
        "clitic_number": mistake_clitic_number(),
        "clitic_position": mistake_clitic_position(words),
        "comparison": _mistake_comparison(),
        "gustar_agreement": _mistake_gustar(),
        "negation": _mistake_negation(words),
        "opening_marks": _mistake_marks(),
        "participle_agreement": _mistake_predicates(words.participle_forms),
        "perfect_participle": _mistake_perfect(words),
        "plural_after_number": _mistake_plurals(),
        "predicate_gender": _mistake_predicates(words.adjective_forms),
        "ser_estar": _mistake_ser_estar(words),
        "tu_usted": _mistake_address(words),
        "verb_number": _mistake_verb_number(words),
    }


def _mistake_articles(*, changes_gender: bool) -> tuple[Mistake, ...]:
    """La sombrero; los sombrero."""
    nouns = index_nouns("es")

    def replace(match: re.Match[str]) -> str | None:
        article, noun = match[1], nouns.get(match[2])
        if noun is None or match[2] in _BOTH_GENDERS or starts_with_stressed_a(match[2]):
            return None
        place = _ARTICLES.index(article.lower())
        series, form = divmod(place, 4)
        is_feminine, is_plural = bool(form % 2), form >= 2
        if (is_feminine, is_plural) != (noun.gender == "f", noun.is_plural):
            return None
        wrong = _ARTICLES[
            4 * series + 2 * (is_plural ^ (not changes_gender)) + (is_feminine ^ changes_gender)
        ]
        return (wrong.capitalize() if article[0].isupper() else wrong) + f" {match[2]}"

    return (expect(rf"\b([Ee]l|[Ll]as?|[Ll]os|[Uu]n(?:as?|os)?) {WORD}", replace),)


def _mistake_adjectives(words: SpanishWords, *, changes_gender: bool) -> tuple[Mistake, ...]:
    """Una cometa rojo; unas cometas roja."""
    nouns = index_nouns("es")
    forms = {**words.participle_forms, **words.adjective_forms}

    def replace(match: re.Match[str]) -> str | None:
        before = match.string[: match.start()].split()[-1]
        if match[1] not in forms or before not in nouns or before in _BOTH_GENDERS:
            return None
        lemma, gender, is_plural = forms[match[1]]
        if (nouns[before].gender, nouns[before].is_plural) != (gender, is_plural):
            return None
        return _spoil(lemma, gender, is_plural=is_plural, changes_gender=changes_gender)

    return (expect(rf"(?<=[a-záéíóúñ] )\b{WORD}", replace),)


def _spoil(lemma: str, gender: Gender, *, is_plural: bool, changes_gender: bool) -> str:
    other: Gender = "m" if gender == "f" else "f"
    return agree(
        lemma, gender=other if changes_gender else gender, is_plural=is_plural ^ (not changes_gender)
    )


def _mistake_predicates(forms: Mapping[str, tuple[str, Gender, bool]]) -> tuple[Mistake, ...]:
    """Lucas estaba cansada; la puerta estaba cerrado."""
    nouns, women = index_nouns("es"), list_names("f")

    def replace(match: re.Match[str]) -> str | None:
        subject, form = match[1], match[2]
        if form not in forms or not (subject in nouns or subject[0].isupper()):
            return None
        lemma, gender, is_plural = forms[form]
        expected = nouns[subject].gender if subject in nouns else "f" if subject in women else "m"
        if is_plural or gender != expected:
            return None
        return match[0].removesuffix(form) + _spoil(lemma, gender, is_plural=False, changes_gender=True)

    ending = rf"{ADVERBS}(?:se )?(?:{_COPULAS}) (?:(?:{_LINKS}) )?{WORD}"
    return (
        expect(rf"\b(?<!y ){match_name()} {ending}", replace),
        expect(rf"\b(?:[Ee]l|[Ll]a|[Ss]u|[Mm]i|[Tt]u) {WORD} {ending}", replace),
    )


def _mistake_perfect(words: SpanishWords) -> tuple[Mistake, ...]:
    """After haber the participle does not agree: había encontrada."""
    return (
        expect(
            rf"\b(?:{_HABER}) {any_of(words.participles)}\b",
            lambda match: match[0].removesuffix(match[1]) + agree(match[1], gender="f", is_plural=False),
        ),
    )


def _mistake_ser_estar(words: SpanishWords) -> tuple[Mistake, ...]:
    """Estar for where and for what is under way, ser for who and what: era detrás, Lucas estaba un niño."""
    gerunds = any_of(words.gerunds)
    return (
        expect(rf"\b{any_of(_ESTAR_TO_SER)} (?={_PLACES}|{gerunds}\b)", _swap_head(_ESTAR_TO_SER)),
        expect(r"(?<=\b[Qq]ue )(es|era) (?=una? )", _swap_head(_SER_TO_ESTAR)),
        expect(r"(?<=\w )\b(es|era) (?=una? )", _swap_after_name),
    )


def _swap_after_name(match: re.Match[str]) -> str | None:
    before = match.string[: match.start()].split()[-1]
    return f"{_SER_TO_ESTAR[match[1]]} " if before in list_names() else None


def _swap_head(others: Mapping[str, str]) -> Replace:
    """Exchange the first group, with which the match begins."""
    return lambda match: others[match[1]] + match[0].removeprefix(match[1])


def _mistake_gustar() -> tuple[Mistake, ...]:
    """It agrees with what is liked: le gustaban cantar, le gusta las cometas."""
    nouns = index_nouns("es")
    singular, plural = (
        [form for form, noun in nouns.items() if noun.is_plural == wanted] for wanted in (False, True)
    )
    single = {form: one for one, form in _LIKING.items()}
    liked = rf"(?:[a-z]+[aei]r(?:se|lo|la)?\b|(?:el|la|un|una|mi|tu|su) {any_of(singular)}\b)(?!.* y )"
    return (
        expect(rf"\b{any_of(_LIKING)} (?=(?:mucho |más )?{liked})", _swap_head(_LIKING)),
        expect(rf"\b{any_of(single)} (?=(?:mucho |más )?(?:los|las) {any_of(plural)}\b)", _swap_head(single)),
    )


def _mistake_negation(words: SpanishWords) -> tuple[Mistake, ...]:
    """Nothing after the verb asks for a no before it: ya vio nada.

    Another adverb in its place, for a twin with a word less would be likelier for its length alone.
    """

    def replace(match: re.Match[str]) -> str | None:
        if match[2] not in words.finite_forms:
            return None
        return f"{'Ya' if match[0].startswith('N') else 'ya'} {match[1]}"

    return (expect(rf"\b[Nn]o ({CLITICS}{CLITICS}{WORD} (?:a )?(?:nada|nadie|ningún|ninguna)\b)", replace),)


def _mistake_marks() -> tuple[Mistake, ...]:
    """A question that is not opened, an exclamation that is not closed."""
    return (
        expect(r"¿([a-záéíóúñA-ZÁÉÍÓÚÑ])(?=[^¿?]*\?)", r"\1"),
        expect(r"¡([a-záéíóúñA-ZÁÉÍÓÚÑ])(?=[^¡!]*!)", r"\1"),
        expect(r"(?<=¿)([^¿?!.]*)\?", r"\1."),
        expect(r"(?<=¡)([^¡!?.]*)!", r"\1."),
    )


def _mistake_plurals() -> tuple[Mistake, ...]:
    plurals = {form: noun.other_number for form, noun in index_nouns("es").items() if noun.is_plural}
    numbers = "|".join([*_NUMBERS.split(), *_NUMBERS.title().split()])
    return (
        expect(
            rf"\b(?:{numbers}) {any_of(plurals)}\b",
            lambda match: match[0].removesuffix(match[1]) + plurals[match[1]],
        ),
    )


def _mistake_comparison() -> tuple[Mistake, ...]:
    """Más alto como; más mejor; tan alto de."""
    return (
        expect(r"(?<!lo )(?<!el )(?<!la )(?<!los )(?<!las )\b(más [a-záéíóúñ]+) que\b", r"\1 como"),
        expect(r"(?<!lo )(?<!el )(?<!la )\b((?:mejor|peor)(?:es)?) que\b", r"más \1 que"),
        expect(r"\b(tan [a-záéíóúñ]+) como\b(?! el\b)", r"\1 de"),
    )


def _mistake_address(words: SpanishWords) -> tuple[Mistake, ...]:
    """Tú takes the second person, usted the third: tú puede, puedes usted."""
    wrong_person = {"tú": ("2s", "3s"), "usted": ("3s", "2s"), "ustedes": ("3p", "2s")}

    def replace(match: re.Match[str]) -> str | None:
        pronoun, verb = sorted(match.groups(), key=lambda word: word.lower() not in wrong_person)
        right, wrong = wrong_person[pronoun.lower()]
        if words.finite_forms.get(verb.lower(), ("", "", ""))[2] != right:
            return None
        form = words.conjugate_like(verb.lower(), wrong)
        return match[0].replace(verb, form.capitalize() if verb[0].isupper() else form)

    return (
        expect(rf"\b([Tt]ú|[Uu]sted(?:es)?) {ADVERBS}{CLITICS}{CLITICS}{WORD}", replace),
        expect(r"\b([A-Za-záéíóúñ]+) (tú|usted|ustedes)\b", replace),
    )


def _mistake_verb_number(words: SpanishWords) -> tuple[Mistake, ...]:
    """Lucas corrieron; los niños corrió."""
    nouns = index_nouns("es")
    singular = any_of([form for form, noun in nouns.items() if not noun.is_plural])
    plural = any_of([form for form, noun in nouns.items() if noun.is_plural])
    between = rf"{ADVERBS}{CLITICS}{CLITICS}"
    # At the beginning of a clause: inside one, the noun may be the object and the subject stand elsewhere.
    one = rf"(?:^|(?<=[.,:;—«¿¡] )|(?<=[—«¿¡]))(?:{match_name()}|(?:[Ee]l|[Ll]a|[Ss]u) {singular})"
    several = rf"\b(?:{match_name()} y {match_name()}|(?:[Ll]os|[Ll]as|[Ss]us) {plural}|[Tt]odos|[Ll]os dos|[Ll]as dos)"
    return (
        expect(rf"{one} {between}{WORD}", _put_number(words, "3s", "3p")),
        expect(rf"{several} {between}{WORD}", _put_number(words, "3p", "3s")),
    )


def _put_number(words: SpanishWords, right: str, wrong: str) -> Replace:
    """Exchange the verb that ends the match, when it is in the person ``right``, for the person ``wrong``."""

    def replace(match: re.Match[str]) -> str | None:
        verb = match[match.re.groups]
        if words.finite_forms.get(verb, ("", "", ""))[2] != right:
            return None
        return match[0].removesuffix(verb) + words.conjugate_like(verb, wrong)

    return replace
