"""The report of one run as a page: the outcome first, then the training, then settings and origin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from semilla import __version__
from semilla.configuration.settings import list_settings
from semilla.corpus.source_list import describe_sources
from semilla.errors import PHASES, InternalError
from semilla.escape import dump_json, escape_controls
from semilla.formatting import format_duration
from semilla.pages import hash_content, open_templates
from semilla.records.files import Artifact
from semilla.records.results import CoherenceResults, GrammarResults, ValidationResults
from semilla.records.status import PipelineStatus
from semilla.report.charts import format_number
from semilla.report.coherence import ContradictionRow, list_contradictions
from semilla.report.curves import ENDINGS, list_charts, list_cursor_steps, list_samples
from semilla.report.figures import group_measures, list_figures
from semilla.report.grammar import Phenomenon, list_phenomena
from semilla.report.introduction import LANGUAGES, describe_run, list_written
from semilla.report.runs import RecordedRun, list_longest_pieces, list_pieces
from semilla.report.texts import MAX_LISTED, group_left_out, group_texts
from semilla.report.verdict import judge_run
from semilla.training.early_stopping import describe_cool_down

GUIDE = {
    "gates": ("evaluation_and_checkpoints", "validation_failure"),
    "grammar": ("evaluation_and_checkpoints#does-it-know-grammar", "minimal_pairs"),
    "coherence": ("coherence",),
    "learning": ("training_loop", "evaluation_and_checkpoints#two-losses", "loss", "overfitting"),
    "emergence": ("samples", "repetition", "language", "copying"),
    "time": ("speed",),
    "tokenizer": ("tokenization", "vocabulary_size"),
    "device": ("device", "memory", "int8"),
    "settings": ("hyperparameters",),
    "origin": ("data_preparation",),
    "files": ("evaluation_and_checkpoints#what-a-checkpoint-holds", "integrity"),
}
"""Section of the page -> the topics of ``semilla guide`` about it."""


def render_run(run: RecordedRun) -> str:
    results, charts = run.results, list_charts(run)
    return render(
        "run.html.jinja",
        title=run.name,
        run=run,
        about=describe_run(run),
        written=list_written(run),
        guide=GUIDE,
        verdict=judge_run(run),
        figures=list_figures(run),
        measures=group_measures(results) if results else [],
        grammar=list_grammar(results) if results else [],
        coherence=list_coherence(results) if results else [],
        stopped=describe_cool_down(
            [epoch.validation_loss for epoch in run.epochs], run.config.training_hyperparameters
        ),
        curve=charts[0] if charts else None,
        charts=charts[1:],
        steps=list_cursor_steps([run]),
        phases=list_phases(run),
        samples=list_samples(run),
        pieces=list_longest_pieces(run),
        vocabulary=[escape_controls(piece) for piece in list_pieces(run)],
        chosen=list_settings_of(run, by_default=False),
        usual=list_settings_of(run, by_default=True),
        provenance=list_provenance(run),
        num_listed=MAX_LISTED,
        formats=group_texts(run),
        left_out=group_left_out(run),
        artifacts=list_artifacts(run),
        log_tail=read_log_tail(run),
    )


def read_log_tail(run: RecordedRun) -> str:
    """The end of a failed run's log; with tracebacks, which are indented lines, only after an internal error."""
    error = run.status.error_details
    if error is None or error.error_type == InternalError.category:
        return error.stderr_output if error else ""
    return "\n".join(line for line in error.stderr_output.splitlines() if not line.startswith("  "))


def list_grammar(results: ValidationResults) -> list[tuple[str, GrammarResults, list[Phenomenon]]]:
    return [
        (language, pairs, list_phenomena(language, pairs))
        for language, pairs in results.minimal_pairs.items()
    ]


def list_coherence(
    results: ValidationResults,
) -> list[tuple[str, CoherenceResults, list[ContradictionRow]]]:
    return [(language, one, list_contradictions(one)) for language, one in results.coherence.items()]


def render(template: str, **context: Any) -> str:
    """Fill a template. Every value is escaped; the page's policy allows only its own style sheet and script."""
    style, script = _read("style.css"), _read("report.js")
    page = _environment().get_template(template)
    return page.render(
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        # The hash covers everything between the tags, so the line break before the script too.
        hashes={"style": hash_content(style), "script": hash_content(f"\n{script}")},
        version=__version__,
        **context,
    )


def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = open_templates("semilla.report")
    environment.filters["number"] = format_number
    environment.filters["duration"] = format_duration
    environment.filters["size"] = _format_size
    environment.filters["language"] = lambda code: LANGUAGES.get(code, code)
    environment.filters["data"] = lambda value: Markup(dump_json(value))  # noqa: S704 - it has no "<"
    environment.globals["endings"] = ENDINGS
    return environment


def _format_size(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.2f} MB" if size_bytes >= 2**20 / 10 else f"{size_bytes / 2**10:.1f} kB"


def list_phases(run: RecordedRun) -> list[Mapping[str, Any]]:
    """Each phase with its outcome, its seconds (None if it never began) and its share of the time in percent."""
    timings = run.status.phase_timings
    total_s = sum(timings.values()) or 1.0
    return [
        {
            "name": phase,
            "outcome": _describe_outcome(run.status, phase),
            "elapsed_s": timings.get(phase),
            "percent": round(100 * timings.get(phase, 0.0) / total_s, 1),
        }
        for phase in PHASES
    ]


def _describe_outcome(status: PipelineStatus, phase: str) -> str:
    if phase in status.completed_phases and (entry := status.phase_records.get(phase)):
        return entry.outcome
    if status.error_details and status.error_details.failed_phase == phase:
        return "failed"
    return status.run_state if phase == status.current_phase else "not reached"


def list_settings_of(run: RecordedRun, *, by_default: bool) -> list[tuple[str, Any]]:
    """The settings that have their default values, or those that do not."""
    values = run.config.flatten()
    return [
        (name, values[name])
        for name, setting in list_settings().items()
        if (values[name] == setting.default) == by_default
    ]


def list_provenance(run: RecordedRun) -> list[tuple[str, str]]:
    """The id of the run, its text, its software and its machine."""
    status, checked = run.status, run.get_details(PHASES[0])
    environment = run.get_details("model_training").get("environment", {})
    software = ("python", "torch", "numpy", "sentencepiece", "onnx", "onnxruntime")
    versions = ", ".join(f"{name} {checked[name]}" for name in software if name in checked)
    place = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in environment.items())
    rows = [
        ("run", status.pipeline_id),
        ("started", f"{status.start_time[:19].replace('T', ' ')} UTC, attempt {status.attempt}"),
        ("text", describe_sources(run.config.corpus_source)),
        ("software", versions),
        ("trained with", place),
        ("configuration", f"SHA-256 {status.configuration_sha256}" if status.configuration_sha256 else ""),
    ]
    return [(name, value) for name, value in rows if value]


def list_artifacts(run: RecordedRun) -> list[Artifact]:
    """List the artifacts whose hashes the phases recorded."""
    return [artifact for entry in run.status.phase_records.values() for artifact in entry.artifacts]
