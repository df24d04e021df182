"""What settings were once called, so that an old configuration is understood and can be brought up to date.

A setting that is renamed or removed gets a row in ``CHANGES`` and raises ``SCHEMA_VERSION``; a new one, which has a
default, needs neither. Files without a ``schema_version`` have version 1.

Records of runs (configuration, checkpoints, the inputs of phases) are read by their present names without a word. A
file of the user's is never read so: it is told what changed, and ``semilla config migrate`` rewrites it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from semilla.errors import IncompatibleError, InvalidConfigError

SCHEMA_KEY = "schema_version"
SCHEMA_VERSION = 2
_WRITTEN_VERSION = re.compile(rf"^{SCHEMA_KEY}[ \t]*=[^\r\n]*(\r?\n)?", re.M)


@dataclass(frozen=True)
class Change:
    """A setting that had the name ``name`` until ``release``; ``new_name`` is None where it was removed."""

    name: str
    new_name: str | None
    release: str
    reason: str

    def __str__(self) -> str:
        if self.new_name is None:
            return f"removed in release {self.release}: {self.reason}"
        return f"called {self.new_name} since release {self.release}: {self.reason}"


CHANGES: dict[str, Change] = {
    change.name: change
    for change in (
        Change(
            "sampled_output",
            "sampled_output_fraction",
            release="0.1.0",
            reason="it is a share of the steps, as warmup_fraction is",
        ),
    )
}
"""Old name -> what became of it."""


def bring_up_to_date(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give recorded settings, flat or in groups, their present names; those that were removed are left out."""
    return {
        name: _rename(value) if isinstance(value, Mapping) else value
        for name, value in _rename(values).items()
    }


def _rename(values: Mapping[str, Any]) -> dict[str, Any]:
    new_names = {name: CHANGES[name].new_name if name in CHANGES else name for name in values}
    return {new_names[name] or "": value for name, value in values.items() if new_names[name] is not None}


def take_version(content: dict[str, Any], *, place: str) -> int:
    """Take the schema version out of a file's content; raises InvalidConfigError when this program is older."""
    version = content.pop(SCHEMA_KEY, 1)
    if type(version) is not int or version < 1:
        raise InvalidConfigError(f"{place}: {SCHEMA_KEY} must be a number such as {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise InvalidConfigError(
            f"{place} was written for a newer Semilla: its {SCHEMA_KEY} is {version}, this one reads up to "
            f"{SCHEMA_VERSION}",
            next_command="pip install --upgrade semilla",
        )
    return version


def migrate_text(text: str, *, place: str) -> tuple[str, list[str]]:
    """Bring a configuration file up to date and say what was changed; comments and order stay as they are.

    The names are changed in the text, and the result is parsed and compared with the same change made to the
    content. Raises IncompatibleError where they differ, because a name stands in a place that is no plain key, and
    ValueError when ``text`` is not TOML.
    """
    content = tomllib.loads(text)
    version = take_version(content, place=place)
    migrated, notes = text, []
    for change in _list_changes(content):
        migrated = _rewrite(migrated, change)
        notes.append(f"{change.name} is {change}")
    if version < SCHEMA_VERSION:
        migrated = f"{SCHEMA_KEY} = {SCHEMA_VERSION}\n{_WRITTEN_VERSION.sub('', migrated, count=1)}"
        notes.append(f"{SCHEMA_KEY} is {SCHEMA_VERSION}")
    _prove(migrated, content, place=place)
    return migrated, notes


def _list_changes(content: Mapping[str, Any]) -> Iterator[Change]:
    """The changes that concern a file, at its top level or in one of its tables."""
    tables = [value for value in content.values() if isinstance(value, Mapping)]
    used = {name for table in (content, *tables) for name in table}
    return (change for name, change in CHANGES.items() if name in used)


def _rewrite(text: str, change: Change) -> str:
    if change.new_name is None:
        line = re.compile(rf"^([ \t]*)(?=(?:[\w-]+\.)?[\"']?{change.name}[\"']?[ \t]*=)", re.M)
        return line.sub(rf"\1# removed in {change.release}: ", text)
    return re.sub(rf"(?<![\w-]){change.name}(?=[\"']?[ \t]*=)", change.new_name, text)


def _prove(migrated: str, content: Mapping[str, Any], *, place: str) -> None:
    wanted = {SCHEMA_KEY: SCHEMA_VERSION, **bring_up_to_date(content)}
    try:
        is_proven = tomllib.loads(migrated) == wanted
    except tomllib.TOMLDecodeError:
        is_proven = False
    if not is_proven:
        changes = "; ".join(f"{change.name} is {change}" for change in _list_changes(content))
        raise IncompatibleError(f"{place} must be changed by hand: {changes}", kept="the file as it is")
