"""``tokenizer.json``, the file of Hugging Face's ``tokenizers``, written so that every text gets the same ids.

Three traps, each confirmed:

- Transformers 5 reads a unigram ``.model`` as BPE, without a warning. So the file is written here, piece by piece.
- In this format every entry of the vocabulary can match text, even one that is only a name: "<0x41>" in a text would
  become the byte piece. Such entries get a score far below all others, so that the pieces of their own characters win.
  If no piece has one of those characters, the text is cut around that character, so that the name never occurs whole.
- SentencePiece here adds and removes no spaces. The ``Metaspace`` of this format does, unless told otherwise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from semilla.errors import IncompatibleError
from semilla.export.vocabulary import Kind, Piece, Vocabulary
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, SPACE_MARK, UNKNOWN_ID

NEVER = -1e6
"""Score of pieces that are only names. One would win only against some ten thousand other pieces."""
MODEL_TYPES = ("unigram", "bpe", "char")
"""What the format can express exactly. It has no whole words that fall back to bytes."""


def describe_tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """The content of ``tokenizer.json`` for a vocabulary; IncompatibleError where it could not be exact."""
    if vocabulary.model_type not in MODEL_TYPES:
        raise IncompatibleError(
            f"a {vocabulary.model_type} tokenizer cannot be exported to Hugging Face: the format has no whole words "
            f"that fall back to bytes. Train with {', '.join(MODEL_TYPES)}, or export --to onnx"
        )
    is_unigram = vocabulary.model_type == "unigram"
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_describe_special(vocabulary, token) for token in (UNKNOWN_ID, BEGIN_ID, END_ID)],
        "normalizer": None,
        "pre_tokenizer": _describe_cuts(vocabulary),
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": _describe_unigram(vocabulary) if is_unigram else _describe_bpe(vocabulary),
    }


def list_merges(pieces: tuple[Piece, ...]) -> list[list[str]]:
    """List the pairs of pieces that merge into a third, best first. A char vocabulary has none."""
    known = {piece.text for piece in pieces if piece.kind is Kind.NORMAL}
    longer = [piece for piece in pieces if piece.kind is Kind.NORMAL and len(piece.text) > 1]
    assert all(a.score > b.score for a, b in pairwise(longer)), "SentencePiece writes BPE pieces by rank"
    cuts = ((piece.text[:at], piece.text[at:]) for piece in longer for at in range(1, len(piece.text)))
    return [[left, right] for left, right in cuts if left in known and right in known]


def _describe_special(vocabulary: Vocabulary, token: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token, "content": vocabulary.pieces[token].text, **flags, "special": True}


def _describe_cuts(vocabulary: Vocabulary) -> dict[str, Any]:
    """Replace spaces by their mark. Cut the text nowhere, as SentencePiece, except around uncovered characters."""
    spaces = {"type": "Metaspace", "replacement": SPACE_MARK, "prepend_scheme": "never", "split": False}
    uncovered = "".join(vocabulary.list_uncovered())
    if not uncovered or vocabulary.model_type != "unigram":
        return spaces
    around = {"Regex": f"[{uncovered}]"}
    cut = {"type": "Split", "pattern": around, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, spaces]}


def _describe_unigram(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "type": "Unigram",
        "unk_id": UNKNOWN_ID,
        "vocab": [[piece.text, piece.score if piece.is_matched else NEVER] for piece in vocabulary.pieces],
        "byte_fallback": True,
    }


def _describe_bpe(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": vocabulary.pieces[UNKNOWN_ID].text,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": {piece.text: token for token, piece in enumerate(vocabulary.pieces)},
        "merges": list_merges(vocabulary.pieces),
    }
