"""A SentencePiece model as data: its algorithm, and its pieces with their scores and kinds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from semilla.errors import IncompatibleError


class Kind(IntEnum):
    """What a piece is for. SentencePiece and GGUF use the same numbers."""

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
        """Whether the piece can match text. The others only have a name, such as ``<0x0A>`` or ``<s>``."""
        return self.kind in {Kind.NORMAL, Kind.USER_DEFINED}


@dataclass(frozen=True)
class Vocabulary:
    """The pieces, ordered by id, and the algorithm: unigram, bpe, word or char."""

    model_type: str
    pieces: tuple[Piece, ...]

    def list_uncovered(self) -> list[str]:
        """Characters that are in the names of special pieces and in no piece that matches text."""
        covered = {character for piece in self.pieces if piece.is_matched for character in piece.text}
        named = {character for piece in self.pieces if not piece.is_matched for character in piece.text}
        return sorted(named - covered)


def read_vocabulary(tokenizer_model: bytes) -> Vocabulary:
    """Parse a SentencePiece model; IncompatibleError when its settings are not those of a Semilla tokenizer."""
    # It imports protobuf, which only exports need.
    from sentencepiece import sentencepiece_model_pb2  # noqa: PLC0415

    parse = sentencepiece_model_pb2.ModelProto.FromString  # type: ignore[attr-defined] # created at import
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
            f"exports support only tokenizers that Semilla trained; this one differs in {unusual}"
        )
    model_type = trainer.ModelType.Name(trainer.model_type).lower()
    return Vocabulary(model_type, tuple(Piece(p.piece, p.score, Kind(p.type)) for p in proto.pieces))
