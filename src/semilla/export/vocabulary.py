"""A SentencePiece model as data: how it cuts text, and its pieces with their scores and kinds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from semilla.errors import IncompatibleError


class Kind(IntEnum):
    """What a piece is for; SentencePiece and GGUF number the kinds alike."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    text: str
    score: float
    kind: Kind

    @property
    def is_matched(self) -> bool:
        """Can the piece stand for a stretch of text? The others only have a name, such as ``<0x0A>`` or ``<s>``."""
        return self.kind in {Kind.NORMAL, Kind.USER_DEFINED}


@dataclass(frozen=True)
class Vocabulary:
    """Pieces in the order of their ids, and the algorithm: unigram, bpe, word or char."""

    model_type: str
    pieces: tuple[Piece, ...]

    def list_uncovered(self) -> list[str]:
        """Characters in the names of pieces that stand for no text, and in no piece that does."""
        covered = {character for piece in self.pieces if piece.is_matched for character in piece.text}
        named = {character for piece in self.pieces if not piece.is_matched for character in piece.text}
        return sorted(named - covered)


def read_vocabulary(tokenizer_model: bytes) -> Vocabulary:
    """Parse a SentencePiece model; IncompatibleError when it changes text, which no Semilla tokenizer does."""
    # It drags protobuf along, which only exports need.
    from sentencepiece import sentencepiece_model_pb2  # noqa: PLC0415

    parse = sentencepiece_model_pb2.ModelProto.FromString  # type: ignore[attr-defined] # made when imported
    proto = parse(tokenizer_model)
    spec, trainer = proto.normalizer_spec, proto.trainer_spec
    settings = {
        "precompiled_charsmap": bool(spec.precompiled_charsmap),
        "add_dummy_prefix": spec.add_dummy_prefix,
        "remove_extra_whitespaces": spec.remove_extra_whitespaces,
        "escape_whitespaces": not spec.escape_whitespaces,
        "byte_fallback": not trainer.byte_fallback,
        "treat_whitespace_as_suffix": trainer.treat_whitespace_as_suffix,
    }
    if unusual := [name for name, differs in settings.items() if differs]:
        raise IncompatibleError(
            f"exports know tokenizers as Semilla trains them; this one differs in {unusual}"
        )
    model_type = trainer.ModelType.Name(trainer.model_type).lower()
    return Vocabulary(model_type, tuple(Piece(p.piece, p.score, Kind(p.type)) for p in proto.pieces))
