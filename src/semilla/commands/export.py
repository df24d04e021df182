"""``semilla export``: export a trained model for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.commands import add_directory
from semilla.errors import DependencyError, InvalidConfigError
from semilla.export import DEFAULT_QUANTIZATION, QUANTIZATIONS, TARGETS
from semilla.installation import EXTRAS, suggest_installation
from semilla.prerequisites.packages import require_packages
from semilla.system.paths import read_path
from semilla.terminal.console import print_json, print_text
from semilla.terminal.tables import print_table

if TYPE_CHECKING:
    from semilla.export.targets import ExportReport

HELP = """Export the trained model of a run. The export is compared with the model and kept only if they agree.
huggingface: transformers; hub: the same, pushed to the Hugging Face Hub; gguf: llama.cpp and programs based on it;
ollama: GGUF and a Modelfile; onnx: the float32 graph for ONNX Runtime; web: one HTML file for a browser."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, meaning="output directory of a run")
    parser.add_argument("-t", "--to", choices=TARGETS, required=True, help="format to export to")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="number format of gguf and ollama; q8_0 needs dimensions divisible by 32 "
        f"(default: {DEFAULT_QUANTIZATION})",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=read_path,
        metavar="DIR",
        help="folder to write; an earlier export there is replaced, anything else is not "
        "(default: exports/ and the format's name, in the run's directory)",
    )
    parser.add_argument(
        "--repo",
        metavar="OWNER/NAME",
        help="repository on the Hub, created if it does not exist; the token comes from the variable HF_TOKEN",
    )
    parser.add_argument("--private", action="store_true", help="create the repository as a private one")
    parser.add_argument(
        "--dry-run", action="store_true", help="list what would be sent to the Hub, and send nothing"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> int:
    is_hub = arguments.to == "hub"
    check_hub_options(arguments)
    require_packages(
        *EXTRAS["train"], *EXTRAS["export"], *(EXTRAS["hub"] if is_hub else ()), task="an export"
    )
    try:
        from semilla.export.targets import export_model  # noqa: PLC0415 - imports torch

        token = prepare_push(arguments) if is_hub else ""
        report = export_model(
            arguments.directory,
            target=arguments.to,
            quantization=arguments.quantization,
            output=arguments.output,
            repository=arguments.repo or "",
        )
    except ImportError as error:
        cause = f"a package is missing or broken: {error}"
        raise DependencyError(cause, next_command=suggest_installation("export")) from error
    pushed = push_export(report, arguments, token=token) if is_hub else {}
    if arguments.json:
        print_json({"folder": str(report.folder), **report.description, **pushed})
        return 0
    print_report(report.folder, report.description)
    if is_hub:
        print_push(pushed, report)
    return 0


def check_hub_options(arguments: argparse.Namespace) -> None:
    """Raise InvalidConfigError for --to hub without --repo, and for its options with another target."""
    if arguments.to == "hub" and not arguments.repo:
        raise InvalidConfigError("--to hub needs the repository to push to: --repo OWNER/NAME")
    given = {"--repo": arguments.repo, "--private": arguments.private, "--dry-run": arguments.dry_run}
    misplaced = [name for name, value in given.items() if value]
    if arguments.to != "hub" and misplaced:
        raise InvalidConfigError(f"{', '.join(misplaced)}: only for --to hub")


def prepare_push(arguments: argparse.Namespace) -> str:
    """Check the repository's name; return the token, or nothing for a dry run."""
    from semilla.export import hub  # noqa: PLC0415 - has its own package

    hub.check_repository(arguments.repo)
    return "" if arguments.dry_run else hub.read_token()


def push_export(report: ExportReport, arguments: argparse.Namespace, *, token: str) -> dict[str, Any]:
    """Push the folder unless it is a dry run. Return what was done, or would be, for the report."""
    sent = {"repository": arguments.repo, "private": arguments.private, "commit": None}
    if arguments.dry_run:
        return sent
    from semilla.export import hub  # noqa: PLC0415

    message = f"Semilla {report.description['semilla_version']}, model {report.description['model_version']}"
    address = hub.push(
        report.folder, repository=arguments.repo, is_private=arguments.private, token=token, message=message
    )
    return {**sent, "commit": address}


def print_push(pushed: dict[str, Any], report: ExportReport) -> None:
    kind = "private " if pushed["private"] else ""
    if pushed["commit"]:
        print_text(f"\nPushed to the {kind}repository {pushed['repository']}: {pushed['commit']}")
        return
    files = sorted(path for path in report.folder.rglob("*") if path.is_file())
    print_text(
        f"\nDry run: nothing was sent. Without --dry-run, the {kind}repository {pushed['repository']} would get:\n"
    )
    rows = [(str(path.relative_to(report.folder)), f"{path.stat().st_size:,} bytes") for path in files]
    print_table(rows, indent_columns=2)


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
