"""``semilla guide``: the troubleshooting guide in the terminal."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.text import Text

from semilla.errors import InvalidConfigError
from semilla.guide.troubleshooting import TroubleshootingEntry, load_entries, search_entries
from semilla.settings import suggest_name
from semilla.terminal.console import print_text
from semilla.terminal.tables import make_console, print_table

HELP = """Look up an error category, a warning topic, or a symptom in your own words.
Without words, list what can be looked up."""

MAX_OTHERS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORDS", help="a topic, such as oom, or a symptom")
    parser.add_argument("--json", action="store_true", help="print the entries found as JSON")


def run(arguments: argparse.Namespace) -> int:
    entries = load_entries()
    found = search_entries(entries, arguments.words) if arguments.words else entries
    if not found:
        words = " ".join(arguments.words)
        near = suggest_name(words, [entry.topic for entry in entries])
        hint = f"; did you mean {near}?" if near else ""
        raise InvalidConfigError(f"the guide has nothing about {words!r}{hint}", next_command="semilla guide")
    if arguments.json:
        print_text(json.dumps([asdict(entry) for entry in found], ensure_ascii=False, indent=2))
    elif arguments.words:
        print_entry(found[0])
        others = [(f"semilla guide {entry.topic}", entry.symptom) for entry in found[1 : 1 + MAX_OTHERS]]
        if others:
            print_text("See also")
            print_table(others, indent_columns=1)
    else:
        print_table([(entry.topic, entry.symptom) for entry in entries], headings=("topic", "symptom"))
    return 0


def print_entry(entry: TroubleshootingEntry) -> None:
    """Print an entry as headed lists, folded to the width of the terminal."""
    console = make_console()
    console.print(Text(f"{entry.topic}: {entry.symptom}\n", style="bold green"))
    for heading, items in entry.sections.items():
        console.print(Text(heading, style="bold"))
        print_table([("•", item) for item in items], indent_columns=1)
        console.print()
