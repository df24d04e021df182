"""tokenizer.json gives every text the ids of the trained tokenizer, and decodes them to the text again."""

from __future__ import annotations

import json
from functools import cache

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bundle import SENTENCES

from semilla.errors import IncompatibleError
from semilla.export.parity import PROBES
from semilla.export.tokenizer_json import MODEL_TYPES, describe_tokenizer, list_merges
from semilla.export.vocabulary import Kind, Piece, read_vocabulary
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer

MARKUP = "<p>0x41 y 0x0A</p> <b>¡hola!</b> < 12 > 3 / 4 <s> </s> <unk> <0xC3><0xB1>\n"


@cache
def train(model_type: str, *, has_markup: bool) -> bytes:
    sentences = [*SENTENCES, *([MARKUP] * 5 if has_markup else [])] * 3
    return train_tokenizer(sentences, vocab_size=1000, model_type=model_type, is_size_explicit=False).model


@cache
def open_both(model_type: str, *, has_markup: bool) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    """The trained tokenizer and the exported one."""
    model = train(model_type, has_markup=has_markup)
    exported = tokenizers.Tokenizer.from_str(json.dumps(describe_tokenizer(read_vocabulary(model))))
    exported.encode_special_tokens = True
    return Tokenizer(model), exported


kinds = pytest.mark.parametrize("model_type", MODEL_TYPES)
markups = pytest.mark.parametrize("has_markup", [False, True], ids=["plain", "markup"])


@kinds
@markups
@pytest.mark.parametrize("text", [*SENTENCES, *PROBES, MARKUP, "", "".join(SENTENCES) * 50])
def test_chosen_texts_get_the_same_ids_and_come_back(model_type: str, text: str, *, has_markup: bool) -> None:
    """Spaces, line breaks, unknown characters, and names of bytes and control tokens, whether the brackets of these
    names are in the vocabulary or not.
    """
    trained, exported = open_both(model_type, has_markup=has_markup)
    ids = trained.encode(text).tolist()
    assert exported.encode(text).ids == ids
    assert exported.decode(ids) == text


@kinds
@markups
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_text_gets_the_same_ids(model_type: str, data: st.DataObject, *, has_markup: bool) -> None:
    """Texts of known letters, brackets and hexadecimal digits, or of anything at all."""
    near = st.text(alphabet="<>/0xACBs unk1ñaeo\n¡🌱", max_size=30)
    anything = st.text(
        alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30
    )
    text = data.draw(near | anything)
    trained, exported = open_both(model_type, has_markup=has_markup)
    assert exported.encode(text).ids == trained.encode(text).tolist()


def test_without_the_two_precautions_names_of_bytes_would_become_bytes() -> None:
    """Both are needed: the low score if brackets are known characters, the cut if they are not."""
    for has_markup in (False, True):
        vocabulary = read_vocabulary(train("unigram", has_markup=has_markup))
        naive = describe_tokenizer(vocabulary)
        naive["model"]["vocab"] = [[piece.text, piece.score] for piece in vocabulary.pieces]
        naive["pre_tokenizer"] = {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "never",
            "split": False,
        }
        ids = tokenizers.Tokenizer.from_str(json.dumps(naive)).encode("<0x41>").ids
        assert [vocabulary.pieces[token].kind for token in ids] == [Kind.BYTE]


def test_words_are_refused() -> None:
    """A word outside the vocabulary becomes bytes as a whole, which the format cannot express."""
    model = train("word", has_markup=False)
    with pytest.raises(IncompatibleError, match="a word tokenizer cannot be exported"):
        describe_tokenizer(read_vocabulary(model))


def test_merges_are_the_pairs_of_pieces_by_rank() -> None:
    """Each way to make a piece of two others is one merge. Pieces that are only names have none."""
    pieces = [
        Piece("<0x41>", 0, Kind.BYTE),
        Piece("ab", 0, Kind.NORMAL),
        Piece("abc", -1, Kind.NORMAL),
        Piece("bc", -2, Kind.NORMAL),
        *(Piece(character, -3 - place, Kind.NORMAL) for place, character in enumerate("abc<>0x41")),
    ]
    assert list_merges(tuple(pieces)) == [["a", "b"], ["a", "bc"], ["ab", "c"], ["b", "c"]]
