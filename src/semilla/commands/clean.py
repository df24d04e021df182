"""``semilla clean``: remove exactly what runs created in a directory."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path, PurePosixPath

from semilla.commands import DEFAULT_DIRECTORY, add_directory
from semilla.commands.status import read_true_status
from semilla.errors import IntegrityError, InvalidConfigError, PermissionDeniedError
from semilla.formatting import format_size, quote
from semilla.records import names
from semilla.records.files import collect_garbage, remove_directory, remove_file
from semilla.records.folders import collect_folders
from semilla.records.links import refuse_links
from semilla.records.lock import hold_lock
from semilla.system.locks import CAN_REMOVE_LOCKED
from semilla.terminal.console import ask, is_interactive, print_text
from semilla.terminal.tables import print_table

HELP = """Remove what runs created in a directory: the artifacts listed in its status, and the records of the run.
All other files stay. Asks for confirmation on a terminal; anywhere else --yes is required."""

OWN_FILES = (names.CONFIGURATION, names.METRICS, names.LOG, names.HEARTBEAT, names.STATUS, names.LOCK)
"""Removed last, in this order. As long as the status exists, an interrupted cleaning can be repeated."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, meaning="output directory of a run")
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask for confirmation; DIR must be given"
    )
    parser.set_defaults(directory=None)


def run(arguments: argparse.Namespace) -> int:
    if arguments.yes and arguments.directory is None:
        raise InvalidConfigError(
            f"--yes asks nothing, so name the directory to clean: semilla clean {DEFAULT_DIRECTORY} --yes"
        )
    directory: Path = arguments.directory or DEFAULT_DIRECTORY
    read_true_status(directory, command="clean")  # fails if there is no run, before a lock file is made
    refuse_links(directory)
    with hold_lock(directory):
        status, _ = read_true_status(directory)
        paths = find_removable(directory, status.artifacts_created)
        size = format_size(sum(path.lstat().st_size for path in paths))
        print_table([(path.relative_to(directory), f"{path.lstat().st_size:,} bytes") for path in paths])
        question = f"Remove {len(paths)} files ({size}) from {directory}?"
        if not arguments.yes and not _is_confirmed(question, directory):
            print_text("Nothing was removed.")
            return 0
        remove_files(directory, paths)
    if not CAN_REMOVE_LOCKED:
        with suppress(PermissionDeniedError):  # another run has begun here
            remove_file(directory / names.LOCK)
    print_text(f"Removed {len(paths)} files ({size}) from {directory}.")
    return 0


def find_removable(directory: Path, artifacts: list[str]) -> list[Path]:
    """List the run's existing files, its records last. All files in a tracker's folder are the run's if that is listed.

    Raises IntegrityError when the status lists a file outside ``directory``.
    """
    unsafe = [name for name in artifacts if not _is_inside(directory, name)]
    if unsafe:
        raise IntegrityError(
            f"{directory / names.STATUS} lists files outside the directory: {', '.join(map(repr, unsafe))}",
            kept="everything; nothing was removed",
        )
    listed = [directory / name for name in dict.fromkeys(artifacts) if name not in OWN_FILES]
    trackers = {directory / name for name in names.TRACKERS}
    paths = [file for path in listed for file in (sorted(path.rglob("*")) if path in trackers else [path])]
    present = [path for path in paths if path.is_symlink() or path.is_file()]
    return present + [directory / name for name in OWN_FILES if (directory / name).is_file()]


def remove_files(directory: Path, paths: list[Path]) -> None:
    """Remove the files, then the folders inside ``directory`` that are empty now."""
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(directory)}
    for folder in {directory.resolve(), *folders}:
        collect_garbage(folder)
    collect_folders(directory / names.MODELS)
    for path in paths:
        if path.name != names.LOCK or CAN_REMOVE_LOCKED:
            remove_file(path)
    for name in names.TRACKERS:  # mlflow makes empty folders
        folders |= {path for path in (directory / name).rglob("*") if path.is_dir() and not path.is_symlink()}
    for folder in sorted(folders - {directory}, reverse=True):
        remove_directory(folder)


def _is_inside(directory: Path, name: str) -> bool:
    pure = PurePosixPath(name)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in name:
        return False
    # A folder of the path may have been replaced by a link that leads outside.
    return (directory / name).parent.resolve().is_relative_to(directory.resolve())


def _is_confirmed(question: str, directory: Path) -> bool:
    if is_interactive():
        return ask(question)
    raise InvalidConfigError(
        f"cannot ask for confirmation without a terminal: {question} Use --yes",
        next_command=f"semilla clean {quote(directory)} --yes",
        kept="everything; nothing was removed",
    )
