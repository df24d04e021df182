"""Phase 5: export the best model as it ships, and hold it against gates (must pass) and targets (should)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents, read_manifest
from semilla.corpus.prompts import find_prompts
from semilla.errors import IntegrityError, ValidationFailureError
from semilla.evaluation.minimal_pairs import assess_grammar, judge_grammar
from semilla.evaluation.runtime_loss import measure_loss
from semilla.evaluation.text_metrics import measure_frequency_baseline
from semilla.evaluation.texts import SAMPLE_TOKENS, judge_texts, measure_copies
from semilla.events import ArtifactWritten, Note, Progress, Validated, Warned
from semilla.export.bundle import write_bundle
from semilla.export.model_card import describe_licence
from semilla.model.transformer import Transformer, describe_llama
from semilla.pipeline.phases import PhaseRecord, get_sha256
from semilla.records import names
from semilla.records.files import describe_artifact
from semilla.records.metrics import OVERFITTING_GAP, TrainingMetrics, read_metrics
from semilla.records.status import (
    Finding,
    InferenceMetrics,
    PipelineStatus,
    ValidationResults,
    read_status,
)
from semilla.runtime.budgets import BUDGETS, measure_in_child
from semilla.runtime.bundle import BUNDLE_VERSION
from semilla.runtime.limits import find_limit
from semilla.runtime.session import load
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer
from semilla.training.checkpoints.checkpoint import find_checkpoints
from semilla.training.checkpoints.seal import load_weights, read_sealed
from semilla.training.data import TrainingData, build_data, cut_held_out
from semilla.training.evaluate import Evaluation, evaluate

SAMPLES_PER_LANGUAGE = 20
SAMPLE_TEMPERATURE = 0.8
LEAST_GAIN_NATS = 1.0
"""A model that is not random noise beats mere token frequencies by this much."""
MOST_INT8_COST_PERCENT = 0.5
INT8_TOKENS = 16_384
"""Held-out tokens on which the bundle is compared: the difference of two losses on the same tokens needs no more."""


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:
    """What the verdict depends on: the models, the metrics and the thresholds."""
    trained = {
        name: get_sha256(records, "model_training", name)
        for name in (names.BEST_MODEL, names.FINAL_MODEL, names.METRICS)
    }
    return {
        **trained,
        "corpus": get_sha256(records, "corpus_download", names.CORPUS),
        "bundle_version": BUNDLE_VERSION,
        "max_validation_loss": config.max_validation_loss,
        "strict": config.strict,
        "seed": config.seed,
    }


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Export, measure, judge; raises ValidationFailureError after the results have been told."""
    subject = _load_subject(config)
    bundle_path = Path(config.output_directory) / names.BUNDLE
    bundle_files = _export_bundle(bundle_path, subject, progress=progress)
    best = evaluate(subject.model, subject.data)
    interrupts.check()
    texts = _draw_samples(config, bundle_path, subject.documents)
    interrupts.check()
    grammar, remarks = assess_grammar(subject.model, subject.tokenizer, subject.documents)
    for remark in remarks:
        progress(Note(remark))
    interrupts.check()
    inference = InferenceMetrics.model_validate(measure_in_child(bundle_path))
    limit = find_limit(bundle_path)
    interrupts.check()
    copies = measure_copies(texts, subject.tokenizer, subject.data.stream)
    findings = [
        *_judge_artifacts(Path(config.output_directory)),
        *_judge_loss(config, best, subject),
        *_judge_budgets(inference),
        *_judge_limit(limit, progress=progress),
        _judge_int8(bundle_path, subject),
        *judge_texts(texts, subject.tokenizer, subject.data.stream, copies=copies),
        *judge_grammar(grammar),
    ]
    last = subject.metrics.epoch_history[-1]
    results = ValidationResults(
        sample_generations=[text for language in texts.values() for text in language[:2]],
        final_train_loss=last.train_loss,
        final_val_loss=last.validation_loss,
        inference_metrics=inference,
        constitutional_compliance=all(finding.passed for finding in findings if finding.name in BUDGETS),
        best_val_loss=best.loss,
        bits_per_byte=best.bits_per_byte,
        findings=findings,
        minimal_pairs=grammar,
        copying_longest=max(copies),
    )
    progress(Validated(results))
    warnings = _judge(findings, strict=config.strict, progress=progress)
    return PhaseRecord(
        "validation",
        artifacts=[describe_artifact(path, root=bundle_path.parent) for path in bundle_files],
        details={"best_val_loss": best.loss, "bits_per_byte": best.bits_per_byte, "memory_limit": limit},
        warnings=warnings,
    )


@dataclass(frozen=True)
class _Subject:
    """What is validated, loaded and verified."""

    documents: list[Document]
    tokenizer: Tokenizer
    tokenizer_model: bytes
    data: TrainingData
    model: Transformer
    metrics: TrainingMetrics


def _load_subject(config: PipelineConfiguration) -> _Subject:
    directory = Path(config.output_directory)
    documents = read_documents(directory)
    tokenizer_path = directory / names.name_tokenizer_model(config.tokenizer_vocab_size)
    tokenizer = read_tokenizer(tokenizer_path)
    metrics = read_metrics(directory / names.METRICS)
    if not metrics.epoch_history:
        raise IntegrityError(f"{names.METRICS} holds no epochs")
    settings = config.training_hyperparameters
    data = build_data(documents, tokenizer, config)
    model = Transformer(
        config.model_architecture, vocab_size=tokenizer.vocab_size, max_positions=settings.max_sequence_length
    )
    load_weights(directory / names.BEST_MODEL, model)
    read_sealed(directory / names.FINAL_MODEL)
    return _Subject(documents, tokenizer, tokenizer_path.read_bytes(), data, model.eval(), metrics)


def _export_bundle(bundle_path: Path, subject: _Subject, *, progress: Progress) -> list[Path]:
    manifest = read_manifest(bundle_path.parent)
    status = read_status(bundle_path.parent) or PipelineStatus()
    weights = {name: tensor.detach().numpy() for name, tensor in subject.model.state_dict().items()}
    files = write_bundle(
        bundle_path,
        version=status.model_version,
        weights=weights,
        model=describe_llama(subject.model),
        tokenizer_model=subject.tokenizer_model,
        generation={"temperature": SAMPLE_TEMPERATURE},
        provenance={
            "corpus_sha256": manifest.corpus_sha256,
            "documents": [
                {"title": document.title, "language": document.language, "source": document.source}
                for document in subject.documents
            ],
            "best_epoch": subject.metrics.final_metrics.best_epoch if subject.metrics.final_metrics else None,
        },
        languages=manifest.languages,
        licence=describe_licence(manifest),
    )
    for path in files:
        progress(ArtifactWritten(path))
    return files


def _draw_samples(
    config: PipelineConfiguration, bundle_path: Path, documents: list[Document]
) -> dict[str, list[str]]:
    """Continue held-out openings with the bundle that ships; openings spread over each language's held-out text."""
    model = load(bundle_path)
    return {
        language: [
            opening + model.generate(opening, seed=(config.seed + i) % 2**63, max_tokens=SAMPLE_TOKENS)
            for i, opening in enumerate(openings)
        ]
        for language, openings in find_prompts(documents, per_language=SAMPLES_PER_LANGUAGE).items()
    }


def _judge_artifacts(directory: Path) -> list[Finding]:
    _, damaged = find_checkpoints(directory)
    return [Finding.judge("damaged_artifacts", "gate", len(damaged), "<=", 0, unit="files")]


def _judge_loss(config: PipelineConfiguration, best: Evaluation, subject: _Subject) -> list[Finding]:
    held_out = np.concatenate([text.tokens for text in subject.data.held_out])
    baseline = measure_frequency_baseline(
        subject.data.stream, held_out, vocab_size=subject.tokenizer.vocab_size
    )
    last = subject.metrics.epoch_history[-1]
    return [
        Finding.judge(
            "validation_loss", "gate", best.loss, "<", config.max_validation_loss, unit="nats per token"
        ),
        Finding.judge(
            "gain_over_frequencies",
            "gate",
            baseline - best.loss,
            ">=",
            LEAST_GAIN_NATS,
            unit="nats per token",
        ),
        Finding.judge(
            "overfitting_gap",
            "target",
            last.validation_loss - last.train_loss,
            "<=",
            OVERFITTING_GAP,
            unit="nats per token",
        ),
    ]


def _judge_budgets(inference: InferenceMetrics) -> list[Finding]:
    return [
        Finding.judge(
            name, "gate", getattr(inference, name), "<=", limit, unit="ms" if name.endswith("_ms") else "MB"
        )
        for name, limit in BUDGETS.items()
    ]


def _judge_limit(limit: Mapping[str, Any], *, progress: Progress) -> list[Finding]:
    """The tightest limit the bundle ran under, which the kernel enforced."""
    limit_mb, limited_by = limit["limit_mb"], limit["limited_by"]
    if limit_mb:
        progress(Note(f"The bundle ran inside a limit of {limit_mb} MB, enforced by {limited_by}."))
    value = math.nan if limit_mb is None else limit_mb
    return [Finding.judge("enforced_limit_mb", "gate", value, "<=", BUDGETS["peak_mb"], unit="MB")]


def _judge_int8(bundle_path: Path, subject: _Subject) -> Finding:
    """By how many percent the loss of the bundle is above that of the trained model, on the same held-out tokens."""
    held_out, length = subject.data.held_out, subject.data.length
    share = min(1.0, INT8_TOKENS / sum(len(text.tokens) for text in held_out))
    texts = tuple(
        replace(text, tokens=text.tokens[: math.ceil(len(text.tokens) * share)]) for text in held_out
    )
    trained = evaluate(subject.model, replace(subject.data, held_out=texts)).loss
    windows = (
        (inputs[0], targets[0])
        for text in texts
        for inputs, targets in cut_held_out(text, length=length, batch_size=1)
    )
    cost = measure_loss(load(bundle_path), windows) / trained - 1
    return Finding.judge("int8_cost", "target", 100 * cost, "<=", MOST_INT8_COST_PERCENT, unit="%")


def _judge(findings: Iterable[Finding], *, strict: bool, progress: Progress) -> list[str]:
    """Warn about missed targets, raise for missed gates (and targets, when strict)."""
    missed = [finding for finding in findings if not finding.passed]
    fatal = [finding for finding in missed if finding.kind == "gate" or strict]
    warnings = [str(finding) for finding in missed if finding not in fatal]
    for finding in missed:
        if finding not in fatal:
            progress(Warned(f"missed target {finding}", finding.topic))
    if fatal:
        raise ValidationFailureError(
            "missed " + "; ".join(f"{finding.kind} {finding}, off by {finding.miss}" for finding in fatal),
            missed=[finding.name for finding in fatal],
        )
    progress(Note("Every gate is passed."))
    return warnings
