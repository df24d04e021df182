"""What each step of cleaning does to the first files of a source, for ``semilla check --show-cleaning``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.cleaning.clean import clean_text
from semilla.corpus.cleaning.ledger import Step
from semilla.corpus.cleaning.repair import repair_text, require_repair
from semilla.corpus.duplicates import Duplicates
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import Extracted
from semilla.corpus.formats.reading import FileText, read_file
from semilla.corpus.prepared import make_options
from semilla.corpus.sources import (
    STANDARD_INPUT,
    CorpusSource,
    read_standard_input,
    read_text_file,
    survey_texts,
)
from semilla.errors import InvalidCorpusError, SemillaError

NUM_FILES = 3
MAX_FILES_TRIED = 200
"""Files that no step changes are passed over."""


def sample_cleaning(
    config: PipelineConfiguration, source: CorpusSource, *, num_files: int = NUM_FILES
) -> Iterator[tuple[str, list[Step]]]:
    """Yield files of a local source that cleaning changes, each with the steps that changed it.

    Raises InvalidCorpusError when there is nothing to read, and DependencyError for --repair without ftfy.
    """
    if config.repair:
        require_repair()
    files = survey_texts(source).files
    duplicates = Duplicates(removes=True)
    with ConfinedReader() as reader:
        for path in files[:MAX_FILES_TRIED] if source.kind != "stdin" else [STANDARD_INPUT]:
            with suppress(SemillaError, OSError):
                data = read_standard_input() if isinstance(path, str) else read_text_file(path)
                for found in read_file(data, make_options(config), name=str(path), reader=reader):
                    if not isinstance(found, FileText):
                        continue
                    steps = list_steps(found.documents[0], config, name=found.name, duplicates=duplicates)
                    if steps:
                        yield found.name, steps
                        num_files -= 1
                    if not num_files:
                        return


def list_steps(
    document: Extracted, config: PipelineConfiguration, *, name: str, duplicates: Duplicates
) -> list[Step]:
    """List the steps that change a document. ``duplicates`` has seen the documents before it."""
    steps: list[Step] = []
    text = document.text
    if config.repair:
        text = repair_text(text).text
        if text != document.text:
            steps.append(Step("repair", document.text, text))
    layout = config.layout if config.layout != "auto" else document.layout
    with suppress(InvalidCorpusError):
        text = clean_text(text, name=name, layout=layout, steps=steps).text
    if config.dedupe:
        left = duplicates.filter_text(text, name=name)
        if left != text:
            steps.append(Step("dedupe", text, left))
    return steps
