"""The end of a run: where the model is, how good it is, and what to do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semilla.configuration.settings import to_command
from semilla.formatting import format_duration, quote
from semilla.installation import write_command
from semilla.records import names
from semilla.records.metrics import read_metrics
from semilla.records.results import ValidationResults
from semilla.records.run_configuration import read_run_configuration
from semilla.records.sample import Sample
from semilla.records.status import PipelineStatus
from semilla.report.verdict import OPENINGS, describe_text, suggest_opening
from semilla.system.ranks import write_launch
from semilla.terminal.console import fold_lines, print_text
from semilla.terminal.tables import print_table
from semilla.training.early_stopping import describe_cool_down

MAX_SAMPLES = 4
SAMPLE_CHARACTERS = 240


def print_summary(status: PipelineStatus, *, directory: Path) -> None:
    """Print the summary of a finished run, with the commands to try next."""
    results = status.validation_results
    print_text(f"\nYour model is in {directory}, and the report is in {directory / names.REPORT}")
    if (directory / names.PAGE).is_file():
        print_text(f"To try the model and look inside it, open {directory / names.PAGE} in a browser.")
    print_text("")
    if results:
        print_text(f"It fits its machine; {describe_text(results.findings)}.\n")
        figures = list(list_figures(results, best_epoch=_find_best_epoch(directory)))
        stopped = describe_stopping(directory)
        print_table([*figures, *stopped, *describe_start(status), *describe_plan(status)], indent_columns=2)
        print_text("")
        print_findings(results)
        rows = [(code, f"“{shorten(sample.marked)}”") for code, sample in pair_samples(results)]
        print_table(rows, indent_columns=2)
        print_text("")
    for command in list_commands(results, directory=directory):
        print_text(f"  next: {write_command(command)}")


def print_unfinished(directory: Path) -> None:
    """Say that the run in ``directory`` has not ended, with the command that continues it."""
    config = read_run_configuration(directory)
    print_text(f"\nThe run in {directory} is not finished.\n")
    command = write_launch(to_command(config, resume_from_checkpoint=True))
    print_text(f"  next: {write_command(command)}")


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


def list_figures(results: ValidationResults, *, best_epoch: int | None) -> Iterator[tuple[str, str]]:
    """Yield the most important figures with their names."""
    device = results.inference_metrics
    best = f"best (epoch {best_epoch})" if best_epoch else "best"
    yield "validation loss", f"{results.best_val_loss:.3f} {best}, {results.final_val_loss:.3f} last"
    yield "training loss", f"{results.final_train_loss:.3f} last"
    if results.bits_per_byte:
        yield "bits per byte", ", ".join(f"{value:.3f} {key}" for key, value in results.bits_per_byte.items())
    for language, pairs in results.minimal_pairs.items():
        weakest = min(pairs.phenomena, key=lambda name: pairs.phenomena[name].accuracy)
        yield (
            f"minimal pairs {language}",
            f"{pairs.accuracy:.1%} right ({pairs.low:.1%} to {pairs.high:.1%}), weakest "
            f"{weakest} {pairs.phenomena[weakest].accuracy:.0%}",
        )
    latency = f"{device.exact_latency_p95_ms:.2f} ms (95th percentile)"
    yield "next token", f"{latency}, {device.tokens_per_sec:,.0f} tokens/s"
    yield "memory", f"{device.rss_mb} MB resident, {device.peak_mb} MB peak"


def describe_stopping(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield why the training ended before all its epochs, if it did."""
    if not (directory / names.METRICS).is_file():
        return
    losses = [epoch.validation_loss for epoch in read_metrics(directory / names.METRICS).epoch_history]
    if told := describe_cool_down(losses, read_run_configuration(directory).training_hyperparameters):
        yield "early stopping", told


def describe_start(status: PipelineStatus) -> Iterator[tuple[str, str]]:
    """Yield what became of the texts of a training that went on from another model."""
    training = status.phase_records.get("model_training")
    start: dict[str, Any] = training.details.get("start", {}) if training else {}
    for name, bits in start.get("bits_per_byte", {}).items():
        heading = {"this_text": "this text", "own_text": "earlier text"}[name]
        yield (
            heading,
            f"{bits['after']:.3f} bits per byte, {bits['before']:.3f} with the model of {start['directory']}",
        )


def describe_plan(status: PipelineStatus) -> Iterator[tuple[str, str]]:
    """Yield what ``--minutes`` expected, to compare with what came out."""
    if plan := status.plan:
        took = format_duration(sum(status.phase_timings.values()))
        yield (
            "expected",
            f"{plan.bits_per_byte:.3f} bits per byte ({plan.bits_low:.2f} to {plan.bits_high:.2f}) in "
            f"{format_duration(plan.seconds)}; it took {took}",
        )


def pair_samples(results: ValidationResults) -> list[tuple[str, Sample]]:
    """Pick one sample per language. Those of earlier records are in the order of the languages that were judged."""
    samples, languages = results.list_samples(), list_languages(results)
    if results.samples:
        firsts = {sample.language: sample for sample in reversed(samples)}
        return [(language, firsts[language]) for language in languages]
    if not languages or len(samples) % len(languages):
        return [("", sample) for sample in samples[:MAX_SAMPLES]]
    return list(zip(languages, samples[:: len(samples) // len(languages) or 1], strict=False))


def list_languages(results: ValidationResults | None) -> list[str]:
    if results and results.samples:
        return list(dict.fromkeys(sample.language for sample in results.samples))
    findings = results.findings if results else []
    return [
        finding.name.removeprefix("language.") for finding in findings if finding.name.startswith("language.")
    ]


def list_commands(results: ValidationResults | None, *, directory: Path) -> Iterator[str]:
    """Yield commands to try next, ready to paste."""
    place = quote(directory)
    for opening in list_openings(results) or OPENINGS.values():
        yield f"semilla generate {quote(opening)} --model {place}"


def list_openings(results: ValidationResults | None) -> list[str]:
    """List an opening for each language of the model, from its sample."""
    samples = dict(pair_samples(results)) if results else {}
    own = {
        language: suggest_opening(sample.model_copy(update={"language": language}))
        for language, sample in samples.items()
    }
    openings = {**OPENINGS, **{language: opening for language, opening in own.items() if opening}}
    return [openings[language] for language in list_languages(results) if openings.get(language)]


def _find_best_epoch(directory: Path) -> int | None:
    path = directory / names.METRICS
    final = read_metrics(path).final_metrics if path.is_file() else None
    return final.best_epoch if final else None


def shorten(text: str) -> str:
    """Put a sample on one line and limit its length."""
    folded = fold_lines(text)
    return folded if len(folded) <= SAMPLE_CHARACTERS else folded[: SAMPLE_CHARACTERS - 1].rstrip() + "…"
