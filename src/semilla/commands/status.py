"""``semilla status``: show the state of a run without disturbing it."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.commands import add_directory
from semilla.configuration.settings import to_command
from semilla.errors import PHASES, RETRYABLE, InvalidConfigError, SemillaError
from semilla.events import EpochDone
from semilla.formatting import describe_epoch, describe_step, draw_sparkline, format_duration, quote
from semilla.installation import write_command
from semilla.records import names
from semilla.records.archive import EarlierModel, list_models
from semilla.records.lock import is_locked
from semilla.records.nearby import suggest_run
from semilla.records.run_configuration import read_run_configuration
from semilla.records.status import PipelineStatus, read_status
from semilla.system.endings import explain_vanishing
from semilla.terminal.console import fold_lines, print_json, print_text
from semilla.terminal.run_view import RunView, read_view
from semilla.terminal.summary import print_findings, shorten
from semilla.terminal.tables import can_draw, make_console, print_table

if TYPE_CHECKING:
    from rich.console import RenderableType

HELP = """Show the state of a run: phases, times, current step and loss, last epoch, what went wrong.
A run whose process is gone is shown as interrupted."""

WATCH_S = 1.0
"""Between two reads of the status. A running training writes its step as often."""
SPARK_COLUMNS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, meaning="output directory of a run")
    parser.add_argument("-w", "--watch", action="store_true", help="follow the run until it ends")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the status as JSON; for a running run, with its current progress",
    )


def run(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    if arguments.watch and not arguments.json and can_draw():
        watch(directory)
    shown = ""
    while True:
        status, vanished = read_true_status(directory)
        if status.updated_at != shown or vanished:
            show_status(status, directory=directory, vanished=vanished, as_json=arguments.json)
            shown = status.updated_at
        if not arguments.watch or status.run_state != "running":
            return 0
        time.sleep(WATCH_S)


def watch(directory: Path) -> None:
    """Draw the same live display as the run itself, until the run ends."""
    from rich.live import Live  # noqa: PLC0415 - half of rich, only needed on a terminal

    from semilla.terminal.drawing import draw_view  # noqa: PLC0415

    status, _ = read_true_status(directory)
    view, console = read_view(directory, status), make_console()

    def draw() -> RenderableType:
        return draw_view(view, width=console.size.width, height=console.size.height)

    with Live(get_renderable=draw, console=console, refresh_per_second=1, transient=True):
        while status.run_state == "running":
            time.sleep(WATCH_S)
            status, _ = read_true_status(directory)
            view = read_view(directory, status)


def show_status(status: PipelineStatus, *, directory: Path, vanished: bool, as_json: bool) -> None:
    """Print the status for a person, or as JSON."""
    view = read_view(directory, status)
    if as_json:
        models = list_models(directory, except_for=status.model_version)
        content = describe_status(status, view) | {"earlier_models": [describe_model(one) for one in models]}
        print_json(content)
    else:
        print_status(status, view, directory=directory, vanished=vanished)
    sys.stdout.flush()


def describe_status(status: PipelineStatus, view: RunView) -> dict[str, Any]:
    """The content of the status file, with the true state; for a running run also its ``progress``."""
    content = status.model_dump(mode="json")
    if status.run_state != "running":
        return content
    content["progress"] = {
        "step": asdict(view.step) if view.step else None,
        "transfer": asdict(view.transfer) if view.transfer else None,
        "losses": list(view.losses),
        "memory_mb": view.memory_mb,
    }
    return content


def read_true_status(directory: Path, *, command: str = "status") -> tuple[PipelineStatus, bool]:
    """Return the true status, and whether the process vanished: it says running, but the lock is free.

    ``command`` is the one to repeat with the directory that was meant, when there is no run in this one.
    """
    status = read_status(directory)
    if status is None:
        reason = f"{names.STATUS} is missing" if directory.is_dir() else "there is no such folder"
        hint, next_command = suggest_run(directory, command)
        raise InvalidConfigError(f"there is no run in {directory}: {reason}{hint}", next_command=next_command)
    vanished = status.run_state == "running" and not is_locked(directory)
    if vanished:
        status.interrupt()
    return status, vanished


def print_status(status: PipelineStatus, view: RunView, *, directory: Path, vanished: bool) -> None:
    started = status.start_time[:19].replace("T", " ")
    print_text(
        f"{fold_lines(str(directory))}: {status.run_state}, attempt {status.attempt}, "
        f"started {started} UTC, model {status.model_version}"
    )
    print_table([_describe_phase(status, view, phase) for phase in PHASES], indent_columns=2)
    print_training(view)
    print_models(directory, status)
    if status.validation_results:
        print_findings(status.validation_results)
    if status.error_details:
        error = status.error_details
        print_text(f"{error.failed_phase} failed ({error.error_type}): {fold_lines(error.error_message)}")
        print_text(f"next: {write_command(f'semilla guide {fold_lines(error.error_type)}')}")
    if vanished:
        cause, lacked_memory = explain_vanishing(status.machine)
        print_text(f"Its process is gone: {cause}{': semilla guide oom' if lacked_memory else ''}")
    if status.run_state == "interrupted" or (
        status.error_details and status.error_details.error_type in RETRYABLE
    ):
        print_text(f"next: {write_command(describe_resuming(directory))}")


def describe_resuming(directory: Path) -> str:
    """The command that resumes a run, with its own settings if they can still be read."""
    with suppress(SemillaError):
        return to_command(read_run_configuration(directory), resume_from_checkpoint=True)
    return f"semilla run --resume --output-dir {quote(directory)}"


def print_training(view: RunView) -> None:
    """Print the current step, the loss so far, the last epoch and its samples."""
    if view.step:
        print_text(describe_step(view.step))
    if len(view.losses) > 1:
        spark = draw_sparkline(list(view.losses), width=SPARK_COLUMNS)
        print_text(f"loss {spark} {view.losses[0]:.3f} to {view.losses[-1]:.3f}")
    if view.epoch:
        print_text(describe_epoch(EpochDone(view.epoch, view.is_best)))
        for sample in view.epoch.list_samples():
            print_text(f"  “{shorten(sample.marked)}”")


def print_models(directory: Path, status: PipelineStatus) -> None:
    """Print the earlier models that were kept, with their bits per byte."""
    earlier = list_models(directory, except_for=status.model_version)
    if not earlier:
        return
    print_text("earlier models:")
    rows = [(model.version, describe_bits(model), model.directory) for model in earlier]
    print_table(rows, indent_columns=1)


def describe_bits(model: EarlierModel) -> str:
    return "not measured" if model.bits_per_byte is None else f"{model.bits_per_byte:.3f} bits per byte"


def describe_model(model: EarlierModel) -> dict[str, object]:
    return {
        "version": model.version,
        "directory": str(model.directory),
        "run_state": model.status.run_state,
        "finished_at": model.trained_at,
        "bits_per_byte": model.bits_per_byte,
    }


def _describe_phase(status: PipelineStatus, view: RunView, phase: str) -> tuple[str, str, str]:
    spent_s = status.phase_timings.get(phase)
    spent = "" if spent_s is None else format_duration(spent_s)
    if phase in view.finished:
        return phase, view.finished[phase][0], spent
    if phase != view.phase:
        return phase, "to do", ""
    memory = f"{view.memory_mb:,.0f} MB of memory" if view.memory_mb else ""
    return phase, status.run_state, spent or memory
