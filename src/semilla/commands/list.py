"""``semilla list``: the runs and models below a directory."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from semilla.commands.status import read_true_status
from semilla.errors import InvalidConfigError, SemillaError
from semilla.records.nearby import is_run, suggest_run
from semilla.runtime.bundle import read_bundle
from semilla.server.library import Library
from semilla.system.paths import read_path
from semilla.terminal.console import print_json, print_text
from semilla.terminal.tables import print_table

HELP = """List the runs and models below a directory: their state, the version of the model, and its bits per byte.
Earlier models that were kept are listed with their run. Folders below the fourth level are not searched."""

MODEL = "model"
DAMAGED = "damaged"
"""The states of what is not a run: a bundle that stands alone, and a status or a bundle that cannot be read."""


@dataclass(frozen=True)
class Entry:
    """A directory that commands take. ``state`` is that of the run, or MODEL, or DAMAGED."""

    directory: str
    state: str
    has_model: bool
    model_version: str | None = None
    bits_per_byte: float | None = None
    updated_at: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        type=read_path,
        nargs="?",
        default=Path(),
        metavar="DIR",
        help="where to look (default: the working directory)",
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    if not directory.is_dir():
        hint, next_command = suggest_run(directory, "list")
        raise InvalidConfigError(f"there is no folder {directory}{hint}", next_command=next_command)
    entries = list(list_entries(directory))
    if arguments.json:
        print_json([asdict(entry) for entry in entries])
    elif entries:
        headings = ("state", "model", "bits per byte", "changed (UTC)", "directory")
        print_table([describe_entry(entry) for entry in entries], headings=headings)
    else:
        print_text(f"There are no runs and no models in {directory.resolve()}.")
    return 0


def list_entries(directory: Path) -> Iterator[Entry]:
    """Yield what is below ``directory``, in the order of the names."""
    shelf = Library([directory]).look()
    # A bundle in a run's directory is the model of that run.
    places = {name: shelf.runs.get(name) or shelf.models[name] for name in {*shelf.runs, *shelf.models}}
    for name in sorted(places):
        shown = shorten_path(places[name], below=directory)
        if is_run(places[name]):
            yield read_run_entry(places[name], shown=shown, bundle=shelf.models.get(name))
        else:
            yield read_model_entry(places[name], shown=shown)


def read_run_entry(directory: Path, *, shown: str, bundle: Path | None) -> Entry:
    try:
        status, _ = read_true_status(directory)
    except SemillaError:
        return Entry(shown, DAMAGED, has_model=bundle is not None)
    results = status.validation_results
    return Entry(
        shown,
        status.run_state,
        has_model=bundle is not None,
        model_version=status.model_version if status.is_trained else None,
        bits_per_byte=results.bits_per_byte.get("all") if results else None,
        updated_at=status.updated_at,
    )


def read_model_entry(directory: Path, *, shown: str) -> Entry:
    try:
        version = read_bundle(directory).version
    except SemillaError:
        return Entry(shown, DAMAGED, has_model=False)
    return Entry(shown, MODEL, has_model=True, model_version=version or None)


def describe_entry(entry: Entry) -> tuple[str, ...]:
    """The cells of a row; the version stands for the model, and is empty where there is none to use."""
    version = (entry.model_version or "yes") if entry.has_model else ""
    bits = "" if entry.bits_per_byte is None else f"{entry.bits_per_byte:.3f}"
    changed = (entry.updated_at or "")[:16].replace("T", " ")
    return entry.state, version, bits, changed, entry.directory


def shorten_path(path: Path, *, below: Path) -> str:
    """Write a path as the reader wrote ``below``, so that it can be pasted into another command."""
    with suppress(ValueError):
        return str(below / path.relative_to(below.resolve()))
    return str(path)
