"""One module per command, each with ``HELP``, ``add_arguments(parser)`` and ``run(arguments) -> exit code``."""

from __future__ import annotations

import argparse
from pathlib import Path

from semilla.system.paths import read_path

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("semilla.commands.run", "train a model: all five phases, from text to a validated model"),
    "check": ("semilla.commands.check", "check this machine and the settings before a run"),
    "plan": ("semilla.commands.plan", "show what run --minutes would choose for your text"),
    "status": ("semilla.commands.status", "show the state of a run"),
    "list": ("semilla.commands.list", "list the runs and models below a directory"),
    "info": ("semilla.commands.info", "show what a finished model is: its card"),
    "generate": ("semilla.commands.generate", "generate text with a finished model"),
    "evaluate": ("semilla.commands.evaluate", "measure how well a finished model predicts your text"),
    "tokenize": ("semilla.commands.tokenize", "show the tokens of a text"),
    "validate": ("semilla.commands.validate", "validate a trained model again"),
    "report": ("semilla.commands.report", "write an HTML report about a run, or compare several runs"),
    "sweep": ("semilla.commands.sweep", "run every combination of several values, and compare them"),
    "export": ("semilla.commands.export", "export a trained model for other programs"),
    "serve": ("semilla.commands.serve", "serve models and runs to programs and browsers"),
    "guide": ("semilla.commands.guide", "read the training guide, or look up a symptom or an error"),
    "config": ("semilla.commands.config", "show the settings or their schema, or update an old file"),
    "completion": ("semilla.commands.completion", "print a completion script for your shell"),
    "clean": ("semilla.commands.clean", "remove exactly the files that runs created"),
}
"""Command -> its module and its line in ``semilla --help``."""

DEFAULT_DIRECTORY = Path("data")


def add_directory(
    parser: argparse.ArgumentParser, name: str = "directory", *, metavar: str = "DIR", meaning: str
) -> None:
    """Add the directory a command works on: an optional first word, ./data if it is left out."""
    parser.add_argument(
        name,
        type=read_path,
        nargs="?",
        default=DEFAULT_DIRECTORY,
        metavar=metavar,
        help=f"{meaning} (default: ./{DEFAULT_DIRECTORY})",
    )
