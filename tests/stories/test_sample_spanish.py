"""Spanish: gender and number of every noun with every adjective and article, short forms, contractions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from semilla.stories.lexicon import Entry
from semilla.stories.spanish import Spanish, pluralise
from semilla.stories.spanish_sounds import find_nuclei, starts_with_stressed_a
from semilla.stories.stories import load_library
from semilla.stories.terms import Term

STRESSED_A = {"agua", "águila", "haya", "arpa", "hacha", "hada", "asta", "ala", "ancla", "ánfora", "ave"}


def read_pairs(text: str) -> dict[str, str]:
    return dict(pair.split() for pair in text.split(","))  # type: ignore[misc]


FEMININES = read_pairs("""
alemán alemana, bonachón bonachona, comilón comilona, danés danesa, dormilón dormilona, encantador encantadora,
escocés escocesa, español española, francés francesa, hablador habladora, holandés holandesa, inglés inglesa,
irlandés irlandesa, japonés japonesa, juguetón juguetona, observador observadora, parlanchín parlanchina,
portugués portuguesa, soñador soñadora, trabajador trabajadora
""")
"""Feminine forms of adjectives that do not end in -o."""

PLURALS = read_pairs("""
alemán alemanes, audaz audaces, azul azules, bonachón bonachones, comilón comilones, común comunes, danés daneses,
débil débiles, dormilón dormilones, encantador encantadores, escocés escoceses, español españoles, especial especiales,
feliz felices, feroz feroces, formal formales, frágil frágiles, francés franceses, grácil gráciles, gris grises,
hábil hábiles, hablador habladores, holandés holandeses, inglés ingleses, inútil inútiles, irlandés irlandeses,
japonés japoneses, joven jóvenes, jovial joviales, juguetón juguetones, leal leales, marrón marrones,
marroquí marroquíes, observador observadores, original originales, parlanchín parlanchines, peculiar peculiares,
portugués portugueses, puntual puntuales, servicial serviciales, soñador soñadores, tenaz tenaces,
trabajador trabajadores, útil útiles, veloz veloces, vivaz vivaces, ágil ágiles
""")
"""Masculine plurals of adjectives that end in a consonant or in an accented vowel."""

ARTICLES = {
    "el": {"mp": "los", "fs": "la", "fp": "las"},
    "un": {"mp": "unos", "fs": "una", "fp": "unas"},
    "este": {"mp": "estos", "fs": "esta", "fp": "estas"},
    "ningún": {"mp": "ningunos", "fs": "ninguna", "fp": "ningunas"},
    "otro": {"mp": "otros", "fs": "otra", "fp": "otras"},
    "su": {"mp": "sus", "fs": "su", "fp": "sus"},
}


@pytest.fixture(scope="module")
def spanish() -> Spanish:
    grammar = load_library().grammars["es"]
    assert isinstance(grammar, Spanish)
    return grammar


def read_genders() -> dict[str, str]:
    """Key -> gender and number of every noun, read from the files: 'fs' for la cometa."""
    genders = {}
    for path in (files("semilla.stories") / "material" / "words").iterdir():
        content = tomllib.loads(path.read_text(encoding="utf-8")) if path.name.endswith(".toml") else {}
        if content.get("part") == "noun":
            for category, table in content.items():
                if isinstance(table, dict):
                    genders.update({key: read_gender(word) for key, word in list_nouns(category, table)})
    return genders


def list_nouns(category: str, table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and Spanish words in the rows and lines of a table."""
    for key, row in table.items():
        if isinstance(row, dict):
            yield key, row["es"]
    for line in table.get("words", "").strip().splitlines():
        for word in line.split("|")[1].strip().split(", "):
            yield f"{category}.{word.partition('/')[0].replace(' ', '_')}", word.partition("/")[0]


def read_gender(word: str) -> str:
    article = word.split(maxsplit=1)[0]
    is_feminine = article in ("la", "las") or word.endswith("(f)")
    return ("f" if is_feminine else "m") + ("p" if article.endswith("s") else "s")


def select(part: str) -> list[Entry]:
    return [entry for entry in load_library().lexicon.entries if entry.terms["es"].part == part]


def expect_adjective(word: str, form: str) -> str:
    head, blank, rest = word.partition(" ")
    feminine = head[:-1] + "a" if head.endswith("o") else FEMININES.get(head, head)
    singular = feminine if form[0] == "f" else head
    if form[1] == "s":
        return singular + blank + rest
    plural = PLURALS[singular] if singular in PLURALS else singular + "s"
    return plural + blank + rest


def test_every_adjective_agrees_with_every_noun(spanish: Spanish) -> None:
    """Each noun of the lexicon, with each adjective, in singular and plural, has the form a speaker expects."""
    genders = read_genders()
    nouns, adjectives = select("noun"), select("adjective")
    assert len(nouns) > 200
    assert len(adjectives) > 30
    expected = {
        (entry.key, form): entry.terms["es"].text
        if entry.terms["es"].is_invariable
        else expect_adjective(entry.terms["es"].text, form)
        for entry in adjectives
        for form in ("ms", "fs", "mp", "fp")
    }
    for noun in nouns:
        for number in {genders[noun.key][1], "p"}:
            term = noun.get_term("es", "pl" if number == "p" and genders[noun.key][1] == "s" else "")
            for adjective in adjectives:
                phrase = spanish.render_phrase([term, adjective.get_term("es")])
                form = expected[adjective.key, genders[noun.key][0] + number]
                assert phrase.endswith(" " + form), (phrase, form)


def test_every_article_agrees_with_every_noun(spanish: Spanish) -> None:
    """The article of each noun is that of the lexicon; agua and hada take el and un."""
    genders = read_genders()
    for noun in select("noun"):
        gender, number = genders[noun.key]
        first_word = noun.terms["es"].text.split()[0]
        for article, forms in ARTICLES.items():
            expected = forms.get(gender + number, article)
            if first_word in STRESSED_A and article in ("el", "un"):
                expected = article
            phrase = spanish.render_phrase([Term(article, "literal"), noun.get_term("es")])
            assert phrase == f"{expected} {noun.terms['es'].text}"
            several = spanish.render_phrase([Term(article, "literal"), noun.get_term("es", "pl")])
            assert several.split()[0] == forms[gender + "p"]


def test_the_lexicon_writes_el_before_a_stressed_a() -> None:
    """A feminine noun with el is one that starts with a stressed a, and no other feminine noun does."""
    for noun in select("noun"):
        term = noun.terms["es"]
        if term.gender == "f" and not term.is_plural:
            assert starts_with_stressed_a(term.text) == (term.text.split()[0] in STRESSED_A), term.text


def test_an_adjective_in_between_brings_la_back(spanish: Spanish) -> None:
    """El agua, but la clara agua and una vieja arpa."""
    agua, arpa = Term("agua", "noun", gender="f"), Term("arpa", "noun", gender="f")
    assert spanish.render_phrase([Term("el", "literal"), Term("claro", "literal"), agua]) == "la clara agua"
    assert (
        spanish.render_phrase([Term("un", "literal"), Term("viejo", "adjective"), arpa]) == "una vieja arpa"
    )


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("cometa", "cometas"),
        ("tambor", "tambores"),
        ("avión de papel", "aviones de papel"),
        ("pez", "peces"),
        ("lápiz", "lápices"),
        ("delfín", "delfines"),
        ("joven", "jóvenes"),
        ("imagen", "imágenes"),
        ("pan", "panes"),
        ("paraguas", "paraguas"),
        ("lunes", "lunes"),
        ("mes", "meses"),
        ("autobús", "autobuses"),
        ("col", "coles"),
        ("poni", "ponis"),
        ("sofá", "sofás"),
        ("jabalí", "jabalíes"),
        ("miércoles", "miércoles"),
        ("oso polar", "osos polares"),
        ("pez de colores", "peces de colores"),
    ],
)
def test_plurals_keep_the_stress(singular: str, plural: str) -> None:
    """An accent is added or removed so that the stress stays where it was."""
    assert pluralise(singular) == plural


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bueno", "niño:m"], "buen niño"),
        (["primero", "día:m"], "primer día"),
        (["grande", "casa:f"], "gran casa"),
        (["bueno", "niña:f"], "buena niña"),
        (["ninguno", "globo:m"], "ningún globo"),
    ],
)
def test_short_forms_stand_before_a_noun(spanish: Spanish, words: list[str], expected: str) -> None:
    """Buen, primer, ningún before a masculine noun; gran before any."""
    text, _, gender = words[1].partition(":")
    noun = Term(text, "noun", gender="f" if gender == "f" else "m")
    assert spanish.render_phrase([Term(words[0], "literal"), noun]) == expected


@pytest.mark.parametrize(
    ("gender", "is_plural", "expected"),
    [
        ("m", False, "él lo solo cansado hijo estaba"),
        ("f", False, "ella la sola cansada hija estaba"),
        ("m", True, "ellos los solos cansados hijos estaban"),
        ("f", True, "ellas las solas cansadas hijas estaban"),
    ],
)
def test_words_agree_with_a_character(spanish: Spanish, gender: str, is_plural: bool, expected: str) -> None:
    """Pronouns, participles and verbs take the gender and number of the character."""
    target = Term("Noa", "name", gender="f" if gender == "f" else "m", is_plural=is_plural)
    words = [Term(word, "literal") for word in ("él", "lo", "solo", "cansado", "hijo")]
    words.append(Term("estar", "literal", form="imp"))
    assert spanish.render_phrase(words, target=target) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fue a el río de el valle con él", "fue al río del valle con él"),
        ("el amigo de él vio a ella", "el amigo de él vio a ella"),
        ("Ana y Inés, Leo y Hilda, agua y hielo", "Ana e Inés, Leo e Hilda, agua y hielo"),
        ("siete o ocho, uno o otro, Óscar o Ana", "siete u ocho, uno u otro, Óscar o Ana"),
        ("¿Y Iván?", "¿Y Iván?"),
    ],
)
def test_small_words_change_before_certain_sounds(spanish: Spanish, text: str, expected: str) -> None:
    """De el and a el contract; y and o change before their own sound, but not before hie-."""
    assert spanish.finish(text) == expected


@pytest.mark.parametrize(
    ("word", "count"),
    [("agua", 2), ("tío", 2), ("abuela", 3), ("aldea", 3), ("guitarra", 3), ("pingüino", 3)],
)
def test_syllables_are_counted(word: str, count: int) -> None:
    """Diphthongs are one syllable, an accented weak vowel stands alone, the u of gui is silent."""
    assert len(find_nuclei(word)) == count
