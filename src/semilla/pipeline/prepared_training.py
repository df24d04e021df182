"""What a training begins with: its text, its network, the state to continue from, and the files that it will write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents, read_manifest
from semilla.corpus.prompts import find_prompts
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.events import Note, Progress
from semilla.pipeline.continuation import Continuation, open_continuation
from semilla.records import names
from semilla.records.files import hash_file
from semilla.records.status import PipelineStatus, read_status
from semilla.system.ranks import read_place
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer
from semilla.training.checkpoints.checkpoint import Damaged, Provenance, find_checkpoints, restore_state
from semilla.training.checkpoints.persistence import TrainingFiles
from semilla.training.checkpoints.resume import Resumption, choose_start, continue_from
from semilla.training.data import TrainingData, build_data, find_start_id
from semilla.training.environment import choose_environment
from semilla.training.evaluate import find_step
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState, build_state
from semilla.training.stored import START, StoredStream, open_store, remove_unused


@dataclass(frozen=True)
class Training:
    """A training of one run directory: its data, its state, and the files it writes."""

    config: PipelineConfiguration
    tokenizer: Tokenizer
    data: TrainingData
    prompts: dict[str, str]
    """A held-out opening of each language."""
    start_id: int
    state: RunState
    files: TrainingFiles
    damaged: list[Damaged]
    """Checkpoints that did not verify."""
    continuation: Continuation | None
    progress: Progress

    @classmethod
    def prepare(cls, config: PipelineConfiguration, *, progress: Progress) -> Training:
        """Read the corpus and the tokenizer; build the state, or restore it from a checkpoint."""
        directory = Path(config.output_directory)
        documents = read_documents(directory)
        tokenizer = read_tokenizer(find_tokenizer(config)[0])
        data, continuation = read_data(config, documents, tokenizer, progress=progress)
        texts = {"": data, START: continuation.own_data if continuation else None}
        used = [name for name, one in texts.items() if one and isinstance(one.stream, StoredStream)]
        remove_unused(directory / names.TOKENS, used=used, progress=progress)
        for note in describe_data(config, data):
            progress(Note(note))
        resumption = choose_start(config, *find_checkpoints(directory), progress=progress)
        status = read_status(directory) or PipelineStatus()
        fresh = describe_provenance(config, resumption, tokenizer, model_version=status.model_version)
        state, provenance = build_or_restore(config, resumption, fresh, progress=progress)
        if continuation and not resumption.start:
            continuation.load(state.model)
        files = TrainingFiles(
            config,
            run_id=status.pipeline_id,
            provenance=provenance,
            replaced=resumption.list_replaced(provenance.lineage, ours=status.artifacts_created),
            progress=progress,
        )
        openings = find_prompts(documents, tokenizer, per_language=1)
        prompts = {language: found[0] for language, found in openings.items()}
        start_id = find_start_id(documents)
        return cls(
            config,
            tokenizer,
            data,
            prompts,
            start_id,
            state,
            files,
            resumption.damaged,
            continuation,
            progress,
        )


def open_workers(config: PipelineConfiguration) -> Workers:
    """The workers of this process; under torchrun they share their steps with those of the other ranks."""
    if read_place().size == 1:
        return Workers(config)
    from semilla.training.parallel.ranks import RankWorkers  # noqa: PLC0415 - only under torchrun

    return RankWorkers(config)


def describe_data(config: PipelineConfiguration, data: TrainingData) -> Iterator[str]:
    """What a user should know about how the text is used."""
    settings = config.training_hyperparameters
    if settings.language_balance:
        shares = ", ".join(f"{share:.0%} {language}" for language, share in data.language_shares.items())
        yield f"The training is balanced between languages: {shares}."
    if data.fits_documents and (share := settings.repetition_fraction):
        yield f"Most documents fit into a sequence; {share:.0%} of the steps repeat short pieces first."
    if (step := find_step(data)) > 1:
        yield (
            f"There is much held-out text: every epoch is evaluated on one in {step} of its windows, always the same "
            "ones, and the finished model on all of them."
        )


def read_data(
    config: PipelineConfiguration, documents: list[Document], tokenizer: Tokenizer, *, progress: Progress
) -> tuple[TrainingData, Continuation | None]:
    """The text to train on, and the model to start from with its own text."""
    directory = Path(config.output_directory)
    store = open_store(directory, directory / names.TOKENS, progress=progress)
    data = build_data(documents, tokenizer, config, store)
    continuation = open_continuation(config, tokenizer, progress=progress)
    return (continuation.add_text(data) if continuation else data), continuation


def describe_provenance(
    config: PipelineConfiguration, resumption: Resumption, tokenizer: Tokenizer, *, model_version: str
) -> Provenance:
    """The provenance of a training that starts now, in an environment chosen for it."""
    directory, start = Path(config.output_directory), resumption.start
    environment = choose_environment(
        config.training_hyperparameters,
        device=config.device,
        earlier=start.provenance.environment if start else None,
    )
    return Provenance(
        lineage=resumption.next_lineage,
        vocab_size=tokenizer.vocab_size,
        corpus_sha256=hash_file(directory / read_manifest(directory).corpus_file),
        tokenizer_sha256=hash_file(find_tokenizer(config)[0]),
        environment=environment.as_json(),
        model_version=model_version,
    )


def build_or_restore(
    config: PipelineConfiguration, resumption: Resumption, fresh: Provenance, *, progress: Progress
) -> tuple[RunState, Provenance]:
    """The state to train from, and the provenance of its checkpoints; ``fresh`` is that of a new training."""
    start = resumption.start
    provenance = continue_from(start, fresh, config=config, progress=progress) if start else fresh
    state = build_state(config, vocab_size=fresh.vocab_size, precision=fresh.environment["precision"])
    if start:
        restore_state(state, start)
    return state, provenance
