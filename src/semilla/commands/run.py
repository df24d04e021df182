"""``semilla run``: all five phases."""

from __future__ import annotations

import argparse
from pathlib import Path

from semilla.flags import add_settings, load_arguments
from semilla.terminal.console import ask, is_interactive
from semilla.terminal.progress import show_progress

HELP = """Train a model: check the machine, get the text, train a tokenizer and a model, validate both.
Phases whose inputs are unchanged are reused. Every setting can also be given as an environment variable
(SEMILLA_NUM_LAYERS) or in the file named by --config; flags win over variables, variables over the file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    from semilla.pipeline import run_pipeline  # noqa: PLC0415 - not needed to refuse a wrong flag
    from semilla.terminal.summary import print_summary  # noqa: PLC0415

    config = load_arguments(arguments).config
    with show_progress(title=config.output_directory) as progress:
        status = run_pipeline(
            config,
            resume=arguments.resume_from_checkpoint,
            ask=ask if is_interactive() else None,
            listeners=[progress],
        )
    print_summary(status, directory=Path(config.output_directory))
    return 0
