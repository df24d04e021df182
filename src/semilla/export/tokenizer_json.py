"""``tokenizer.json``, the file of Hugging Face's ``tokenizers``, written so that every text gets the same ids.

Three traps, each measured:

- Transformers 5 reads a unigram ``.model`` as BPE without a warning. So the file is written here, piece by piece.
- In this format every entry of the vocabulary can match text, also those that only have a name: "<0x41>" in a text
  would become the byte piece. Their scores are therefore far below all others, so that they lose against their own
  characters; and where one of those characters is in no piece, the text is cut around it, so that no name is whole.
- SentencePiece here adds no space and removes none; the ``Metaspace`` of this format does unless told otherwise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from semilla.errors import IncompatibleError
from semilla.export.vocabulary import Kind, Piece, Vocabulary
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, SPACE_MARK, UNKNOWN_ID

NEVER = -1e6
"""Score of pieces that only have a name; a text would need ten thousand pieces instead before one of them won."""
MODEL_TYPES = ("unigram", "bpe", "char")
"""What the format expresses exactly; it knows no words that fall back to bytes as a whole."""


def describe_tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """Write a vocabulary in the words of ``tokenizer.json``; IncompatibleError where that cannot be exact."""
    if vocabulary.model_type not in MODEL_TYPES:
        raise IncompatibleError(
            f"a {vocabulary.model_type} tokenizer cannot be written for Hugging Face: its format has no whole words "
            f"that fall back to bytes. Possible are {', '.join(MODEL_TYPES)}, and --to onnx for every tokenizer"
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
    """Pairs of pieces that make a third, the best first; a char vocabulary has none."""
    known = {piece.text for piece in pieces if piece.kind is Kind.NORMAL}
    longer = [piece for piece in pieces if piece.kind is Kind.NORMAL and len(piece.text) > 1]
    assert all(a.score > b.score for a, b in pairwise(longer)), "SentencePiece writes BPE pieces by rank"
    cuts = ((piece.text[:at], piece.text[at:]) for piece in longer for at in range(1, len(piece.text)))
    return [[left, right] for left, right in cuts if left in known and right in known]


def _describe_special(vocabulary: Vocabulary, token: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token, "content": vocabulary.pieces[token].text, **flags, "special": True}


def _describe_cuts(vocabulary: Vocabulary) -> dict[str, Any]:
    """Spaces become their mark; a text is one word, as in SentencePiece, but for characters no piece has."""
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
