"""Phase 4: train the model, measuring, sampling and saving after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.configuration.settings import to_command
from semilla.corpus.manifest import read_documents
from semilla.corpus.openings import find_openings
from semilla.errors import DivergedError, OutOfMemoryError, ValidationFailureError, is_out_of_memory
from semilla.events import EpochDone, Note, Progress, StepDone
from semilla.model.generate import generate_sample
from semilla.pipeline.phases import PhaseRecord, get_sha256
from semilla.records import names
from semilla.records.files import describe_artifact, hash_file
from semilla.records.status import PipelineStatus, read_status
from semilla.system import interrupts
from semilla.system.allocator import keep_freed_blocks
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer
from semilla.training.checkpoints.checkpoint import Damaged, Provenance, find_checkpoints, restore_state
from semilla.training.checkpoints.persistence import TrainingFiles
from semilla.training.checkpoints.resume import Resumption, choose_start, continue_from
from semilla.training.data import TrainingData, build_data
from semilla.training.environment import choose_environment
from semilla.training.epoch import align_step, finish_epoch
from semilla.training.loop import train
from semilla.training.memory import suggest_batch_size
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState, StepInfo, build_state

SAMPLE_TOKENS = 40
SAMPLE_TEMPERATURE = 0.8


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:
    """What the weights depend on: text, tokenizer, architecture, hyperparameters, seed.

    The number of threads is left out: it decides how sums are rounded, and so the bits, but nothing is drawn by it. A
    finished training stands when it changes.
    """
    settings = config.training_hyperparameters.model_dump(exclude={"num_threads"})
    tokenizer = names.name_tokenizer_model(config.tokenizer_vocab_size)
    return {
        "corpus": get_sha256(records, "corpus_download", names.CORPUS),
        "tokenizer": get_sha256(records, "tokenizer_training", tokenizer),
        "seed": config.seed,
        **config.model_architecture.model_dump(),
        **settings,
    }


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Train to the end, from the newest checkpoint when the run is resumed."""
    try:
        with Workers(config) as workers:
            return _run(config, workers=workers, progress=progress)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        batch_size = suggest_batch_size(config)
        raise OutOfMemoryError(
            f"memory ran out with --batch-size {config.training_hyperparameters.batch_size}; "
            f"try --batch-size {batch_size}",
            next_command=to_command(config, batch_size=batch_size, resume_from_checkpoint=True),
        ) from error


def _run(config: PipelineConfiguration, *, workers: Workers, progress: Progress) -> PhaseRecord:
    keep_freed_blocks()
    directory = Path(config.output_directory)
    documents = read_documents(directory)
    tokenizer = read_tokenizer(directory / names.name_tokenizer_model(config.tokenizer_vocab_size))
    data = build_data(documents, tokenizer, config)
    if config.training_hyperparameters.language_balance:
        shares = ", ".join(f"{share:.0%} {language}" for language, share in data.language_shares.items())
        progress(Note(f"The training is balanced between languages: {shares}."))
    resumption = choose_start(config, *find_checkpoints(directory), progress=progress)
    status = read_status(directory) or PipelineStatus()
    state, provenance = _build(
        config,
        resumption,
        vocab_size=tokenizer.vocab_size,
        model_version=status.model_version,
        progress=progress,
    )
    files = TrainingFiles(
        config,
        run_id=status.pipeline_id,
        provenance=provenance,
        replaces=resumption.list_replaced(provenance.lineage, ours=status.artifacts_created),
        progress=progress,
    )
    prompts = [opening for found in find_openings(documents, per_language=1).values() for opening in found]

    def draw_samples() -> list[str]:
        return _draw_samples(state, tokenizer, prompts, seed=config.seed)

    try:
        _train(
            state,
            config=config,
            data=data,
            workers=workers,
            files=files,
            draw_samples=draw_samples,
            progress=progress,
        )
    except (DivergedError, ValidationFailureError) as error:
        files.record_stop(state, error.figures)
        raise
    return _describe(state, directory, provenance=provenance, data=data, damaged=resumption.damaged)


def _build(
    config: PipelineConfiguration,
    resumption: Resumption,
    *,
    vocab_size: int,
    model_version: str,
    progress: Progress,
) -> tuple[RunState, Provenance]:
    """The state to train from, and what its checkpoints will belong to."""
    directory, start = Path(config.output_directory), resumption.start
    environment = choose_environment(
        config.training_hyperparameters,
        device=config.device,
        earlier=start.provenance.environment if start else None,
    )
    provenance = Provenance(
        lineage=resumption.next_lineage,
        vocab_size=vocab_size,
        corpus_sha256=hash_file(directory / names.CORPUS),
        tokenizer_sha256=hash_file(directory / names.name_tokenizer_model(config.tokenizer_vocab_size)),
        environment=environment.as_json(),
        model_version=model_version,
    )
    if start:
        provenance = continue_from(
            start, provenance, config=config, environment=environment, progress=progress
        )
    state = build_state(config, vocab_size=vocab_size, precision=environment.precision)
    if start:
        restore_state(state, start)
    return state, provenance


def _train(
    state: RunState,
    *,
    config: PipelineConfiguration,
    data: TrainingData,
    workers: Workers,
    files: TrainingFiles,
    draw_samples: Callable[[], list[str]],
    progress: Progress,
) -> None:
    """Iterate over the steps: report, measure, save, and stop when asked to."""
    total_steps = config.training_hyperparameters.num_epochs * data.steps_per_epoch
    state.step = align_step(state, data)
    files.write_results(state, is_last=state.step >= total_steps)
    for info in train(state, config=config, data=data, workers=workers):
        progress(_report_step(info, state, settings=config.training_hyperparameters, total_steps=total_steps))
        if info.ends_epoch:
            metrics, is_best = finish_epoch(state, info, data=data)
            metrics.sample_outputs.extend(draw_samples())
            files.save_epoch(state, must_save=interrupts.requested(), is_last=state.step >= total_steps)
            progress(EpochDone(metrics, is_best))
        elif files.is_due() or interrupts.requested():
            files.save_step(state)
        interrupts.check()


def _draw_samples(state: RunState, tokenizer: Tokenizer, prompts: list[str], *, seed: int) -> list[str]:
    return [
        generate_sample(
            state.model,
            tokenizer,
            prompt,
            num_tokens=SAMPLE_TOKENS,
            temperature=SAMPLE_TEMPERATURE,
            seed=seed,
        )
        for prompt in prompts
    ]


def _report_step(
    info: StepInfo, state: RunState, *, settings: TrainingHyperparameters, total_steps: int
) -> StepDone:
    totals = state.totals
    return StepDone(
        step=info.step,
        total_steps=total_steps,
        epoch=info.epoch,
        total_epochs=settings.num_epochs,
        loss=info.loss,
        learning_rate=info.learning_rate,
        tokens_per_second=totals.tokens_per_second,
        remaining_s=(total_steps - info.step) * totals.elapsed_s / totals.steps,
    )


def _describe(
    state: RunState, directory: Path, *, provenance: Provenance, data: TrainingData, damaged: list[Damaged]
) -> PhaseRecord:
    assert state.best is not None
    return PhaseRecord(
        "model_training",
        artifacts=[
            describe_artifact(directory / name, root=directory)
            for name in (names.BEST_MODEL, names.FINAL_MODEL, names.METRICS)
        ],
        details={
            "best_epoch": state.best.epoch,
            "best_validation_loss": state.best.validation_loss,
            "num_parameters": sum(parameter.numel() for parameter in state.model.parameters()),
            "training_tokens": len(data.stream),
            "language_shares": data.language_shares,
            "steps_per_epoch": data.steps_per_epoch,
            "environment": provenance.environment,
            "departures": provenance.departures,
        },
        warnings=[str(one) for one in damaged],
    )
