"""Text from standard input or from a file that a command names."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from semilla.errors import InvalidConfigError, Mistake, from_os_error
from semilla.records import disk


def read_standard_input(what: str, *, limit: int) -> str:
    """Read UTF-8 text, without its last line break; raises InvalidConfigError for more than ``limit`` bytes.

    ``what`` names the text in messages. Closed standard input is an empty text.
    """
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(limit + 1)
    if len(data) > limit:
        raise InvalidConfigError(f"the {what} on standard input is larger than {limit} bytes")
    return decode(data, f"the {what} on standard input cannot be read:", what=what).removesuffix("\n")


def read_text_file(path: Path, *, limit: int) -> str:
    """Read UTF-8 text from a regular file, with any kind of line break and a byte order mark or none.

    Raises InvalidConfigError for a path that is no file, for another encoding, and for more than ``limit`` bytes.
    """
    if path.is_dir():
        raise InvalidConfigError(f"{path} is a folder; give a text file")
    if not path.is_file():
        raise InvalidConfigError(f"{path} is not a file" if path.exists() else f"there is no file {path}")
    try:
        with open(path, "rb", opener=disk.open_readable) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise from_os_error(error, path) from error
    if len(data) > limit:
        raise InvalidConfigError(f"{path} is larger than {limit} bytes")
    text = decode(data.removeprefix(b"\xef\xbb\xbf"), f"{path} cannot be read:", what=str(path))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode(data: bytes, message: str, *, what: str) -> str:
    """Decode UTF-8; raises InvalidConfigError with ``message`` and the bytes that are something else."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        mistake = Mistake(what, data[error.start : error.start + 8], "must be UTF-8 text")
        raise InvalidConfigError(message, mistakes=[mistake]) from error


def is_piped() -> bool:
    """Whether standard input is a pipe or a file; /dev/null and terminals hold no text."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or without a descriptor
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
