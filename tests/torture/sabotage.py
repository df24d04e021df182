"""Defects put in on purpose. With each of them, the harness that looks for it must fail."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.model.seeds import mix_seed
from semilla.records import disk, files
from semilla.training import gradients
from semilla.training.checkpoints import seal


def forget_seed() -> None:
    """Dropout seeds come from a counter, which a resumed run restarts."""
    draws = itertools.count()
    gradients.mix_seed = lambda *numbers: mix_seed(next(draws))


def write_in_place() -> None:
    """Files are written under their final names, not renamed to them."""

    @contextmanager
    def open_in_place(path: Path) -> Iterator[Any]:
        file = path.open("wb")
        with file:
            yield files.Draft(file, path)

    for module in _find_users("open_atomic"):
        module.open_atomic = open_in_place


def skip_file_sync() -> None:
    """No file is synced before it gets its name."""
    disk.fsync = lambda file: None


def skip_directory_sync() -> None:
    """No directory is synced after a rename."""
    disk.fsync_directory = lambda directory: None


def trust_seals() -> None:
    """The hash at a checkpoint's end is not compared."""
    seal.unseal = lambda data, *, name: None


def _find_users(name: str) -> list[Any]:
    """Modules of ours that hold a function under its own name."""
    return [
        module for key, module in sys.modules.items() if key.startswith("semilla.") and hasattr(module, name)
    ]


SABOTAGES: dict[str, Callable[[], None]] = {
    "seed": forget_seed,
    "rename": write_in_place,
    "file-sync": skip_file_sync,
    "directory-sync": skip_directory_sync,
    "hash": trust_seals,
}
