"""Malicious tokenizer files are refused unread, or tried in a process that may crash (T3, T4)."""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from forgery import encode_field, encode_number, encode_piece, pickle_payload
from tiny_bundle import train_tiny_tokenizer

from semilla.errors import IntegrityError
from semilla.system import children
from semilla.tokenizer import model_file as tokenizer_file
from semilla.tokenizer.model_file import check_structure, try_in_child
from semilla.tokenizer.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def model() -> bytes:
    return train_tiny_tokenizer()


def test_a_trained_model_is_accepted(model: bytes) -> None:
    """It passes the check of its structure and the trial in a child process."""
    check_structure(model)
    try_in_child(model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model: model + encode_piece("a" * 200_000), "a piece has"),
        (
            lambda model: model + encode_field(3, encode_field(2, b"\xff\xff\xff\x7f" * 9)),
            "changes characters",
        ),
        (lambda model: model + encode_field(5, encode_field(6, b"a\tb")), "changes characters"),
        (lambda model: model + encode_piece("a") * 140_000, r"1\d\d,\d\d\d pieces"),
        (lambda model: bytes(17 << 20), "17,825,792 bytes"),
        (lambda model: b"", "0 pieces"),
        (lambda model: model[:-3], "cut short"),
        (lambda model: encode_number(1 << 3 | 2) + encode_number(1 << 62), "cut short"),
        (lambda model: b"\x0a" + b"\xff" * 12, "not a protobuf"),
        (lambda model: b"<!DOCTYPE html><title>404</title>", "SentencePiece model"),
        (lambda model: pickle_payload("true"), "SentencePiece model"),
        (lambda model: bytes(5000), "SentencePiece model"),
    ],
    ids="long-piece table rules many-pieces large empty cut giant-length endless-number html pickle zeros".split(),
)
def test_what_crashes_the_parser_is_refused_unread(change, words: str, model: bytes) -> None:
    """Each is an integrity error, raised before SentencePiece reads a byte (T3, T4)."""
    bad = change(model)
    with pytest.raises(IntegrityError, match=words):
        check_structure(bad)
    with pytest.raises(IntegrityError):
        Tokenizer(bad)


def test_flipped_bits_end_in_an_error_or_a_tokenizer(model: bytes) -> None:
    """Two hundred damaged models, read without their hashes: no crash, no other exception (T3)."""
    draw = random.Random(3)
    for _ in range(200):
        at = draw.randrange(len(model))
        damaged = model[:at] + bytes([model[at] ^ 1 << draw.randrange(8)]) + model[at + 1 :]
        with suppress(IntegrityError):
            check_structure(damaged)
            Tokenizer(damaged)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("raise SystemExit(7)", "code 7"),
        ("import time; time.sleep(60)", "not loaded within 0.5 s"),
    ],
    ids=["crash", "refusal", "hang"],
)
def test_a_child_that_fails_is_an_integrity_error(
    monkeypatch: pytest.MonkeyPatch, model: bytes, code: str, words: str
) -> None:
    """A crash of the parser ends only the child; a child that hangs is killed (T4)."""
    monkeypatch.setattr(tokenizer_file, "TRIAL_TIMEOUT_S", 0.5 if "sleep" in code else 60)
    monkeypatch.setattr(children, "make_command", lambda *_: [sys.executable, "-c", code])
    with pytest.raises(IntegrityError, match=words):
        try_in_child(model)


def test_a_module_in_the_working_directory_is_not_taken_for_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: bytes
) -> None:
    """The child also runs without the working directory on its path (S14)."""
    (tmp_path / "sentencepiece.py").write_text("import os; os._exit(9)")
    monkeypatch.chdir(tmp_path)
    try_in_child(model)
    assert [path.name for path in tmp_path.iterdir()] == ["sentencepiece.py"]
