"""What a run wrote is never read as its text, wherever the output directory is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_runs import assert_four_lines

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.sources import fingerprint_files, list_text_files, resolve_source
from semilla.errors import InvalidConfigError
from semilla.events import Event, Note
from semilla.pipeline.phases import corpus_download
from semilla.prerequisites.source import refuse_own_output
from semilla.records import names

TEXT = "Había una vez una semilla que quería ver el sol. Once upon a time there was a seed.\n" * 60


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A corpus folder with two texts."""
    folder = tmp_path / "textos"
    (folder / "es").mkdir(parents=True)
    (folder / "uno.txt").write_text(TEXT, encoding="utf-8")
    (folder / "es" / "dos.txt").write_text(TEXT.upper(), encoding="utf-8")
    return folder


def make_run(directory: Path, *, mark: str = names.LOCK) -> Path:
    """What a run leaves: a text under each name that could be taken for the user's."""
    for name in (
        names.CORPUS,
        names.PAGE,
        names.REPORT,
        f"{names.DOWNLOADS}/pg11.txt",
        f"{names.MODELS}/1.0.0/notes.txt",
        "exports/gguf/a.txt",
    ):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(TEXT, encoding="utf-8")
    (directory / mark).touch()
    return directory


def list_names(source: Path) -> list[str]:
    return [path.relative_to(source).as_posix() for path in list_text_files(resolve_source(str(source)))]


def configure(source: Path, output: Path) -> PipelineConfiguration:
    return PipelineConfiguration(corpus_source=str(source), output_directory=str(output))


@pytest.mark.parametrize("place", ["salida", "es/salida", "es", "."])
@pytest.mark.parametrize("mark", [names.LOCK, names.STATUS])
def test_an_output_directory_in_the_corpus_folder_is_no_source(texts: Path, place: str, mark: str) -> None:
    """Also when it is that folder or holds texts of the user, which are read."""
    before = fingerprint_files(resolve_source(str(texts)))
    make_run(texts / place, mark=mark)
    assert list_names(texts) == ["es/dos.txt", "uno.txt"]
    assert fingerprint_files(resolve_source(str(texts))) == before


def test_the_second_run_reads_what_the_first_did(texts: Path) -> None:
    """Its inputs are the same, so it does nothing; a note says how many files were left out."""
    config = configure(texts, make_run(texts / "salida"))
    inputs = corpus_download.read_inputs(config, {})
    events: list[Event] = []
    record = corpus_download.run(config, progress=events.append)
    assert record.details["documents"] == 2
    assert corpus_download.read_inputs(config, {}) == inputs
    assert any(" written by a run (" in event.text for event in events if isinstance(event, Note))


def test_other_runs_in_the_corpus_folder_are_no_source_either(texts: Path) -> None:
    """Runs of a sweep, earlier runs, and directories that were moved or copied there."""
    make_run(texts / "seed-1")
    make_run(texts / "old", mark=names.STATUS)
    shutil.copytree(texts / "old", texts / "es" / "copy")
    assert list_names(texts) == ["es/dos.txt", "uno.txt"]


def test_links_do_not_hide_own_output(texts: Path, tmp_path: Path) -> None:
    """A link to the output directory, to a file in it, and a corpus folder that is given as a link."""
    output = make_run(tmp_path / "salida")
    (texts / "mine.txt").symlink_to(output / names.CORPUS)
    (texts / "other.txt").symlink_to(output / names.DOWNLOADS / "pg11.txt")
    (tmp_path / "link").symlink_to(texts)
    assert list_names(tmp_path / "link") == ["es/dos.txt", "uno.txt"]


def test_texts_beside_and_below_an_output_directory_are_read(texts: Path) -> None:
    """A run's directory above the corpus folder leaves nothing out."""
    make_run(texts)
    assert list_names(texts / "es") == ["dos.txt"]
    make_run(texts.parent)
    assert list_names(texts / "es") == ["dos.txt"]


@pytest.mark.parametrize("name", [names.CORPUS, names.DOWNLOADS, f"{names.DOWNLOADS}/pg11.txt", names.MODELS])
@pytest.mark.parametrize("spelling", ["plain", "dots", "link"])
def test_a_source_that_runs_write_is_refused(tmp_path: Path, name: str, spelling: str) -> None:
    """However its path is spelled: reading it would replace it."""
    output = make_run(tmp_path / "salida")
    (tmp_path / "link").symlink_to(output)
    source = {
        "plain": output / name,
        "dots": Path(f"{output}/../salida/./{name}"),
        "link": tmp_path / "link" / name,
    }[spelling]
    with pytest.raises(InvalidConfigError, match="part of the output directory"):
        refuse_own_output(configure(source, output))


def test_a_text_of_the_user_in_the_output_directory_is_a_source(texts: Path) -> None:
    """By default the output directory is ``data``, where people also put their texts."""
    refuse_own_output(configure(texts / "uno.txt", texts))
    refuse_own_output(configure(texts / "es", texts))


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_refusal_changes_nothing(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``run`` and ``check`` say the same before anything is written."""
    output = make_run(tmp_path / "salida", mark=names.STATUS)
    before = sorted((path, path.stat().st_mtime_ns) for path in output.rglob("*"))
    words = [command, "--output-dir", str(output), "--corpus-source", str(output / names.CORPUS)]
    assert cli.main(words) == 64
    error = capsys.readouterr().err
    assert "is part of the output directory" in error
    if command == "run":
        assert_four_lines(error, category="invalid_config", phase="prerequisite_check")
    assert sorted((path, path.stat().st_mtime_ns) for path in output.rglob("*")) == before
