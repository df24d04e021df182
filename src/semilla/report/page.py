"""One run as a page: what it came to first, then how it got there, then what it was made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from semilla import __version__
from semilla.errors import PHASES
from semilla.escape import escape_controls
from semilla.phrases import format_duration
from semilla.records.files import Artifact
from semilla.records.status import Finding
from semilla.report.charts import Chart, Series, draw_chart, format_number
from semilla.report.runs import RecordedRun, list_longest_pieces
from semilla.settings import list_settings, to_command

SHOWN_EPOCHS = 6
"""Epochs whose samples are shown: the first, the last, and some between, closer together at the beginning."""


@dataclass(frozen=True)
class Verdict:
    """What it came to, in a headline; ``tone`` is good, warn, bad or open. ``command`` may be empty."""

    tone: str
    headline: str
    lines: Sequence[str]
    command: str


@dataclass(frozen=True)
class Figure:
    """A number worth a large letter: ``value`` as recorded, ``text`` as shown, ``source`` its place in the JSON."""

    name: str
    value: float
    text: str
    note: str
    source: str


def render_run(run: RecordedRun) -> str:
    """The whole page of one run, complete in itself."""
    return render(
        "run.html.jinja",
        title=run.name,
        run=run,
        verdict=judge_run(run),
        figures=list_figures(run),
        charts=list_charts(run),
        phases=list_phases(run),
        samples=list_samples(run),
        pieces=list_longest_pieces(run),
        settings=list_chosen_settings(run),
        artifacts=list_artifacts(run),
    )


def render(template: str, **context: Any) -> str:
    """Fill a template. Every value is escaped; nothing but the page's own style sheet is allowed to act."""
    style = (files(__package__) / "templates" / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _environment().get_template(template)
    return page.render(style=Markup(style), style_hash=digest, version=__version__, **context)  # noqa: S704 - ours


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semilla.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escape_controls(value) if type(value) is str else value,
    )
    environment.filters["number"] = format_number
    environment.filters["duration"] = format_duration
    environment.filters["size"] = lambda size_bytes: f"{size_bytes / 2**20:.2f} MB"
    return environment


# ---- what it came to


def judge_run(run: RecordedRun) -> Verdict:
    """Say in one line whether there is a model to use, and what to do next."""
    status, place = run.status, str(run.directory)
    again = to_command(run.config, resume_from_checkpoint=True)
    if status.error_details:
        error = status.error_details
        is_trained = error.failed_phase == PHASES[-1]
        headline = "Trained, but not fit to ship" if is_trained else f"Stopped in {error.failed_phase}"
        return Verdict("bad", headline, [error.error_message], f"semilla guide {error.error_type}")
    if status.run_state == "complete":
        missed = [finding for finding in _list_findings(run) if not finding.passed]
        passed = len(_list_findings(run)) - len(missed)
        if not missed:
            line = f"All {passed} gates and targets are met."
            return Verdict("good", "Ready to ship", [line], f"semilla generate --model {place}")
        line = f"Every gate is passed; {len(missed)} of {passed + len(missed)} figures miss their target."
        return Verdict(
            "warn",
            "Ready to ship, with remarks",
            [line, *map(str, missed)],
            f"semilla guide {missed[0].topic}",
        )
    if status.run_state == "interrupted":
        return Verdict(
            "open", f"Interrupted in {status.current_phase}", ["What was reached is saved."], again
        )
    return Verdict("open", f"Running: {status.current_phase}", [], f"semilla status --watch {place}")


def list_figures(run: RecordedRun) -> list[Figure]:
    """The figures a reader wants before any other, as far as they are known."""
    figures = []
    best = run.best_epoch
    if best:
        loss, source = best.validation_loss, f"epoch_history[{best.epoch_number - 1}]"
        note = f"nats per token, best of {len(run.epochs)} epochs (number {best.epoch_number})"
        figures.append(Figure("validation loss", loss, f"{loss:.3f}", note, f"{source}.validation_loss"))
        bits = best.bits_per_byte.get("all")
        if bits is not None:
            note = "8 would be knowing nothing; smaller is better, whatever the vocabulary"
            figures.append(Figure("bits per byte", bits, f"{bits:.3f}", note, f"{source}.bits_per_byte.all"))
    details = run.get_details("model_training")
    if "num_parameters" in details:
        count = details["num_parameters"]
        note = f"learned from {details['training_tokens']:,} tokens of text"
        figures.append(Figure("parameters", count, f"{count:,}", note, "model_training.num_parameters"))
    if run.results:
        device = run.results.inference_metrics
        figures.append(
            Figure(
                "memory",
                device.peak_mb,
                f"{device.peak_mb} MB",
                "at its peak, writing text",
                "inference_metrics.peak_mb",
            )
        )
        speed = device.tokens_per_sec
        note = f"on one core; 95 of 100 tokens take under {device.latency_p95_us / 1000:.2f} ms"
        figures.append(
            Figure("tokens per second", speed, f"{speed:,.0f}", note, "inference_metrics.tokens_per_sec")
        )
    total_s = sum(run.status.phase_timings.values())
    figures.append(
        Figure("time", total_s, format_duration(total_s), "over all phases and attempts", "phase_timings")
    )
    return figures


def _list_findings(run: RecordedRun) -> list[Finding]:
    return run.results.findings if run.results else []


# ---- how it got there


def list_charts(run: RecordedRun) -> list[Chart]:
    """Loss, bits per byte, learning rate, gradient norm and throughput over the epochs."""
    epochs = run.epochs

    def trace(name: str, style: int, values: Iterable[float]) -> Series:
        return Series(
            name, [(epoch.epoch_number, value) for epoch, value in zip(epochs, values, strict=True)], style
        )

    languages = [key for key in (epochs[0].bits_per_byte if epochs else {}) if key != "all"]
    keys = ["all", *languages] if len(languages) > 1 else ["all"]
    charts = [
        draw_chart(
            "loss",
            "Loss",
            [
                trace("training", 0, (epoch.train_loss for epoch in epochs)),
                trace("validation", 1, (epoch.validation_loss for epoch in epochs)),
            ],
            unit="nats per token",
        ),
        draw_chart(
            "bits_per_byte",
            "Bits per byte",
            [
                trace(key, place, (epoch.bits_per_byte.get(key, float("nan")) for epoch in epochs))
                for place, key in enumerate(keys)
            ],
            unit="validation text",
        ),
        draw_chart(
            "learning_rate", "Learning rate", [trace("base rate", 0, (e.learning_rate for e in epochs))]
        ),
        draw_chart(
            "gradient_norm", "Gradient norm", [trace("before clipping", 0, (e.gradient_norm for e in epochs))]
        ),
        draw_chart(
            "tokens_per_second",
            "Throughput",
            [trace("training", 0, (e.tokens_per_second for e in epochs))],
            unit="tokens/s",
        ),
    ]
    return [chart for chart in charts if chart]


def list_phases(run: RecordedRun) -> list[Mapping[str, Any]]:
    """Each phase with how it ended, its seconds, and its share of the whole in percent."""
    timings, status = run.status.phase_timings, run.status
    total_s = sum(timings.values()) or 1.0
    rows: list[Mapping[str, Any]] = []
    for phase in PHASES:
        entry = status.phase_records.get(phase) if phase in status.completed_phases else None
        failed = status.error_details is not None and status.error_details.failed_phase == phase
        unfinished = (
            "failed" if failed else status.run_state if phase == status.current_phase else "not reached"
        )
        elapsed_s = timings.get(phase, 0.0)
        rows.append(
            {
                "name": phase,
                "outcome": entry.outcome if entry else unfinished,
                "elapsed_s": elapsed_s,
                "percent": round(100 * elapsed_s / total_s, 1),
            }
        )
    return rows


def list_samples(run: RecordedRun) -> list[tuple[str, list[tuple[int, str]]]]:
    """For each language the samples of a few epochs, to watch the language emerge."""
    shown = pick_epochs(len(run.epochs))
    return [
        (
            language,
            [
                (run.epochs[index].epoch_number, run.epochs[index].sample_outputs[place])
                for index in shown
                if place < len(run.epochs[index].sample_outputs)
            ],
        )
        for place, language in enumerate(run.languages)
    ]


def pick_epochs(count: int) -> list[int]:
    """Indices of at most SHOWN_EPOCHS epochs, the first and the last among them, denser where more changes."""
    if count <= SHOWN_EPOCHS:
        return list(range(count))
    ratio = (count - 1) ** (1 / (SHOWN_EPOCHS - 1))
    return sorted({0, *(round(ratio**place) for place in range(1, SHOWN_EPOCHS)), count - 1})


# ---- what it was made of


def list_chosen_settings(run: RecordedRun) -> list[tuple[str, Any, bool]]:
    """Every setting, its value, and whether it differs from the default; those that do come first."""
    settings = list_settings()
    values = run.config.flatten()
    rows = [(name, values[name], values[name] != settings[name].default) for name in settings]
    return sorted(rows, key=lambda row: not row[2])


def list_artifacts(run: RecordedRun) -> list[Artifact]:
    """Every artifact whose hash a phase recorded."""
    return [artifact for entry in run.status.phase_records.values() for artifact in entry.list_artifacts()]
