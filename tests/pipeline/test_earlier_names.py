"""Earlier versions had one name for every corpus and one for every tokenizer; what they wrote is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_runs import hash_tree, read, run, write_text

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import name_corpus
from semilla.corpus.manifest import read_documents, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer, locate_tokenizer
from semilla.errors import PHASES, InvalidConfigError
from semilla.prerequisites.storage import refuse_foreign_files
from semilla.records import names
from semilla.records.files import describe_artifact

EARLIER = {
    "corpus.txt": "corpus_bilingual.txt",
    "tokenizer_1k.model": "bilingual_1k.model",
    "tokenizer_1k.vocab": "bilingual_1k.vocab",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "libro.txt")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """A finished run, renamed to what an earlier version left."""
    directory = tmp_path_factory.mktemp("earlier") / "run"
    assert run(directory, source, "--num-epochs", "1") == 0
    for new, old in EARLIER.items():
        (directory / new).rename(directory / old)
    manifest = directory / names.CORPUS_MANIFEST
    content = json.loads(manifest.read_text(encoding="utf-8"))
    assert content.pop("corpus_file") == "corpus.txt"
    manifest.write_text(json.dumps(content), encoding="utf-8")
    status = directory / names.STATUS
    text = status.read_text(encoding="utf-8")
    for new, old in EARLIER.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    records = json.loads(text)
    described = describe_artifact(manifest, root=directory).as_json()
    for artifact in records["phase_records"]["corpus_download"]["artifacts"]:
        if artifact["path"] == names.CORPUS_MANIFEST:
            artifact.update(described)
    status.write_text(json.dumps(records), encoding="utf-8")
    return directory


@pytest.fixture
def copy(earlier: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(earlier, tmp_path / "run"))


def list_outcomes(directory: Path) -> list[str]:
    records = read(directory)["phase_records"]
    return [records[phase]["outcome"] for phase in PHASES[1:]]


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


def test_an_unchanged_run_has_nothing_to_do(copy: Path, source: Path) -> None:
    """It is recognised as finished, and no file is written."""
    before = hash_tree(copy)
    assert run(copy, source, "--num-epochs", "1") == 0
    assert hash_tree(copy) == before


def test_a_resumed_run_keeps_its_names(copy: Path, source: Path) -> None:
    """Training goes on with the corpus and the tokenizer that are there; its page and its report are written."""
    assert run(copy, source, "--resume") == 0
    assert list_outcomes(copy) == ["reused", "reused", "done", "done"]
    assert not any((copy / new).exists() for new in EARLIER)
    assert cli.main(["export", str(copy), "--to", "web"]) == 0


def test_another_text_gets_the_new_names(copy: Path, tmp_path: Path) -> None:
    """The manifest says which file is the corpus, so the earlier one is not taken for it."""
    assert run(copy, write_text(tmp_path / "otro.txt", seed=1), "--num-epochs", "1") == 0
    assert read_manifest(copy).corpus_file == "corpus.txt"
    assert read_documents(copy)[0].title == "otro"
    config = PipelineConfiguration(corpus_source="otro.txt", tokenizer_vocab_size=1000)
    assert find_tokenizer(config, copy)[0].name == "tokenizer_1k.model"


def test_a_corpus_of_the_user_beside_an_earlier_run_is_not_replaced(copy: Path, source: Path) -> None:
    """The name was free when the earlier version ran."""
    (copy / names.CORPUS).write_text("mine\n", encoding="utf-8")
    refuse_foreign_files(copy, corpus_source="gutenberg")
    with pytest.raises(InvalidConfigError, match=r"corpus\.txt"):
        refuse_foreign_files(copy, corpus_source=str(source))
