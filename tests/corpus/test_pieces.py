"""A large file is read in pieces: nothing is lost, no document is cut, and the limits are lowered here."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus import sources
from semilla.corpus.formats import pieces
from semilla.corpus.manifest import read_documents, read_manifest
from semilla.corpus.sources import read_pieces
from semilla.errors import InvalidCorpusError
from semilla.events import silent
from semilla.pipeline.phases import corpus_download

LINES = [f'{number}: ¿Qué dijo "la niña" del 🦊, y por qué?\nNadie lo sabe.' for number in range(300)]


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files over 4,000 bytes are large, and pieces have 1,000."""
    monkeypatch.setattr(sources, "LARGE_FILE_BYTES", 4000)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1000)


def write_table(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "text"])
        writer.writerows(("cuento", line) for line in LINES)


def test_a_text_is_cut_between_paragraphs(tmp_path: Path) -> None:
    """A piece has no more than its size, and the pieces are the file."""
    path = tmp_path / "libro.txt"
    path.write_bytes("\n\n".join(LINES).encode())
    found = list(read_pieces(path, name=str(path)))
    assert len(found) > 10
    assert b"".join(found) == path.read_bytes()
    assert all(one.endswith(b"\n\n") for one in found[:-1])


def test_no_row_of_json_lines_and_of_a_table_is_cut(tmp_path: Path) -> None:
    """Also where a field has quotes and line breaks; every piece of a table has its header."""
    path = tmp_path / "filas.jsonl"
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in LINES), encoding="utf-8")
    rows = [json.loads(row)["text"] for one in read_pieces(path, name=str(path)) for row in one.splitlines()]
    assert rows == LINES
    path = tmp_path / "filas.csv"
    write_table(path)
    found = list(read_pieces(path, name=str(path)))
    assert len(found) > 10
    tables = [csv.DictReader(io.StringIO(one.decode(), newline="")) for one in found]
    assert [row["text"] for table in tables for row in table] == LINES


def test_small_files_and_other_formats_are_read_as_a_whole(tmp_path: Path) -> None:
    """UTF-16 has line breaks of two bytes, so it is not cut either; what is too large for that is refused."""
    for name, data in {
        "corto.txt": b"Hola.\n\n" * 100,
        "ancho.txt": "\n\n".join(LINES).encode("utf-16"),
        "nota.md": b"Hola.\n\n" * 1000,
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert list(read_pieces(path, name=name)) == [data]


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would be read into memory as a whole."""
    monkeypatch.setattr(pieces, "MAX_FILE_BYTES", 20_000)
    path = tmp_path / "linea.txt"
    path.write_bytes(b"a" * 50_000)
    with pytest.raises(InvalidCorpusError, match="has a row of more than"):
        list(read_pieces(path, name=str(path)))


@pytest.mark.parametrize("name", ["filas.csv", "libro.txt"])
def test_the_pieces_of_a_large_file_become_texts(tmp_path: Path, name: str) -> None:
    """The corpus has every line once and in order, and a tenth of it is held out."""
    path, output = tmp_path / name, tmp_path / "salida"
    output.mkdir()
    write_table(path) if name.endswith("csv") else path.write_text("\n\n".join(LINES), encoding="utf-8")
    config = PipelineConfiguration.model_validate(
        {
            "corpus_source": str(path),
            "output_directory": str(output),
            "training_hyperparameters": {"max_sequence_length": 64},
        }
    )
    corpus_download.run(config, progress=silent)
    text = (output / "corpus.txt").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if "Qué dijo" in line] == [
        line.splitlines()[0] for line in LINES
    ]
    titles = [document.title for document in read_documents(output)]
    assert titles[1].endswith(", part 2")
    manifest = read_manifest(output)
    assert 0.08 <= manifest.validation_bytes / manifest.corpus_bytes < 0.2
