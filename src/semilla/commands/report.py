"""``semilla report``: write an HTML report about a run, or compare several runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from semilla.commands import DEFAULT_DIRECTORY
from semilla.commands.status import read_true_status
from semilla.errors import LockedError
from semilla.formatting import quote
from semilla.prerequisites.packages import require_packages
from semilla.records import names
from semilla.records.files import write_text
from semilla.records.links import refuse_links
from semilla.records.lock import hold_lock
from semilla.records.run_configuration import read_run_configuration
from semilla.records.status import read_status, write_status
from semilla.report.runs import RecordedRun, read_run
from semilla.system.paths import read_path
from semilla.terminal.console import print_text

HELP = """Write an HTML report about a run: verdict, curves, samples, settings, hashes. One file that needs no network.
Several directories are compared: their curves, the settings that differ, and which model is better."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories",
        type=read_path,
        nargs="*",
        default=[DEFAULT_DIRECTORY],
        metavar="DIR",
        help=f"output directories of runs (default: ./{DEFAULT_DIRECTORY})",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=read_path,
        metavar="FILE",
        help="where to write (default: report.html in the run's directory; for several, ./comparison.html)",
    )


def run(arguments: argparse.Namespace) -> int:
    runs = [open_recorded_run(directory) for directory in arguments.directories]
    require_packages("jinja2", task="a report")
    from semilla.report.compare import render_comparison  # noqa: PLC0415 - not needed for --help
    from semilla.report.page import render_run  # noqa: PLC0415

    if len(runs) > 1:
        path = arguments.output or Path("comparison.html")
        write_text(path, render_comparison(runs))
    elif arguments.output:
        path = arguments.output
        write_text(path, render_run(runs[0]))
    else:
        path = add_to_run(runs[0], render_run(runs[0]))
    print_text(str(path))
    return 0


def open_recorded_run(directory: Path) -> RecordedRun:
    """Read what a run left in its directory, with its true state."""
    status, _ = read_true_status(directory, command="report")
    return read_run(directory, config=read_run_configuration(directory), status=status)


def add_to_run(run: RecordedRun, page: str) -> Path:
    """Write the page into the run's directory and list it as an artifact, so that ``clean`` removes it.

    Raises LockedError while the run is active.
    """
    path = run.directory / names.REPORT
    try:
        refuse_links(run.directory)
        with hold_lock(run.directory):
            write_text(path, page)
            status = read_status(run.directory)
            if status and names.REPORT not in status.artifacts_created:
                status.artifacts_created.append(names.REPORT)
                write_status(run.directory, status)
    except LockedError as error:
        error.next_command = f"semilla report {quote(run.directory)} --output {names.REPORT}"
        raise
    return path
