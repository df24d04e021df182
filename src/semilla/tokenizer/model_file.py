"""Checks a ``.model`` file before SentencePiece parses it, and tries a foreign one in a child process first.

The parser is native code, and some models crash it: a piece of 100 KB overflows its stack
(google/sentencepiece#1263), a damaged character table is read out of bounds (#1269). Semilla's own models have
neither long pieces nor such a table, so a model with either is refused unread.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import TypeVar

from semilla.errors import IntegrityError
from semilla.system.children import run_module

MAX_MODEL_BYTES = 16 << 20
"""The largest vocabulary a configuration may ask for, 32,000 pieces, takes less than 1 MB."""
MAX_PIECES = 1 << 17
MAX_PIECE_BYTES = 16 << 10
"""A word model's longest piece is a training sentence of 4,000 bytes whose spaces take three bytes each."""
TRIAL_TIMEOUT_S = 60
_PIECE, _NORMALIZERS, _CHARACTER_TABLE = 1, {3, 5}, {2, 6}
"""Field numbers of ``ModelProto`` and ``NormalizerSpec`` in sentencepiece_model.proto."""
Bytes = TypeVar("Bytes", bytes, memoryview)
_LENGTHS = {1: 8, 5: 4}
"""Bytes of a value by wire type, where the type fixes them."""


def check_structure(model: bytes) -> None:
    """Raise IntegrityError unless ``model`` has the outer form of a model that Semilla could have trained."""
    if len(model) > MAX_MODEL_BYTES:
        raise IntegrityError(f"not a SentencePiece model of ours: it has {len(model):,} bytes")
    try:
        num_pieces = sum(_count_piece(field, value) for field, value in read_fields(model))
    except (ValueError, IndexError) as error:
        raise IntegrityError(f"not a SentencePiece model of ours: {error}") from error
    if not 0 < num_pieces <= MAX_PIECES:
        raise IntegrityError(f"not a SentencePiece model of ours: it has {num_pieces:,} pieces")


def _count_piece(field: int, value: bytes) -> int:
    """1 for a piece, 0 for any other field; raises ValueError for a field that would crash the parser."""
    if field == _PIECE and len(value) > MAX_PIECE_BYTES:
        raise ValueError(f"a piece has {len(value):,} bytes")
    if field in _NORMALIZERS and any(
        inner in _CHARACTER_TABLE and text for inner, text in read_fields(value)
    ):
        raise ValueError("it has a table that changes characters")
    return int(field == _PIECE)


def try_in_child(model: bytes) -> None:
    """Load ``model`` and tokenize a text in another process; raises IntegrityError when that process fails."""
    try:
        outcome = run_module("semilla.tokenizer.model_file", timeout_s=TRIAL_TIMEOUT_S, content=model)
    except subprocess.TimeoutExpired as error:
        raise IntegrityError(f"the tokenizer was not loaded within {TRIAL_TIMEOUT_S} s") from error
    if outcome.returncode:
        how = f"signal {-outcome.returncode}" if outcome.returncode < 0 else f"code {outcome.returncode}"
        raise IntegrityError(f"a child process failed to load the tokenizer: it ended with {how}")


def read_fields(message: Bytes) -> Iterator[tuple[int, Bytes]]:
    """Field numbers and values of a protobuf message; the value of a varint field is left empty."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        length = _LENGTHS.get(key & 7, 0)
        if key & 7 in {0, 2}:
            number, at = _read_varint(message, at)
            length = number if key & 7 == 2 else 0
        elif not length:
            raise ValueError("it is not a protobuf message")
        if at + length > len(message):
            raise ValueError("it is cut short")
        yield key >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number that starts at byte ``at``, and where the next one starts."""
    number = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("it is not a protobuf message")


def _main() -> None:
    """Load the model on standard input, in a process that may crash."""
    import sentencepiece  # noqa: PLC0415 - only the child loads it

    processor = sentencepiece.SentencePieceProcessor(model_proto=sys.stdin.buffer.read())
    processor.decode(processor.encode("¿Dónde está? Here: 🌱\n" * 100))


if __name__ == "__main__":
    _main()
