"""A hostile file costs its own reader some time and memory, never the run; each ends with one line that says why."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from format_bombs import BOMBS

from semilla.corpus.formats import confined_child
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import ReadOptions, UnreadableError
from semilla.corpus.formats.reading import FileText, LeftOut, read_file
from semilla.installation import list_missing

pytestmark = pytest.mark.skipif(
    bool(list_missing(["selectolax", "pypdfium2", "defusedxml", "striprtf"])), reason="needs the extra text"
)
OPTIONS = ReadOptions()
PLANTED = """
import ctypes, pathlib, time
from semilla.corpus.formats.extracted import Extracted
def read(data, options, *, name):
    if data == b"hang":
        time.sleep(600)
    if data == b"crash":
        ctypes.string_at(0)
    if data == b"memory":
        bytearray(64 << 30)
    if data == b"write":
        pathlib.Path(name).write_bytes(b"x" * 9)
    yield Extracted("read")
"""


@pytest.fixture(scope="module")
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader() as one:
        yield one


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reader that fails as its file says."""
    (tmp_path / "planted.py").write_text(PLANTED, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "planted"


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_bombs_end_with_a_reason(bomb: Callable[[random.Random], bytes], reader: ConfinedReader) -> None:
    """Or with a text no larger than the file, where there is one inside."""
    data = bomb(random.Random(1))
    found = list(read_file(data, OPTIONS, name="x", reader=reader))
    assert found
    for one in found:
        if isinstance(one, LeftOut):
            assert one.reason in {"too large", "unreadable", "empty", "unsafe path"}
            assert "\n" not in one.error.message
        else:
            assert isinstance(one, FileText)
            assert sum(len(document.text) for document in one.documents) <= 2 * len(data)


def read_planted(data: bytes, reader: ConfinedReader, name: str = "x") -> list[str]:
    return [one.text for one in reader.read(data, OPTIONS, module="planted", name=name)]


def test_a_hanging_reader_costs_only_its_file(planted: str) -> None:
    """It is killed at its time limit, and the next file is read by another child."""
    with ConfinedReader(timeout_s=1.0) as reader:
        with pytest.raises(UnreadableError, match="x takes longer than 1 s to read") as caught:
            read_planted(b"hang", reader)
        assert caught.value.reason == "too large"
        reader.timeout_s = 120.0
        assert read_planted(b"", reader) == ["read"]


def test_a_crash_costs_only_its_file(planted: str) -> None:
    """A parser that ends the process is an error of that file."""
    with ConfinedReader() as reader:
        with pytest.raises(UnreadableError, match="its reader ran out of memory or crashed"):
            read_planted(b"crash", reader)
        assert read_planted(b"", reader) == ["read"]


def test_memory_is_limited(planted: str) -> None:
    """A reader cannot have more memory than the limit."""
    with ConfinedReader() as reader:
        with pytest.raises(UnreadableError, match="x needs too much memory"):
            read_planted(b"memory", reader)
        assert read_planted(b"", reader) == ["read"]


def test_nothing_is_written(planted: str, tmp_path: Path) -> None:
    """A reader cannot write to a file."""
    with ConfinedReader() as reader, pytest.raises(UnreadableError, match="cannot be read"):
        read_planted(b"write", reader, name=str(tmp_path / "file"))
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size == 0


def test_the_child_ends_with_its_reader() -> None:
    """No process is left behind."""
    with ConfinedReader() as reader:
        list(reader.read(b"# Hola", OPTIONS, module="semilla.corpus.formats.markdown", name="a.md"))
        child = reader._child
    assert child is not None
    assert child.poll() is not None
    assert confined_child.MAX_DATA_BYTES < 64 << 30
