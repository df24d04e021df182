"""A run that never ran: the files of a finished one, with figures that are easy to recognise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_toml
from semilla.corpus.manifest import CorpusManifest, DocumentEntry, LanguageShare, Provenance, write_manifest
from semilla.errors import PHASES
from semilla.records import names
from semilla.records.files import hash_file
from semilla.records.metrics import EpochMetrics, TrainingMetrics
from semilla.records.results import Finding, GrammarResults, InferenceMetrics, PairAccuracy, ValidationResults
from semilla.records.status import PhaseEntry, PipelineStatus, write_status
from semilla.report.runs import RecordedRun, read_run

DETAILS = {
    "tokenizer_training": {"vocab_size": 1234, "bytes_per_token": {"en": 3.5, "es": 3.25}},
    "model_training": {"num_parameters": 654_321, "training_tokens": 98_765},
}
SAMPLES = ["Once upon a time — “yes”", "Había una vez, ¿sí? 🌱"]


def make_epochs(losses: list[float]) -> list[EpochMetrics]:
    return [
        EpochMetrics(
            epoch_number=number,
            train_loss=loss + 0.25,
            validation_loss=loss,
            learning_rate=3e-4 / number,
            elapsed_seconds=7,
            sample_outputs=[f"{text} ({number})" for text in SAMPLES],
            gradient_norm=1.5,
            tokens_per_second=20_000.0 + number,
            bits_per_byte={"en": loss / 3, "es": loss / 2, "all": loss / 2.5},
        )
        for number, loss in enumerate(losses, start=1)
    ]


def make_results(*, loss: float = 4.5, samples: list[str] | None = None) -> ValidationResults:
    return ValidationResults(
        sample_generations=samples or SAMPLES,
        final_train_loss=loss + 0.25,
        final_val_loss=loss,
        inference_metrics=InferenceMetrics(
            latency_p95_ms=1,
            latency_p95_us=640.0,
            latency_p50_us=310.0,
            latency_p99_us=720.0,
            first_token_ms=211.0,
            tokens_per_sec=3456.7,
            rss_mb=61,
            peak_mb=67,
        ),
        constitutional_compliance=True,
        best_val_loss=loss,
        bits_per_byte={"all": loss / 2.5},
        findings=[
            Finding.judge("validation_loss", "gate", loss, "<", 5.0, unit="nats per token"),
            Finding.judge("repetition", "target", 0.02, "<=", 0.01),
            Finding.judge("copying_median", "target", 12.5, "<=", 20, unit="tokens"),
        ],
        copying_longest=31,
        minimal_pairs={
            "es": GrammarResults(
                accuracy=0.75,
                low=0.5,
                high=0.9,
                num_pairs=24,
                coverage=0.875,
                phenomena={
                    "negation": PairAccuracy(accuracy=0.625, low=0.375, high=0.8125, num_pairs=16),
                    "tu_usted": PairAccuracy(accuracy=1.0, low=0.7, high=1.0, num_pairs=8),
                },
            )
        },
    )


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RecordedRun]:
    """Write a finished run to disk, and read it as the report does."""

    def make(
        name: str = "finished",
        *,
        losses: tuple[float, ...] = (5.5, 4.75, 4.5),
        samples: list[str] | None = None,
        title: str = "Un libro",
        text: str = "texto",
        **settings: object,
    ) -> RecordedRun:
        directory = tmp_path / name
        directory.mkdir()
        config = PipelineConfiguration.model_validate({"output_directory": str(directory), **settings})
        (directory / names.CONFIGURATION).write_text(to_toml(config), encoding="utf-8")
        status = PipelineStatus(phase_timings=dict(zip(PHASES, (1.0, 2.0, 3.0, 74.0, 20.0), strict=True)))
        for phase in PHASES:
            status.enter(phase)
            status.complete_phase(phase, PhaseEntry(details=DETAILS.get(phase, {})))
        status.configuration_sha256 = hash_file(directory / names.CONFIGURATION)
        status.validation_results = make_results(loss=min(losses), samples=samples)
        status.finish()
        write_status(directory, status)
        metrics = TrainingMetrics(run_id=status.pipeline_id, epoch_history=make_epochs(list(losses)))
        metrics.write(directory / names.METRICS)
        write_manifest(directory, make_manifest(title, text))
        return read_run(directory, config=config, status=status)

    return make


def make_manifest(title: str, text: str) -> CorpusManifest:
    size, digest = len(text), hashlib.sha256(text.encode()).hexdigest()
    documents = [
        DocumentEntry(
            title=title,
            language=language,
            language_shares={language: 1.0},
            provenance=Provenance(source="sample"),
            sha256=digest,
            start_byte=0,
            cut_byte=size,
            end_byte=size,
            characters=size,
        )
        for language in ("en", "es")
    ]
    return CorpusManifest(
        source="sample",
        corpus_sha256=digest,
        corpus_bytes=size,
        corpus_characters=size,
        train_bytes=size,
        validation_bytes=0,
        validation_characters=0,
        languages=["en", "es"],
        language_shares={key: LanguageShare(bytes=1, characters=1, share=0.5) for key in ("en", "es")},
        corpus_drift=False,
        documents=documents,
    )
