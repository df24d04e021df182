"""Earlier versions had one name for every corpus and one for every tokenizer; what they wrote is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_runs import write_text

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import name_corpus
from semilla.corpus.manifest import read_documents, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer, locate_tokenizer
from semilla.errors import InvalidConfigError
from semilla.events import silent
from semilla.pipeline.finish import remove_replaced
from semilla.pipeline.journal import Journal
from semilla.pipeline.phases import PhaseRecord, corpus_download, model_training, tokenizer_training
from semilla.pipeline.reuse import find_reusable
from semilla.prerequisites.storage import refuse_foreign_files
from semilla.records import names
from semilla.records.log import ErrorTail
from semilla.records.status import PhaseEntry, PipelineStatus, write_status

EARLIER = {
    "corpus.txt": "corpus_bilingual.txt",
    "tokenizer_1k.model": "bilingual_1k.model",
    "tokenizer_1k.vocab": "bilingual_1k.vocab",
}
Results = tuple[PipelineConfiguration, dict[str, PhaseRecord], dict[str, PhaseRecord]]


@pytest.fixture
def earlier(tmp_path: Path) -> Results:
    """Text and tokenizer under the current names, then under the earlier ones: the results of both."""
    directory = tmp_path / "run"
    directory.mkdir()
    config = PipelineConfiguration(
        corpus_source=str(write_text(tmp_path / "libro.txt")),
        output_directory=str(directory),
        tokenizer_vocab_size=1000,
        trust_tokenizer=True,
    )
    now = {
        "corpus_download": corpus_download.run(config, progress=silent),
        "tokenizer_training": tokenizer_training.run(config, progress=silent),
    }
    for new, old in EARLIER.items():
        (directory / new).rename(directory / old)
    manifest = directory / names.CORPUS_MANIFEST
    content = json.loads(manifest.read_text(encoding="utf-8"))
    assert content.pop("corpus_file") == "corpus.txt"
    manifest.write_text(json.dumps(content), encoding="utf-8")
    then = {
        "corpus_download": corpus_download.adopt(config),
        "tokenizer_training": tokenizer_training.adopt(config),
    }
    return config, now, then


@pytest.mark.parametrize(("corpus_source", "corpus", "tokenizer"), [
    ("gutenberg", "corpus_bilingual.txt", "bilingual_8k.model"),
    ("sample", "corpus_bilingual.txt", "bilingual_8k.model"),
    ("notes/", "corpus.txt", "tokenizer_8k.model"),
    ("https://example.org/a.txt", "corpus.txt", "tokenizer_8k.model"),
])  # fmt: skip
def test_the_names_fit_the_source(corpus_source: str, corpus: str, tokenizer: str) -> None:
    """The specification names the files of its collection; other texts need not be bilingual."""
    assert name_corpus(corpus_source) == corpus
    assert locate_tokenizer(PipelineConfiguration(corpus_source=corpus_source))[0].name == tokenizer


def test_what_an_earlier_version_wrote_is_reused(earlier: Results) -> None:
    """Text and tokenizer are found under their names, and the inputs of every phase are the same."""
    config, now, then = earlier
    directory = Path(config.output_directory)
    assert {one.path for record in now.values() for one in record.artifacts} - {names.CORPUS_MANIFEST} == set(
        EARLIER
    )
    assert {one.path for record in then.values() for one in record.artifacts} - {
        names.CORPUS_MANIFEST
    } == set(EARLIER.values())
    status = PipelineStatus()
    for phase, module in (("corpus_download", corpus_download), ("tokenizer_training", tokenizer_training)):
        inputs = module.read_inputs(config, now)
        entry = PhaseEntry(
            inputs=inputs, artifacts=then[phase].artifacts, details=then[phase].details, finished_at=""
        )
        status.phase_records[phase] = entry
        assert find_reusable(phase, status, inputs=module.read_inputs(config, then), directory=directory)
    assert model_training.read_inputs(config, then) == model_training.read_inputs(config, now)


def test_another_text_gets_the_new_names(earlier: Results, tmp_path: Path) -> None:
    """The manifest says which file is the corpus, so the earlier one is not taken for it."""
    config, *_ = earlier
    config = config.model_copy(update={"corpus_source": str(write_text(tmp_path / "otro.txt", seed=1))})
    directory = Path(config.output_directory)
    corpus_download.run(config, progress=silent)
    assert read_manifest(directory).corpus_file == "corpus.txt"
    assert read_documents(directory)[0].title == "otro"
    assert find_tokenizer(config)[0].name == "bilingual_1k.model"
    tokenizer_training.run(config, progress=silent)
    assert find_tokenizer(config)[0].name == "tokenizer_1k.model"


def test_another_text_leaves_no_file_of_the_one_before(earlier: Results, tmp_path: Path) -> None:
    """When the run is complete, corpus and tokenizer of other names go; files that no run made stay."""
    config, _, then = earlier
    directory = Path(config.output_directory)
    (directory / "bilingual_4k.model").write_text("mine", encoding="utf-8")
    config = config.model_copy(update={"corpus_source": str(write_text(tmp_path / "otro.txt", seed=1))})
    journal = Journal(directory, tail=ErrorTail(), listeners=())
    journal.status.artifacts_created += [one.path for record in then.values() for one in record.artifacts]
    for phase, module in (("corpus_download", corpus_download), ("tokenizer_training", tokenizer_training)):
        record = module.run(config, progress=journal.tell)
        journal.status.phase_records[phase] = PhaseEntry(
            inputs={}, artifacts=record.artifacts, details=record.details, finished_at=""
        )
    assert all((directory / name).is_file() for names in EARLIER.items() for name in names)
    remove_replaced(journal)
    assert all((directory / name).is_file() for name in EARLIER)
    assert not any((directory / name).exists() for name in EARLIER.values())
    assert not set(EARLIER.values()) & set(journal.status.artifacts_created)
    assert (directory / "bilingual_4k.model").read_text(encoding="utf-8") == "mine"


def test_a_corpus_of_the_user_beside_an_earlier_run_is_not_replaced(earlier: Results) -> None:
    """The name was free when the earlier version ran."""
    config, _, then = earlier
    directory = Path(config.output_directory)
    record = then["corpus_download"]
    entry = PhaseEntry(inputs={}, artifacts=record.artifacts, details=record.details, finished_at="")
    write_status(directory, PipelineStatus(phase_records={"corpus_download": entry}))
    refuse_foreign_files(directory, corpus_source=config.corpus_source)
    (directory / names.CORPUS).write_text("mine\n", encoding="utf-8")
    refuse_foreign_files(directory, corpus_source="gutenberg")
    with pytest.raises(InvalidConfigError, match=r"corpus\.txt"):
        refuse_foreign_files(directory, corpus_source=config.corpus_source)
