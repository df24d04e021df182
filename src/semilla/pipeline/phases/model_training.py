"""Phase 4: train the model; after every epoch evaluate it, draw samples and save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.manifest import read_documents
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.errors import DivergedError, OutOfMemoryError, ValidationFailureError, is_out_of_memory
from semilla.events import (
    Activity,
    ArtifactWritten,
    EpochDone,
    Note,
    Progress,
    Resumed,
    StepDone,
    silent,
)
from semilla.model.generate import generate_sample
from semilla.pipeline.phases import PhaseRecord, get_sha256, identify_corpus
from semilla.pipeline.prepared_training import Training, open_workers, read_data
from semilla.pipeline.start_model import read_start
from semilla.records import names
from semilla.records.files import describe_artifact
from semilla.records.removal import remove_artifacts
from semilla.records.sample import Sample
from semilla.records.status import PipelineStatus, read_status
from semilla.system import interrupts
from semilla.system.allocator import keep_freed_blocks, return_freed_blocks
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.checkpoints.checkpoint import find_checkpoints, has_shape
from semilla.training.checkpoints.resume import find_surplus
from semilla.training.devices import choose_device, find_devices
from semilla.training.early_stopping import describe_cool_down, find_last_epoch
from semilla.training.epoch import align_step, finish_epoch
from semilla.training.loop import plan_steps, train
from semilla.training.memory import suggest_batch_size
from semilla.training.parallel.workers import Workers
from semilla.training.remaining import RemainingTime
from semilla.training.schedule import Schedule, compute_learning_rate
from semilla.training.state import RunState, StepInfo, build_state

if TYPE_CHECKING:
    from semilla.training.parallel.ranks import RankWorkers

SAMPLE_TOKENS = 40
SAMPLE_TEMPERATURE = 0.8


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:
    """What the weights depend on, but for rounding: text, tokenizer, architecture, hyperparameters and seed.

    The number of threads is left out. The exact bits depend on it, but only through the rounding of sums, so a finished
    training need not be repeated when it changes.
    """
    settings = config.training_hyperparameters.model_dump(exclude={"num_threads"})
    start = read_start(config)
    continued = (
        {
            "start": start.sha256,
            "start_version": start.version,
            "start_corpus": start.corpus_sha256,
            "replay": config.replay,
        }
        if start
        else {}
    )
    return {
        "corpus": identify_corpus(records),
        "tokenizer": get_sha256(records, "tokenizer_training", ".model"),
        "seed": config.seed,
        **config.model_architecture.model_dump(),
        **settings,
        **continued,
    }


def find_end(config: PipelineConfiguration, *, is_trained: bool) -> str | None:
    """Say why there is nothing to train when continuing with ``config``; None when there is something.

    ``is_trained`` says that the directory holds a finished training.
    """
    found, _ = find_checkpoints(Path(config.output_directory))
    if not found or not has_shape(found[0], config):
        return None
    if surplus := find_surplus(found[0], config):
        return surplus
    epochs, settings = found[0].content["epoch"], config.training_hyperparameters
    losses = found[0].validation_losses
    if not is_trained or epochs < find_last_epoch(losses, settings):
        return None
    if stopped := describe_cool_down(losses, settings):
        return f"already trained: {stopped}. Continue with --early-stopping 0, or start over with --no-resume"
    return f"already trained: all {epochs} epochs are done. Continue with more epochs, or start over with --no-resume"


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Train to the end, from the newest checkpoint when the run is resumed."""
    progress(Activity("reading the text and building the network"))
    if config.device != "cpu":
        config = choose_device(config)
        progress(Note(f"The network is trained on {config.device}: {find_devices()[config.device]}."))
    try:
        with open_workers(config) as workers:
            keep_freed_blocks()
            return _run(Training.prepare(config, progress=progress), workers)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        batch_size = suggest_batch_size(config)
        if batch_size is None:
            raise OutOfMemoryError(
                "memory ran out with one sequence at a time: reduce max_sequence_length or the size of the model"
            ) from error
        raise OutOfMemoryError(
            f"memory ran out with --batch-size {config.training_hyperparameters.batch_size}; "
            f"try --batch-size {batch_size}",
            next_command=to_command(config, batch_size=batch_size, resume_from_checkpoint=True),
        ) from error
    finally:
        return_freed_blocks()


def follow(config: PipelineConfiguration, workers: RankWorkers) -> None:
    """Take part in the training that rank 0 runs. Nothing is written or reported."""
    keep_freed_blocks()
    precision = workers.wait_for_precision()  # rank 0 has read the text by then, and written the token files
    tokenizer = read_tokenizer(find_tokenizer(config)[0])
    data, _ = read_data(config, read_documents(Path(config.output_directory)), tokenizer, progress=silent)
    state = build_state(config, vocab_size=tokenizer.vocab_size, precision=precision)
    for _ in train(state, config=config, data=data, workers=workers):
        if workers.must_stop():
            return


def _run(training: Training, workers: Workers) -> PhaseRecord:
    try:
        _train(training, workers)
    except (DivergedError, ValidationFailureError) as error:
        training.files.record_stop(training.state, error.figures)
        raise
    return _describe(training)


def _train(training: Training, workers: Workers) -> None:
    """Report every step, evaluate and save every epoch, and stop when asked to."""
    state, files, data, config = training.state, training.files, training.data, training.config
    settings = config.training_hyperparameters
    schedule = plan_steps(state, settings, data)
    state.step = align_step(state, data)
    if state.step:
        training.progress(describe_resumed(state, steps_per_epoch=data.steps_per_epoch))
        if told := describe_added_epochs(state, config, schedule):
            training.progress(Note(told))
    else:
        _drop_epoch_models(training)
    files.write_results(state, is_last=state.step >= schedule.total_steps)
    remaining = RemainingTime(steps_per_epoch=data.steps_per_epoch)
    for info in train(state, config=config, data=data, workers=workers):
        step_s, total_steps = state.totals.elapsed_s / state.totals.steps, schedule.total_steps
        remaining_s = remaining.estimate_s(info, total_steps=total_steps, step_s=step_s)
        training.progress(_report_step(training, info, total_steps=total_steps, remaining_s=remaining_s))
        if info.ends_epoch:
            with remaining.timing_epoch_end():
                training.progress(Activity("evaluating on held-out text"))
                metrics, is_best = finish_epoch(state, info, data=data, workers=workers)
                training.progress(Activity("drawing samples"))
                with workers.limit_threads():
                    metrics.samples.extend(_draw_samples(training))
                metrics.sample_outputs.extend(sample.whole for sample in metrics.samples)
        # Asked once: a signal that arrives after this is obeyed after the next step, which then is saved as well.
        must_stop = workers.must_stop()
        if info.ends_epoch:
            training.progress(Activity("saving"))
            if config.keep_epochs and state.epoch in names.KEPT_EPOCHS:
                # Before the checkpoint: a training that is resumed from there does not come to this epoch again.
                _keep_epoch_model(training)
            was_cooling, schedule = schedule.cool_down is not None, plan_steps(state, settings, data)
            files.save_epoch(state, must_save=must_stop, is_last=state.step >= schedule.total_steps)
            training.progress(EpochDone(metrics, is_best))
            if not was_cooling and (told := describe_cool_down(state.validation_losses, settings)):
                training.progress(Note(f"Early stopping: {told}."))
        elif files.is_due() or must_stop:
            training.progress(Activity("saving a checkpoint"))
            files.save_step(state)
        if must_stop:
            interrupts.check()


def _keep_epoch_model(training: Training) -> None:
    from semilla.export.epoch_models import write_epoch_model  # noqa: PLC0415 - loads onnx, which takes memory

    state, directory = training.state, training.files.directory
    path = write_epoch_model(directory, state.model, epoch=state.epoch)
    training.progress(ArtifactWritten(path))


def _list_epoch_models(training: Training) -> list[Path]:
    """The epoch models in the directory that runs wrote."""
    directory = training.files.directory
    ours = (read_status(directory) or PipelineStatus()).artifacts_created
    return [path for path in names.list_epoch_models(directory).values() if path.name in ours]


def _drop_epoch_models(training: Training) -> None:
    """Remove the epoch models of an earlier training, before a new one begins."""
    remove_artifacts(_list_epoch_models(training), training.progress)


def _draw_samples(training: Training) -> Iterator[Sample]:
    for language, prompt in training.prompts.items():
        text, ended = generate_sample(
            training.state.model,
            training.tokenizer,
            prompt,
            start_id=training.start_id,
            num_tokens=SAMPLE_TOKENS,
            temperature=SAMPLE_TEMPERATURE,
            seed=training.config.seed,
        )
        yield Sample(language=language, prompt=prompt, text=text, ended=ended)


def _report_step(training: Training, info: StepInfo, *, total_steps: int, remaining_s: float) -> StepDone:
    return StepDone(
        step=info.step,
        total_steps=total_steps,
        epoch=info.epoch,
        total_epochs=total_steps // training.data.steps_per_epoch,
        loss=info.loss,
        learning_rate=info.learning_rate,
        tokens_per_second=training.state.totals.tokens_per_second,
        remaining_s=remaining_s,
    )


def describe_resumed(state: RunState, *, steps_per_epoch: int) -> Resumed:
    """Describe a restored state, so that displays go on where the last attempt stopped."""
    losses = [(steps_per_epoch, epoch.train_loss) for epoch in state.history]
    if state.totals.steps:
        losses.append((state.totals.steps, state.totals.nats / state.totals.tokens))
    last = state.history[-1] if state.history else None
    is_best = last is not None and state.best is not None and state.best.epoch == last.epoch_number
    return Resumed(state.step, tuple(losses), last, is_best)


def describe_added_epochs(state: RunState, config: PipelineConfiguration, schedule: Schedule) -> str | None:
    """Say how the schedule treats epochs that were added to a finished training; None when none were."""
    settings = config.training_hyperparameters
    before = state.history[-1].learning_rate if state.history else 0.0
    after = compute_learning_rate(
        state.step,
        total_steps=schedule.planned_steps,
        base=settings.learning_rate,
        warmup_fraction=settings.warmup_fraction,
        cool_down=schedule.cool_down,
    )
    is_warming_up = state.step < settings.warmup_fraction * schedule.planned_steps
    if state.totals.steps or is_warming_up or after <= before:
        return None
    return (
        f"The learning rate rises from {before:.2g} to {after:.2g}, where a training of {settings.num_epochs} epochs "
        "has it now, and falls to the end. --no-resume starts over with the higher rates of that schedule."
    )


def _describe(training: Training) -> PhaseRecord:
    best, directory = training.state.best, Path(training.config.output_directory)
    assert best is not None
    continued = {}
    if training.continuation:
        training.progress(Activity("comparing with the model it started from"))
        continued["start"] = training.continuation.compare(training.state.model, best.weights, training.data)
    return PhaseRecord(
        "model_training",
        artifacts=[
            describe_artifact(directory / name, root=directory)
            for name in (names.BEST_MODEL, names.FINAL_MODEL, names.METRICS)
        ],
        details={
            "best_epoch": best.epoch,
            "best_validation_loss": best.validation_loss,
            "num_parameters": sum(parameter.numel() for parameter in training.state.model.parameters()),
            "training_tokens": len(training.data.stream),
            "language_shares": training.data.language_shares,
            "steps_per_epoch": training.data.steps_per_epoch,
            "environment": training.files.provenance.environment,
            "departures": training.files.provenance.departures,
            "epoch_models": [
                describe_artifact(path, root=directory).as_json() for path in _list_epoch_models(training)
            ],
            **continued,
        },
        warnings=[str(one) for one in training.damaged],
    )
