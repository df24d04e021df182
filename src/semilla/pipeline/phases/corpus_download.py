"""Phase 2: turn the corpus source into one clean text with a training and a held-out part, and a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import CATALOGUE, expect_size_mb
from semilla.corpus.documents import list_mirrors, prepare_documents
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.corpus.language import free_identifier
from semilla.corpus.manifest import (
    LARGE_BYTES,
    SCHEMA_VERSION,
    CorpusManifest,
    read_documents,
    read_manifest,
)
from semilla.corpus.source_list import describe_sources
from semilla.corpus.sources import CorpusSource, fingerprint_files, resolve_sources
from semilla.corpus.writer import CorpusWriter
from semilla.escape import redact_credentials
from semilla.events import Activity, Note, Progress
from semilla.pipeline.phases import PhaseRecord
from semilla.records import names
from semilla.records.files import describe_artifact
from semilla.system.allocator import return_freed_blocks

PHASE = "corpus_download"
MAX_WARNINGS = 100
_READING = ("text_column", "title_column", "layout", "dedupe", "repair")
"""Settings of how files are read."""


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:  # noqa: ARG001
    """List what the corpus depends on. Local files count by content, so an edited file is read again."""
    sources = resolve_sources(config.corpus_source)
    inputs: dict[str, Any] = {
        "source": describe_sources(config.corpus_source),
        "encoding": config.corpus_encoding,
        "languages": list(config.corpus_languages),
        "manifest_version": SCHEMA_VERSION,
    }
    # Only those that differ from the defaults: the records of older runs have none.
    inputs |= {
        name: value for name in _READING if (value := getattr(config, name)) not in {"", "auto", False}
    }
    if len(sources) == 1:
        return inputs | _describe_content(sources[0], config)
    return inputs | {"sources": [_describe_content(source, config) for source in sources]}


def _describe_content(source: CorpusSource, config: PipelineConfiguration) -> dict[str, Any]:
    if source.kind in {"url", "data set"}:
        return {}
    if source.is_local:
        return {"files": fingerprint_files(source)}
    if books := [book.book_id for book in CATALOGUE[source.value].books]:
        return {
            "books": books,
            "mirrors": [redact_credentials(one) for one in list_mirrors(config)],
            "allow_partial": config.allow_partial,
            "corpus_drift": config.corpus_drift,
        }
    grade = {"grade": config.corpus_grade} if config.corpus_grade else {}
    return {"seed": config.corpus_seed, "size_mb": config.corpus_size_mb} | grade


def run(
    config: PipelineConfiguration, *, progress: Progress, policy: FetchPolicy | None = None
) -> PhaseRecord:
    """Make the corpus; ``policy`` sets the timeouts and retries of downloads.

    Raises NetworkError, InvalidCorpusError, or an error of the file system.
    """
    writer = CorpusWriter(
        Path(config.output_directory),
        source=describe_sources(config.corpus_source),
        progress=progress,
        languages=config.corpus_languages,
        expected_bytes=expect_size_mb(config.corpus_source, config.corpus_size_mb) << 20,
        sequence_length=config.training_hyperparameters.max_sequence_length,
        refuses_drift=config.corpus_drift == "refuse",
    )
    progress(Activity("reading and cleaning the text"))
    manifest = writer.write(prepare_documents(config, progress=progress, policy=policy))
    if manifest.corpus_bytes > LARGE_BYTES:
        free_identifier()
        return_freed_blocks()
    if weights := manifest.describe_weights():
        progress(Note(f"{'; '.join(weights)}."))
    return _record(config, manifest)


def adopt(config: PipelineConfiguration) -> PhaseRecord:
    """Use the existing corpus; raises IntegrityError when it differs from its manifest."""
    directory = Path(config.output_directory)
    read_documents(directory)
    return _record(config, read_manifest(directory))


def _shorten(warnings: list[str]) -> list[str]:
    """The first warnings: the status is written often, and the manifest has all of them."""
    surplus = len(warnings) - MAX_WARNINGS
    return (
        warnings
        if surplus <= 0
        else [*warnings[:MAX_WARNINGS], f"{surplus:,} more in {names.CORPUS_MANIFEST}"]
    )


def _record(config: PipelineConfiguration, manifest: CorpusManifest) -> PhaseRecord:
    directory = Path(config.output_directory)
    written = (manifest.corpus_file, names.CORPUS_MANIFEST)
    return PhaseRecord(
        PHASE,
        artifacts=[describe_artifact(directory / name, root=directory) for name in written],
        details={
            "documents": len(manifest.documents),
            "split": manifest.hash_split(),
            "bytes": manifest.corpus_bytes,
            "train_bytes": manifest.train_bytes,
            "epoch_bytes": manifest.epoch_bytes,
            "validation_bytes": manifest.validation_bytes,
            "language_shares": {language: one.share for language, one in manifest.language_shares.items()},
            "corpus_drift": manifest.corpus_drift,
            "missing_documents": [document.title for document in manifest.missing_documents],
        },
        warnings=_shorten(manifest.warnings),
    )
