"""Encodes text to token ids and back, exactly.

Nothing changes the text on its way to ids: no normalization, no added or removed spaces. A line break is a piece of its
own, so dialogue and verse keep their shape. Characters that no piece covers are encoded as bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semilla.errors import IntegrityError, from_os_error
from semilla.tokenizer.model_file import MAX_MODEL_BYTES, check_structure

UNKNOWN_ID = 0
BEGIN_ID = 1
END_ID = 2
NEWLINE_ID = 3
"""The special ids; the rest of the code uses these names."""

SPACE_MARK = "\u2581"
"""How SentencePiece writes a space inside a piece; cleaned text never contains it."""

MAX_ENCODED_BYTES = 2 << 20
"""A longer text is encoded in pieces: SentencePiece takes about thirty times the size of a text in memory."""

Tokens = npt.NDArray[np.int32]


class Tokenizer:
    """Encodes text to token ids and decodes them without loss."""

    def __init__(self, model: bytes) -> None:
        import sentencepiece  # noqa: PLC0415 - slow to import, and most commands do not need it

        check_structure(model)
        self.model = model
        try:
            self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        # UnicodeDecodeError: the library's own message quotes the broken text.
        except (RuntimeError, UnicodeDecodeError) as error:
            raise IntegrityError(f"not a SentencePiece model: {ascii(str(error))[1:-1]}") from error
        processor = self.processor
        found = [processor.unk_id(), processor.bos_id(), processor.eos_id(), processor.PieceToId("\n")]
        if found != [UNKNOWN_ID, BEGIN_ID, END_ID, NEWLINE_ID]:
            raise IntegrityError(f"the tokenizer's special ids are {found}, not those of a Semilla tokenizer")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and other.model == self.model

    def __hash__(self) -> int:
        return hash(self.model)

    @property
    def vocab_size(self) -> int:
        return int(self.processor.vocab_size())

    @cached_property
    def joins_spaces(self) -> bool:
        """Whether a space is the beginning of the next word's token, as in every vocabulary but one of characters."""
        pieces = map(self.processor.IdToPiece, range(self.vocab_size))
        return any(len(piece) > 1 and piece.startswith(SPACE_MARK) for piece in pieces)

    @cached_property
    def _is_cut_at_spaces(self) -> bool:
        """Whether a token begins at every space, so that a text has the tokens of pieces that begin with one."""
        pieces = map(self.processor.IdToPiece, range(self.vocab_size))
        encode = self.processor.encode
        return encode("a a") == encode("a") + encode(" a") and not any(
            SPACE_MARK in one[1:] for one in pieces
        )

    def encode(self, text: str) -> Tokens:
        """Token ids of ``text``. A long text is encoded in pieces, where the vocabulary allows that.

        In one piece, a unigram model adds up the scores of the whole text in 32 bits, and is less exact.
        """
        data = text.encode()
        start, found = 0, []
        while len(data) - start > MAX_ENCODED_BYTES and self._is_cut_at_spaces:
            cut = data.rfind(b" ", start + 1, start + MAX_ENCODED_BYTES)
            cut = cut if cut > 0 else data.find(b" ", start + MAX_ENCODED_BYTES)
            if cut < 0:
                break
            found.append(np.array(self.processor.encode(data[start:cut]), np.int32))
            start = cut
        found.append(np.array(self.processor.encode(data[start:]), np.int32))
        return np.concatenate(found) if len(found) > 1 else found[0]

    def decode(self, ids: Sequence[int] | Tokens) -> str:
        """The text of ``ids``. A word model encodes the space mark as bytes, so it is replaced here."""
        return str(self.processor.decode([int(token) for token in ids])).replace(SPACE_MARK, " ")

    def list_pieces(self) -> list[tuple[str, float]]:
        """Every piece with its score, in the order of the ids."""
        processor = self.processor
        return [(processor.IdToPiece(i), processor.GetScore(i)) for i in range(self.vocab_size)]


def read_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizer whose hash has been verified."""
    try:
        with path.open("rb") as file:
            return Tokenizer(file.read(MAX_MODEL_BYTES + 1))
    except OSError as error:
        raise from_os_error(error, path) from error


def measure_compression(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """UTF-8 bytes per token over ``texts``."""
    pairs = [(len(text.encode()), len(tokenizer.encode(text))) for text in texts]
    return sum(size for size, _ in pairs) / max(1, sum(count for _, count in pairs))


def check_round_trip(tokenizer: Tokenizer, text: str) -> None:
    """Raise IntegrityError unless ``text`` decodes to itself; the error shows the first difference."""
    decoded = tokenizer.decode(tokenizer.encode(text))
    if decoded != text:
        pairs = enumerate(zip(text, decoded, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(text), len(decoded)))
        raise IntegrityError(
            f"the tokenizer changes the text: {text[at : at + 20]!r} became {decoded[at : at + 20]!r}"
        )


def format_vocabulary(tokenizer: Tokenizer) -> str:
    r"""The readable ``.vocab`` file: one piece and its score a line, a line break written as ``\n``."""
    return "".join(
        f"{piece.encode('unicode_escape').decode() if piece == chr(10) else piece}\t{score:.6g}\n"
        for piece, score in tokenizer.list_pieces()
    )
