"""Earlier names of settings, so that old configurations can be read and updated.

Renaming or removing a setting adds a row to ``CHANGES`` and raises ``SCHEMA_VERSION``. A new setting has a default and
needs neither. A file without a ``schema_version`` has version 1.

Records of runs (configuration, checkpoints, inputs of phases) are converted silently. A user's own file is not: an
error says what changed, and ``semilla config migrate`` rewrites the file.
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
    """A setting called ``name`` before ``release``; ``new_name`` is None if it was removed."""

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
            reason="it is a fraction of the steps, like warmup_fraction",
        ),
    )
}
"""Old name -> its change."""


def bring_up_to_date(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename recorded settings, flat or in groups, to their current names and drop removed ones."""
    return {
        name: _rename(value) if isinstance(value, Mapping) else value
        for name, value in _rename(values).items()
    }


def _rename(values: Mapping[str, Any]) -> dict[str, Any]:
    new_names = {name: CHANGES[name].new_name if name in CHANGES else name for name in values}
    return {new_names[name] or "": value for name, value in values.items() if new_names[name] is not None}


def take_version(content: dict[str, Any], *, place: str) -> int:
    """Remove the schema version from a file's content and return it.

    Raises InvalidConfigError when the file is for a newer Semilla.
    """
    version = content.pop(SCHEMA_KEY, 1)
    if type(version) is not int or version < 1:
        raise InvalidConfigError(f"{place}: {SCHEMA_KEY} must be a number such as {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise InvalidConfigError(
            f"{place} was written for a newer Semilla: its {SCHEMA_KEY} is {version}, and this version reads "
            f"up to {SCHEMA_VERSION}",
            next_command="pip install --upgrade semilla",
        )
    return version


def migrate_text(text: str, *, place: str) -> tuple[str, list[str]]:
    """Update the text of a configuration file and list the changes. Comments and order stay.

    Names are replaced in the text. The result is parsed and compared with the same change applied to the content.
    Raises IncompatibleError when they differ, because a name also occurs where it is not a key, and ValueError when
    ``text`` is not TOML.
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
    _check_migration(migrated, content, place=place)
    return migrated, notes


def _list_changes(content: Mapping[str, Any]) -> Iterator[Change]:
    """List the changes that affect a file, at its top level or in one of its tables."""
    tables = [value for value in content.values() if isinstance(value, Mapping)]
    used = {name for table in (content, *tables) for name in table}
    return (change for name, change in CHANGES.items() if name in used)


def _rewrite(text: str, change: Change) -> str:
    if change.new_name is None:
        line = re.compile(rf"^([ \t]*)(?=(?:[\w-]+\.)?[\"']?{change.name}[\"']?[ \t]*=)", re.M)
        return line.sub(rf"\1# removed in {change.release}: ", text)
    return re.sub(rf"(?<![\w-]){change.name}(?=[\"']?[ \t]*=)", change.new_name, text)


def _check_migration(migrated: str, content: Mapping[str, Any], *, place: str) -> None:
    expected = {SCHEMA_KEY: SCHEMA_VERSION, **bring_up_to_date(content)}
    try:
        is_correct = tomllib.loads(migrated) == expected
    except tomllib.TOMLDecodeError:
        is_correct = False
    if not is_correct:
        changes = "; ".join(f"{change.name} is {change}" for change in _list_changes(content))
        raise IncompatibleError(f"{place} must be changed by hand: {changes}", kept="the unchanged file")
