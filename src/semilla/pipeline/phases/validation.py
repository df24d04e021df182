"""Phase 5: export the best model as a bundle, measure it, and compare the figures with gates and targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.errors import IntegrityError, ValidationFailureError
from semilla.evaluation.coherence import assess_coherence
from semilla.evaluation.gates import find_threshold, judge
from semilla.evaluation.losses import (
    find_expected_gain,
    measure_frequency_baseline,
    measure_gains,
    measure_int8_cost,
)
from semilla.evaluation.minimal_pairs import assess_grammar
from semilla.evaluation.pair_selection import select_meanwhile
from semilla.evaluation.texts import TextMeasurements, choose_sample_tokens, draw_samples, measure_texts
from semilla.evaluation.words import list_known_words
from semilla.events import Activity, ArtifactWritten, Note, Progress, Validated, Warned
from semilla.export.bundle import suggest_settings, write_bundle
from semilla.export.model_card import describe_licence
from semilla.model.transformer import Transformer, describe_llama
from semilla.pipeline.phases import PhaseRecord, get_sha256, identify_corpus
from semilla.records import names
from semilla.records.files import describe_artifact
from semilla.records.metrics import TrainingMetrics, read_metrics
from semilla.records.results import (
    CoherenceResults,
    Finding,
    GrammarResults,
    InferenceMetrics,
    ValidationResults,
)
from semilla.records.sample import Sample
from semilla.records.status import PipelineStatus, read_status
from semilla.runtime.budgets import BUDGETS, measure_in_child
from semilla.runtime.bundle import BUNDLE_VERSION
from semilla.runtime.limits import find_limit
from semilla.runtime.session import load
from semilla.stories.terms import LANGUAGES
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer
from semilla.training.checkpoints.checkpoint import find_checkpoints
from semilla.training.checkpoints.seal import load_weights, read_sealed
from semilla.training.data import TrainingData, build_data, find_start_id
from semilla.training.evaluate import Evaluation, evaluate
from semilla.training.stored import open_store

LEARNING = "gain_over_frequencies"
"""The figure that tells a model from one that only knows how frequent each token is."""
NAMED_DOCUMENTS = 100
"""Texts that the bundle names; of a larger folder the rest is only counted, so that a bundle still opens fast."""
SHOWN_SAMPLES = 2
"""Samples of each language that the results keep."""


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:
    """The models, the metrics and the settings that the result depends on."""
    trained = {
        name: get_sha256(records, "model_training", name)
        for name in (names.BEST_MODEL, names.FINAL_MODEL, names.METRICS)
    }
    return {
        **trained,
        "corpus": identify_corpus(records),
        "bundle_version": BUNDLE_VERSION,
        "max_validation_loss": config.max_validation_loss,
        "strict": config.strict,
        "seed": config.seed,
    }


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Export, measure, judge; raises ValidationFailureError after the results have been reported."""
    progress(Activity("reading the trained model"))
    subject = _load_subject(config, progress=progress)
    progress(Activity("exporting the bundle"))
    bundle_path = Path(config.output_directory) / names.BUNDLE
    bundle_files = _export_bundle(bundle_path, subject, progress=progress)
    measured = _measure(
        bundle_path, subject, source=config.corpus_source, seed=config.seed, progress=progress
    )
    vocab_size = subject.tokenizer.vocab_size
    baseline = measure_frequency_baseline(subject.data, vocab_size=vocab_size)
    own_values = {
        "validation_loss": config.max_validation_loss,
        LEARNING: min(
            find_threshold(LEARNING).value,
            find_expected_gain(subject.data, vocab_size=vocab_size, baseline=baseline),
        ),
        **measured.texts.own_values,
    }
    figures = _list_figures(bundle_path, subject, measured, baseline=baseline)
    findings = judge(figures, own_values=own_values)
    progress(Validated(_describe_results(subject, measured, findings)))
    return PhaseRecord(
        "validation",
        warnings=_report_misses(findings, strict=config.strict, progress=progress),
        artifacts=[describe_artifact(path, root=bundle_path.parent) for path in bundle_files],
        details={
            "best_val_loss": measured.best.loss,
            "bits_per_byte": measured.best.bits_per_byte,
            "memory_limit": measured.limit,
        },
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


def _load_subject(config: PipelineConfiguration, *, progress: Progress) -> _Subject:
    directory = Path(config.output_directory)
    documents = read_documents(directory)
    tokenizer_path = find_tokenizer(config)[0]
    tokenizer = read_tokenizer(tokenizer_path)
    metrics = read_metrics(directory / names.METRICS)
    if not metrics.epoch_history:
        raise IntegrityError(f"{names.METRICS} holds no epochs")
    settings = config.training_hyperparameters
    store = open_store(directory, directory / names.TOKENS, progress=progress)
    data = build_data(documents, tokenizer, config, store)
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
    start_id = find_start_id(subject.documents)
    files = write_bundle(
        bundle_path,
        version=status.model_version,
        weights=weights,
        model=describe_llama(subject.model),
        tokenizer_model=subject.tokenizer_model,
        generation=asdict(suggest_settings(start_id)),
        start_id=start_id,
        provenance={
            "corpus_sha256": manifest.corpus_sha256,
            "documents": [
                {"title": document.title, "language": document.language, "source": document.source}
                for document in subject.documents[:NAMED_DOCUMENTS]
            ],
            "num_documents": len(subject.documents),
            "best_epoch": subject.metrics.final_metrics.best_epoch if subject.metrics.final_metrics else None,
        },
        languages=manifest.languages,
        licence=describe_licence(manifest),
    )
    for path in files:
        progress(ArtifactWritten(path))
    return files


@dataclass(frozen=True)
class _Measurements:
    best: Evaluation
    samples: dict[str, list[Sample]]
    texts: TextMeasurements
    grammar: dict[str, GrammarResults]
    coherence: dict[str, CoherenceResults]
    int8_cost: float
    inference: InferenceMetrics
    limit: dict[str, Any]


def _measure(
    bundle_path: Path, subject: _Subject, *, source: str, seed: int, progress: Progress
) -> _Measurements:
    """Measure the model and its bundle; a run can be interrupted between and within the slow steps.

    Pairs are selected in other processes meanwhile. Memory and speed are measured when nothing else runs.
    """
    with select_meanwhile(bundle_path.parent, subject.documents) as selections, limit_threads():
        progress(Activity("evaluating on held-out text"))
        best = evaluate(subject.model, subject.data, check=interrupts.check)
        interrupts.check()
        progress(Activity("drawing samples"))
        max_tokens = choose_sample_tokens(subject.data)
        bundle = load(bundle_path)
        samples = draw_samples(bundle, subject.documents, seed=seed, max_tokens=max_tokens)
        interrupts.check()
        coherence = assess_coherence(samples) if source == "sample" else {}
        progress(Activity("comparing the bundle with the trained weights"))
        int8_cost = measure_int8_cost(bundle, subject.model, subject.data)
        progress(Activity("asking for grammar"))
        grammar, remarks = assess_grammar(subject.model, subject.tokenizer, selections)
        for remark in remarks:
            progress(Note(remark))
        interrupts.check()
    progress(Activity("measuring memory and speed"))
    inference = InferenceMetrics.model_validate(measure_in_child(bundle_path))
    limit = find_limit(bundle_path)
    if not limit["limited_by"]:
        progress(Note("This system enforces no limit of memory, so the bundle was measured without one."))
    elif limit["limit_mb"]:
        progress(
            Note(
                f"The bundle ran inside a limit of {limit['limit_mb']} MB, enforced by {limit['limited_by']}."
            )
        )
    interrupts.check()
    progress(Activity("measuring the samples"))
    known_words = list_known_words(
        text for one in subject.documents for text in (one.train_text, one.validation_text)
    )
    texts = measure_texts(samples, subject.tokenizer, subject.data, known_words=known_words)
    return _Measurements(best, samples, texts, grammar, coherence, int8_cost, inference, limit)


@contextmanager
def limit_threads() -> Iterator[None]:
    """Leave the cores to the processes that select pairs. Torch's threads would wait for each other there."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - len(LANGUAGES)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _list_figures(
    bundle_path: Path, subject: _Subject, measured: _Measurements, *, baseline: float
) -> dict[str, float]:
    """Every figure that has a threshold, by name."""
    last = subject.metrics.epoch_history[-1]
    loss, vocab_size = measured.best.loss, subject.tokenizer.vocab_size
    losses = [epoch.validation_loss for epoch in subject.metrics.epoch_history]
    return {
        "damaged_artifacts": _count_damaged(bundle_path.parent),
        "validation_loss": loss,
        "gain_over_frequencies": baseline - loss,
        **measure_gains(losses, best_loss=loss, vocab_size=vocab_size),
        "overfitting_gap": last.validation_loss - last.train_loss,
        **{name: getattr(measured.inference, name) for name in BUDGETS},
        "latency_p95_ms": measured.inference.exact_latency_p95_ms,
        **(
            {"enforced_limit_mb": measured.limit["limit_mb"] or math.nan}
            if measured.limit["limited_by"]
            else {}
        ),
        "int8_cost": measured.int8_cost,
        **measured.texts.figures,
        **{f"minimal_pairs.{language}.accuracy": one.accuracy for language, one in measured.grammar.items()},
        **{f"coherence.{language}": one.share for language, one in measured.coherence.items()},
    }


def _count_damaged(directory: Path) -> int:
    """Count the run's own checkpoints that are damaged; the user may keep other files under such names."""
    ours = (read_status(directory) or PipelineStatus()).artifacts_created
    return sum(one.path.name in ours for one in find_checkpoints(directory)[1])


def _describe_results(
    subject: _Subject, measured: _Measurements, findings: list[Finding]
) -> ValidationResults:
    last = subject.metrics.epoch_history[-1]
    shown = [sample for samples in measured.samples.values() for sample in samples[:SHOWN_SAMPLES]]
    return ValidationResults(
        sample_generations=[sample.whole for sample in shown],
        samples=shown,
        final_train_loss=last.train_loss,
        final_val_loss=last.validation_loss,
        inference_metrics=measured.inference,
        constitutional_compliance=all(finding.passed for finding in findings if finding.name in BUDGETS),
        best_val_loss=measured.best.loss,
        bits_per_byte=measured.best.bits_per_byte,
        findings=findings,
        minimal_pairs=measured.grammar,
        coherence=measured.coherence,
        copying_longest=measured.texts.copying_longest,
        invented_examples=measured.texts.invented_examples,
    )


def _report_misses(findings: Sequence[Finding], *, strict: bool, progress: Progress) -> list[str]:
    """Warn about missed targets; raise for missed gates, and when ``strict`` for missed targets too."""
    missed = [finding for finding in findings if not finding.passed]
    fatal = [finding for finding in missed if finding.kind == "gate" or strict]
    tolerated = [finding for finding in missed if finding not in fatal]
    for finding in tolerated:
        progress(Warned(f"missed target {finding}", finding.topic))
    if fatal:
        verdict = "the model did not learn: " if any(one.name == LEARNING for one in fatal) else ""
        raise ValidationFailureError(
            f"{verdict}missed {'; '.join(map(_explain_miss, fatal))}",
            missed=[finding.name for finding in fatal],
        )
    progress(Note("Every gate passed."))
    return [str(finding) for finding in tolerated]


def _explain_miss(finding: Finding) -> str:
    reason = find_threshold(finding.name).reason
    return f"{finding.kind} {finding}, off by {finding.miss}{': ' * bool(reason)}{reason}"
