"""``semilla status``: where a run stands, read without disturbing it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from semilla.errors import PASSING, PHASES, InvalidConfigError
from semilla.machine import explain_vanishing
from semilla.phrases import describe_epoch, format_duration, quote
from semilla.progress import EpochDone
from semilla.records import names
from semilla.records.lock import is_locked
from semilla.records.metrics import read_metrics
from semilla.records.status import PipelineStatus, read_status
from semilla.terminal.console import fold_lines, print_text
from semilla.terminal.summary import print_findings
from semilla.terminal.tables import can_draw, make_console, print_table

HELP = """Show where a run stands: phases, times, the last epoch, what went wrong.
A run whose process is gone is shown as interrupted."""

WATCH_S = 1.0
"""Between two looks; the status changes with each artifact, epoch and phase."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=Path("data"),
        metavar="DIR",
        help="output directory (default: data)",
    )
    parser.add_argument("--watch", action="store_true", help="show every change until the run ends")
    parser.add_argument(
        "--json", action="store_true", help="print the status file's content, state corrected"
    )


def run(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    shown = ""
    while True:
        status, vanished = read_true_status(directory)
        if status.updated_at != shown or vanished:
            show_status(status, directory=directory, vanished=vanished, arguments=arguments)
            shown = status.updated_at
        if not arguments.watch or status.run_state != "running":
            return 0
        time.sleep(WATCH_S)


def show_status(
    status: PipelineStatus, *, directory: Path, vanished: bool, arguments: argparse.Namespace
) -> None:
    """Print the status in the form that was asked for; a screen that is watched is wiped first."""
    if arguments.json:
        print_text(json.dumps(status.model_dump(mode="json"), ensure_ascii=False, indent=2))
        return
    if arguments.watch and can_draw():
        make_console().clear()
    print_status(status, directory=directory, vanished=vanished)
    sys.stdout.flush()


def read_true_status(directory: Path) -> tuple[PipelineStatus, bool]:
    """Read the status; "running" without a holder of the lock means that the process vanished."""
    status = read_status(directory)
    if status is None:
        raise InvalidConfigError(
            f"there is no run in {directory}: {names.STATUS} is not there",
            next_command=f"semilla run --output-dir {quote(directory)}",
        )
    vanished = status.run_state == "running" and not is_locked(directory)
    if vanished:
        status.interrupt()
    return status, vanished


def print_status(status: PipelineStatus, *, directory: Path, vanished: bool) -> None:
    place = fold_lines(str(directory))
    print_text(f"{place}: {status.run_state}, attempt {status.attempt}, begun {status.start_time}")
    print_table([_describe_phase(status, phase) for phase in PHASES], indent_columns=2)
    if (directory / names.METRICS).is_file():
        history = read_metrics(directory / names.METRICS).epoch_history
        if history:
            best = min(history, key=lambda metrics: metrics.validation_loss)
            print_text(describe_epoch(EpochDone(history[-1], is_best=history[-1] is best)))
    if status.validation_results:
        print_findings(status.validation_results)
    if status.error_details:
        error = status.error_details
        print_text(f"{error.failed_phase} failed ({error.error_type}): {fold_lines(error.error_message)}")
        print_text(f"next: semilla guide {fold_lines(error.error_type)}")
    if vanished:
        cause, lacked_memory = explain_vanishing(status.machine)
        print_text(f"Its process is gone: {cause}{': semilla guide oom' if lacked_memory else ''}")
    if status.run_state == "interrupted" or (
        status.error_details and status.error_details.error_type in PASSING
    ):
        print_text(f"next: semilla run --resume --output-dir {quote(directory)}")


def _describe_phase(status: PipelineStatus, phase: str) -> tuple[str, str, str]:
    spent = status.phase_timings.get(phase)
    time_text = format_duration(spent) if spent is not None else ""
    if phase in status.completed_phases:
        entry = status.phase_records.get(phase)
        return phase, entry.outcome if entry else "done", time_text
    if phase == status.current_phase or (status.error_details and status.error_details.failed_phase == phase):
        return phase, status.run_state, time_text
    return phase, "to do", ""
