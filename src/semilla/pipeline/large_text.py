"""Encodes a large text before the phase that trains on it is loaded: PyTorch would take memory all the while."""

from __future__ import annotations

from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import LARGE_BYTES, read_documents, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.events import Progress
from semilla.records import names
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.data import build_data
from semilla.training.stored import open_store


def encode_large_text(config: PipelineConfiguration, *, progress: Progress) -> None:
    """Write the token files of a corpus that does not fit into memory, unless they are there."""
    directory = Path(config.output_directory)
    if store := open_store(directory, directory / names.TOKENS, progress=progress):
        tokenizer = read_tokenizer(find_tokenizer(config)[0])
        build_data(read_documents(directory), tokenizer, config, store)


def is_large(directory: Path) -> bool:
    """Whether the corpus in ``directory`` does not fit into memory."""
    return read_manifest(directory).corpus_bytes > LARGE_BYTES
