"""``semilla check``: run phase 1 and show the result of every check."""

from __future__ import annotations

import argparse

from semilla.configuration.flags import add_settings, load_arguments
from semilla.pipeline.phases.prerequisite_check import check_all, raise_failed
from semilla.terminal.console import print_json, print_text
from semilla.terminal.tables import print_table

HELP = """Check this machine and the settings before a run: packages, directory, disk, memory, text source.
Nothing is downloaded and nothing is left behind. The exit code is 1 if a required check fails."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(arguments: argparse.Namespace) -> int:
    config = load_arguments(arguments).config
    checks = check_all(config)
    if arguments.json:
        print_json([check.as_json() for check in checks])
    else:
        rows = [(check.verdict, check.name, check.found, check.needed) for check in checks]
        print_table(rows, headings=("", "check", "found", "needed"))
        for check in checks:
            for line in (check.advice or "").splitlines():
                print_text(f"advice: {line}")
    raise_failed(checks)
    return 0
