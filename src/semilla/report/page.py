"""One run as a page: what it came to first, then how it got there, then what it was made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from semilla import __version__
from semilla.configuration.settings import list_settings
from semilla.errors import PHASES
from semilla.escape import escape_controls
from semilla.formatting import format_duration
from semilla.records.files import Artifact
from semilla.report.charts import format_number
from semilla.report.curves import list_charts, list_samples
from semilla.report.figures import group_measures, list_figures
from semilla.report.grammar import list_phenomena
from semilla.report.runs import RecordedRun, list_longest_pieces
from semilla.report.verdict import judge_run

GUIDE = {
    "gates": ("evaluation_and_checkpoints", "validation_failure"),
    "grammar": ("evaluation_and_checkpoints#does-it-know-grammar", "minimal_pairs"),
    "learning": ("training_loop", "evaluation_and_checkpoints#two-losses", "loss", "overfitting"),
    "emergence": ("samples", "repetition", "language", "copying"),
    "time": ("speed",),
    "tokenizer": ("tokenization", "vocabulary_size"),
    "device": ("device", "memory", "int8"),
    "settings": ("hyperparameters",),
    "origin": ("data_preparation",),
    "files": ("evaluation_and_checkpoints#what-a-checkpoint-holds", "integrity"),
}
"""Section of the page -> where ``semilla guide`` says more about it."""

LANGUAGES = {
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "pt": "Portuguese",
    "de": "German",
    "it": "Italian",
}
"""What readers call a language; any other stands under its code."""


def render_run(run: RecordedRun) -> str:
    """The whole page of one run, complete in itself."""
    results = run.results
    return render(
        "run.html.jinja",
        title=run.name,
        run=run,
        guide=GUIDE,
        verdict=judge_run(run),
        figures=list_figures(run),
        measures=group_measures(results) if results else [],
        grammar=[(key, one, list_phenomena(key, one)) for key, one in results.minimal_pairs.items()]
        if results
        else [],
        charts=list_charts(run),
        phases=list_phases(run),
        samples=list_samples(run),
        pieces=list_longest_pieces(run),
        chosen=list_settings_of(run, by_default=False),
        usual=list_settings_of(run, by_default=True),
        provenance=list_provenance(run),
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
    environment.filters["size"] = _word_size
    environment.filters["language"] = lambda code: LANGUAGES.get(code, code)
    return environment


def _word_size(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.2f} MB" if size_bytes >= 2**20 / 10 else f"{size_bytes / 2**10:.1f} kB"


def list_phases(run: RecordedRun) -> list[Mapping[str, Any]]:
    """Each phase with how it ended, its seconds (None if it never began), and its share of the whole in percent."""
    timings, status = run.status.phase_timings, run.status
    total_s = sum(timings.values()) or 1.0
    rows: list[Mapping[str, Any]] = []
    for phase in PHASES:
        entry = status.phase_records.get(phase) if phase in status.completed_phases else None
        failed = status.error_details is not None and status.error_details.failed_phase == phase
        unfinished = (
            "failed" if failed else status.run_state if phase == status.current_phase else "not reached"
        )
        elapsed_s = timings.get(phase)
        rows.append(
            {
                "name": phase,
                "outcome": entry.outcome if entry else unfinished,
                "elapsed_s": elapsed_s,
                "percent": round(100 * (elapsed_s or 0.0) / total_s, 1),
            }
        )
    return rows


def list_settings_of(run: RecordedRun, *, by_default: bool) -> list[tuple[str, Any]]:
    """The settings that are what they are by default, or those that are not, with their values."""
    values = run.config.flatten()
    return [
        (name, values[name])
        for name, setting in list_settings().items()
        if (values[name] == setting.default) == by_default
    ]


def list_provenance(run: RecordedRun) -> list[tuple[str, str]]:
    """Which run this is, on what machine and with what software it was made."""
    status, checked = run.status, run.get_details(PHASES[0])
    environment = run.get_details("model_training").get("environment", {})
    software = ("python", "torch", "numpy", "sentencepiece", "onnx", "onnxruntime")
    versions = ", ".join(f"{name} {checked[name]}" for name in software if name in checked)
    place = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in environment.items())
    rows = [
        ("run", status.pipeline_id),
        ("begun", f"{status.start_time[:19].replace('T', ' ')} UTC, attempt {status.attempt}"),
        ("text", run.config.corpus_source),
        ("software", versions),
        ("trained with", place),
        ("configuration", f"SHA-256 {status.configuration_sha256}" if status.configuration_sha256 else ""),
    ]
    return [(name, value) for name, value in rows if value]


def list_artifacts(run: RecordedRun) -> list[Artifact]:
    """Every artifact whose hash a phase recorded."""
    return [artifact for entry in run.status.phase_records.values() for artifact in entry.artifacts]
