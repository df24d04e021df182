"""The contents of a directory at an instant, and what a power cut would leave of it.

A view is a directory in memory: relative names and contents. After a kill, it is the directory as it is. After a power
cut there are two more, the worst that a disk may do with unsynced changes. Names may come late: only names from the
last sync of their directory exist, and a file removed since then is empty once anything was written, because its
blocks may have been reused. Or data may come late: every name exists, and files that were not synced are empty.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from semilla.records import names
from semilla.records.files import TEMP_SUFFIX
from semilla.training.checkpoints.checkpoint import read_sealed
from torture.verdict import CLOCKS, flatten

EXEMPT = CLOCKS | {
    "pipeline_id", "attempt", "start_time", "updated_at", "finished_at", "phase_timings", "process_id", "details",
    "inference_metrics", "findings", "sha256",
}  # fmt: skip
"""Fields of the status and the metrics that tell the time, or what the machine measured."""
UNREAD = (TEMP_SUFFIX, names.LOG, names.LOCK, names.HEARTBEAT, names.CONFIGURATION, names.REPORT, names.PAGE)
"""Files that no recovery reads."""


@dataclass(frozen=True)
class Content:
    """A file's bytes, and a hash of what a recovery depends on: everything but times."""

    data: bytes
    meaning: str


EMPTY = Content(b"", "")
View = Mapping[str, Content]


def describe(view: View) -> str:
    """Hash of what a recovery from this directory depends on."""
    parts = [(name, one.meaning) for name, one in sorted(view.items()) if not name.endswith(UNREAD)]
    return hash_json(parts)


def count_temporaries(view: View) -> int:
    return sum(name.endswith(TEMP_SUFFIX) for name in view)


def write_view(view: View, directory: Path) -> None:
    """Create the directory that the view describes."""
    for name, content in view.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.data)


class Watcher:
    """Reads a directory repeatedly, each version of a file once, and remembers what was synced."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._contents: dict[tuple[int, ...], Content] = {}
        self._unsynced: set[int] = set()
        self._kept: dict[Path, dict[str, Content]] = {}
        self._removed: set[Path] = set()
        self._overwritten: set[Path] = set()
        for folder in {path.parent for path in directory.rglob("*") if path.is_file()} | {directory}:
            self.keep_names(folder)

    def note_write(self, file: BinaryIO) -> None:
        self._unsynced.add(os.fstat(file.fileno()).st_ino)
        self._overwritten |= self._removed

    def note_removal(self, path: Path) -> None:
        self._removed.add(path)

    def note_sync(self, file: BinaryIO) -> None:
        self._unsynced.discard(os.fstat(file.fileno()).st_ino)

    def keep_names(self, folder: Path) -> None:
        """Record that the names in ``folder`` were synced."""
        if folder == self.directory or self.directory in folder.parents:
            self._kept[folder] = {
                path.name: self._read_synced(path) for path in folder.iterdir() if path.is_file()
            }
        for gone in (self._removed, self._overwritten):
            gone -= {path for path in gone if path.parent == folder}

    def see(self) -> View:
        """What a killed process leaves."""
        return {self._name(path): self._read(path) for path in self._list_files()}

    def see_late_names(self) -> View:
        """What a power cut leaves when only synced names are on the disk."""
        return {
            self._name(folder / name): EMPTY if folder / name in self._overwritten else content
            for folder, kept in self._kept.items()
            for name, content in kept.items()
        }

    def see_late_data(self) -> View:
        """What a power cut leaves when all names are on the disk, and only synced data."""
        return {self._name(path): self._read_synced(path) for path in self._list_files()}

    def _list_files(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()

    def _read_synced(self, path: Path) -> Content:
        return EMPTY if path.stat().st_ino in self._unsynced else self._read(path)

    def _read(self, path: Path) -> Content:
        found = path.stat()
        version = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if version not in self._contents:
            data = path.read_bytes()
            self._contents[version] = Content(data, describe_file(path, data))
        return self._contents[version]


def describe_file(path: Path, data: bytes) -> str:
    """The meaning of a file: its bytes, or for archives and records their content without times."""
    if path.name.endswith(UNREAD):
        return ""
    try:
        if path.suffix == ".pt":
            return hash_json(sorted(flatten("", read_sealed(path)), key=str))
        if path.name in {names.STATUS, names.METRICS}:
            return hash_json(_drop_exempt(json.loads(data)))
    except Exception as error:  # a sabotaged writer leaves such files, which the continued run must find
        return str(error)
    return hashlib.sha256(data).hexdigest()


def hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()


def _drop_exempt(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _drop_exempt(part) for name, part in value.items() if name not in EXEMPT}
    if isinstance(value, list):
        return sorted((_drop_exempt(part) for part in value), key=str)
    return value
