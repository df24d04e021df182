"""``semilla sweep``: run every combination of several values, and compare the results."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from semilla.commands.report import open_recorded_run
from semilla.configuration.flags import add_settings, load_arguments
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings
from semilla.events import Progress
from semilla.formatting import format_duration
from semilla.installation import EXTRAS
from semilla.prerequisites.packages import require_packages
from semilla.records.files import write_text
from semilla.records.links import refuse_links_at
from semilla.report.runs import RecordedRun
from semilla.terminal.console import print_text
from semilla.terminal.progress import show_progress
from semilla.terminal.tables import print_table

if TYPE_CHECKING:
    from semilla.pipeline.sweep import Outcome, Trial

HELP = """Run every combination of values, one after the other, each in its own directory, and compare the results.
Numbers and choices take several values, separated by commas: semilla sweep --num-layers 1,2 --seed 1,2,3.
The same command continues a sweep that was stopped; longer lists add runs. Runs with the same text or tokenizer share
it. At the end there is a table and comparison.html. The exit code is that of the first run that failed, if any."""

DEFAULT_DIRECTORY = "sweep"
PAGE = "comparison.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    require_packages(*EXTRAS["train"], task="training")
    from semilla.pipeline.sweep import plan_trials, run_trials  # noqa: PLC0415 - not needed to refuse a wrong flag

    lists = take_lists(arguments)
    first = load_arguments(arguments, **{name: values[0] for name, values in lists.items()})
    is_placed = "output_directory" in first.explicit
    root = Path(first.config.output_directory if is_placed else DEFAULT_DIRECTORY)

    def configure(**texts: str) -> PipelineConfiguration:
        return load_arguments(arguments, **texts).config

    trials = plan_trials(lists, root=root, configure=configure)
    refuse_links_at([root / PAGE, *(trial.directory for trial in trials)])
    numbers = {trial.directory: number for number, trial in enumerate(trials, 1)}

    @contextmanager
    def show(trial: Trial) -> Iterator[Progress]:
        title = f"run {numbers[trial.directory]} of {len(trials)}: {trial.directory.name}"
        print_text(f"\n{title}")
        with show_progress(title=title) as progress:
            yield progress

    outcomes = list(run_trials(trials, resume=arguments.resume_from_checkpoint, show=show))
    print_outcomes(outcomes, root=root)
    return next((outcome.error.status for outcome in outcomes if outcome.error), 0)


def take_lists(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Return the flags that were given several values, in the order of the settings."""
    from semilla.pipeline.sweep import is_listable  # noqa: PLC0415

    lists = {}
    for name in list_settings():
        text = getattr(arguments, name)
        if isinstance(text, str) and "," in text and is_listable(name):
            lists[name] = [value.strip() for value in text.split(",") if value.strip()]
    return lists


def print_outcomes(outcomes: Sequence[Outcome], *, root: Path) -> None:
    """Print a row for each run and which is better, and write the comparison page."""
    from semilla.report.compare import judge_runs, render_comparison  # noqa: PLC0415

    runs = [open_recorded_run(outcome.trial.directory) for outcome in outcomes]
    headings = [*outcomes[0].trial.values, "loss", "bits per byte", "best epoch", "time", ""]
    rows = [describe_outcome(outcome, run) for outcome, run in zip(outcomes, runs, strict=True)]
    print_text("")
    print_table(rows, headings=headings)
    measured = [run for run in runs if run.epochs]
    if len(measured) > 1:
        verdict = judge_runs(measured)
        print_text("\n" + "\n".join([f"{verdict.headline}.", *verdict.lines]))
        write_text(root / PAGE, render_comparison(measured))
        print_text(f"\n{root / PAGE}")


def describe_outcome(outcome: Outcome, run: RecordedRun) -> tuple[object, ...]:
    best = run.best_epoch
    bits = best.bits_per_byte.get("all", math.nan) if best else math.nan
    figures = (f"{best.validation_loss:.4f}", f"{bits:.4f}", best.epoch_number) if best else ("", "", "")
    state = f"failed: {outcome.error.category}" if outcome.error else run.status.run_state
    spent = format_duration(sum(run.status.phase_timings.values()))
    return (*outcome.trial.values.values(), *figures, spent, state)
