"""Several sources are mixed; a weight says how often an epoch sees the documents of one."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from small_runs import write_text

from semilla import cli
from semilla.configuration.loading import load_configuration
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command, to_toml
from semilla.corpus.catalogue import expect_size_mb, name_corpus
from semilla.corpus.documents import prepare_documents
from semilla.corpus.manifest import CorpusManifest, read_documents, read_manifest
from semilla.corpus.source_list import describe_sources, split_sources
from semilla.corpus.sources import resolve_sources
from semilla.corpus.writer import CorpusWriter
from semilla.events import silent
from semilla.pipeline.phases import corpus_download
from semilla.prerequisites.source import check_source
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID
from semilla.training.data import build_data

WORDS = "río casa verde lámpara nadie carta invierno pan sal viento the river old house letter came from far".split()


class LetterTokenizer:
    """One token per character."""

    def encode(self, text: str) -> np.ndarray:
        return np.array([ord(letter) for letter in text], dtype=np.int32)


def make_note(number: int) -> str:
    draw = random.Random(number)
    return " ".join(f"{draw.choice(WORDS)}{draw.randrange(90)}" for _ in range(50)) + "."


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 40 notes, a file beside it, and a file whose name ends like a weight."""
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    for number in range(40):
        Path(f"notes/{number:02}.txt").write_text(make_note(number), encoding="utf-8")
    Path("a.txt").write_text("\n\n".join(map(make_note, range(100, 120))), encoding="utf-8")
    Path("x=2").write_text("\n\n".join(map(make_note, range(200, 220))), encoding="utf-8")
    Path("out").mkdir()
    return tmp_path


def make(*sources: str) -> CorpusManifest:
    config = PipelineConfiguration(corpus_source="\n".join(sources), output_directory="out")
    corpus_download.run(config, progress=silent)
    return read_manifest(Path("out"))


@pytest.mark.parametrize(("given", "value", "weight"), [
    ("a.txt=2", "a.txt", 2),
    ("notes/=100", "notes/", 100),
    ("sample=3", "sample", 3),
    ("notes/*.md=10", "notes/*.md", 10),
    ("https://example.org/a.txt=2", "https://example.org/a.txt", 2),
    ("https://example.org/?page=2", "https://example.org/?page=2", 1),
    ("x=2", "x=2", 1),
    ("x=2=3", "x=2", 3),
    ("a.txt=0", "a.txt=0", 1),
    ("a.txt=101", "a.txt=101", 1),
    ("a.txt=1.5", "a.txt=1.5", 1),
    ("=2", "=2", 1),
])  # fmt: skip
def test_weights_are_told_from_names(place: Path, given: str, value: str, weight: int) -> None:
    """A file whose name ends like a weight is that file, and the query of an address is no weight."""
    assert split_sources(given) == [(value, weight)]


def test_several_sources_are_one_corpus(place: Path) -> None:
    """In their order; weights change neither the text nor what is held out."""
    weighted, plain = make("a.txt=3", "notes/", "x=2"), make("a.txt", "notes/", "x=2")
    assert [(entry.title, entry.weight) for entry in weighted.documents] == [
        ("a", 3), *((f"{number:02}", 1) for number in range(40)), ("x=2", 1),
    ]  # fmt: skip
    assert weighted.source == "a.txt=3 + notes/ + x=2"
    assert weighted.corpus_file == "corpus.txt"
    assert weighted.corpus_sha256 == plain.corpus_sha256
    assert weighted.validation_bytes == plain.validation_bytes
    assert weighted.hash_split() != plain.hash_split()
    first = weighted.documents[0]
    assert weighted.epoch_bytes == plain.epoch_bytes + 2 * first.train_bytes
    assert plain.epoch_bytes == plain.train_bytes
    assert plain.describe_weights() == []
    share, seen = first.train_bytes / plain.train_bytes, 3 * first.train_bytes / weighted.epoch_bytes
    assert weighted.describe_weights() == [
        f"weight 3: 1 text, {share:.0%} of the training text, {seen:.0%} of an epoch",
        f"weight 1: 41 texts, {1 - share:.0%} of the training text, {1 - seen:.0%} of an epoch",
    ]


def test_an_epoch_sees_a_document_as_often_as_its_weight_says(place: Path) -> None:
    """Validation sees every document once."""
    config = PipelineConfiguration(training_hyperparameters={"max_sequence_length": 32})
    streams = {}
    for weight in (1, 4):
        make(f"a.txt={weight}", "notes/")
        documents = read_documents(Path("out"))
        data = build_data(documents, LetterTokenizer(), config)
        streams[weight] = data
        text = documents[0].train_text.rstrip("\n")
        tokens = [BEGIN_ID, *LetterTokenizer().encode(text), END_ID]
        windows = np.lib.stride_tricks.sliding_window_view(data.stream, len(tokens))
        assert (windows == tokens).all(axis=1).sum() == weight
        assert (data.stream == BEGIN_ID).sum() == weight + sum(len(one.train_texts) for one in documents[1:])
    assert len(streams[4].held_out) == len(streams[1].held_out)
    assert streams[4].steps_per_epoch > streams[1].steps_per_epoch


def test_a_text_of_two_sources_counts_for_the_first(place: Path) -> None:
    """The second one is left out as a duplicate, and is named."""
    manifest = make("notes/07.txt=5", "notes/")
    assert [entry.weight for entry in manifest.documents] == [5, *[1] * 39]
    assert [(one.path, one.reason) for one in manifest.left_out] == [("notes/07.txt", "duplicate")]


def test_stories_and_own_texts_are_mixed(place: Path) -> None:
    """A catalogue name is a source like any other."""
    config = PipelineConfiguration(corpus_source="sample=2\nnotes/", corpus_size_mb=1, output_directory="out")
    writer = CorpusWriter(Path("out"), source=describe_sources(config.corpus_source), progress=silent)
    manifest = writer.write(prepare_documents(config, progress=silent))
    assert {(entry.provenance.source == "sample", entry.weight) for entry in manifest.documents} == {
        (True, 2), (False, 1),
    }  # fmt: skip
    assert name_corpus(config.corpus_source) == "corpus.txt"
    assert expect_size_mb("gutenberg=2\nnotes/", 1) == 3


def test_flags_and_files_name_several_sources(place: Path) -> None:
    """The flag is repeated, a TOML file has a list, and both are written back so that they are read alike."""
    wanted = PipelineConfiguration(corpus_source="a.txt=2\nnotes/")
    file = place / "c.toml"
    file.write_text('corpus_source = ["a.txt=2", "notes/"]', encoding="utf-8")
    assert load_configuration(flags={}, environment={}, file=file).config == wanted
    file.write_text(to_toml(wanted), encoding="utf-8")
    assert load_configuration(flags={}, environment={}, file=file).config == wanted
    assert to_command(wanted) == "semilla run --corpus-source=a.txt=2 --corpus-source=notes/"
    assert [source.kind for source in resolve_sources(wanted.corpus_source)] == ["file", "folder"]


def test_check_shows_what_the_weights_mean(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each source after the other, their files in one table, and the share of each weight in an epoch."""
    write_text(place / "libro.txt")
    assert (
        cli.main(["check", "libro.txt=2", "notes/", "--output-dir", "run", "--tokenizer-vocab-size", "1000"])
        == 0
    )
    shown = capsys.readouterr().out
    assert "weight 2: 1 text" in shown
    assert "weight 1: 40 texts" in shown
    assert "notes/39.txt" in shown or "and 21 more" in shown


@pytest.mark.parametrize(("sources", "message"), [
    (["notes/", "a.txt=1.5"], "'1.5' is not a weight of a.txt: give a whole number from 1 to 100"),
    (["notes/", "b.txt=2"], "there is no file or folder b.txt; did you mean a.txt?"),
])  # fmt: skip
def test_a_source_that_is_wrong_is_named(place: Path, sources: list[str], message: str) -> None:
    """Though the others are right."""
    check = check_source(PipelineConfiguration(corpus_source="\n".join(sources)))
    assert not check.ok
    assert check.error
    assert check.error.message == message
