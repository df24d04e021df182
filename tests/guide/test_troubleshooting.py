"""The troubleshooting guide as data."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from semilla.cli import COMMANDS, build_parser
from semilla.errors import CATEGORIES, IntegrityError
from semilla.guide import find_chapters
from semilla.guide.documentation import IDS, load_documentation
from semilla.guide.search import find_named
from semilla.guide.troubleshooting import HEADINGS, parse_entries

SOURCES = Path(__file__).parents[2] / "src" / "semilla"
GUIDE = load_documentation()
TOPICS = [entry.topic for entry in load_documentation().troubleshooting_guide]
FLAGS = {flag for name in COMMANDS for flag in build_parser(name)._option_string_actions}
PROGRAMS = set(
    "semilla df du ls env curl free file wc sha256sum mount dmesg pip python tail head grep sort nproc uptime".split()
)
"""The commands that a cause may name: Semilla, and tools of every Linux."""


def test_every_category_has_its_entry():
    """The topic that an error prints after ``help:`` always exists."""
    assert set(CATEGORIES) <= set(TOPICS)
    assert len(TOPICS) == len(set(TOPICS))


def list_topics_told() -> set[str]:
    """Collect the topics that the sources name: those of warnings, and those after ``semilla guide`` in a text."""
    topics = set()
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        topics |= set(re.findall(r"semilla guide (?!check\b)([a-z]\w*)", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                values = [keyword.value for keyword in node.keywords if keyword.arg == "topic"]
                values += node.args[1:] if getattr(node.func, "id", "") == "Warned" else []
                topics |= {value.value for value in values if isinstance(value, ast.Constant)}
    return topics


def test_every_topic_told_has_its_entry():
    """Every topic of a warning, a hint, a missed target or an advice exists."""
    told = list_topics_told()
    assert {"vocabulary_size", "network", "oom"} <= told
    assert all(find_named(GUIDE, name) for name in told)
    findings = {"overfitting", "language", "repetition", "copying", "int8", "minimal_pairs"}
    assert findings | {"corpus_size", "learning_rate"} <= set(TOPICS)


@pytest.mark.parametrize("entry", load_documentation().troubleshooting_guide, ids=TOPICS)
def test_entries_are_whole_and_lead_somewhere(entry):
    """Each entry has its four lists, related sections that exist, and only existing flags and commands."""
    assert list(entry.sections) == list(HEADINGS)
    assert all(entry.sections.values())
    assert set(entry.related_sections) <= set(IDS)
    text = " ".join([*entry.signs, *entry.possible_causes, *entry.solutions])
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= FLAGS | {"--upgrade", "--version"}
    assert set(re.findall(r"`semilla (\w+)", text)) <= set(COMMANDS)


@pytest.mark.parametrize("entry", load_documentation().troubleshooting_guide, ids=TOPICS)
def test_a_cause_can_be_checked_and_something_be_done(entry):
    """At least one cause names a command that checks it, and at least one solution is an action."""
    commands = re.findall(r"`([^`]+)`", " ".join(entry.possible_causes))
    assert [command for command in commands if command.split()[0] in PROGRAMS]
    actions = " ".join(entry.solutions).split(". ")
    assert any(not action.startswith("Nothing") for action in actions)


ENTRY = """# Guía

### Not an entry

### loss: the loss 🌱

- **Symptom**: a sign that
  goes on
- **Causes**: one. Two.
- **Solutions**: do
- **Related**: [device](10-device.md), [tokenization](02-tokenization.md)

## Next part

- not part of it
"""


def test_entries_are_read_from_their_fixed_shape():
    """Headings and items become an entry, continued lines are joined, and the next heading ends the entry."""
    (entry,) = parse_entries(ENTRY)
    assert (entry.topic, entry.symptom) == ("loss", "the loss 🌱")
    assert entry.signs == ("a sign that goes on",)
    assert entry.possible_causes == ("one. Two.",)
    assert entry.related_sections == ("device", "tokenization")


@pytest.mark.parametrize("part", ["- **Causes**: one. Two.", "- **Related**: [device](10-device.md)"])
def test_another_shape_is_refused(part):
    """A missing item is an error."""
    with pytest.raises(IntegrityError, match="'loss' needs the items"):
        parse_entries(ENTRY.replace(part, ""))


def test_chapters_are_found_in_the_checkout():
    """Outside an installed wheel the chapters are those of ``docs/guide``."""
    assert (find_chapters() / "08-troubleshooting.md").is_file()
