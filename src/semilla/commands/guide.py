"""``semilla guide``: read the training guide in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from rich.text import Text

from semilla.errors import InvalidConfigError
from semilla.guide.checks import CHECKS, compare, measure
from semilla.guide.documentation import IDS, TrainingDocumentation, describe, load_documentation
from semilla.guide.search import (
    Answer,
    Place,
    Term,
    find_named,
    list_places,
    look_up,
    name_place,
    title_place,
)
from semilla.guide.troubleshooting import TroubleshootingEntry
from semilla.spelling import hint_name
from semilla.terminal.console import print_json, print_text
from semilla.terminal.markdown import name_links, print_markdown
from semilla.terminal.pager import page_output
from semilla.terminal.tables import make_console, print_table

HELP = """Read the training guide: a chapter (tokenization), a part of one (tokenization#why-pieces), the entry for an
error category or a warning, a glossary term, another page of the documentation (install), or what matches a symptom
in your own words. Without words, show the contents. A terminal shows a long page in PAGER, or in less.
`check CHAPTER` compares your bet on the experiment at the end of a chapter with the run that you made of it."""

MAX_OTHERS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="WORDS", help="a chapter, a topic such as oom, a term, or a symptom"
    )
    parser.add_argument("--json", action="store_true", help="print what was found, or the contents, as JSON")
    parser.add_argument(
        "--bet", type=float, metavar="NUMBER", help="with check CHAPTER: the figure that you expect"
    )


def run(arguments: argparse.Namespace) -> int:
    guide = load_documentation()
    if arguments.bet is not None or _asks_for_check(arguments.words):
        print_check(arguments.words, bet=arguments.bet)
        return 0
    if not arguments.words:
        with page_output():
            print_contents(guide, as_json=arguments.json)
        return 0
    answer = find_places(guide, arguments.words)
    found = answer.places
    if not found:
        raise _describe_unknown(guide, " ".join(arguments.words))
    if arguments.json:
        print_json([asdict(place) for place in found])
        return 0
    with page_output():
        if answer.is_doubtful:
            print_choice(found[: 1 + MAX_OTHERS], heading="Several places may answer; the first follows")
            print_text("")
            print_place(guide, found[0])
        else:
            print_place(guide, found[0])
            print_choice(found[1 : 1 + MAX_OTHERS], heading="\nSee also")
    return 0


def print_choice(places: list[Place], *, heading: str) -> None:
    """List places, each with the command that shows it, which no line break divides."""
    if not places:
        return
    print_text(heading)
    commands = [f"semilla guide {name_place(place)}" for place in places]
    width = max(map(len, commands))
    for command, place in zip(commands, places, strict=True):
        page = (
            "Solutions: " if name_place(place).startswith("solutions#") else ""
        )  # its parts are named as chapters
        print_text(f" {command:{width}}  {page}{title_place(place)}")


def _asks_for_check(words: list[str]) -> bool:
    """Whether the words are ``check`` and a chapter; ``check`` alone is a question for one."""
    return words == ["check"] or (len(words) == 2 and words[0] == "check" and words[1] in IDS)


def print_check(words: list[str], *, bet: float | None) -> None:
    """Print the question of a chapter's experiment, and what the run in the current folder answers."""
    if not (_asks_for_check(words) and words[-1] in CHECKS):
        raise InvalidConfigError(
            f"a bet is checked with semilla guide check CHAPTER, where CHAPTER is one of {', '.join(CHECKS)}",
            next_command="semilla guide check overview --bet 1.5",
        )
    chapter = words[1]
    measured = measure(chapter, Path())
    print_text(CHECKS[chapter].question)
    print_text(compare(CHECKS[chapter], measured, bet=bet))


def find_places(guide: TrainingDocumentation, words: list[str]) -> Answer:
    """Look words up. A mistyped name of a place counts as that name, before the places that contain the words."""
    name, found = " ".join(words), look_up(guide, words)
    near = get_close_matches(name, [name_place(place) for place in list_places(guide)], n=1, cutoff=0.85)
    return look_up(guide, near) if found.places and near and not find_named(guide, name) else found


def print_contents(guide: TrainingDocumentation, *, as_json: bool) -> None:
    """Print the chapters with their parts, and the topics of the troubleshooting chapter."""
    if as_json:
        places = [{"section_id": place.section_id, "title": place.title} for place in guide.walk()]
        entries = [{"topic": entry.topic, "symptom": entry.symptom} for entry in guide.troubleshooting_guide]
        print_json({"sections": places, "troubleshooting_guide": entries, "counts": describe(guide)})
        return
    print_names([("chapter", "title"), *((place.section_id, place.title) for place in guide.walk())])
    print_text("")
    print_names([("topic", "symptom"), *((one.topic, one.symptom) for one in guide.troubleshooting_guide)])


def print_names(rows: list[tuple[str, str]]) -> None:
    """Print names and their meanings. Names are never folded, so that they can be copied."""
    width = max(len(name) for name, _ in rows)
    for name, meaning in rows:
        print_text(f"{name:<{width}}  {meaning}")


def print_place(guide: TrainingDocumentation, place: Place) -> None:
    """Print an entry, a term, a chapter or a part."""
    match place:
        case TroubleshootingEntry():
            print_entry(place, names=guide.link_names)
        case Term():
            print_text(f"{place.name}: {place.definition}")
            if place.taught_in:
                print_text(f"\nexplained in: semilla guide {place.taught_in}")
        case _:
            print_markdown(place.content, names=guide.link_names)


def print_entry(entry: TroubleshootingEntry, *, names: Mapping[str, str]) -> None:
    """Print an entry as lists with headings, folded to the width of the terminal. ``names`` are those of links."""
    console = make_console()
    console.print(Text(f"{entry.topic}: {entry.symptom}", style="bold green"))
    for heading, items in entry.sections.items():
        console.print(Text(f"\n{heading}", style="bold"))
        print_table([("•", name_links(item, names)) for item in items], indent_columns=1)


def _describe_unknown(guide: TrainingDocumentation, words: str) -> InvalidConfigError:
    hint = hint_name(words, [name_place(place) for place in list_places(guide)])
    return InvalidConfigError(f"the guide has nothing about {words!r}{hint}", next_command="semilla guide")
