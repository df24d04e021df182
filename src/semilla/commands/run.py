"""``semilla run``: all five phases."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from semilla.commands.plan import add_overnight
from semilla.configuration.flags import add_settings, load_arguments
from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import SemillaError
from semilla.installation import EXTRAS
from semilla.prerequisites.packages import require_packages
from semilla.system.ranks import read_place
from semilla.terminal.console import ask, is_interactive
from semilla.terminal.progress import FORMS, show_progress

HELP = """Train a model: check the machine, get the text, train and validate.
Phases whose inputs are unchanged are reused. A setting may also be a variable
(SEMILLA_NUM_LAYERS) or stand in the file of --config; flags come first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        choices=FORMS,
        default="auto",
        help="plain lines, or a line of JSON per event; auto: a live display on a terminal (default: auto)",
    )
    add_settings(parser)
    add_overnight(parser)


def run(arguments: argparse.Namespace) -> int:
    place = read_place()
    try:
        config = load_arguments(arguments).config
        require_packages(*EXTRAS["train"], task="training")
    except SemillaError as error:
        if place.local_rank:  # the first rank of this machine says it
            return error.status
        raise
    resume = True if place.restarts else arguments.resume_from_checkpoint
    if place.size == 1:
        return run_alone(config, resume=resume, form=arguments.progress)
    # PyTorch would print a C++ stack for every lost connection; it reads this when it is imported.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    from semilla.pipeline.ranked_run import follow, lead  # noqa: PLC0415 - only under torchrun

    if place.rank:
        return follow(config)
    with lead(config):
        return run_alone(config, resume=resume, form=arguments.progress)


def run_alone(config: PipelineConfiguration, *, resume: bool | None, form: str) -> int:
    if form == "json":
        return run_for_programs(config, resume=resume)
    from semilla.pipeline.main_job import run_pipeline  # noqa: PLC0415 - not needed to refuse a wrong flag
    from semilla.terminal.summary import print_summary, print_unfinished  # noqa: PLC0415

    can_ask = is_interactive() and read_place().size == 1
    with show_progress(title=config.output_directory, form=form) as progress:
        status = run_pipeline(
            config, resume=resume, ask=confirm_resume if can_ask else None, listeners=[progress]
        )
    directory = Path(config.output_directory)
    if status.run_state == "complete":
        print_summary(status, directory=directory)
    else:  # nothing was done, because the training is further than --num-epochs already
        print_unfinished(directory)
    return 0


def confirm_resume(question: str) -> bool:
    """Ask whether to continue a training. An empty answer continues, because starting over costs the progress."""
    return ask(question, default=True)


def run_for_programs(config: PipelineConfiguration, *, resume: bool | None) -> int:
    """Run without questions, and with nothing but JSON on standard output. Errors go to standard error, too."""
    from semilla.pipeline.main_job import run_pipeline  # noqa: PLC0415 - as above
    from semilla.terminal import json_progress  # noqa: PLC0415

    try:
        with show_progress(title=config.output_directory, form="json") as progress:
            status = run_pipeline(config, resume=resume, listeners=[progress])
    except SemillaError as error:
        json_progress.stop(error)
        raise
    json_progress.finish(status)
    return 0
