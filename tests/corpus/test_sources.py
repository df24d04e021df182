"""Names, addresses, files and folders are told apart; files that could block are refused."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from semilla.corpus import sources as module
from semilla.corpus.sources import fingerprint_files, list_text_files, read_text_file, resolve_source
from semilla.errors import InvalidCorpusError, PermissionDeniedError


def test_kinds(tmp_path: Path) -> None:
    """A catalogue name, an address, a folder and a file are told apart."""
    assert resolve_source("gutenberg").kind == "catalogue"
    assert resolve_source("HTTPS://example.org/book.txt").kind == "url"
    assert resolve_source(str(tmp_path)).kind == "folder"
    assert resolve_source(str(tmp_path / "libro.txt")).kind == "file"
    assert resolve_source("ftp://example.org/book.txt").kind == "file"
    assert [resolve_source(name).is_remote for name in ("gutenberg", "sample", "http://x/")] == [
        True,
        False,
        True,
    ]


def test_catalogue_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue name wins over a file of that name, which is remembered."""
    monkeypatch.chdir(tmp_path)
    assert resolve_source("sample").hidden_path is None
    Path("sample").write_text("hola", encoding="utf-8")
    assert resolve_source("sample").kind == "catalogue"
    assert resolve_source("sample").hidden_path == Path("sample")
    assert resolve_source("./sample").kind == "file"


def test_credentials_are_hidden() -> None:
    """The recorded address has no password."""
    assert resolve_source("https://ana:secreto@example.org/a@b").shown == "https://***@example.org/a@b"


def test_files_of_a_folder(tmp_path: Path) -> None:
    """A folder means all files of known formats below it, sorted, without hidden ones."""
    for name in ("b.txt", "a.TXT", "ñandú.txt", "sub/c.md", ".hidden.txt", ".git/d.txt", "notes.xyz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name, encoding="utf-8")
    (tmp_path / "folder.txt").mkdir()
    files = list_text_files(resolve_source(str(tmp_path)))
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        "a.TXT",
        "b.txt",
        "sub/c.md",
        "ñandú.txt",
    ]


def test_folder_without_texts(tmp_path: Path) -> None:
    """A folder without a text is an error that says so."""
    with pytest.raises(InvalidCorpusError, match=r"there is no text in the folder .*, which is empty"):
        list_text_files(resolve_source(str(tmp_path)))
    (tmp_path / "data.xyz").write_bytes(b"x")
    with pytest.raises(InvalidCorpusError, match=r"left out: 1 unknown format \(data\.xyz\)"):
        list_text_files(resolve_source(str(tmp_path)))


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    """A link to a file is read as the file."""
    (tmp_path / "real").write_bytes(b"hola")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real")
    assert read_text_file(tmp_path / "link.txt") == b"hola"


def test_files_that_could_block(tmp_path: Path) -> None:
    """Pipes, devices and folders are refused at once."""
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "pipe.txt", Path("/dev/zero"), tmp_path):
        with pytest.raises(InvalidCorpusError, match="not a regular file"):
            read_text_file(path)


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is an error with its path."""
    with pytest.raises(InvalidCorpusError, match="there is no file"):
        read_text_file(tmp_path / "nada.txt")


def test_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file above the limit is refused."""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1 << 20)
    path = tmp_path / "enorme.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidCorpusError, match="larger than 1 MB"):
        read_text_file(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path: Path) -> None:
    """A file without read permission is a permission error."""
    path = tmp_path / "privado.txt"
    path.write_bytes(b"hola")
    path.chmod(0)
    with pytest.raises(PermissionDeniedError):
        read_text_file(path)


def test_fingerprint_shows_every_change(tmp_path: Path) -> None:
    """Editing, adding or removing a file changes the fingerprint; nothing else does."""
    source = resolve_source(str(tmp_path))
    assert fingerprint_files(source) == []
    (tmp_path / "a.txt").write_bytes(b"uno")
    first = fingerprint_files(source)
    (tmp_path / "notes.xyz").write_bytes(b"x")
    os.utime(tmp_path / "a.txt", (0, 0))
    assert fingerprint_files(source) == first
    (tmp_path / "a.txt").write_bytes(b"dos")
    second = fingerprint_files(source)
    (tmp_path / "b.txt").write_bytes(b"dos")
    assert len({str(first), str(second), str(fingerprint_files(source))}) == 3


def test_fingerprint_of_what_cannot_be_read(tmp_path: Path) -> None:
    """Fingerprints never fail or wait: what cannot be read has none."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "nada"):
        assert fingerprint_files(resolve_source(str(path)))[0]["sha256"] is None


def test_many_files_have_one_fingerprint(tmp_path: Path) -> None:
    """The record stays short, and any change still shows."""
    for number in range(150):
        (tmp_path / f"{number}.txt").write_text(str(number))
    source = resolve_source(str(tmp_path))
    (before,) = fingerprint_files(source)
    assert "150 files" in str(before["path"])
    (tmp_path / "149.txt").write_text("another")
    assert fingerprint_files(source) != [before]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern means the files that match it, with ** in subfolders; a file of that very name wins."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.log", "sub/c.log", "[x].txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name, encoding="utf-8")
    assert list_text_files(resolve_source("**/*.log")) == [Path("b.log"), Path("sub/c.log")]
    assert resolve_source("[x].txt").kind == "file"
    with pytest.raises(InvalidCorpusError, match=r"no file matches \*\.pdf"):
        list_text_files(resolve_source("*.pdf"))


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fingerprint and its text are the same bytes; a terminal is refused."""
    module.read_standard_input.cache_clear()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("hola ñ".encode())))
    source = resolve_source("-")
    assert source.kind == "stdin"
    assert fingerprint_files(source) == fingerprint_files(source) != []
    assert module.read_standard_input() == "hola ñ".encode()
    module.read_standard_input.cache_clear()
