"""The data files: these tests find a writer's mistakes and name them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.resources import files
from random import Random

import pytest

from semilla.errors import InternalError
from semilla.stories.lexicon import Entry, Lexicon, load_lexicon, make_entry
from semilla.stories.plots import Plot, choose_facts, load_plots, pick
from semilla.stories.stories import load_library
from semilla.stories.templates import BankSlot, Choice, Slot, Template, Word
from semilla.stories.terms import LANGUAGES

PLOTS = load_library().plots
LEXICON = load_library().lexicon
ENGLISH_LITERALS = {"a", "the"}


def walk_slots(template: Template) -> Iterator[Slot | BankSlot]:
    for node in template:
        if isinstance(node, Choice):
            yield from itertools.chain.from_iterable(map(walk_slots, node.options))
        elif not isinstance(node, str):
            yield node


def list_templates(plot: Plot, language: str) -> list[Template]:
    """Templates of the beats, of the banks they use, and of the plot's own phrases."""
    banks = load_library().banks
    lines = [line for beat in plot.beats for line in dict(beat.alternatives)[language]]
    names = {slot.name for line in lines for slot in walk_slots(line) if isinstance(slot, BankSlot)}
    lines += [line for name in sorted(names) for line in dict(banks[name])[language]]
    for entries in plot.values.values():
        lines += [line for entry in entries for form in entry.forms.values() for line in dict(form)[language]]
    return lines


def list_words(plot: Plot, language: str) -> list[tuple[Word, Slot]]:
    slots = [slot for line in list_templates(plot, language) for slot in walk_slots(line)]
    return [(word, slot) for slot in slots if isinstance(slot, Slot) for word in slot.words]


def name_facts(plot: Plot) -> set[str]:
    return {*plot.cast, *plot.facts, *plot.values}


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_every_word_of_a_slot_is_a_fact_or_a_literal(plot: Plot) -> None:
    """A misspelt fact would be printed literally, so no literal has the name of a fact, a tag or an entry."""
    names = {name for other in PLOTS for name in name_facts(other)}
    names |= {tag for entry in LEXICON.entries for tag in (*entry.tags, entry.key)}
    for language in LANGUAGES:
        for word, slot in list_words(plot, language):
            if word.base not in name_facts(plot):
                assert word.base not in names, (language, word)
                if language == "en":
                    assert slot.targets or word.base in ENGLISH_LITERALS, word


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_spanish_literals_are_masculine_singular(plot: Plot) -> None:
    """The engine makes words agree, so the writer types el, un, cansado and not la, una, cansada."""
    for word, _ in list_words(plot, "es"):
        if word.base not in name_facts(plot):
            assert not word.base.endswith(("a", "as", "os")), word
            assert word.base not in ("la", "las", "los", "ella")


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_targets_are_facts(plot: Plot) -> None:
    """A word can only agree with a fact of the story."""
    for language in LANGUAGES:
        targets = {target.base for _, slot in list_words(plot, language) for target in slot.targets}
        assert targets <= name_facts(plot)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_both_languages_tell_about_the_same_facts(plot: Plot) -> None:
    """A plot names the same characters and phrases in both languages."""
    used = [{word.base for word, _ in list_words(plot, language)} for language in LANGUAGES]
    used = [words & {*plot.cast, *plot.values} for words in used]
    assert used[0] == used[1]


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_every_query_finds_entries_of_one_kind(plot: Plot) -> None:
    """No tag or key stands for both nouns and adjectives."""
    for query in (*plot.cast.values(), *plot.facts.values()):
        found = LEXICON.select(query.partition(" for ")[0])
        assert len({entry.terms["en"].part for entry in found}) == 1, query


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_every_target_of_a_choice_has_something_that_goes_with_it(plot: Plot) -> None:
    """Each thing has a colour or a look, each place a game."""
    queries = {**plot.cast, **plot.facts}
    for query in plot.facts.values():
        wanted, _, target = query.partition(" for ")
        if target:
            for entry in LEXICON.select(queries[target].partition(" for ")[0]):
                assert LEXICON.select_for(wanted, entry)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_facts_are_chosen_without_an_end_of_luck(plot: Plot) -> None:
    """Two facts of a story are never the same entry."""
    for seed in range(30):
        chosen = choose_facts(plot, Random(seed), LEXICON).values()
        keys = [fact.key for fact in chosen if isinstance(fact, Entry)]
        assert len(set(keys)) == len(keys)


def test_every_grade_has_plots_and_more_words_than_the_one_before() -> None:
    """A dozen plots in grade 1, thirty up to grade 2, forty in all; the words of a grade suffice for its plots."""
    libraries = [load_library(grade) for grade in (1, 2, 3)]
    for library, least in zip(libraries, (12, 30, 40), strict=True):
        assert len(library.plots) >= least
        for plot in library.plots:
            for query in (*plot.cast.values(), *plot.facts.values()):
                assert library.lexicon.select(query.partition(" for ")[0])
    sizes = [len(library.lexicon.entries) for library in libraries]
    assert sizes == sorted(set(sizes))


def test_every_entry_can_be_met_in_a_story() -> None:
    """Every word of the lexicon is used."""
    queries = {query for plot in PLOTS for query in (*plot.cast.values(), *plot.facts.values())}
    met = {entry.key for query in queries for entry in LEXICON.select(query.partition(" for ")[0])}
    met |= {entry.key for entry in LEXICON.select("girl-name | boy-name")}
    assert {entry.key for entry in LEXICON.entries} == met


def test_every_shared_fact_and_bank_is_used() -> None:
    """Some plot uses each shared bank and fact."""
    _, banks = load_plots()
    slots = {
        slot
        for plot in PLOTS
        for language in LANGUAGES
        for line in list_templates(plot, language)
        for slot in walk_slots(line)
    }
    assert {slot.name for slot in slots if isinstance(slot, BankSlot)} == set(banks)


def test_every_beat_offers_a_choice() -> None:
    """A step of a plot that is always told in the same words would repeat itself."""
    for plot in PLOTS:
        for beat in plot.beats:
            for language in LANGUAGES:
                lines = dict(beat.alternatives)[language]
                assert len(lines) > 1 or any(
                    isinstance(slot, BankSlot) for line in lines for slot in walk_slots(line)
                ), plot.key


def test_the_material_says_that_it_is_free() -> None:
    """The licence and the writer's guide are next to the data."""
    folder = files("semilla.stories") / "material"
    assert "CC0 1.0" in (folder / "LICENSE-CC0.txt").read_text(encoding="utf-8")
    assert "Add a plot" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_query_without_an_answer_is_named() -> None:
    """A misspelt tag is an error with the query in it."""
    with pytest.raises(InternalError, match="toyy"):
        LEXICON.select("toyy pocket")


def test_queries_combine_tags_keys_and_exceptions() -> None:
    """Tags are combined, ! excludes a tag, = names one entry, | adds alternatives."""
    words = [
        make_entry("kite", {"en": "kite", "es": "la cometa", "is": "light"}, part="noun", category="toy"),
        make_entry("ball", {"en": "ball", "es": "la pelota"}, part="noun", category="toy"),
        make_entry("ñu", {"en": "gnu", "es": "el ñu"}, part="noun", category="animal"),
    ]
    lexicon = Lexicon(tuple(words), {"en": {}, "es": {}})
    assert [entry.key for entry in lexicon.select("toy light")] == ["kite"]
    assert [entry.key for entry in lexicon.select("toy !light")] == ["ball"]
    assert [entry.key for entry in lexicon.select("toy !=ball | =ñu")] == ["kite", "ñu"]


@pytest.mark.parametrize(
    "row", [{"en": "kite"}, {"en": "kite", "es": "cometa"}, {"en": "kite", "es": "lo cometa"}]
)
def test_an_incomplete_noun_is_named(row: dict[str, str]) -> None:
    """A noun without its Spanish, or without a Spanish article, is an error that names the entry."""
    with pytest.raises(InternalError, match="kite"):
        make_entry("kite", row, part="noun", category="toy")


def test_the_lexicon_is_read_in_the_same_order_every_time() -> None:
    """The corpus depends on the order of the entries."""
    assert [entry.key for entry in load_lexicon(3).entries] == [entry.key for entry in LEXICON.entries]


def test_choices_cover_everything_and_depend_on_the_stream_only() -> None:
    """Pick reaches every item, and the same stream picks the same items."""
    picked = [pick(Random(seed), ["a", "ñ", "🌱"]) for seed in range(50)]
    assert set(picked) == {"a", "ñ", "🌱"}
    assert picked == [pick(Random(seed), ["a", "ñ", "🌱"]) for seed in range(50)]
