"""``semilla run``: all five phases."""

from __future__ import annotations

import argparse
from pathlib import Path

from semilla.configuration.flags import add_settings, load_arguments
from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import SemillaError
from semilla.terminal.console import ask, is_interactive
from semilla.terminal.progress import FORMS, show_progress

HELP = """Train a model: check the machine, get the text, train a tokenizer and a model, validate both.
Phases whose inputs are unchanged are reused. Every setting can also be given as an environment variable
(SEMILLA_NUM_LAYERS) or in the file named by --config; flags win over variables, variables over the file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        choices=FORMS,
        default="auto",
        help="how to tell what happens: live on a terminal and plain lines elsewhere (auto), plain lines, "
        "or a line of JSON for every event (default: auto)",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    config = load_arguments(arguments).config
    resume = arguments.resume_from_checkpoint
    if arguments.progress == "json":
        return run_for_programs(config, resume=resume)
    from semilla.pipeline.main_job import run_pipeline  # noqa: PLC0415 - not needed to refuse a wrong flag
    from semilla.terminal.summary import print_summary  # noqa: PLC0415

    with show_progress(title=config.output_directory, form=arguments.progress) as progress:
        status = run_pipeline(
            config, resume=resume, ask=ask if is_interactive() else None, listeners=[progress]
        )
    print_summary(status, directory=Path(config.output_directory))
    return 0


def run_for_programs(config: PipelineConfiguration, *, resume: bool | None) -> int:
    """Run without a question and without a word that is not JSON; errors stand on standard error as well."""
    from semilla.pipeline.main_job import run_pipeline  # noqa: PLC0415 - as above
    from semilla.terminal import events  # noqa: PLC0415

    try:
        status = run_pipeline(config, resume=resume, listeners=[events.JsonProgress()])
    except SemillaError as error:
        events.stop(error)
        raise
    events.finish(status)
    return 0
