"""What a person wants to know after a run: where the model is, how good it is, what to do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from semilla.records.status import PipelineStatus, ValidationResults
from semilla.terminal.console import fold_lines, print_text, quote
from semilla.terminal.tables import print_table

MAX_SAMPLES = 4
SAMPLE_CHARACTERS = 240


def print_summary(status: PipelineStatus, *, directory: Path) -> None:
    """Print the end of a finished run, with the exact commands that come next."""
    results = status.validation_results
    print_text(f"\nYour model is ready in {directory}\n")
    if results:
        print_table(list(list_figures(results)), indent_columns=2)
        print_text("")
        print_findings(results)
        for sample in results.sample_generations[:MAX_SAMPLES]:
            print_text(f"  “{shorten(sample)}”")
        print_text("")
    for command in list_commands(directory):
        print_text(f"  next: {command}")


def print_findings(results: ValidationResults) -> None:
    """Print each gate and target with its figure and its threshold."""
    rows = [
        (
            "ok" if finding.passed else "missed",
            finding.kind,
            finding.name,
            "not measured" if finding.value is None else f"{finding.value:.4g}",
            f"needs {finding.comparison} {finding.threshold:g} {finding.unit}".rstrip(),
        )
        for finding in results.findings
    ]
    if rows:
        print_table(rows, indent_columns=2)
        print_text("")


def list_figures(results: ValidationResults) -> Iterator[tuple[str, str]]:
    """Yield the figures worth reading, each with its name."""
    device = results.inference_metrics
    yield "validation loss", f"{results.best_val_loss:.3f} best, {results.final_val_loss:.3f} last"
    yield "training loss", f"{results.final_train_loss:.3f} last"
    if results.bits_per_byte:
        yield "bits per byte", ", ".join(f"{value:.3f} {key}" for key, value in results.bits_per_byte.items())
    yield "next token", f"{device.latency_p95_ms} ms (95th percentile), {device.tokens_per_sec:,.0f} tokens/s"
    yield "memory", f"{device.rss_mb} MB resident, {device.peak_mb} MB peak"


def list_commands(directory: Path) -> Iterator[str]:
    """Yield the commands to try next, ready to paste."""
    place = quote(directory)
    yield f"semilla generate 'Once upon a time' --model {place}"
    yield f"semilla generate 'Había una vez' --model {place}"
    yield f"semilla status {place}"


def shorten(text: str) -> str:
    """Fold a sample to one line that fits a paragraph."""
    folded = fold_lines(text)
    return folded if len(folded) <= SAMPLE_CHARACTERS else folded[: SAMPLE_CHARACTERS - 1].rstrip() + "…"
