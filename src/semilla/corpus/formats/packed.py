"""Files inside .gz, .zst, .zip and .tar: unpacked in memory, a member at a time, within limits of size and depth.

Nothing is written to disk, so a member's path cannot lead anywhere. Links and special files are never followed.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Reason, UnreadableError
from semilla.corpus.formats.known import GZIP, TAR, ZIP, ZSTANDARD, Format, has_known_suffix

MAX_DEPTH = 3
"""Archives inside archives, at most so deep."""
MAX_MEMBERS = 100_000
MAX_UNPACKED_BYTES = 1 << 30
"""Of one file with all archives inside it."""
MAX_RATIO = 200
"""Of a file's size to its packed size. A text packs to about a third, a log to a fiftieth, a bomb to a thousandth."""
_ALWAYS_BYTES = 1 << 20
"""Files up to this size may have any ratio."""
_MAX_WINDOW_BYTES = 1 << 27
"""Memory for what Zstandard may refer back to; ``zstd --ultra --long=27`` needs as much."""
_PACKED_BYTES = 1 << 10
"""Read at a time of a Zstandard file. Zeros unpack to 32,000 times as much."""


@dataclass
class Budget:
    """How much one file may still unpack to."""

    left_bytes: int = MAX_UNPACKED_BYTES
    left_members: int = MAX_MEMBERS

    def take(self, size_bytes: int, *, name: str) -> None:
        """Count what was unpacked. Raises UnreadableError for more than an archive may hold."""
        self.left_bytes -= size_bytes
        self.left_members -= 1
        if self.left_members < 0:
            raise UnreadableError(f"{name} holds more than {MAX_MEMBERS:,} files", reason="too large")
        if self.left_bytes < 0:
            raise UnreadableError(
                f"{name} unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB", reason="too large"
            )


@dataclass(frozen=True)
class Member:
    """A file of an archive: its bytes, or the reason why it is left out."""

    name: str
    data: bytes = b""
    error: UnreadableError | None = None


def unpack(data: bytes, packing: Format, *, name: str, budget: Budget) -> Iterator[Member]:
    """Yield the members of an archive, in its order. Raises UnreadableError for a damaged archive or a bomb."""
    openers: dict[Format, Callable[..., Iterator[Member]]] = {ZIP: _unzip, TAR: _untar}
    try:
        if packing in openers:
            yield from openers[packing](data, name=name, budget=budget)
        else:
            yield _decompress(data, packing, name=name, budget=budget)
    except UnreadableError:
        raise
    except Exception as error:  # these modules raise many kinds of errors for damaged files
        problem = str(error) or type(error).__name__
        raise UnreadableError(
            f"{name} is a {packing.name} that is damaged: {problem}", reason="unreadable"
        ) from error


def _decompress(data: bytes, packing: Format, *, name: str, budget: Budget) -> Member:
    """Unpack a file that holds one other. What is inside is named as the file without its last suffix."""
    if packing is ZSTANDARD:
        found = unpack_zstandard(io.BytesIO(data))
        return Member(name_inside(name), _join(found, name=name, budget=budget, packed_bytes=len(data)))
    return Member(name_inside(name), _gunzip(data, name=name, budget=budget))


def unpack_zstandard(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what is in a Zstandard file of one frame or several. Raises EOFError when its end is missing."""
    import zstandard  # noqa: PLC0415

    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    frame = unpacker.decompressobj()
    is_inside = False
    while packed := file.read(_PACKED_BYTES):
        while packed:
            is_inside = True
            yield frame.decompress(packed)
            packed = frame.unused_data
            if frame.eof:
                frame, is_inside = unpacker.decompressobj(), False
    if is_inside:
        raise EOFError("its end is missing")


def name_inside(name: str) -> str:
    """The name of what is in a .gz or .zst file."""
    return name[: -len(PurePosixPath(name).suffix)] if name.endswith((".gz", ".zst")) else name


def _gunzip(data: bytes, *, name: str, budget: Budget) -> bytes:
    pieces: list[bytes] = []
    size_bytes, packed_bytes = 0, len(data)
    most_bytes = _find_most(packed_bytes)
    while data:
        machine = zlib.decompressobj(wbits=31)
        pieces.append(machine.decompress(data, most_bytes + 1 - size_bytes))
        size_bytes += len(pieces[-1])
        _refuse_large(size_bytes, name=name, packed_bytes=packed_bytes)
        if not machine.eof:
            raise UnreadableError(
                f"{name} is a {GZIP.name} that is damaged: its end is missing", reason="unreadable"
            )
        data = machine.unused_data.lstrip(b"\0")
    budget.take(size_bytes, name=name)
    return b"".join(pieces)


def _unzip(data: bytes, *, name: str, budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            shown = f"{name}/{info.filename}"
            if info.is_dir():
                continue
            reason = _judge_path(info.filename)
            if reason is None and info.flag_bits & 1:
                reason = ("encrypted", "is encrypted")
            if reason:
                yield _leave_out(shown, reason, budget)
                continue
            yield _read_member(archive.open, info, shown, budget, packed_bytes=info.compress_size)


def _untar(data: bytes, *, name: str, budget: Budget) -> Iterator[Member]:
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        data = _decompress(data, ZSTANDARD, name=name, budget=budget).data
    elif data.startswith(b"\x1f\x8b"):
        data = _gunzip(data, name=name, budget=budget)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            shown = f"{name}/{info.name}"
            if info.isdir():
                continue
            reason = _judge_path(info.name)
            if reason is None and not info.isreg():
                reason = ("link", "is a link or a special file")
            if reason:
                yield _leave_out(shown, reason, budget)
                continue
            yield _read_member(archive.extractfile, info, shown, budget, packed_bytes=info.size)


def _read_member(
    opener: Callable[[Any], IO[bytes] | None], info: Any, shown: str, budget: Budget, *, packed_bytes: int
) -> Member:
    """Read a member; a damaged one is left out, and the archive goes on."""
    try:
        file = opener(info)
        assert file is not None
        with file:
            found = iter(lambda: file.read(1 << 20), b"")
            return Member(shown, _join(found, name=shown, budget=budget, packed_bytes=packed_bytes))
    except UnreadableError as error:
        if budget.left_bytes < 0 or budget.left_members < 0:
            raise
        return Member(shown, error=error)
    except Exception as error:
        return Member(shown, error=UnreadableError(f"{shown} is damaged: {error}", reason="unreadable"))


def _join(found: Iterator[bytes], *, name: str, budget: Budget, packed_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    most_bytes = min(_find_most(packed_bytes), budget.left_bytes)
    for piece in found:
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > most_bytes:
            break
    budget.take(size_bytes, name=name)
    _refuse_large(size_bytes, name=name, packed_bytes=packed_bytes)
    return b"".join(pieces)


def _find_most(packed_bytes: int) -> int:
    """How many bytes a file of this packed size may have."""
    return min(MAX_FILE_BYTES, max(_ALWAYS_BYTES, MAX_RATIO * packed_bytes))


def _refuse_large(size_bytes: int, *, name: str, packed_bytes: int) -> None:
    if size_bytes > MAX_FILE_BYTES:
        raise UnreadableError(
            f"{name} unpacks to more than {MAX_FILE_BYTES >> 20} MB: unpack it yourself, and give the files",
            reason="too large",
        )
    if size_bytes > _find_most(packed_bytes):
        raise UnreadableError(
            f"{name} unpacks to more than {MAX_RATIO} times its size, as no text does", reason="too large"
        )


def _leave_out(shown: str, why: tuple[Reason, str], budget: Budget) -> Member:
    budget.take(0, name=shown)
    return Member(shown, error=UnreadableError(f"{shown} {why[1]}", reason=why[0]))


def _judge_path(path: str) -> tuple[Reason, str] | None:
    """Say why a member is left out by its path alone; None if it is read."""
    parts = PurePosixPath(path.replace("\\", "/")).parts or ("",)
    if ".." in parts or path[:1] in {"/", "\\"} or path[1:2] == ":":
        return "unsafe path", "leads out of its archive"
    if parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts):
        return "hidden", "is hidden"
    if not has_known_suffix(path):
        return "unknown format", "is of an unknown format"
    return None
