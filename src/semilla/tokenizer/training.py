"""Trains a SentencePiece model in a child process, so that a crash inside the library cannot end the run."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from semilla.errors import InvalidCorpusError, Mistake, OutOfMemoryError, StorageError
from semilla.system import interrupts
from semilla.system.children import explain_end, run_module
from semilla.system.endings import read_marks
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, UNKNOWN_ID, Tokenizer

SMALLEST_VOCAB_SIZE = 300
"""The 256 byte pieces and 44 more: a smaller vocabulary is hardly more than bytes, and the text too poor to learn."""
SMALLEST_CHOICE, LARGEST_CHOICE = 1000, 32_000
"""The smallest and the largest vocabulary a configuration may ask for."""
LARGEST_SENTENCE_BYTES = 4000
"""SentencePiece silently drops training sentences over 4,192 bytes."""
SAMPLED_BYTES = 16 << 20
"""Text to learn from. More takes memory and minutes, and changes few pieces."""
TIMEOUT_S = 3600
_OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Memory allocation", "allocate memory")
"""Last words of a child that runs out of memory: C++, Python, OpenBLAS, the dynamic loader."""


class VocabularySizeError(InvalidCorpusError):
    """The text does not support the vocabulary asked for; ``nearest`` is the closest size it does support."""

    def __init__(self, vocab_size: int, *, nearest: int) -> None:
        allowed = (
            f"the text supports at most {nearest} pieces"
            if nearest < vocab_size
            else f"the text needs at least {nearest} pieces, one for each of its characters"
        )
        super().__init__(str(Mistake("tokenizer_vocab_size", vocab_size, allowed, nearest)))
        self.nearest = nearest


class TooUniformError(InvalidCorpusError):
    """The text has too few pieces of this type to learn from; a vocabulary of characters may still do."""


@dataclass(frozen=True)
class TrainedTokenizer:
    """A serialised SentencePiece model and the number of pieces it really has."""

    model: bytes
    vocab_size: int
    warning: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How the child process ended; ``marks`` are those of ``endings.read_marks`` before it started."""

    returncode: int
    stdout: bytes
    stderr: bytes
    marks: dict[str, Any]


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int,
    model_type: str,
    is_size_explicit: bool,
    num_threads: int = 1,
    share: float = 1.0,
) -> TrainedTokenizer:
    """Train on ``texts``; with one thread, the default, the same texts give the same bytes.

    A ``share`` below 1 learns from that share of the sentences, which are evenly spread over the texts.
    A ``vocab_size`` larger than the text supports is a VocabularySizeError when it was asked for; otherwise it is
    lowered to the largest possible one. A size too small for the text's characters is always an error.
    """
    every = (sentence for text in texts for sentence in split_sentences(text))
    sentences = b"".join(json.dumps(sentence).encode() + b"\n" for sentence in take_share(every, share))
    request: dict[str, Any] = {"vocab_size": vocab_size, "model_type": model_type, "num_threads": num_threads}
    outcome = _train_in_child(sentences, request)
    _check_characters(outcome, vocab_size)
    largest = _find_number(outcome, rb"set it to a value <= (\d+)")
    if largest is None:
        model, size = _accept(outcome)
        fewer = f"the text has {size} pieces of type {model_type}, fewer than {vocab_size}"
        return TrainedTokenizer(model, size, fewer if size != vocab_size else None)
    _check_largest(largest, vocab_size, is_size_explicit=is_size_explicit)
    model, size = _accept(_train_in_child(sentences, {**request, "vocab_size": largest}))
    lowered = f"the text supports {size} pieces, fewer than {vocab_size}; using that"
    return TrainedTokenizer(model, size, lowered)


def split_sentences(text: str) -> Iterator[str]:
    """Cut text into training sentences of whole lines, each short enough that SentencePiece does not drop it."""
    buffer: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        for piece in _split_long_line(line):
            length = len(piece.encode())
            if size + length > LARGEST_SENTENCE_BYTES and buffer:
                yield "".join(buffer)
                buffer, size = [], 0
            buffer.append(piece)
            size += length
    if buffer:
        yield "".join(buffer)


def take_share(sentences: Iterable[str], share: float) -> Iterator[str]:
    """Take a share of the sentences, evenly spread: of each 1 / ``share``, the last one."""
    for number, sentence in enumerate(sentences):
        if int((number + 1) * share) > int(number * share):
            interrupts.check()
            yield sentence


def _split_long_line(line: str) -> Iterator[str]:
    step = LARGEST_SENTENCE_BYTES // 4  # a character takes at most four bytes
    for start in range(0, len(line), step):
        yield line[start : start + step]


def _train_in_child(sentences: bytes, request: dict[str, Any]) -> Outcome:
    arguments, marks = [json.dumps(request)], read_marks()
    try:
        child = run_module("semilla.tokenizer.training", arguments, timeout_s=TIMEOUT_S, content=sentences)
    except subprocess.TimeoutExpired:
        raise StorageError(f"tokenizer training took over {TIMEOUT_S} s") from None
    return Outcome(child.returncode, child.stdout, child.stderr, marks)


def _accept(outcome: Outcome) -> tuple[bytes, int]:
    """The model and its number of pieces, or an error that says why training failed."""
    if outcome.returncode == 0:
        return outcome.stdout, Tokenizer(outcome.stdout).vocab_size
    tail = outcome.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
    ending = explain_end(outcome.returncode, outcome.marks)
    if isinstance(ending, MemoryError) or any(phrase in tail[0] for phrase in _OUT_OF_MEMORY):
        raise OutOfMemoryError(
            "memory ran out in the tokenizer's training: give it a smaller vocabulary or less text"
        )
    if outcome.returncode < 0:
        raise ending
    raise InvalidCorpusError(f"SentencePiece could not learn from this text: {tail[0]}")


def _find_number(outcome: Outcome, pattern: bytes) -> int | None:
    """The number in SentencePiece's refusal; None when it did not refuse, or refused for another reason."""
    match = re.search(pattern, outcome.stderr) if outcome.returncode else None
    return int(match[1]) if match else None


def _check_characters(outcome: Outcome, vocab_size: int) -> None:
    """Raise when SentencePiece refused because the vocabulary has no room for every character and byte."""
    smallest = _find_number(outcome, rb"smaller than required_chars. \d+ vs (\d+)")
    if smallest is None:
        return
    if smallest > LARGEST_CHOICE:
        raise InvalidCorpusError(
            f"the text needs {smallest} pieces for its characters alone, and a vocabulary has {LARGEST_CHOICE} at most"
        )
    raise VocabularySizeError(vocab_size, nearest=smallest)


def _check_largest(largest: int, vocab_size: int, *, is_size_explicit: bool) -> None:
    """Raise when the text supports too few pieces, or fewer than were asked for."""
    if largest < SMALLEST_VOCAB_SIZE:
        raise TooUniformError(
            f"the text supports only {largest} pieces: it is too small or too uniform for pieces longer than a "
            "character; give it more text, or learn characters with --tokenizer-model-type char"
        )
    if is_size_explicit and largest < SMALLEST_CHOICE:
        raise TooUniformError(
            f"tokenizer_vocab_size = {vocab_size}: the text supports at most {largest} pieces; give it more text, "
            "or learn characters with --tokenizer-model-type char"
        )
    if is_size_explicit:
        raise VocabularySizeError(vocab_size, nearest=largest)


def _main() -> None:
    """Train in this process: options in argv[1], sentences on the lines of stdin, both as JSON; the model to stdout."""
    import sentencepiece  # noqa: PLC0415 - only the child trains

    model = io.BytesIO()
    sentencepiece.set_random_generator_seed(0)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(json.loads, sys.stdin.buffer),
            model_writer=model,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            user_defined_symbols=["\n"],
            unk_id=UNKNOWN_ID,
            bos_id=BEGIN_ID,
            eos_id=END_ID,
            pad_id=-1,
            minloglevel=2,
            **json.loads(sys.argv[1]),
        )
    except RuntimeError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(model.getvalue())


if __name__ == "__main__":
    _main()
