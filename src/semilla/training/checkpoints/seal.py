"""Sealed ``.pt`` files contain their own SHA-256, which is verified before anything is parsed.

``torch.save`` writes a ZIP archive, and the hash of all of it becomes the archive's comment. Plain ``torch.load`` still
opens the file, and a flipped bit is found before parsing (torch itself does not check).
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from semilla.errors import IncompatibleError, IntegrityError, OutOfMemoryError, from_os_error
from semilla.system.storage import NO_WAIT
from semilla.training.checkpoints.inspection import check_shapes, inspect_archive, inspect_content

FORMAT_VERSION = 1
"""Increased when an older Semilla could not read the file. Additional parts alone do not need that."""
MAX_FILE_BYTES = 2 << 30
"""The largest possible configuration needs 1.3 GB, optimizers and best weights included."""
_COMMENT = b"semilla sha256 "
_COMMENT_BYTES = len(_COMMENT) + 64
_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22


def seal(content: dict[str, Any]) -> memoryview:
    """Serialise with ``torch.save`` and add the hash, in one buffer: checkpoints can be large compared with memory."""
    buffer = io.BytesIO()
    try:
        torch.save(content, buffer)
    except RuntimeError as error:
        raise OutOfMemoryError(f"could not serialise a checkpoint: {error}") from error
    size = buffer.tell()
    buffer.seek(size - _END_RECORD_BYTES)
    assert buffer.read(4) == _END_RECORD, "torch.save no longer ends in a plain end-of-archive record"
    buffer.seek(size - 2)
    buffer.write(struct.pack("<H", _COMMENT_BYTES))
    with buffer.getbuffer() as sealed:  # while a view is open, the buffer cannot grow
        digest = _hash(sealed)
    buffer.write(_COMMENT + digest)
    return buffer.getbuffer()


def unseal(data: bytes, *, name: str) -> None:
    """Raise IntegrityError unless ``data`` ends in the hash of everything before it."""
    sealed, comment = memoryview(data)[:-_COMMENT_BYTES], data[-_COMMENT_BYTES:]
    if not comment.startswith(_COMMENT):
        raise IntegrityError(f"{name} is truncated or not a Semilla checkpoint")
    if _hash(sealed) != comment[len(_COMMENT) :]:
        raise IntegrityError(f"{name} is damaged: its SHA-256 does not match")


def _hash(data: memoryview) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def verify(path: Path) -> bytes:
    """Read a sealed file. Raises IntegrityError unless its bytes are those that were written."""
    data = _read_regular(path)
    unseal(data, name=path.name)
    return data


def read_sealed(path: Path) -> dict[str, Any]:
    """Verify a file's hash, then parse it without executing anything.

    Raises IntegrityError when it is damaged or contains NaN or infinity, IncompatibleError when a newer Semilla wrote
    it.
    """
    return _parse(verify(path), name=path.name)


def parse_sealed(data: bytes, *, name: str) -> dict[str, Any]:
    """The same for the bytes of a sealed file that another process sent."""
    unseal(data, name=name)
    return _parse(data, name=name)


def _parse(data: bytes, *, name: str) -> dict[str, Any]:
    inspect_archive(data, name=name)
    try:
        with warnings.catch_warnings():
            # For a forged pickle, torch warns about its own check of what the pickle may call.
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on sealed bytes that are no checkpoint
        # torch's message recommends loading without this protection.
        raise IntegrityError(f"{name} cannot be read: {type(error).__name__}") from error
    inspect_content(content, name=name)
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise IncompatibleError(
            f"{name} has format {version}; this version of Semilla reads up to {FORMAT_VERSION}",
            next_command="pip install --upgrade semilla",
        )
    if type(version) is not int or version != FORMAT_VERSION:
        # Only a number is shown: other values may be nested so deeply that printing them never ends.
        shown = version if type(version) is int else type(version).__name__
        raise IntegrityError(f"{name} has format {shown}; this version of Semilla reads {FORMAT_VERSION}")
    if not is_finite(content):
        raise IntegrityError(f"{name} holds weights that are not finite numbers")
    return dict(content)


def _read_regular(path: Path) -> bytes:
    """Read a regular file of at most ``MAX_FILE_BYTES`` that ends in a hash, the last thing that is written to it.

    Reading a pipe would block forever, and a file without a hash may be far larger than any checkpoint of this run.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_WAIT)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            os.close(descriptor)
            raise IntegrityError(f"{path.name} is not a regular file of at most {MAX_FILE_BYTES >> 30} GB")
        with os.fdopen(descriptor, "rb") as file:
            file.seek(max(0, found.st_size - _COMMENT_BYTES))
            if not file.read(len(_COMMENT)) == _COMMENT:
                raise IntegrityError(f"{path.name} is truncated or not a Semilla checkpoint")
            file.seek(0)
            return file.read()
    except OSError as error:
        raise from_os_error(error, path) from error


def load_weights(path: Path, model: torch.nn.Module) -> None:
    """Load the weights of a sealed file into ``model``.

    Raises IntegrityError for a damaged file, NaN or infinity, and IncompatibleError for other shapes.
    """
    weights = read_sealed(path).get("model_state")
    if not isinstance(weights, dict) or not all(isinstance(one, torch.Tensor) for one in weights.values()):
        raise IntegrityError(f"{path.name} holds no weights")
    load_checked(weights, model, name=path.name)


def load_checked(weights: dict[str, torch.Tensor], model: torch.nn.Module, *, name: str) -> None:
    check_shapes(weights, model.state_dict(), name=name)
    model.load_state_dict(weights)


def is_finite(content: Any) -> bool:
    """Tell whether all tensors in ``content``, at any depth, are finite."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in _find_tensors(content))


def _find_tensors(content: Any) -> Iterator[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, dict | list | tuple):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _find_tensors(part)
