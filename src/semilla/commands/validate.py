"""``semilla validate``: run phase 5 again, on a trained model."""

from __future__ import annotations

import argparse

from semilla.commands import add_directory
from semilla.configuration.flags import add_settings, load_arguments
from semilla.installation import EXTRAS
from semilla.prerequisites.packages import require_packages
from semilla.terminal.progress import show_progress

HELP = """Validate a trained model again: export it, measure it, and compare it with gates and targets.
The exit code is 5 if a gate is missed; the model is kept either way. Stopped halfway, it leaves the run unfinished,
and the same command finishes it."""

THRESHOLDS = ("max_validation_loss", "strict")
"""The settings that may differ from those of the run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, meaning="output directory of a run")
    add_settings(parser, only=THRESHOLDS)


def run(arguments: argparse.Namespace) -> int:
    loaded = load_arguments(arguments)
    overrides = {name: getattr(loaded.config, name) for name in THRESHOLDS if name in loaded.explicit}
    require_packages(*EXTRAS["train"], task="a validation")
    from semilla.pipeline.main_job import run_validation  # noqa: PLC0415 - not needed to refuse a wrong flag
    from semilla.terminal.summary import print_summary  # noqa: PLC0415

    with show_progress(title=str(arguments.directory)) as progress:
        status = run_validation(arguments.directory, overrides=overrides, listeners=[progress])
    print_summary(status, directory=arguments.directory)
    return 0
