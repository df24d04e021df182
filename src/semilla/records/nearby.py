"""Finds the run that was meant by a directory that holds none. No answer ever names a command that trains."""

from __future__ import annotations

import os
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from semilla.formatting import quote
from semilla.records import names

MAX_ENTRIES = 1000
"""Entries of a folder that are looked at."""
LEAST_SIMILARITY = 0.5


def suggest_run(directory: Path, command: str) -> tuple[str, str]:
    """Return the end of a message that names the run that was meant, and the command to try next.

    ``command`` is the beginning of a command that takes the directory. Without any run nearby, the command shows how
    one is trained.
    """
    near = find_run_nearby(directory)
    if near is None:
        return "", "semilla run --help"
    return f"; did you mean {near}?", f"semilla {command} {quote(near)}"


def find_run_nearby(directory: Path) -> Path | None:
    """The run that ``directory`` is inside of, the one beside it with a similar name, or else the only one."""
    around = next((folder for folder in list(directory.parents)[:2] if is_run(folder)), None)
    if around:
        return around
    here = directory if directory.is_dir() else directory.parent
    beside = {path.name: path for folder in (here, directory.parent) for path in _list_runs(folder)}
    similar = get_close_matches(directory.name, list(beside), n=1, cutoff=LEAST_SIMILARITY)
    if similar:
        return beside[similar[0]]
    return next(iter(beside.values())) if len(beside) == 1 else None


def is_run(directory: Path) -> bool:
    return (directory / names.STATUS).is_file()


def _list_runs(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [folder / entry.name for entry in islice(entries, MAX_ENTRIES) if is_run(folder / entry.name)]
    return []
