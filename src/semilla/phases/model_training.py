"""Phase 4: train the model, measuring, sampling and saving after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semilla import interrupts
from semilla.config import PipelineConfiguration
from semilla.corpus.manifest import read_documents
from semilla.corpus.openings import find_openings
from semilla.errors import IntegrityError, OutOfMemoryError
from semilla.model.generate import generate_sample
from semilla.phases import PhaseRecord, get_sha256
from semilla.progress import EpochDone, Note, Progress, StepDone
from semilla.records import names
from semilla.records.files import describe_artifact, hash_file
from semilla.records.metrics import EpochMetrics
from semilla.records.status import read_status
from semilla.settings import to_command
from semilla.tokenizer import Tokenizer, read_tokenizer
from semilla.training.allocator import keep_freed_blocks
from semilla.training.batches import TrainingData, build_data
from semilla.training.checkpoint import (
    Checkpoint,
    Provenance,
    check_compatibility,
    find_checkpoints,
    restore_state,
)
from semilla.training.environment import Environment, choose_environment
from semilla.training.evaluate import evaluate
from semilla.training.loop import train
from semilla.training.memory import suggest_batch_size
from semilla.training.persistence import TrainingFiles
from semilla.training.state import BestModel, EpochTotals, RunState, StepInfo, build_state

SAMPLE_TOKENS = 40
SAMPLE_TEMPERATURE = 0.8


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:
    """What the weights depend on: text, tokenizer, architecture, hyperparameters, seed. Not the number of threads."""
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
        return _run(config, progress=progress)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
            raise
        batch_size = suggest_batch_size(config)
        raise OutOfMemoryError(
            f"memory ran out with --batch-size {config.training_hyperparameters.batch_size}; "
            f"try --batch-size {batch_size}",
            next_command=to_command(config, batch_size=batch_size, resume_from_checkpoint=True),
        ) from error


def _run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    keep_freed_blocks()
    directory = Path(config.output_directory)
    documents = read_documents(directory)
    tokenizer_path = directory / names.name_tokenizer_model(config.tokenizer_vocab_size)
    tokenizer = read_tokenizer(tokenizer_path)
    settings = config.training_hyperparameters
    data = build_data(documents, tokenizer, config)
    if settings.language_balance:
        shares = ", ".join(f"{share:.0%} {language}" for language, share in data.language_shares.items())
        progress(Note(f"The training is balanced between languages: {shares}."))
    checkpoints, skipped = find_checkpoints(directory)
    for sentence in skipped:
        progress(Note(sentence))
    start = _choose_start(config, checkpoints, num_damaged=len(skipped), progress=progress)
    environment = choose_environment(
        settings, device=config.device, earlier=start.provenance.environment if start else None
    )
    provenance = Provenance(
        lineage=max((checkpoint.provenance.lineage for checkpoint in checkpoints), default=0) + 1,
        vocab_size=tokenizer.vocab_size,
        corpus_sha256=hash_file(directory / names.CORPUS),
        tokenizer_sha256=hash_file(tokenizer_path),
        environment=environment.as_json(),
    )
    state = build_state(config, vocab_size=tokenizer.vocab_size, precision=environment.precision)
    if start:
        check_compatibility(start, config=config, provenance=provenance)
        restore_state(state, start)
        if _continues_exactly(start, config=config, environment=environment, progress=progress):
            provenance = start.provenance
    replaced = [c for c in checkpoints if c.provenance.lineage != provenance.lineage]
    status = read_status(directory)
    files = TrainingFiles(
        config,
        run_id=status.pipeline_id if status else "",
        provenance=provenance,
        replaces=replaced,
        progress=progress,
    )
    prompts = [opening for found in find_openings(documents, per_language=1).values() for opening in found]
    _train(
        state, config=config, data=data, files=files, tokenizer=tokenizer, prompts=prompts, progress=progress
    )
    return _describe(state, directory, environment=environment, data=data)


def _choose_start(
    config: PipelineConfiguration, checkpoints: list[Checkpoint], *, num_damaged: int, progress: Progress
) -> Checkpoint | None:
    if not config.resume_from_checkpoint:
        return None
    if not checkpoints:
        if num_damaged:
            raise IntegrityError(
                "no checkpoint can be read; say --no-resume to start over",
                next_command=f"{to_command(config, resume_from_checkpoint=False)} --no-resume",
            )
        progress(Note("Nothing to resume from: the training starts at the first step."))
        return None
    newest = checkpoints[0]
    if _cuts_batches_alike(newest, config) or newest.is_epoch_end:
        return newest
    boundary = next((c for c in checkpoints if c.is_epoch_end), None)
    where = f"the end of epoch {boundary.content['epoch']}" if boundary else "the first step"
    progress(
        Note(
            "Batch size, sequence length, language balance or seed changed inside an epoch: "
            f"training goes on from {where}."
        )
    )
    return boundary


def _cuts_batches_alike(checkpoint: Checkpoint, config: PipelineConfiguration) -> bool:
    saved, wanted = checkpoint.content["training_config"], config.training_hyperparameters
    settings = saved["training_hyperparameters"]
    plan = ("batch_size", "max_sequence_length", "language_balance")
    before = [settings.get(name) for name in plan] + [saved["seed"]]
    return before == [getattr(wanted, name) for name in plan] + [config.seed]


def _continues_exactly(
    start: Checkpoint, *, config: PipelineConfiguration, environment: Environment, progress: Progress
) -> bool:
    """Say how the run goes on; False when its end cannot be that of a run never interrupted."""
    content = start.content
    progress(
        Note(f"Continuing from {start.path.name}: {content['epoch']} epochs, {content['step']} steps done.")
    )
    saved, wanted = content["training_config"], config.model_dump(mode="json")
    before = {**saved["training_hyperparameters"], "seed": saved["seed"]}
    after = {**wanted["training_hyperparameters"], "seed": wanted["seed"]}
    changes = [
        f"{k} {before.get(k)} -> {v}" for k, v in after.items() if k != "num_threads" and before.get(k) != v
    ]
    changes += environment.describe_changes(start.provenance.environment)
    if changes:
        progress(Note(f"Not bit-identical to an uninterrupted run, because of: {', '.join(changes)}."))
    return not changes


def _train(
    state: RunState,
    *,
    config: PipelineConfiguration,
    data: TrainingData,
    files: TrainingFiles,
    tokenizer: Tokenizer,
    prompts: list[str],
    progress: Progress,
) -> None:
    total_steps = config.training_hyperparameters.num_epochs * data.steps_per_epoch
    state.step = _align_step(state, data)
    if state.history:
        files.write_results(state, is_last=state.step >= total_steps)
    for info in train(state, config=config, data=data):
        progress(_report_step(info, state, total_steps=total_steps))
        if info.ends_epoch:
            metrics, is_best = _finish_epoch(state, info, data=data)
            metrics.sample_outputs.extend(_draw_samples(state, tokenizer, prompts, seed=config.seed))
            files.save_epoch(state, is_last=state.step >= total_steps)
            progress(EpochDone(metrics, is_best))
        elif files.is_step_checkpoint_due():
            files.save_step(state)
        if interrupts.requested():
            if not info.ends_epoch:
                files.save_step(state)
            interrupts.check()


def _align_step(state: RunState, data: TrainingData) -> int:
    """At an epoch's end the step follows from the epochs done, also when an epoch now has another number of steps."""
    return state.step if state.totals.steps else state.epoch * data.steps_per_epoch


def _finish_epoch(state: RunState, info: StepInfo, *, data: TrainingData) -> tuple[EpochMetrics, bool]:
    """Measure the epoch, append it to the history, remember the best weights."""
    evaluation = evaluate(state.model, data)
    totals = state.totals
    metrics = EpochMetrics(
        epoch_number=info.epoch,
        train_loss=totals.nats / totals.tokens,
        validation_loss=evaluation.loss,
        learning_rate=info.learning_rate,
        elapsed_seconds=round(totals.elapsed_s),
        sample_outputs=[],
        gradient_norm=totals.gradient_norm / totals.steps,
        tokens_per_second=totals.tokens / totals.elapsed_s,
        bits_per_byte=evaluation.bits_per_byte,
    )
    is_best = state.best is None or metrics.validation_loss < state.best.validation_loss
    if is_best:
        weights = {name: tensor.detach().clone() for name, tensor in state.model.state_dict().items()}
        state.best = BestModel(info.epoch, metrics.validation_loss, weights)
    state.history.append(metrics)
    state.totals = EpochTotals()
    return metrics, is_best


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


def _report_step(info: StepInfo, state: RunState, *, total_steps: int) -> StepDone:
    totals = state.totals
    return StepDone(
        step=info.step,
        total_steps=total_steps,
        epoch=info.epoch,
        loss=info.loss,
        learning_rate=info.learning_rate,
        tokens_per_second=totals.tokens / totals.elapsed_s,
        remaining_s=(total_steps - info.step) * totals.elapsed_s / totals.steps,
    )


def _describe(
    state: RunState, directory: Path, *, environment: Environment, data: TrainingData
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
            "environment": environment.as_json(),
        },
    )


def _is_out_of_memory(error: RuntimeError) -> bool:
    return any(
        phrase in str(error) for phrase in ("can't allocate memory", "not enough memory", "out of memory")
    )
