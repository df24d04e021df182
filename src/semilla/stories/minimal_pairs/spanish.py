"""The mistakes of Spanish, by phenomenon."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from semilla.stories.minimal_pairs.mistakes import Mistake, any_of, make_mistake, replace_group
from semilla.stories.minimal_pairs.spanish_clitics import (
    ADVERBS,
    CLITICS,
    WORD,
    spoil_clitic_gender,
    spoil_clitic_number,
    spoil_clitic_position,
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
_SER_TO_ESTAR = {ser: estar for estar, ser in _ESTAR_TO_SER.items()}
_PLACES = r"(?:detrás|delante|debajo|encima|dentro|cerca|junto|allí|aquí|ahí|al lado|lejos|a punto)\b"
_COPULAS = "(?:estaba|está|estuvo|era|es|quedó|sentía|puso|parecía|parece)"
_LINKS = "(?:(?:muy|tan|bastante|demasiado|más|casi|ya|un poco) )?"
_HABER = "(?:he|has|ha|hemos|han|había|habías|habíamos|habían|habrá|haber|habría)"
_LIKING = {
    "gusta": "gustan", "gustaba": "gustaban", "gustó": "gustaron", "gustaría": "gustarían", "encanta": "encantan",
    "encantaba": "encantaban",
}  # fmt: skip


@cache
def list_spanish_mistakes() -> Mapping[str, tuple[Mistake, ...]]:
    """Every phenomenon, with its mistakes."""
    words = SpanishWords()
    return {
        "adjective_gender": _spoil_adjectives(words, changes_gender=True),
        "adjective_number": _spoil_adjectives(words, changes_gender=False),
        "article_gender": _spoil_articles(changes_gender=True),
        "article_number": _spoil_articles(changes_gender=False),
        "clitic_gender": spoil_clitic_gender(words),
        "clitic_number": spoil_clitic_number(),
        "clitic_position": spoil_clitic_position(words),
        "comparison": _spoil_comparison(),
        "gustar_agreement": _spoil_gustar(),
        "negation": _spoil_negation(words),
        "opening_marks": _spoil_marks(),
        "participle_agreement": _spoil_predicates(words.participle_forms),
        "perfect_participle": _spoil_perfect(words),
        "plural_after_number": _spoil_plurals(),
        "predicate_gender": _spoil_predicates(words.adjective_forms),
        "ser_estar": _spoil_ser_estar(words),
        "tu_usted": _spoil_address(words),
        "verb_number": _spoil_verb_number(words),
    }


def _spoil_articles(*, changes_gender: bool) -> tuple[Mistake, ...]:
    """La sombrero; los sombrero."""
    nouns = index_nouns("es")

    def replace(match: re.Match[str]) -> str | None:
        article, noun = match[1], nouns.get(match[2])
        if noun is None or match[2] in _BOTH_GENDERS or starts_with_stressed_a(match[2]):
            return None
        place = _ARTICLES.index(article.lower())
        is_feminine, is_plural = bool(place % 2), place % 4 >= 2
        if (is_feminine, is_plural) != (noun.gender == "f", noun.is_plural):
            return None
        wrong = _ARTICLES[
            place ^ (1 if changes_gender else 2)
        ]  # bit 0 of the index is the gender, bit 1 the number
        return (wrong.capitalize() if article[0].isupper() else wrong) + f" {match[2]}"

    return (make_mistake(rf"\b([Ee]l|[Ll]as?|[Ll]os|[Uu]n(?:as?|os)?) {WORD}", replace),)


def _spoil_adjectives(words: SpanishWords, *, changes_gender: bool) -> tuple[Mistake, ...]:
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
        if changes_gender:
            return agree(lemma, gender=_swap_gender(gender), is_plural=is_plural)
        return agree(lemma, gender=gender, is_plural=not is_plural)

    return (make_mistake(rf"(?<=[a-záéíóúñ] )\b{WORD}", replace),)


def _swap_gender(gender: Gender) -> Gender:
    return "m" if gender == "f" else "f"


def _spoil_predicates(forms: Mapping[str, tuple[str, Gender, bool]]) -> tuple[Mistake, ...]:
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
        return replace_group(match, 2, agree(lemma, gender=_swap_gender(gender), is_plural=False))

    ending = rf"{ADVERBS}(?:se )?{_COPULAS} {_LINKS}{WORD}"
    return (
        make_mistake(rf"\b(?<!y )({match_name()}) {ending}", replace),
        make_mistake(rf"\b(?:[Ee]l|[Ll]a|[Ss]u|[Mm]i|[Tt]u) {WORD} {ending}", replace),
    )


def _spoil_perfect(words: SpanishWords) -> tuple[Mistake, ...]:
    """A participle that agrees after haber: había encontrada."""
    feminine = {
        participle: agree(participle, gender="f", is_plural=False) for participle in words.participles
    }
    return (make_mistake(rf"\b{_HABER} ({any_of(feminine)})\b", feminine),)


def _spoil_ser_estar(words: SpanishWords) -> tuple[Mistake, ...]:
    """Ser for a place or a gerund, estar for what something is: era detrás, Lucas estaba un niño."""

    def replace_after_name(match: re.Match[str]) -> str | None:
        before = match.string[: match.start()].split()[-1]
        return replace_group(match, 1, _SER_TO_ESTAR[match[1]]) if before in list_names() else None

    estar, gerunds = any_of(_ESTAR_TO_SER), any_of(words.gerunds)
    return (
        make_mistake(rf"\b({estar}) (?={_PLACES}|{gerunds}\b)", _ESTAR_TO_SER),
        make_mistake(r"(?<=\b[Qq]ue )(es|era) (?=una? )", _SER_TO_ESTAR),
        make_mistake(r"(?<=\w )\b(es|era) (?=una? )", replace_after_name),
    )


def _spoil_gustar() -> tuple[Mistake, ...]:
    """The verb does not agree with what is liked: le gustaban cantar, le gusta las cometas."""
    nouns = index_nouns("es")
    singular = any_of([form for form, noun in nouns.items() if not noun.is_plural])
    plural = any_of([form for form, noun in nouns.items() if noun.is_plural])
    single = {form: one for one, form in _LIKING.items()}
    liked = rf"(?:[a-z]+[aei]r(?:se|lo|la)?\b|(?:el|la|un|una|mi|tu|su) {singular}\b)(?!.* y )"
    return (
        make_mistake(rf"\b({any_of(_LIKING)}) (?=(?:mucho |más )?{liked})", _LIKING),
        make_mistake(rf"\b({any_of(single)}) (?=(?:mucho |más )?(?:los|las) {plural}\b)", single),
    )


def _spoil_negation(words: SpanishWords) -> tuple[Mistake, ...]:
    """Nada after the verb without no before it: ya vio nada.

    Another adverb takes its place: a twin with one word less would be likelier for its length alone.
    """

    def replace(match: re.Match[str]) -> str | None:
        if match[2] not in words.finite_forms:
            return None
        return f"{'Ya' if match[0].startswith('N') else 'ya'} {match[1]}"

    nothing = r"(?:a )?(?:nada|nadie|ningún|ninguna)\b"
    return (make_mistake(rf"\b[Nn]o ({CLITICS}{CLITICS}{WORD} {nothing})", replace),)


def _spoil_marks() -> tuple[Mistake, ...]:
    """A question or an exclamation that is not opened, or not closed."""
    return (
        make_mistake(r"¿([a-záéíóúñA-ZÁÉÍÓÚÑ])(?=[^¿?]*\?)", r"\1"),
        make_mistake(r"¡([a-záéíóúñA-ZÁÉÍÓÚÑ])(?=[^¡!]*!)", r"\1"),
        make_mistake(r"(?<=¿)([^¿?!.]*)\?", r"\1."),
        make_mistake(r"(?<=¡)([^¡!?.]*)!", r"\1."),
    )


def _spoil_plurals() -> tuple[Mistake, ...]:
    plurals = {form: noun.other_number for form, noun in index_nouns("es").items() if noun.is_plural}
    numbers = any_of(f"{_NUMBERS} {_NUMBERS.title()}".split())
    return (make_mistake(rf"\b{numbers} ({any_of(plurals)})\b", plurals),)


def _spoil_comparison() -> tuple[Mistake, ...]:
    """Más alto como; más mejor; tan alto de."""
    no_article = "(?<!lo )(?<!el )(?<!la )"
    return (
        make_mistake(rf"{no_article}(?<!los )(?<!las )\b(más [a-záéíóúñ]+) que\b", r"\1 como"),
        make_mistake(rf"{no_article}\b((?:mejor|peor)(?:es)?) que\b", r"más \1 que"),
        make_mistake(r"\b(tan [a-záéíóúñ]+) como\b(?! el\b)", r"\1 de"),
    )


def _spoil_address(words: SpanishWords) -> tuple[Mistake, ...]:
    """Tú with the third person, usted with the second: tú puede, puedes usted."""
    wrong_person = {"tú": ("2s", "3s"), "usted": ("3s", "2s"), "ustedes": ("3p", "2s")}

    def replace(match: re.Match[str]) -> str | None:
        pronoun, verb = sorted(match.groups(), key=lambda word: word.lower() not in wrong_person)
        form = words.change_person(verb.lower(), *wrong_person[pronoun.lower()])
        return form and match[0].replace(verb, form.capitalize() if verb[0].isupper() else form)

    return (
        make_mistake(rf"\b([Tt]ú|[Uu]sted(?:es)?) {ADVERBS}{CLITICS}{CLITICS}{WORD}", replace),
        make_mistake(r"\b([A-Za-záéíóúñ]+) (tú|usted|ustedes)\b", replace),
    )


def _spoil_verb_number(words: SpanishWords) -> tuple[Mistake, ...]:
    """Lucas corrieron; los niños corrió."""
    nouns, name = index_nouns("es"), match_name()
    singular = any_of([form for form, noun in nouns.items() if not noun.is_plural])
    plural = any_of([form for form, noun in nouns.items() if noun.is_plural])
    verb = rf"{ADVERBS}{CLITICS}{CLITICS}{WORD}"
    # At the beginning of a clause: inside one, the noun may be the object and the subject be elsewhere.
    one = rf"(?:^|(?<=[.,:;—«¿¡] )|(?<=[—«¿¡]))(?:{name}|(?:[Ee]l|[Ll]a|[Ss]u) {singular})"
    several = rf"\b(?:{name} y {name}|(?:[Ll]os|[Ll]as|[Ss]us) {plural}|[Tt]odos|[Ll]os dos|[Ll]as dos)"

    def put_into(right: str, wrong: str, match: re.Match[str]) -> str | None:
        form = words.change_person(match[1], right, wrong)
        return form and replace_group(match, 1, form)

    return (
        make_mistake(rf"{one} {verb}", lambda match: put_into("3s", "3p", match)),
        make_mistake(rf"{several} {verb}", lambda match: put_into("3p", "3s", match)),
    )
