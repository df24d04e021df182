"""The mistakes of English, by phenomenon."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from semilla.stories.minimal_pairs.mistakes import Mistake, Replace, any_of, expect
from semilla.stories.minimal_pairs.words import EnglishWords, index_nouns, list_names, match_name

_NUMBERS = "two three four five six seven eight nine ten eleven twelve fifteen twenty many several"
_OBJECTS = {"him": "he", "them": "they", "me": "I", "us": "we"}
_SUBJECTS = {"he": "him", "they": "them", "we": "us", "I": "me"}
_BEFORE_OBJECTS = """
    to for with at behind beside of after between from near told asked saw helped gave thanked showed let made called
    brought followed
""".split()  # noqa: SIM905
_AUXILIARIES = "is are was were do does did can will have has had would could shall should".split()  # noqa: SIM905
_PLURAL_OF_BE = {"was": "were", "is": "are"}
_SINGULAR_OF_BE = {"were": "was", "are": "is"}


@cache
def list_english_mistakes() -> Mapping[str, tuple[Mistake, ...]]:
    """Every phenomenon with the ways to get it wrong."""
    words = EnglishWords()
    return {
        "a_an": _mistake_articles(),
        "be_agreement": _mistake_be(),
        "bare_infinitive": _mistake_infinitives(words),
        "comparative": _mistake_comparatives(words),
        "irregular_past": _mistake_pasts(words),
        "negation": _mistake_negation(words),
        "plural_after_number": _mistake_plurals(),
        "pronoun_case": _mistake_case(),
        "question_inversion": _mistake_questions(),
        "reflexive_gender": _mistake_reflexives(),
        "relative_agreement": _mistake_relatives(words),
        "third_person_s": _mistake_thirds(words),
    }


def _mistake_articles() -> tuple[Mistake, ...]:
    consonant = "(?=[bcdfgjklmnpqrstvwxyz])"
    return expect(r"\b([Aa])n (?=\w)", r"\1 "), expect(rf"\b([Aa]) {consonant}", r"\1n ")


def _mistake_be() -> tuple[Mistake, ...]:
    """Singular subjects with were, plural ones with was; an if may ask for either."""
    return (
        expect(
            rf"\b(?<!and )(?<!if )(?:he|He|she|She|it|It|{match_name()}) (was|is)\b",
            _swap_last(_PLURAL_OF_BE),
        ),
        expect(r"\b(?<!if )(?:they|They|we|We|you|You) (were|are)\b", _swap_last(_SINGULAR_OF_BE)),
        expect(rf"\b{match_name()} and {match_name()} (were|are)\b", _swap_last(_SINGULAR_OF_BE)),
    )


def _mistake_infinitives(words: EnglishWords) -> tuple[Mistake, ...]:
    verbs = any_of(words.verbs)
    modal = "(?:will|can|could|cannot|must|would|should|shall|to)(?: not)?"
    return tuple(expect(rf"\b{modal} {verbs}\b", _put_form(words, form)) for form in ("past", "third"))


def _mistake_comparatives(words: EnglishWords) -> tuple[Mistake, ...]:
    adjectives = any_of(words.long_adjectives)
    positives = {word: comparative for comparative, word in words.comparatives.items()}
    return (
        expect(
            rf"\b{any_of(words.comparatives)} than\b", lambda match: f"{words.comparatives[match[1]]} than"
        ),
        expect(rf"\b{any_of(words.comparatives)} than\b", r"more \1 than"),
        expect(rf"\bmore {adjectives} than\b", r"\1 than"),
        expect(rf"\bas {any_of(positives)} as\b", lambda match: f"as {positives[match[1]]} as"),
    )


def _mistake_pasts(words: EnglishWords) -> tuple[Mistake, ...]:
    """Past for participle (had went), participle for past (she gone)."""
    pasts = words.past_to_participle
    participles = {participle: past for past, participle in pasts.items() if participle not in words.verbs}
    between = "(?:(?:not|never|just|already|ever|always|you|he|she|we|I|they) )?"
    subjects = rf"(?:[Hh]e|[Ss]he|[Tt]hey|[Ww]e|I|{match_name()})"
    return (
        expect(rf"\b(?:[Hh]ave|[Hh]as|[Hh]ad) {between}{any_of(participles)}\b", _swap_last(participles)),
        expect(rf"\b{subjects} {any_of(pasts)}\b", _swap_last(pasts)),
    )


def _mistake_negation(words: EnglishWords) -> tuple[Mistake, ...]:
    """After do, does and did the verb stands bare: did not saw, does not wants."""
    verbs = any_of(words.verbs)
    return (
        expect(rf"\b[Dd]id not (?:even |really )?{verbs}\b", _put_form(words, "past")),
        expect(rf"\b[Dd]o(?:es)? not (?:even |really )?{verbs}\b", _put_form(words, "third")),
        expect(r"\b(he|she|it|who) does not\b", r"\1 do not"),
        expect(r"\b(I|we|you|they) do not\b", r"\1 does not"),
    )


def _mistake_plurals() -> tuple[Mistake, ...]:
    """Three kite. Not of a word that begins another: three jelly beans."""
    nouns = index_nouns("en")
    begins_another = {form.split()[0] for form in nouns if " " in form}
    plurals = {
        form: noun.other_number
        for form, noun in nouns.items()
        if noun.is_plural and noun.other_number not in begins_another
    }
    numbers = "|".join([*_NUMBERS.split(), *_NUMBERS.title().split()])
    return (expect(rf"\b(?:{numbers}) (?:[a-z]+ )?{any_of(plurals)}\b", _swap_last(plurals)),)


def _mistake_case() -> tuple[Mistake, ...]:
    return (
        expect(rf"\b(?:{'|'.join(_BEFORE_OBJECTS)}) (him|them|me|us)\b(?! \w+ing)", _swap_last(_OBJECTS)),
        expect(r"\b(?:because|when|but|until|while) (he|they|we|I)\b", _swap_last(_SUBJECTS)),
        expect(r"^(He|They|We) ", lambda match: f"{_SUBJECTS[match[1].lower()].title()} "),
    )


def _mistake_questions() -> tuple[Mistake, ...]:
    """The subject stands before the auxiliary, as in *Where my kite is*."""
    asking = r"\b((?:Where|What|Why|How|When|Who)(?: much| many| long| old| far)?)"
    noun = r"(?:the|my|your|his|her|our) [a-z]+(?=[?,])"
    subject = rf"((?:I|you|he|she|it|we|they|this|that)\b|{noun}|{match_name()}\b)"
    return (expect(rf"{asking} ({'|'.join(_AUXILIARIES)}) {subject}(?=[^.!]*\?)", r"\1 \3 \2"),)


def _mistake_reflexives() -> tuple[Mistake, ...]:
    """Only where nobody of the other gender is about."""
    women, men = ("|".join(sorted(list_names(gender))) for gender in ("f", "m"))
    return (
        expect(
            rf"^(?=.*\b(?:[Hh]e|{men})\b)(?!.*\b(?:[Ss]he|[Hh]er|{women})\b)(.*)\bhimself\b", r"\1herself"
        ),
        expect(
            rf"^(?=.*\b(?:[Ss]he|{women})\b)(?!.*\b(?:[Hh]e|[Hh]im|[Hh]is|{men})\b)(.*)\bherself\b",
            r"\1himself",
        ),
    )


def _mistake_relatives(words: EnglishWords) -> tuple[Mistake, ...]:
    """The verb of a relative clause agrees with the noun before it, whatever stands between."""
    who = rf"\b(?:[Aa]n?|[Tt]he|[Ee]very|{match_name()})[^.,;!?]{{0,40}}?,? who (?:always |never |often )?"
    return (
        expect(rf"{who}(was|is)\b", _swap_last(_PLURAL_OF_BE)),
        expect(rf"{who}{any_of(words.base_of_third)}\b", _swap_last(words.base_of_third)),
    )


def _mistake_thirds(words: EnglishWords) -> tuple[Mistake, ...]:
    """She want, they wants."""
    thirds = words.base_of_third
    verbs = any_of(words.verbs)
    single = rf"(?:[Hh]e|[Ss]he|[Ii]t|{match_name()}) (?:always |never |often |still |only )?"
    other = r"(?<!did )(?<!do )(?<!can )(?<!will )\b(?:I|[Ww]e|[Tt]hey|[Yy]ou) (?:always |never |often |still |only )?"
    return (
        expect(rf"\b{single}{any_of(thirds)}\b", _swap_last(thirds)),
        expect(rf"{other}{verbs}\b", _put_form(words, "third")),
    )


def _swap_last(others: Mapping[str, str]) -> Replace:
    """Exchange the last group, which ends the match, for what it is mapped to."""

    def replace(match: re.Match[str]) -> str:
        found = match[match.re.groups]
        return match[0].removesuffix(found) + others[found]

    return replace


def _put_form(words: EnglishWords, form: str) -> Replace:
    """Exchange the base form that ends the match for another form; None where they are the same (put, read)."""

    def replace(match: re.Match[str]) -> str | None:
        base = match[match.re.groups]
        return match[0].removesuffix(base) + words.verbs[base][form]

    return replace
