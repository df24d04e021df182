"""The mistakes of English, by phenomenon."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from semilla.stories.minimal_pairs.mistakes import Mistake, any_of, make_mistake
from semilla.stories.minimal_pairs.words import EnglishWords, index_nouns, list_names, match_name

_NUMBERS = "two three four five six seven eight nine ten eleven twelve fifteen twenty many several"
_OBJECTS = {"him": "he", "them": "they", "me": "I", "us": "we"}
_SUBJECTS = {subject: other for other, subject in _OBJECTS.items()}
_BEFORE_OBJECTS = any_of(
    """
    to for with at behind beside of after between from near told asked saw helped gave thanked showed let made called
    brought followed
    """.split()  # noqa: SIM905
)
_AUXILIARIES = any_of("is are was were do does did can will have has had would could shall should".split())  # noqa: SIM905
_PLURAL_OF_BE = {"was": "were", "is": "are"}
_SINGULAR_OF_BE = {"were": "was", "are": "is"}
_OFTEN = "(?:always |never |often |still |only )?"


@cache
def list_english_mistakes() -> Mapping[str, tuple[Mistake, ...]]:
    """Every phenomenon, with its mistakes."""
    words = EnglishWords()
    return {
        "a_an": _spoil_articles(),
        "be_agreement": _spoil_be(),
        "bare_infinitive": _spoil_infinitives(words),
        "comparative": _spoil_comparatives(words),
        "irregular_past": _spoil_pasts(words),
        "negation": _spoil_negation(words),
        "plural_after_number": _spoil_plurals(),
        "pronoun_case": _spoil_case(),
        "question_inversion": _spoil_questions(),
        "reflexive_gender": _spoil_reflexives(),
        "relative_agreement": _spoil_relatives(words),
        "third_person_s": _spoil_thirds(words),
    }


def _spoil_articles() -> tuple[Mistake, ...]:
    consonant = "(?=[bcdfgjklmnpqrstvwxyz])"
    return make_mistake(r"\b([Aa])n (?=\w)", r"\1 "), make_mistake(rf"\b([Aa]) {consonant}", r"\1n ")


def _spoil_be() -> tuple[Mistake, ...]:
    """Singular subjects with were, plural ones with was; after if either may be right."""
    name = match_name()
    single = rf"(?:he|He|she|She|it|It|{name})"
    return (
        make_mistake(rf"\b(?<!and )(?<!if ){single} (was|is)\b", _PLURAL_OF_BE),
        make_mistake(r"\b(?<!if )(?:they|They|we|We|you|You) (were|are)\b", _SINGULAR_OF_BE),
        make_mistake(rf"\b{name} and {name} (were|are)\b", _SINGULAR_OF_BE),
    )


def _spoil_infinitives(words: EnglishWords) -> tuple[Mistake, ...]:
    modal = "(?:will|can|could|cannot|must|would|should|shall|to)(?: not)?"
    pattern = rf"\b{modal} ({any_of(words.verbs)})\b"
    return tuple(make_mistake(pattern, words.map_verbs(form)) for form in ("past", "third"))


def _spoil_comparatives(words: EnglishWords) -> tuple[Mistake, ...]:
    comparatives, adjectives = words.comparatives, any_of(words.long_adjectives)
    positives = {word: comparative for comparative, word in comparatives.items()}
    return (
        make_mistake(rf"\b({any_of(comparatives)}) than\b", comparatives),
        make_mistake(rf"\b({any_of(comparatives)}) than\b", r"more \1 than"),
        make_mistake(rf"\bmore ({adjectives}) than\b", r"\1 than"),
        make_mistake(rf"\bas ({any_of(positives)}) as\b", positives),
    )


def _spoil_pasts(words: EnglishWords) -> tuple[Mistake, ...]:
    """Past instead of participle (had went), participle instead of past (she gone)."""
    pasts = words.past_to_participle
    participles = {participle: past for past, participle in pasts.items() if participle not in words.verbs}
    between = "(?:(?:not|never|just|already|ever|always|you|he|she|we|I|they) )?"
    subjects = rf"(?:[Hh]e|[Ss]he|[Tt]hey|[Ww]e|I|{match_name()})"
    return (
        make_mistake(rf"\b(?:[Hh]ave|[Hh]as|[Hh]ad) {between}({any_of(participles)})\b", participles),
        make_mistake(rf"\b{subjects} ({any_of(pasts)})\b", pasts),
    )


def _spoil_negation(words: EnglishWords) -> tuple[Mistake, ...]:
    """After do, does and did comes the base form; these are did not saw, does not wants."""
    verbs = any_of(words.verbs)
    return (
        make_mistake(rf"\b[Dd]id not (?:even |really )?({verbs})\b", words.map_verbs("past")),
        make_mistake(rf"\b[Dd]o(?:es)? not (?:even |really )?({verbs})\b", words.map_verbs("third")),
        make_mistake(r"\b(he|she|it|who) does not\b", r"\1 do not"),
        make_mistake(r"\b(I|we|you|they) do not\b", r"\1 does not"),
    )


def _spoil_plurals() -> tuple[Mistake, ...]:
    """Three kite. Not with a word that begins another: three jelly beans."""
    nouns = index_nouns("en")
    begins_another = {form.split()[0] for form in nouns if " " in form}
    plurals = {
        form: noun.other_number
        for form, noun in nouns.items()
        if noun.is_plural and noun.other_number not in begins_another
    }
    numbers = any_of(f"{_NUMBERS} {_NUMBERS.title()}".split())
    return (make_mistake(rf"\b{numbers} (?:[a-z]+ )?({any_of(plurals)})\b", plurals),)


def _spoil_case() -> tuple[Mistake, ...]:
    capitals = {subject.title(): other.title() for subject, other in _SUBJECTS.items()}
    return (
        make_mistake(rf"\b{_BEFORE_OBJECTS} (him|them|me|us)\b(?! \w+ing)", _OBJECTS),
        make_mistake(r"\b(?:because|when|but|until|while) (he|they|we|I)\b", _SUBJECTS),
        make_mistake(r"^(He|They|We) ", capitals),
    )


def _spoil_questions() -> tuple[Mistake, ...]:
    """The subject before the auxiliary, as in *Where my kite is*."""
    asking = r"\b((?:Where|What|Why|How|When|Who)(?: much| many| long| old| far)?)"
    noun = r"(?:the|my|your|his|her|our) [a-z]+(?=[?,])"
    subject = rf"((?:I|you|he|she|it|we|they|this|that)\b|{noun}|{match_name()}\b)"
    return (make_mistake(rf"{asking} ({_AUXILIARIES}) {subject}(?=[^.!]*\?)", r"\1 \3 \2"),)


def _spoil_reflexives() -> tuple[Mistake, ...]:
    """Only in sentences that mention nobody of the other gender."""
    women, men = any_of(list_names("f")), any_of(list_names("m"))
    he, she = rf"(?=.*\b(?:[Hh]e|{men})\b)", rf"(?=.*\b(?:[Ss]he|{women})\b)"
    no_woman, no_man = rf"(?!.*\b(?:[Ss]he|[Hh]er|{women})\b)", rf"(?!.*\b(?:[Hh]e|[Hh]im|[Hh]is|{men})\b)"
    return (
        make_mistake(rf"^{he}{no_woman}(.*)\bhimself\b", r"\1herself"),
        make_mistake(rf"^{she}{no_man}(.*)\bherself\b", r"\1himself"),
    )


def _spoil_relatives(words: EnglishWords) -> tuple[Mistake, ...]:
    """The verb of a relative clause does not agree with the noun before it."""
    who = rf"\b(?:[Aa]n?|[Tt]he|[Ee]very|{match_name()})[^.,;!?]{{0,40}}?,? who (?:always |never |often )?"
    thirds = words.base_of_third
    return (
        make_mistake(rf"{who}(was|is)\b", _PLURAL_OF_BE),
        make_mistake(rf"{who}({any_of(thirds)})\b", thirds),
    )


def _spoil_thirds(words: EnglishWords) -> tuple[Mistake, ...]:
    """She want, they wants."""
    thirds = words.base_of_third
    single = rf"(?:[Hh]e|[Ss]he|[Ii]t|{match_name()})"
    other = r"(?<!did )(?<!do )(?<!can )(?<!will )\b(?:I|[Ww]e|[Tt]hey|[Yy]ou)"
    return (
        make_mistake(rf"\b{single} {_OFTEN}({any_of(thirds)})\b", thirds),
        make_mistake(rf"{other} {_OFTEN}({any_of(words.verbs)})\b", words.map_verbs("third")),
    )
