"""The most important figures of a run, and every gate and target with its threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from semilla.formatting import format_duration
from semilla.records.results import Finding, InferenceMetrics, ValidationResults
from semilla.report.runs import RecordedRun

BAR_HEADROOM = 1.15
"""The scale of a bar reaches this factor beyond the larger of value and threshold."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Quality of the model": (
        *("validation_loss", "gain_over_frequencies", "gain_over_uniform", "gain_since_first_epoch"),
        *("overfitting_gap", "minimal_pairs"),
    ),
    "Generated text": ("coherence", "invented_words", "ended", "language", "repetition", "copying_median"),
    "On a small machine": ("rss_mb", "peak_mb", "enforced_limit_mb", "latency_p95_ms", "int8_cost"),
}
"""Heading -> its findings. All others come last, under OTHERS."""
OTHERS = "Files"

NAMES = {
    "validation_loss": "validation loss",
    "gain_over_frequencies": "gain over token frequencies",
    "gain_over_uniform": "gain over even guessing",
    "gain_since_first_epoch": "gain since the first epoch",
    "overfitting_gap": "validation loss minus training loss",
    "invented_words": "invented words",
    "ended": "texts that end by themselves",
    "repetition": "repeated runs of six tokens",
    "copying_median": "longest copied run, median",
    "rss_mb": "memory, resident",
    "peak_mb": "memory, peak",
    "enforced_limit_mb": "memory limit it ran in",
    "latency_p95_ms": "next token, 95th percentile",
    "int8_cost": "loss added by int8 weights",
    "damaged_artifacts": "damaged files",
}
SHARES = {"coherence", "invented_words", "ended", "language", "minimal_pairs", "repetition"}
"""Findings that are shown in percent."""
SIGNS = {"<=": "≤", ">=": "≥"}


@dataclass(frozen=True)
class Figure:
    """A number in large type: ``value`` as recorded, ``text`` as shown, ``source`` its place in the JSON."""

    name: str
    value: float
    text: str
    note: str
    source: str


@dataclass(frozen=True)
class Measure:
    """A finding as a row: its value as text, and a bar of ``percent`` with a mark at ``threshold_percent``."""

    finding: Finding
    name: str
    text: str
    needs: str
    percent: float
    threshold_percent: float
    extreme: tuple[str, float, str] | None = None
    """For a figure over several samples: text, value and place in the JSON of the most extreme sample."""


def list_figures(run: RecordedRun) -> list[Figure]:
    """List the most important figures, as far as they are known."""
    device = _list_device(run.results.inference_metrics) if run.results else ()
    total_s = sum(run.status.phase_timings.values())
    time = Figure("time", total_s, format_duration(total_s), "all phases and attempts", "phase_timings")
    return [*_list_learned(run), *device, time]


def _list_learned(run: RecordedRun) -> Iterator[Figure]:
    best, details = run.best_epoch, run.get_details("model_training")
    if best:
        loss, source = best.validation_loss, f"epoch_history[{best.epoch_number - 1}]"
        note = f"nats per token, epoch {best.epoch_number} of {len(run.epochs)}"
        yield Figure("validation loss", loss, f"{loss:.3f}", note, f"{source}.validation_loss")
        bits = best.bits_per_byte.get("all")
        if bits is not None:
            note = "of held-out text; 8 is no knowledge"
            yield Figure("bits per byte", bits, f"{bits:.3f}", note, f"{source}.bits_per_byte.all")
    yield from _list_continued(details.get("start", {}))
    if "num_parameters" in details:
        count, note = details["num_parameters"], f"trained on {details['training_tokens']:,} tokens"
        yield Figure("parameters", count, f"{count:,}", note, "model_training.num_parameters")


def _list_continued(start: dict[str, Any]) -> Iterator[Figure]:
    """What a training that went on from another model gained on its text, and what the earlier text lost."""
    headings = {"this_text": "this text", "own_text": "the earlier text"}
    for name, bits in start.get("bits_per_byte", {}).items():
        note = f"bits per byte; {bits['before']:.3f} before this training"
        source = f"model_training.start.bits_per_byte.{name}.after"
        yield Figure(headings[name], bits["after"], f"{bits['after']:.3f}", note, source)


def _list_device(device: InferenceMetrics) -> Iterator[Figure]:
    peak_mb, speed = device.peak_mb, device.tokens_per_sec
    source = "inference_metrics."
    yield Figure("memory", peak_mb, f"{peak_mb} MB", "peak, while it writes", f"{source}peak_mb")
    note = f"one core; 95 % within {device.exact_latency_p95_ms:.2f} ms"
    yield Figure("tokens per second", speed, f"{speed:,.0f}", note, f"{source}tokens_per_sec")


def group_measures(results: ValidationResults) -> list[tuple[str, list[Measure]]]:
    """Group every finding under its heading. Headings without findings are left out."""
    grouped: dict[str, list[Measure]] = {heading: [] for heading in (*GROUPS, OTHERS)}
    for finding in results.findings:
        measure = make_measure(finding)
        if finding.name == "copying_median" and results.copying_longest is not None:
            longest = results.copying_longest
            measure = replace(measure, extreme=(f"{longest} maximum", longest, "copying_longest"))
        grouped[_find_heading(finding.name)].append(measure)
    return [(heading, rows) for heading, rows in grouped.items() if rows]


def _find_heading(name: str) -> str:
    head, _, _ = name.partition(".")
    return next((heading for heading, names in GROUPS.items() if head in names), OTHERS)


def make_measure(finding: Finding) -> Measure:
    value = 0.0 if finding.value is None else max(finding.value, 0.0)
    scale = max(value, finding.threshold, 1e-9) * BAR_HEADROOM
    is_share = finding.name.partition(".")[0] in SHARES
    sign = SIGNS.get(finding.comparison, finding.comparison)
    return Measure(
        finding,
        name_finding(finding.name),
        "not measured"
        if finding.value is None
        else _format_value(finding.value, finding.unit, is_share=is_share),
        f"{sign} {_format_value(finding.threshold, finding.unit, is_share=is_share)}",
        round(100 * value / scale, 1),
        round(100 * finding.threshold / scale, 1),
    )


def describe_miss(finding: Finding) -> str:
    """One line: the value, and the value that was needed."""
    measure = make_measure(finding)
    return f"{measure.name}: {measure.text}, needs {measure.needs}"


def name_finding(name: str) -> str:
    """The readable name of a finding: ``language.en`` -> texts in the right language, en."""
    head, _, rest = name.partition(".")
    if head == "language":
        return f"texts in the right language, {rest}"
    if head == "coherence":
        return f"stories that hold together, {rest}"
    if head == "minimal_pairs":
        return f"minimal pairs correct, {rest.split('.')[0]}"
    return NAMES.get(name, name.replace("_", " "))


def _format_value(value: float, unit: str, *, is_share: bool) -> str:
    if is_share:
        return f"{100 * value:.{0 if value == 1 else 1 if value >= 0.01 else 2}f} %"
    if unit == "ms" and value != int(value):
        return f"{value:.2f} ms"
    shown = (f"{value:.0f}" if value == int(value) else f"{value:.3f}").replace("-", "\N{MINUS SIGN}")
    return f"{shown} {'nats' if unit == 'nats per token' else unit}".rstrip()
