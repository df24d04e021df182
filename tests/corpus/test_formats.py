"""Files of every format give the text that was written into them, and nothing else.

The samples in ``fixtures/formats`` were made by pandoc and LibreOffice (``scripts/make_format_samples.py``).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import mailbox
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import small_runs

from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import ReadOptions
from semilla.corpus.formats.reading import FileText, LeftOut, read_file
from semilla.installation import list_missing
from semilla.records import names

SAMPLES = Path(__file__).parents[1] / "fixtures" / "formats"
NEEDED = ("selectolax", "pypdfium2", "defusedxml", "striprtf", "pyarrow", "zstandard")
pytestmark = pytest.mark.skipif(bool(list_missing(NEEDED)), reason="needs the extra text")
FORMATS = ("md", "html", "epub", "docx", "odt", "rtf", "pdf")
PLAIN = ReadOptions()
ROWS = [
    {"id": str(n), "body": f"La niña soñó {n} veces, «así».\nY despertó.", "title": f"Sueño {n}"}
    for n in range(5)
]


@pytest.fixture(scope="module")
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader() as one:
        yield one


def read_all(
    data: bytes, name: str, reader: ConfinedReader, options: ReadOptions = PLAIN
) -> tuple[list[FileText], list[LeftOut]]:
    found = list(read_file(data, options, name=name, reader=reader))
    return [one for one in found if isinstance(one, FileText)], [
        one for one in found if isinstance(one, LeftOut)
    ]


def read_one(data: bytes, name: str, reader: ConfinedReader, options: ReadOptions = PLAIN) -> FileText:
    (found,), left_out = read_all(data, name, reader, options)
    assert left_out == []
    return found


def count_words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize("suffix", FORMATS)
def test_words_are_kept_and_nothing_is_added(suffix: str, reader: ConfinedReader) -> None:
    """99.5 % of the words at least, and no header, page number, navigation or markup."""
    wanted = count_words((SAMPLES / "sample.txt").read_text(encoding="utf-8"))
    found = read_one((SAMPLES / f"sample.{suffix}").read_bytes(), f"sample.{suffix}", reader)
    (document,) = found.documents
    words = count_words(document.text)
    assert (wanted & words).total() >= 0.995 * wanted.total()
    # An EPUB repeats its title on a title page.
    assert (words - wanted).total() <= 3
    assert "running header" not in document.text
    assert not re.search(r"<\w|&\w+;|\\par|\]\(|\*marked", document.text)


@pytest.mark.parametrize("suffix", FORMATS)
def test_forms_are_kept(suffix: str, reader: ConfinedReader) -> None:
    """Every paragraph is a line; lists, tables, code and verse keep theirs."""
    document = read_one((SAMPLES / f"sample.{suffix}").read_bytes(), f"sample.{suffix}", reader).documents[0]
    lines = [line.strip() for line in document.text.split("\n")]
    assert "Así que se sentaron debajo del árbol. Diego le contó un cuento a Marco." in lines
    assert {"first item of a list", "second item of a list"} <= {line.lstrip("-• ") for line in lines}
    assert any(re.fullmatch(r"Iker\s+8", line) for line in lines)
    assert "return number * 2" in lines
    if suffix != "pdf":
        assert re.search(r"def double\(number\):\n    return number \* 2", document.text)


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != "rtf"])
def test_titles_are_found(suffix: str, reader: ConfinedReader) -> None:
    """The title of the book, and its language where the format says it."""
    document = read_one((SAMPLES / f"sample.{suffix}").read_bytes(), f"sample.{suffix}", reader).documents[0]
    assert document.title == "The seed book"
    assert document.language == (None if suffix == "pdf" else "en")


@pytest.mark.parametrize("suffix", ["pdf", "docx", "epub", "odt", "rtf", "html"])
def test_the_content_tells_the_format(suffix: str, reader: ConfinedReader) -> None:
    """A file with another name is read as what it is."""
    data = (SAMPLES / f"sample.{suffix}").read_bytes()
    named = read_one(data, f"sample.{suffix}", reader)
    assert read_one(data, "download.txt", reader).format == named.format


def write_csv(delimiter: str) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return file.getvalue().encode()


def write_parquet() -> bytes:
    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    return file.getvalue()


def write_mail() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        box = mailbox.mbox(f"{folder}/box")
        for row in ROWS:
            message = EmailMessage()
            message["Subject"] = row["title"]
            message["From"] = "ana@example.org"
            message.set_content(row["body"])
            message.add_alternative("<p>the same as HTML</p>", subtype="html")
            box.add(message)
        box.flush()
        box.close()
        return Path(folder, "box").read_bytes()


TABLES = {
    "rows.csv": lambda: write_csv(","),
    "rows.tsv": lambda: write_csv("\t"),
    "semicolons.csv": lambda: write_csv(";"),
    "rows.jsonl": lambda: "\n".join(json.dumps(row) for row in ROWS).encode(),
    "rows.json": lambda: json.dumps(ROWS, ensure_ascii=False).encode(),
    "export.json": lambda: json.dumps({"version": 1, "messages": ROWS}).encode(),
    "rows.parquet": write_parquet,
    "box.mbox": write_mail,
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_documents(name: str, reader: ConfinedReader) -> None:
    """Each row and each message is a document with its title."""
    found = read_one(TABLES[name](), name, reader)
    assert [one.text.strip() for one in found.documents] == [row["body"] for row in ROWS]
    assert [one.title for one in found.documents] == [row["title"] for row in ROWS]


def test_columns_are_chosen(reader: ConfinedReader) -> None:
    """By name, also inside an object; a column that is not there is an error with those that are."""
    data = json.dumps([{"a": {"b": "inside"}, "text": "outside"}]).encode()
    options = ReadOptions(text_column="a.b", title_column="text")
    (document,) = read_one(data, "x.json", reader, options).documents
    assert (document.text, document.title) == ("inside", "outside")
    _, (left_out,) = read_all(data, "x.json", reader, ReadOptions(text_column="c"))
    assert "has no column c; its columns are a, text" in left_out.error.message


def test_subtitles_are_what_is_spoken(reader: ConfinedReader) -> None:
    """Without numbers, times, positions and tags, in both formats; repeated cues are one."""
    srt = (
        "1\n00:00:01,000 --> 00:00:02,000\n<i>Hola</i>, niña.\n\n"
        "2\n00:00:03,000 --> 00:00:04,500\n{\\an8}¿Cómo estás?\nBien.\n"
    )
    vtt = (
        "WEBVTT\n\nNOTE a note\n\n1\n00:01.000 --> 00:02.000 line:0\n<v Ana>Hola, niña.\n\n"
        "00:03.000 --> 00:04.500\n¿Cómo estás?\nBien.\n"
    )
    for name, text in (("a.srt", srt), ("a.vtt", vtt), ("b.srt", srt.replace("\n", "\r\n"))):
        (document,) = read_one(text.encode(), name, reader).documents
        assert document.text == "Hola, niña.\n¿Cómo estás?\nBien."


def test_code_is_verbatim(reader: ConfinedReader) -> None:
    """Tabs, indentation and spaces at the ends of lines stay."""
    (document,) = read_one(b"if x:\n\tprint('hola')  \n\n\n\n\n\tpass\n", "a.py", reader).documents
    assert document.layout == "verbatim"
    assert document.text == "if x:\n\tprint('hola')  \n\n\n\n\n\tpass\n"


def test_markdown_loses_its_marks_only(reader: ConfinedReader) -> None:
    """Wrapped paragraphs are a line; links keep their words, code its backticks' content, nested lists their place."""
    text = "# Title\n\nA *wrapped*\nparagraph with `code_1 * 2`.\n\n1. one\n   - two\n2. three\n\n> a quote\n"
    (document,) = read_one(text.encode(), "a.md", reader).documents
    assert (
        document.text
        == "Title\n\nA wrapped paragraph with code_1 * 2.\n\n1. one\n  - two\n2. three\n\na quote"
    )
    assert document.title == "Title"


def test_pages_lose_what_is_not_text(reader: ConfinedReader) -> None:
    """Scripts, forms, menus and the marks of notes go, and the count of what went is kept."""
    links = "".join(f"<li><a href='/{n}'>Menu entry {n}</a></li>" for n in range(6))
    page = (
        "<!doctype html><html lang=es><title>Una página</title><body><nav>Inicio</nav><script>var x</script>"
        f"<ul>{links}</ul><h1>Título</h1><p>Un   párrafo\n con <b>letras</b><sup><a href='#n1'>1</a></sup>."
        "<p>Otro<br>verso"
        "<table><tr><td><p>a</p></td><td>b</td></tr></table><pre>x\n  y</pre><footer>Pie</footer>"
    )
    (document,) = read_one(page.encode(), "a.html", reader).documents
    assert document.text == "Título\n\nUn párrafo con letras.\n\nOtro\nverso\n\na\tb\n\nx\n  y"
    assert (document.title, document.language) == ("Una página", "es")
    assert document.removed["navigation"] > 60


# ---- archives


def make_zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def make_tar(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def make_zstandard(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


MEMBERS = {"a/uno.txt": "Había una vez.\n".encode(), "dos.md": b"# Two\n\ntext\n", "sample.docx": b""}


def test_files_inside_archives_are_read(reader: ConfinedReader) -> None:
    """Inside ZIP, tar, gzip and Zstandard, each under its path, and archives inside archives."""
    members = {**MEMBERS, "sample.docx": (SAMPLES / "sample.docx").read_bytes()}
    archives = {
        "all.zip": make_zip(members),
        "all.tar.gz": make_tar(members),
        "all.tgz": make_tar(members),
        "all.tar": make_tar(members, "w"),
        "all.tar.zst": make_zstandard(make_tar(members, "w")),
        "outer.zip": make_zip({"all.zip": make_zip(members)}),
    }
    for name, data in archives.items():
        files, left_out = read_all(data, name, reader)
        assert left_out == [], name
        assert [one.format for one in files] == ["text", "Markdown", "Word"], name
        assert files[0].name.endswith("/a/uno.txt")
    for name, data in {
        "a.txt.gz": gzip.compress(MEMBERS["a/uno.txt"]),
        "a.txt.zst": make_zstandard(MEMBERS["a/uno.txt"]),
    }.items():
        assert read_one(data, name, reader).documents[0].text == "Había una vez.\n"


def test_members_that_are_not_read_are_named(reader: ConfinedReader) -> None:
    """A path out of the archive, an unknown format, an empty file, a link and a damaged file, each with its reason."""
    members = {
        "../../etc/passwd.txt": b"x",
        "/abs.txt": b"x",
        "a.bin": b"x",
        "empty.txt": b"",
        "b.pdf": b"%PDF-1.7 no",
        "ok.txt": b"text",
    }
    files, left_out = read_all(make_zip(members), "a.zip", reader)
    assert [one.name for one in files] == ["a.zip/ok.txt"]
    assert [one.reason for one in left_out] == [
        "unsafe path",
        "unsafe path",
        "unknown format",
        "empty",
        "unreadable",
    ]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind!r}.txt")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    files, left_out = read_all(file.getvalue(), "a.tar", reader)
    assert files == []
    assert [one.reason for one in left_out] == ["link"] * 4


def test_what_packs_to_a_thousandth_is_refused(reader: ConfinedReader) -> None:
    """Two megabytes of one word are a bomb; a log that packs to a fortieth is not, nor is half a megabyte."""
    bomb = b"hola " * 400_000
    log = b"".join(
        b"12:%02d:%02d connected to host %d\n" % (n // 60 % 60, n % 60, n % 7) for n in range(60_000)
    )
    for data, is_refused in ((bomb, True), (log, False), (bomb[: 1 << 19], False)):
        packed = {
            "a.txt.gz": gzip.compress(data),
            "a.zip": make_zip({"a.txt": data}),
            "a.tgz": make_tar({"a.txt": data}),
            "a.txt.zst": make_zstandard(data),
        }
        for name, archive in packed.items():
            files, left_out = read_all(archive, name, reader)
            assert [one.reason for one in left_out] == ["too large"] * is_refused, name
            assert len(files) == (not is_refused)
            assert all("times its size" in one.error.message for one in left_out)


def test_encrypted_files_are_said_to_be(reader: ConfinedReader) -> None:
    """A ZIP member under a password."""
    data = bytearray(make_zip({"a.txt": b"secret"}))
    for signature in (b"PK\x03\x04", b"PK\x01\x02"):
        at = data.find(signature) + (6 if signature == b"PK\x03\x04" else 8)
        data[at] |= 1
    _, (left_out,) = read_all(bytes(data), "a.zip", reader)
    assert left_out.reason == "encrypted"


def test_a_missing_package_is_named_with_its_command(
    reader: ConfinedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core reads plain text, Markdown, tables, mail, code and archives without the extra."""
    monkeypatch.setattr("semilla.corpus.formats.reading.list_missing", list)
    _, (left_out,) = read_all((SAMPLES / "sample.pdf").read_bytes(), "a.pdf", reader)
    assert left_out.reason == "package missing"
    assert "a.pdf is PDF, which needs packages that are not installed: pypdfium2" in left_out.error.message
    assert "text" in str(left_out.error.next_command)
    assert read_one((SAMPLES / "sample.md").read_bytes(), "a.md", reader)


# ---- all in one run


def write_every_format(folder: Path) -> None:
    """A file of every format, and enough prose to train on."""
    for suffix in FORMATS:
        (folder / f"sample.{suffix}").write_bytes((SAMPLES / f"sample.{suffix}").read_bytes())
    for name, write in TABLES.items():
        (folder / name).write_bytes(write())
    small_runs.write_text(folder / "prose.txt")
    cue = "00:00:01{0}000 --> 00:00:02{0}000\nLa niña llegó a casa de su abuela en el archivo {1}.\n"
    (folder / "film.srt").write_text(f"1\n{cue.format(',', 'SRT')}", encoding="utf-8")
    (folder / "film.vtt").write_text(f"WEBVTT\n\n{cue.format('.', 'VTT')}", encoding="utf-8")
    (folder / "code.py").write_text("def double(number):\n\treturn number * 2\n", encoding="utf-8")

    def tell(name: str) -> bytes:
        return f"Había una vez un cuento dentro de {name}, y nadie lo había leído.\n".encode()

    (folder / "packed.zip").write_bytes(make_zip({"one.txt": tell("ZIP")}))
    (folder / "packed.tar").write_bytes(make_tar({"one.txt": tell("tar")}, "w"))
    (folder / "packed.tar.gz").write_bytes(make_tar({"one.txt": tell("tar y gzip")}))
    (folder / "one.txt.gz").write_bytes(gzip.compress(tell("gzip")))
    (folder / "one.txt.zst").write_bytes(make_zstandard(tell("Zstandard")))


def test_one_command_trains_on_a_file_of_every_format(tmp_path: Path) -> None:
    """To the end. Every file is read; those whose text another file has already are named as such."""
    folder, run = tmp_path / "texts", tmp_path / "run"
    folder.mkdir()
    write_every_format(folder)
    code = small_runs.run(run, folder, "--num-epochs", "1", "--max-validation-loss", "20")
    assert code == 0
    manifest = small_runs.read(run, names.CORPUS_MANIFEST)
    assert {one["reason"] for one in manifest["left_out"]} == {"duplicate"}
    sources = [entry["provenance"]["source"] for entry in manifest["documents"]]
    sources += [one["path"] for one in manifest["left_out"]]
    named = {Path(source).relative_to(folder).parts[0] for source in sources}
    assert named == {path.name.removesuffix(".gz").removesuffix(".zst") for path in folder.iterdir()}
