"""A large file is read in pieces, with the documents that it has as a whole; the limits are lowered here."""

from __future__ import annotations

import csv
import email.message
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from format_bombs import make_zip

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus import sources
from semilla.corpus.formats import large, pieces, recoding, unpacked
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import Extracted, ReadOptions
from semilla.corpus.formats.large import read_large
from semilla.corpus.formats.plain_text import UndecodableError
from semilla.corpus.formats.reading import FileText, LeftOut, read_file
from semilla.corpus.manifest import read_documents, read_manifest
from semilla.errors import InvalidCorpusError
from semilla.events import Event, Warned, silent
from semilla.installation import list_missing
from semilla.pipeline.phases import corpus_download

LINES = [f'{number}: ¿Qué dijo "la niña" del 🦊, y por qué?\nNadie lo sabe.' for number in range(300)]
TEXT = "\n\n".join(LINES) + "\n"
OPTIONS = ReadOptions()
NARROW = TEXT.replace("🦊", "zorro")
"""Only characters of Latin-1."""


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files over 4,000 bytes are large, and pieces have 1,000; they are read 300 bytes at a time."""
    monkeypatch.setattr(pieces, "LARGE_FILE_BYTES", 4000)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1000)
    monkeypatch.setattr(pieces, "MARKDOWN_BYTES", 1000)
    for module in (recoding, large):
        monkeypatch.setattr(module, "BLOCK_BYTES", 300)


@pytest.fixture(scope="module")
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader() as one:
        yield one


def write_table(delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["number", "title", "opening", "rest"])
    for number, line in enumerate(LINES):
        # The longest column of the first rows is the shortest of the others.
        long, short = (line * 2, "corto") if number < 250 else ("corto", line * 2)
        writer.writerow([number, f"cuento {number}", long, short])
    return file.getvalue().encode()


def write_json_lines() -> bytes:
    rows = [{"meta": {"text": line}, "title": f"«{number}»"} for number, line in enumerate(LINES)]
    rows[200]["meta"] = {"text": "mitad: \ud83e"}
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_parquet() -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra text")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra text")
    table = pyarrow.table({"number": range(300), "text": LINES, "title": [f"t{one}" for one in range(300)]})
    file = io.BytesIO()
    parquet.write_table(table, file, row_group_size=70)
    return file.getvalue()


def write_mailbox() -> bytes:
    letters = []
    for number, line in enumerate(LINES):
        letter = email.message.EmailMessage()
        letter["Subject"] = f"carta nº {number}"
        letter.set_content(f"{line}\n\n> From here on: nothing.")
        letters.append(f"From a@example.org Mon Jan  1\n{letter.as_bytes().decode()}\n".encode())
    return b"".join(letters)


def write_markdown() -> bytes:
    """Blocks that must not be cut: code with headings, loose lists, quotations; and links defined at the end."""
    draw = random.Random(1)
    blocks = [
        "# Título {0}", "Un *párrafo* {0} con un [enlace][uno {0}],\nen dos líneas.",
        "```python\n# no es un título\n\nTampoco {0}\n```", "~~~\n```\n\nAbierto {0}\n~~~",
        "1. primero {0}\n\n   Sigue.\n\n2. segundo", "> cita {0}\n>\n> sigue", "| a | b |\n|---|---|\n| {0} | ¿? |",
        "    código {0}\n\n    más", "- uno\n  ```\n  # dentro {0}\n\n  Dentro\n  ```\n\n- dos [^1]", "Fin {0}.",
    ]  # fmt: skip
    chosen = [draw.choice(blocks).format(number) for number in range(600)]
    links = [f"[UNO {number}]: https://example.org/{number}" for number in range(0, 600, 2)]
    head = "---\ntitle: Notas\nlang: es\n---\n"
    return (head + "\n\n".join(chosen) + "\n\n" + "\n".join(links) + "\n").encode()


def read_pieces(
    path: Path, data: bytes, reader: ConfinedReader, options: ReadOptions
) -> list[FileText | LeftOut]:
    path.write_bytes(data)
    with path.open("rb") as file:
        found = read_large(file, path, options, name=path.name, reader=reader)
        assert found is not None
        return list(found)


def list_documents(found: list[FileText | LeftOut]) -> list[Extracted]:
    assert not [one for one in found if isinstance(one, LeftOut)]
    return [document for one in found if isinstance(one, FileText) for document in one.documents]


def compare(
    path: Path, data: bytes, reader: ConfinedReader, options: ReadOptions = OPTIONS
) -> tuple[list[Extracted], list[Extracted]]:
    """The documents of a file read in pieces, of which there are many, and as a whole."""
    found = read_pieces(path, data, reader, options)
    assert len(found) > 1
    whole = list(read_file(data, options, name=path.name, reader=reader))
    assert {one.name for one in found} == {one.name for one in whole}
    assert {one.format for one in found if isinstance(one, FileText)} == {
        one.format for one in whole if isinstance(one, FileText)
    }
    return list_documents(found), list_documents(whole)


@pytest.mark.parametrize(
    ("name", "write", "column"),
    [
        ("filas.csv", write_table, ""),
        ("filas.csv", write_table, "rest"),
        ("filas.tsv", lambda: write_table("\t"), ""),
        ("filas.jsonl", write_json_lines, "meta.text"),
        ("filas.parquet", write_parquet, ""),
        ("cartas.mbox", write_mailbox, ""),
    ],
)
def test_rows_and_letters_are_the_same_in_pieces(
    tmp_path: Path, reader: ConfinedReader, name: str, write: Callable[[], bytes], column: str
) -> None:
    """All of them in order, with their titles, also where a field has quotes and line breaks.

    The column is that of the whole file, also where later rows would suggest another one.
    """
    some, whole = compare(tmp_path / name, write(), reader, ReadOptions(text_column=column))
    assert len(whole) >= 299
    assert some == whole


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
def test_a_text_is_cut_between_paragraphs(tmp_path: Path, reader: ConfinedReader, break_: str) -> None:
    data = TEXT.replace("\n", break_).encode()
    some, whole = compare(tmp_path / "libro.txt", data, reader)
    assert "".join(one.text for one in some) == whole[0].text
    assert all(one.text.endswith(2 * break_) for one in some[:-1])
    assert max(len(one.text.encode()) for one in some) < 1000 + 300 + 200


@pytest.mark.parametrize("break_", ["\n", "\r\n"])
def test_markdown_is_cut_between_blocks(tmp_path: Path, reader: ConfinedReader, break_: str) -> None:
    """No code, list or quotation is cut, and a link may be defined in another piece."""
    data = write_markdown().replace(b"\n", break_.encode())
    some, whole = compare(tmp_path / "notas.md", data, reader)
    assert "\n\n".join(one.text for one in some) == whole[0].text
    assert (
        {(one.title, one.language) for one in some}
        == {(whole[0].title, whole[0].language)}
        == {("Notas", "es")}
    )


@pytest.mark.parametrize(
    ("encoding", "text", "declared"),
    [
        ("utf-8-sig", TEXT, ""),
        ("utf-16", TEXT, ""),
        ("utf-16-be", TEXT, ""),
        ("utf-32", TEXT, ""),
        ("latin-1", NARROW, "Character set encoding: ISO-8859-1\n\n"),
        ("cp1252", NARROW + "“Sí”, dijo.\n", "Character set encoding: ISO-8859-1\n\n"),
        ("shift_jis", "猫は庭にいます。\n\n" * 400, ""),
        ("iso2022_jp", "猫は庭にいます。\n\n" * 400, ""),
    ],
)
@pytest.mark.parametrize("form", ["txt", "jsonl", "csv", "md"])
def test_other_encodings_are_the_same_in_pieces(
    tmp_path: Path, reader: ConfinedReader, encoding: str, text: str, declared: str, form: str
) -> None:
    """Proven, declared, or named by the user; a character or a line break has more than one byte."""
    if form == "jsonl":
        text = "".join(
            json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in text.split("\n\n") if one
        )
    elif form == "csv":
        text = "text,n\n" + "".join(
            f'"{one.replace(chr(34), 2 * chr(34))}",1\n' for one in text.split("\n\n")
        )
    if form in {"jsonl", "csv"}:
        declared = ""
    named = "auto" if declared or encoding.startswith(("utf", "iso2022")) else encoding
    data = (declared + text).encode(encoding)
    some, whole = compare(tmp_path / f"texto.{form}", data, reader, ReadOptions(encoding=named))
    joint = {"txt": "", "md": "\n\n"}.get(form)
    if joint is None:
        assert some == whole
    else:
        assert joint.join(one.text for one in some) == whole[0].text
    assert {one.encoding for one in some} == {one.encoding for one in whole}


def compress(data: bytes, suffix: str) -> bytes:
    """As two members of a .gz file, or two frames of a .zst file."""
    half = len(data) // 2
    if suffix == ".gz":
        return gzip.compress(data[:half]) + gzip.compress(data[half:])
    zstandard: Any = pytest.importorskip("zstandard", reason="needs the extra text")
    return b"".join(zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:]))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("filas.csv", write_table),
        ("cartas.mbox", write_mailbox),
        ("libro.txt", lambda: TEXT.encode("utf-16")),
    ],
)
def test_compressed_files_are_the_same_in_pieces(
    tmp_path: Path, reader: ConfinedReader, name: str, write: Callable[[], bytes], suffix: str
) -> None:
    """What counts is the size that they unpack to."""
    data = compress(write(), suffix)
    some, whole = compare(tmp_path / f"{name}{suffix}", data, reader)
    if name == "libro.txt":
        assert "".join(one.text for one in some) == whole[0].text
    else:
        assert some == whole


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("corto.txt", b"Hola.\n\n" * 100),
        ("corto.txt.gz", gzip.compress(b"Hola.\n\n" * 100, mtime=0)),
        ("filas.json", json.dumps([{"text": line} for line in LINES]).encode()),
        ("pagina.html", b"<html><body>" + b"<p>Hola.</p>" * 1000),
        ("todo.zip", make_zip({"a.txt": TEXT.encode()})),
        ("carta.eml", b"Subject: a\n\n" + TEXT.encode()),
        ("filas.parquet.gz", gzip.compress(b"PAR1" + TEXT.encode(), mtime=0)),
        ("roto.txt.gz", gzip.compress(random.Random(1).randbytes(9000), mtime=0)[:5000]),
    ],
)
def test_small_files_and_other_formats_are_read_as_a_whole(
    tmp_path: Path, reader: ConfinedReader, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with path.open("rb") as file:
        assert read_large(file, path, ReadOptions(), name=name, reader=reader) is None


@pytest.mark.parametrize(
    ("name", "data", "advice"),
    [
        (
            "a.zip",
            make_zip({"a.txt": random.Random(1).randbytes(9000)}),
            "(ZIP archive) is read as a whole: unpack it",
        ),
        ("a.json", json.dumps({"text": TEXT}).encode(), "(JSON) is read as a whole: write it as JSON Lines"),
        ("a.html", b"<html>" + b"<p>Hola.</p>" * 1000, "(HTML) is read as a whole: divide it"),
        ("a.txt", b"a" * 9000, "has no place to cut it"),
        ("a.md", b"- uno\n" * 2000, "has no place to cut it"),
        ("a.csv", b'n,text\n1,"' + b"a" * 9000 + b'"\n' * 1000, "a.csv has a row of more than"),
    ],
)
def test_what_cannot_be_read_in_pieces_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, advice: str
) -> None:
    """Otherwise it would be read into memory as a whole. The limit of 128 MB is 5,000 bytes here."""
    for module in (sources, pieces, large):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 5000)
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InvalidCorpusError) as caught:
        write_corpus(path, tmp_path / "salida")
    assert advice in caught.value.message


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.jsonl", write_json_lines() + b"{\n", "line 301 of a.jsonl is not valid JSON"),
        (
            "a.txt.gz",
            gzip.compress(random.Random(1).randbytes(90_000).hex().encode())[:-200],
            "archive that is damaged",
        ),
        ("a.txt", TEXT.encode("utf-16")[:-1], "its byte order mark says utf-16, but byte"),
        ("a.txt", (TEXT + "¿Año?\n").encode() + "¿Año?\n".encode("latin-1"), "UTF-8 but for 2 damaged bytes"),
    ],
)
def test_damage_is_said_with_its_place(
    tmp_path: Path, reader: ConfinedReader, name: str, data: bytes, told: str
) -> None:
    *_, last = read_pieces(tmp_path / name, data, reader, OPTIONS)
    assert isinstance(last, LeftOut)
    assert told in last.error.message


def test_the_encoding_to_name_is_told_before_anything_is_read(tmp_path: Path, reader: ConfinedReader) -> None:
    """With the offset in the file, and the first line that shows it."""
    data = b"Nothing here is beyond ASCII.\n\n" * 300 + NARROW.encode("cp1252")
    (found,) = read_pieces(tmp_path / "a.txt", data, reader, OPTIONS)
    assert isinstance(found, LeftOut)
    assert isinstance(found.error, UndecodableError)
    assert found.error.guess == "latin-1"
    assert f"byte 0xbf at offset {data.index(0xBF):,}" in found.error.message


def test_a_bomb_is_stopped(tmp_path: Path, reader: ConfinedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "MAX_UNPACKED_BYTES", 100_000)
    data = gzip.compress(b"uno dos tres.\n\n" * 100_000)
    *_, last = read_pieces(tmp_path / "a.txt.gz", data, reader, OPTIONS)
    assert isinstance(last, LeftOut)
    assert last.reason == "too large"
    assert "unpack it yourself" in last.error.message


def test_a_truncated_zst_file_is_damaged_also_when_it_is_small(reader: ConfinedReader) -> None:
    data = compress(TEXT.encode(), ".zst")
    (found,) = read_file(data[:-20], ReadOptions(), name="a.txt.zst", reader=reader)
    assert isinstance(found, LeftOut)
    assert "its end is missing" in found.error.message


def write_corpus(path: Path, output: Path, said: Callable[[Event], None] = silent) -> str:
    output.mkdir()
    config = PipelineConfiguration.model_validate(
        {
            "corpus_source": str(path),
            "output_directory": str(output),
            "training_hyperparameters": {"max_sequence_length": 64},
        }
    )
    corpus_download.run(config, progress=said)
    return (output / "corpus.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["filas.csv", "libro.txt", "libro.txt.gz", "notas.md", "filas.parquet"])
def test_the_pieces_of_a_large_file_become_texts(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corpus has every line once and in order, as it has from memory, and a tenth of it is held out."""
    if list_missing(["pyarrow"]) and name.endswith("parquet"):
        pytest.skip("needs the extra text")
    writers = {"filas.csv": write_table, "notas.md": write_markdown, "filas.parquet": write_parquet}
    data = writers.get(name, TEXT.encode)()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    text, output = write_corpus(path, tmp_path / "salida"), tmp_path / "salida"
    titles = [document.title for document in read_documents(output)]
    assert len(titles) > 10
    assert titles[1].endswith(", part 2")
    manifest = read_manifest(output)
    assert 0.08 <= manifest.validation_bytes / manifest.corpus_bytes < 0.2
    monkeypatch.setattr(pieces, "LARGE_FILE_BYTES", 1 << 20)
    whole = write_corpus(path, tmp_path / "entera")
    assert [line for line in text.split("\n") if line] == [line for line in whole.split("\n") if line]


def test_what_cannot_be_read_of_a_file_in_a_folder_is_said(tmp_path: Path) -> None:
    """What comes before it is read."""
    folder = tmp_path / "textos"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(write_json_lines().replace(b'"meta"', b'"text"') + b"{\n")
    (folder / "b.txt").write_text(NARROW, encoding="utf-8")
    said: list[Event] = []
    text = write_corpus(folder, tmp_path / "salida", said.append)
    assert "299: ¿Qué dijo" in text
    told = [event.text for event in said if isinstance(event, Warned)]
    assert any("line 301 of" in one and "left out" in one for one in told)
