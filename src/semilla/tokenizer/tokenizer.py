"""SentencePiece: train, load, encode, and check that text comes back exactly as it went in.

Text is not changed on its way to ids: no normalisation, no added or removed spaces; a line break is a piece of its own,
so that dialogue and verse keep their shape; what no piece covers is spelled in bytes.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from semilla.errors import (
    IntegrityError,
    InvalidCorpusError,
    Mistake,
    OutOfMemoryError,
    StorageError,
    from_os_error,
)
from semilla.system import interrupts
from semilla.tokenizer.model_file import MAX_MODEL_BYTES, check_structure

UNKNOWN_ID = 0
BEGIN_ID = 1
END_ID = 2
NEWLINE_ID = 3
"""The ids that mean something beyond their text; everywhere else in the code they go by these names."""

SPACE_MARK = "\u2581"
"""SentencePiece's inner form of a space; cleaned text never contains it."""
NUM_BYTE_PIECES = 256
SMALLEST_VOCAB_SIZE = NUM_BYTE_PIECES + 44
"""Below this a vocabulary is hardly more than bytes: the text has nothing to learn from."""
SMALLEST_CHOICE, LARGEST_CHOICE = 1000, 32_000
"""The smallest and the largest vocabulary a configuration may ask for."""
LARGEST_SENTENCE_BYTES = 4000
"""SentencePiece silently drops training sentences over 4,192 bytes."""
_OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Memory allocation", "allocate memory")
"""What a child that finds no memory says last: C++, Python, OpenBLAS, the dynamic loader."""
TRAINING_TIMEOUT_S = 3600

Tokens = npt.NDArray[np.int32]


class VocabularySizeError(InvalidCorpusError):
    """The text does not go with the vocabulary asked for; ``nearest`` is the size that it does go with."""

    def __init__(self, vocab_size: int, *, nearest: int) -> None:
        allowed = (
            f"the text supports at most {nearest} pieces"
            if nearest < vocab_size
            else f"the text needs at least {nearest} pieces, one for each of its characters"
        )
        super().__init__(str(Mistake("tokenizer_vocab_size", vocab_size, allowed, nearest)))
        self.nearest = nearest


@dataclass(frozen=True)
class TrainedTokenizer:
    """A serialised SentencePiece model and the number of pieces it really has."""

    model: bytes
    vocab_size: int
    warning: str | None = None


class Tokenizer:
    """Encodes text to token ids and back, without loss."""

    def __init__(self, model: bytes) -> None:
        import sentencepiece  # noqa: PLC0415 - loading it costs more than most commands need

        check_structure(model)
        try:
            self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (
            RuntimeError,
            UnicodeDecodeError,
        ) as error:  # the latter when its complaint quotes broken text
            raise IntegrityError(f"not a SentencePiece model: {ascii(str(error))[1:-1]}") from error
        found = [
            self.processor.unk_id(),
            self.processor.bos_id(),
            self.processor.eos_id(),
            self.processor.PieceToId("\n"),
        ]
        if found != [UNKNOWN_ID, BEGIN_ID, END_ID, NEWLINE_ID]:
            raise IntegrityError(f"the tokenizer's special ids are {found}, not those of a Semilla tokenizer")

    @property
    def vocab_size(self) -> int:
        return int(self.processor.vocab_size())

    def encode(self, text: str) -> Tokens:
        """Token ids of ``text``."""
        return np.array(self.processor.encode(text), dtype=np.int32)

    def decode(self, ids: Sequence[int] | Tokens) -> str:
        """The text of ``ids``; a word model spells the mark of a space in bytes, so it is turned back here."""
        return str(self.processor.decode([int(token) for token in ids])).replace(SPACE_MARK, " ")

    def list_pieces(self) -> list[tuple[str, float]]:
        """Every piece with its score, in the order of the ids."""
        processor = self.processor
        return [(processor.IdToPiece(i), processor.GetScore(i)) for i in range(self.vocab_size)]


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int, model_type: str, is_size_explicit: bool, num_threads: int = 1
) -> TrainedTokenizer:
    """Train on ``texts`` in a child process, so that a crash inside the library cannot take the run along.

    ``vocab_size`` larger than the text supports is an error when it was asked for (VocabularySizeError) and is
    lowered to the largest possible value when it was not; one too small for its characters is always an error.
    One thread by default: the result is the same bytes each time.
    """
    sentences = json.dumps([sentence for text in texts for sentence in split_sentences(text)])
    request: dict[str, Any] = {"vocab_size": vocab_size, "model_type": model_type, "num_threads": num_threads}
    outcome = _train_in_child(sentences, request)
    _check_characters(outcome, vocab_size)
    largest = _find_largest_size(outcome)
    if largest is None:
        trained = _accept(outcome)
        fewer = f"the text has {trained.vocab_size} pieces of type {model_type}, fewer than {vocab_size}"
        return trained if trained.vocab_size == vocab_size else replace(trained, warning=fewer)
    if largest < SMALLEST_VOCAB_SIZE:
        raise InvalidCorpusError(
            f"the text supports only {largest} pieces; it is too small or too uniform to learn from"
        )
    if is_size_explicit:
        if largest < SMALLEST_CHOICE:
            raise InvalidCorpusError(
                f"tokenizer_vocab_size = {vocab_size}: the text supports at most {largest} pieces; give it more text"
            )
        raise VocabularySizeError(vocab_size, nearest=largest)
    lowered = _accept(_train_in_child(sentences, {**request, "vocab_size": largest}))
    warning = (
        f"the text supports {lowered.vocab_size} pieces, fewer than the default {vocab_size}; using that"
    )
    return TrainedTokenizer(lowered.model, lowered.vocab_size, warning)


def split_sentences(text: str) -> Iterator[str]:
    """Cut text into training sentences of whole lines that SentencePiece does not drop for their length."""
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


def measure_compression(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """UTF-8 bytes per token over ``texts``."""
    pairs = [(len(text.encode()), len(tokenizer.encode(text))) for text in texts]
    return sum(size for size, _ in pairs) / max(1, sum(count for _, count in pairs))


def check_round_trip(tokenizer: Tokenizer, text: str) -> None:
    """Raise IntegrityError unless ``text`` decodes to itself; says where it first does not."""
    decoded = tokenizer.decode(tokenizer.encode(text))
    if decoded != text:
        at = next(
            (i for i, (a, b) in enumerate(zip(text, decoded, strict=False)) if a != b),
            min(len(text), len(decoded)),
        )
        raise IntegrityError(
            f"the tokenizer does not give text back: {text[at : at + 20]!r} became {decoded[at : at + 20]!r}"
        )


def format_vocabulary(tokenizer: Tokenizer) -> str:
    """The pieces and scores as the ``.vocab`` file a person can read: one a line, a line break in its escaped form."""
    return "".join(
        f"{piece.encode('unicode_escape').decode() if piece == chr(10) else piece}\t{score:.6g}\n"
        for piece, score in tokenizer.list_pieces()
    )


def _split_long_line(line: str) -> Iterator[str]:
    step = LARGEST_SENTENCE_BYTES // 4  # a character takes at most four bytes
    if len(line) <= step:
        yield line
        return
    for start in range(0, len(line), step):
        yield line[start : start + step]


def _train_in_child(sentences: str, request: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", "semilla.tokenizer.tokenizer", json.dumps(request)]
    with (
        _store(sentences) as stdin,
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as child,
    ):
        deadline_s = time.monotonic() + TRAINING_TIMEOUT_S
        try:
            while True:
                try:
                    stdout, stderr = child.communicate(timeout=0.2)
                    return subprocess.CompletedProcess(command, child.returncode, stdout, stderr)
                except subprocess.TimeoutExpired:
                    interrupts.check()
                    if time.monotonic() > deadline_s:
                        raise StorageError(f"tokenizer training took over {TRAINING_TIMEOUT_S} s") from None
        finally:
            child.kill()


def _store(text: str) -> IO[bytes]:
    """Lay text ready in an unnamed file: what ``communicate`` had not sent at a timeout, it never sends."""
    import tempfile  # noqa: PLC0415 - with all that it imports, not for a device

    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(text.encode())
    file.seek(0)
    return file


def _accept(outcome: subprocess.CompletedProcess[bytes]) -> TrainedTokenizer:
    if outcome.returncode == 0:
        return TrainedTokenizer(outcome.stdout, Tokenizer(outcome.stdout).vocab_size)
    tail = outcome.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
    if outcome.returncode < 0 or any(phrase in tail[0] for phrase in _OUT_OF_MEMORY):
        raise OutOfMemoryError(
            f"tokenizer training was stopped (exit {outcome.returncode}), most likely for want of memory: "
            "give it a smaller vocabulary or less text"
        )
    raise InvalidCorpusError(f"SentencePiece could not learn from this text: {tail[0]}")


def _find_largest_size(outcome: subprocess.CompletedProcess[bytes]) -> int | None:
    """Read the largest possible vocabulary out of SentencePiece's refusal; None when it did not refuse for its size."""
    if outcome.returncode == 0:
        return None
    match = re.search(rb"set it to a value <= (\d+)", outcome.stderr)
    return int(match[1]) if match else None


def _check_characters(outcome: subprocess.CompletedProcess[bytes], vocab_size: int) -> None:
    """Raise when SentencePiece refused because every character, byte and special piece needs a place of its own."""
    match = re.search(rb"smaller than required_chars. \d+ vs (\d+)", outcome.stderr)
    if outcome.returncode == 0 or match is None:
        return
    smallest = int(match[1])
    if smallest > LARGEST_CHOICE:
        raise InvalidCorpusError(
            f"the text needs {smallest} pieces for its characters alone, and a vocabulary has {LARGEST_CHOICE} at most"
        )
    raise VocabularySizeError(vocab_size, nearest=smallest)


def read_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizer whose hash has been verified."""
    try:
        with path.open("rb") as file:
            return Tokenizer(file.read(MAX_MODEL_BYTES + 1))
    except OSError as error:
        raise from_os_error(error, path) from error


def _main() -> None:
    """Train in this process: options as JSON in argv[1], sentences as JSON on stdin, the model to stdout."""
    import sentencepiece  # noqa: PLC0415

    request = json.loads(sys.argv[1])
    sentences = json.load(sys.stdin)
    model = io.BytesIO()
    sentencepiece.set_random_generator_seed(0)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
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
            **request,
        )
    except RuntimeError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(model.getvalue())


if __name__ == "__main__":
    _main()
