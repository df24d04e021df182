"""``semilla check``: phase 1 alone, every verdict shown."""

from __future__ import annotations

import argparse
import json

from semilla.configuration.flags import add_settings, load_arguments
from semilla.pipeline.phases.prerequisite_check import check_all, raise_failed
from semilla.terminal.console import print_text
from semilla.terminal.tables import print_table

HELP = """Look at this machine and the settings before a run: packages, directory, disk, memory, source.
Nothing is downloaded and nothing is left behind. Ends with 1 when a required check fails."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")


def run(arguments: argparse.Namespace) -> int:
    config = load_arguments(arguments).config
    checks = check_all(config)
    if arguments.json:
        print_text(json.dumps([check.as_json() for check in checks], ensure_ascii=False, indent=2))
    else:
        rows = [(check.verdict, check.name, check.found, check.needed) for check in checks]
        print_table(rows, headings=("", "check", "found", "needed"))
        for check in checks:
            if check.advice:
                print_text(f"advice: {check.advice}")
    raise_failed(checks)
    return 0
