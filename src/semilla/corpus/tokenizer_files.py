"""The names of the tokenizer's files in a run's directory."""

from __future__ import annotations

from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import CATALOGUE
from semilla.records import names


def locate_tokenizer(config: PipelineConfiguration) -> tuple[Path, Path]:
    """Where a run writes the SentencePiece model and the list of its pieces."""
    return _locate(config, is_collection=config.corpus_source in CATALOGUE)


def find_tokenizer(config: PipelineConfiguration, directory: Path | None = None) -> tuple[Path, Path]:
    """Where the model and the list of a run are, under either name: earlier versions had one name for every source.

    ``directory`` is that of the run, if it is no longer the configured one. The files may be missing.
    """
    if directory is not None:
        config = config.model_copy(update={"output_directory": str(directory)})
    is_collection = config.corpus_source in CATALOGUE
    found, other = (_locate(config, is_collection=which) for which in (is_collection, not is_collection))
    return other if other[0].is_file() and not found[0].is_file() else found


def _locate(config: PipelineConfiguration, *, is_collection: bool) -> tuple[Path, Path]:
    stem = names.name_tokenizer(config.tokenizer_vocab_size, is_collection=is_collection)
    directory = Path(config.output_directory)
    return directory / f"{stem}.model", directory / f"{stem}.vocab"
