"""``semilla export``: export a trained model for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from semilla.errors import DependencyError
from semilla.export import DEFAULT_QUANTIZATION, QUANTIZATIONS, TARGETS
from semilla.installation import EXTRAS, suggest_installation
from semilla.prerequisites.packages import require_packages
from semilla.system.paths import read_path
from semilla.terminal.console import print_json, print_text
from semilla.terminal.tables import print_table

HELP = """Export the trained model of a run. The export is compared with the model and kept only if they agree.
huggingface: transformers; gguf: llama.cpp and programs based on it; onnx: the float32 graph for ONNX Runtime;
web: one HTML file that runs the model in a browser."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=read_path, metavar="DIR", help="output directory of a run")
    parser.add_argument("--to", choices=TARGETS, required=True, help="format to export to")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="number format of a gguf file; q8_0 needs dimensions divisible by 32 "
        f"(default: {DEFAULT_QUANTIZATION})",
    )
    parser.add_argument(
        "--output",
        type=read_path,
        metavar="DIR",
        help="folder to write; an earlier export there is replaced, anything else is not "
        "(default: exports/ and the format's name, in the run's directory)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> int:
    require_packages(*EXTRAS["train"], *EXTRAS["export"], task="an export")
    try:
        from semilla.export.targets import export_model  # noqa: PLC0415 - imports torch

        report = export_model(
            arguments.directory,
            target=arguments.to,
            quantization=arguments.quantization,
            output=arguments.output,
        )
    except ImportError as error:
        cause = f"a package is missing or broken: {error}"
        raise DependencyError(cause, next_command=suggest_installation("export")) from error
    if arguments.json:
        print_json({"folder": str(report.folder), **report.description})
    else:
        print_report(report.folder, report.description)
    return 0


def print_report(folder: Path, description: dict[str, Any]) -> None:
    """Print the files, and how the export compares with the trained model."""
    print_text(f"Exported to {folder}\n")
    files = description["files"]
    rows = [(file["path"], f"{file['size_bytes']:,} bytes", file["sha256"][:16]) for file in files]
    print_table(rows, indent_columns=2)
    print_text("")
    print_table([describe_comparison(one) for one in description["comparisons"]], indent_columns=2)
    for note in description["notes"]:
        print_text(f"\nnote: {note}")


def describe_comparison(comparison: dict[str, Any]) -> tuple[str, ...]:
    limit = comparison["limit"]
    return (
        "ok" if limit is not None else "",
        f"{comparison['what']} ({comparison['compared']:,})",
        comparison["program"],
        f"difference {comparison['difference']:.2g}" if comparison["difference"] else "identical",
        f"allowed {limit:.2g}" if limit else "",
    )
