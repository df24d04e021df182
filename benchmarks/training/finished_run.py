"""The text and the tokenizer of a finished run, which the training benchmarks train on."""

from __future__ import annotations

from pathlib import Path

from semilla.corpus.manifest import Document, read_documents
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer


def read_finished_run(run_directory: Path) -> tuple[Tokenizer, list[Document]]:
    """The run's tokenizer and its documents, split into training and validation text."""
    (model_file,) = run_directory.glob("*.model")
    return read_tokenizer(model_file), list(read_documents(run_directory))
