"""Malicious files: complete, correctly hashed, and not what they claim to be."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import zipfile
from collections.abc import Mapping

COMMENT = b"semilla sha256 "


def seal_archive(archive: bytes) -> bytes:
    """Give a ZIP archive without comment the seal of a checkpoint: anyone can compute a hash."""
    sealed = archive[:-2] + struct.pack("<H", len(COMMENT) + 64)
    return sealed + COMMENT + hashlib.sha256(sealed).hexdigest().encode()


def forge_archive(
    entries: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED, prefix: bytes = b""
) -> bytes:
    """Make a sealed archive of these entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return seal_archive(prefix + buffer.getvalue())


def read_entries(checkpoint: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


class Payload:
    """An object whose pickle runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (self.command,)


def pickle_payload(command: str, *, protocol: int = 2) -> bytes:
    return pickle.dumps({"model_state": Payload(command)}, protocol=protocol)


def encode_field(number: int, content: bytes) -> bytes:
    """One field of a protobuf message."""
    return encode_number(number << 3 | 2) + encode_number(len(content)) + content


def encode_number(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def encode_piece(text: str, *, score: float = 0.0) -> bytes:
    """One piece of a SentencePiece model."""
    return encode_field(1, encode_field(1, text.encode()) + b"\x15" + struct.pack("<f", score))
