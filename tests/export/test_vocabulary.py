"""SentencePiece models are read exactly, and those that change text are refused."""

from __future__ import annotations

import io

import pytest
import sentencepiece
from tiny_bundle import SENTENCES, train_tiny_tokenizer

from semilla.errors import IncompatibleError
from semilla.export.vocabulary import Kind, read_vocabulary
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, NEWLINE_ID, UNKNOWN_ID, Tokenizer


def test_every_piece_has_its_text_score_and_kind() -> None:
    """Order and scores are those of the processor. Special ids and bytes have kinds of their own."""
    vocabulary = read_vocabulary(train_tiny_tokenizer())
    assert vocabulary.model_type == "unigram"
    assert [(piece.text, piece.score) for piece in vocabulary.pieces] == Tokenizer(
        train_tiny_tokenizer()
    ).list_pieces()
    kinds = {token: vocabulary.pieces[token].kind for token in (UNKNOWN_ID, BEGIN_ID, END_ID, NEWLINE_ID)}
    assert kinds == {0: Kind.UNKNOWN, 1: Kind.CONTROL, 2: Kind.CONTROL, 3: Kind.USER_DEFINED}
    assert [piece.text for piece in vocabulary.pieces if piece.kind is Kind.BYTE] == [
        f"<0x{byte:02X}>" for byte in range(256)
    ]


def test_characters_of_names_that_no_piece_has_are_found() -> None:
    """The tiny text has the letter of ``<s>``, but not its brackets."""
    uncovered = read_vocabulary(train_tiny_tokenizer()).list_uncovered()
    assert {"<", ">", "/", "0", "9"} <= set(uncovered)
    assert not {"s", "u", "n"} & set(uncovered)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("normalization_rule_name", "nmt_nfkc"),
        ("add_dummy_prefix", True),
        ("remove_extra_whitespaces", True),
        ("byte_fallback", False),
        ("treat_whitespace_as_suffix", True),
    ],
)
def test_a_tokenizer_that_changes_text_is_refused(setting: str, value: object) -> None:
    """Formats differ most in how they change text, so no tokenizer that does is exported."""
    options = {
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "byte_fallback": True,
        setting: value,
    }
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=330,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    with pytest.raises(IncompatibleError, match="differs in"):
        read_vocabulary(model.getvalue())
