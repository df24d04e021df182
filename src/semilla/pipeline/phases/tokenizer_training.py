"""Phase 3: learn a vocabulary from the training part of the corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.manifest import Document, read_documents, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer, locate_tokenizer
from semilla.errors import IntegrityError
from semilla.events import Activity, ArtifactWritten, Note, Progress, Warned
from semilla.pipeline.phases import PhaseRecord, identify_corpus
from semilla.pipeline.start_model import read_start
from semilla.prerequisites.storage import MIB
from semilla.records.files import describe_artifact, write_bytes, write_text
from semilla.system import interrupts
from semilla.tokenizer.model_file import check_structure, try_in_child
from semilla.tokenizer.size import suit_vocabulary
from semilla.tokenizer.tokenizer import Tokenizer, check_round_trip, format_vocabulary, measure_compression
from semilla.tokenizer.training import SAMPLED_BYTES, TooUniformError, VocabularySizeError, train_tokenizer


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:
    """List what the tokenizer depends on: the text, the size and the algorithm, or the model to start from."""
    if start := read_start(config):
        return {"start_tokenizer": hashlib.sha256(start.tokenizer_model).hexdigest()}
    return {
        "corpus": identify_corpus(records),
        "tokenizer_vocab_size": config.tokenizer_vocab_size,
        "tokenizer_model_type": config.tokenizer_model_type,
    }


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Train, check the round trip on held-out text, and report bytes per token per language."""
    documents = read_documents(Path(config.output_directory))
    warning: str | None = None
    sampled_bytes = 0
    if start := read_start(config):
        model = start.tokenizer_model
        check_structure(model)
        try_in_child(model)
        progress(Note(f"The tokenizer is that of {start.directory}."))
    else:
        model, warning, sampled_bytes = _train(config, documents, progress=progress)
    tokenizer = Tokenizer(model)
    progress(Activity("encoding held-out text and back"))
    for document in documents:
        check_round_trip(tokenizer, document.validation_text)
    model_path, vocabulary_path = locate_tokenizer(config)
    write_bytes(model_path, model)
    write_text(vocabulary_path, format_vocabulary(tokenizer))
    for path in (model_path, vocabulary_path):
        progress(ArtifactWritten(path))
    record = _describe(config, documents, tokenizer)
    if sampled_bytes:
        record.details["sampled_bytes"] = sampled_bytes
    sizes = ", ".join(
        f"{size:.2f} in {language}" for language, size in record.details["bytes_per_token"].items()
    )
    progress(Note(f"The vocabulary has {record.details['vocab_size']:,} pieces; bytes per token: {sizes}."))
    record.warnings = [warning] if warning else []
    return record


def _train(
    config: PipelineConfiguration, documents: list[Document], *, progress: Progress
) -> tuple[bytes, str | None, int]:
    """The SentencePiece model of a new vocabulary, a warning, if there is one, and the size of its sample, if any."""
    train_bytes = read_manifest(Path(config.output_directory)).train_bytes
    sampled_bytes = SAMPLED_BYTES if train_bytes > SAMPLED_BYTES else 0
    characters = set[str]()
    for document in documents:
        interrupts.check()
        characters.update(document.train_text)
    size = suit_vocabulary(config, train_bytes=train_bytes, num_characters=len(characters))
    if sampled_bytes:
        size_mb = f"{sampled_bytes / MIB:,.3g} of {train_bytes / MIB:,.0f} MB"
        progress(Note(f"The vocabulary is learned from {size_mb}, spread evenly over the training text."))
    if size < config.tokenizer_vocab_size:
        default = f"{config.tokenizer_vocab_size:,}"
        progress(Note(f"{size:,} pieces suit so little text better than the default {default}; using that."))
    progress(Activity("learning a vocabulary"))
    try:
        trained = train_tokenizer(
            (document.train_text for document in documents),
            vocab_size=size,
            model_type=config.tokenizer_model_type,
            is_size_explicit="tokenizer_vocab_size" in config.model_fields_set,
            share=sampled_bytes / train_bytes if sampled_bytes else 1.0,
        )
    except VocabularySizeError as error:
        error.next_command = to_command(config, tokenizer_vocab_size=error.nearest)
        raise
    except TooUniformError as error:
        error.next_command = to_command(config, tokenizer_model_type="char")
        raise
    if trained.warning:
        progress(Warned(trained.warning, "vocabulary_size"))
    return trained.model, trained.warning, sampled_bytes


def adopt(config: PipelineConfiguration) -> PhaseRecord:
    """Use a tokenizer that no run in this directory made, if the user trusts it.

    Raises IntegrityError when there is none, when it is not trusted, or when a child process cannot load it.
    """
    model_path, vocabulary_path = find_tokenizer(config)
    if not model_path.is_file() or not vocabulary_path.is_file():
        raise IntegrityError(
            f"tokenizer_training cannot be skipped: {model_path} and its .vocab file must both exist"
        )
    if not config.trust_tokenizer:
        raise IntegrityError(
            f"no run in this directory made {model_path}: use --trust-tokenizer if you know where it comes from",
            next_command=to_command(config, trust_tokenizer=True),
        )
    model = model_path.read_bytes()
    check_structure(model)
    try_in_child(model)
    return _describe(config, read_documents(model_path.parent), Tokenizer(model))


def _describe(config: PipelineConfiguration, documents: list[Document], tokenizer: Tokenizer) -> PhaseRecord:
    directory = Path(config.output_directory)
    return PhaseRecord(
        "tokenizer_training",
        artifacts=[describe_artifact(path, root=directory) for path in find_tokenizer(config)],
        details={
            "vocab_size": tokenizer.vocab_size,
            "bytes_per_token": {
                language: round(measure_compression(tokenizer, _list_held_out(documents, language)), 3)
                for language in dict.fromkeys(document.language for document in documents)
            },
        },
    )


def _list_held_out(documents: list[Document], language: str) -> Iterator[str]:
    return (document.validation_text for document in documents if document.language == language)
