"""Write docs/cli.md from every command's --help; with --check, only tell whether it is current."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "100"

from semilla.cli import COMMANDS, build_parser, build_program_parser
from semilla.configuration.flags import show_everything
from semilla.errors import EXIT_CODES

TARGET = Path(__file__).parents[1] / "docs" / "cli.md"
INTRODUCTION = """# Command line

<!-- Written by scripts/docs from --help; changes belong there. -->

`semilla run --help` shows the frequent settings, and `--help-all` every one, as below. A command that takes DIR or
MODEL works on `./data` without it; `run`, `check` and `sweep` take it as `--output-dir`, and `generate` as `--model`.
"""


def describe_cli() -> str:
    parsers = [build_program_parser(), *map(build_parser, COMMANDS)]
    for parser in parsers:
        parser.epilog = None  # the exit codes are the same everywhere, and have a section of their own
        show_everything(parser)
    parts = [f"## {parser.prog}\n\n```text\n{parser.format_help().strip()}\n```\n" for parser in parsers]
    return "\n".join([INTRODUCTION, *parts, describe_exit_codes()])


def describe_exit_codes() -> str:
    rows = "".join(f"| {code} | {text} |\n" for code, text in EXIT_CODES.items())
    return f"""## Exit codes

Every command ends with one of these. An error also has a category; `semilla guide CATEGORY` explains it.

| code | meaning |
|---|---|
{rows}"""


def main() -> int:
    text = describe_cli()
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    is_current = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
    if not is_current:
        print(f"{TARGET} is not current; run scripts/docs")
    return 0 if is_current else 1


if __name__ == "__main__":
    sys.exit(main())
