"""Finds the runs and the finished models below folders, and names them by their paths there.

An address names a run or a model; it is never joined to a path. So nothing outside these folders can be asked for.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from semilla.records import names
from semilla.records.nearby import is_run
from semilla.runtime.bundle import DESCRIPTION

MAX_DEPTH = 4
MAX_FOLDERS = 5000
"""How deep, and at how many folders, a search looks."""
RESCAN_S = 2.0
_CLOSED = {*names.FOLDERS} - {names.MODELS}
"""Folders of a run that hold no other run; earlier models are laid out like runs."""


@dataclass(frozen=True)
class Shelf:
    """What was found: name -> directory. The directory of a model holds ``bundle.json``."""

    runs: Mapping[str, Path]
    models: Mapping[str, Path]


class Library:
    """The runs and models below ``folders``; it looks again when it is asked, but not more than every RESCAN_S."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._roots = name_folders(folders)
        self._lock = threading.Lock()
        self._shelf = Shelf({}, {})
        self._looked_s = -RESCAN_S

    def look(self) -> Shelf:
        with self._lock:
            if time.monotonic() - self._looked_s >= RESCAN_S:
                self._shelf = self._search()
                self._looked_s = time.monotonic()
            return self._shelf

    def _search(self) -> Shelf:
        runs: dict[str, Path] = {}
        models: dict[str, Path] = {}
        for root_name, root in self._roots.items():
            for directory in list_folders(root):
                inner = directory.relative_to(root).as_posix()
                name = (
                    root_name if inner == "." else inner if len(self._roots) == 1 else f"{root_name}/{inner}"
                )
                if is_run(directory):
                    runs[name] = directory
                bundle = find_bundle(directory)
                if bundle:
                    models[name] = bundle
        return Shelf(runs, models)


def name_folders(folders: Sequence[Path]) -> dict[str, Path]:
    """Name each folder by the last part of its path, with a number where two are the same."""
    named: dict[str, Path] = {}
    for folder in dict.fromkeys(path.resolve() for path in folders):
        name, number = folder.name or "root", 2
        while name in named:
            name, number = f"{folder.name}-{number}", number + 1
        named[name] = folder
    return named


def list_folders(root: Path) -> Iterator[Path]:
    """Yield ``root`` and the folders below it that may be served, in the order of their names. No link is followed."""
    waiting, count = [(root, 0)], 0
    while waiting and count < MAX_FOLDERS:
        folder, depth = waiting.pop()
        count += 1
        inner = _list_inner(folder)
        if inner is None:
            continue
        yield folder
        if depth < MAX_DEPTH:
            waiting += [(path, depth + 1) for path in sorted(inner, reverse=True)]


def _list_inner(folder: Path) -> list[Path] | None:
    """The folders to search next; None where this one is a run with a link in it, which could lead out of it."""
    is_inside_run = is_run(folder)
    closed = {*_CLOSED, names.BUNDLE} if is_inside_run else {names.BUNDLE}
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_inside_run and entry.is_symlink():
                    return None
                is_open = (
                    not entry.name.startswith(".") and entry.name.isprintable() and entry.name not in closed
                )
                if is_open and entry.is_dir(follow_symlinks=False):
                    found.append(folder / entry.name)
    except OSError:
        return []
    return found


def find_bundle(directory: Path) -> Path | None:
    """The folder of a finished model: ``bundle`` in ``directory``, or ``directory`` itself."""
    for folder in (directory / names.BUNDLE, directory):
        if (folder / DESCRIPTION).is_file() and not folder.is_symlink():
            return folder
    return None
