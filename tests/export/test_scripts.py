"""Texts of every script, and what their writing is made of, come through cleaning, tokenizer and exports unchanged."""

# ruff: noqa: RUF001 - letters of other scripts look like Latin ones
from __future__ import annotations

import json
from functools import cache

import pytest
import tokenizers

from semilla.corpus.cleaning.clean import clean_file
from semilla.export.tokenizer_json import describe_tokenizer
from semilla.export.vocabulary import read_vocabulary
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer

TEXTS = {
    "Latin": "El pingüino soñó: «¿Qué será, será?»\nÞetta er Łódź, Şişli, ĐẶNG.\n",
    "Greek": "Ἐν ἀρχῇ ἦν ὁ λόγος, καὶ ὁ λόγος ἦν πρὸς τὸν θεόν.\n",
    "Cyrillic": "Все счастливые семьи похожи друг на друга; Їжак і ґанок.\n",
    "Arabic": "كان يا ما كان، في قديم الزمان، مَلِكٌ عادلٌ ٣ أبناء.\n",
    "Hebrew": "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם וְאֵת הָאָרֶץ׃\n",
    "Devanagari": "एक समय की बात है, क्‍ष और क्ष अलग हैं। नमस्ते!\n",
    "Thai": "กาลครั้งหนึ่งนานมาแล้ว มีเด็กหญิงคนหนึ่งชื่อน้ำ\n",
    "Chinese": "从前有座山，山里有座庙。「你好！」他说。\n",
    "Japanese": "むかしむかし、おじいさんとおばあさんがいました。ガギグ、ｶﾞ。\n",
    "Korean": "옛날 옛적에 호랑이가 담배 피우던 시절이 있었습니다.\n",
    "Ge'ez": "በመጀመሪያ፡ቃል፡ነበረ፤ቃልም፡በእግዚአብሔር፡ዘንድ፡ነበረ።\n",
    "code": "def f(x):\n\tif x  ==  1:   # two\n\t\treturn {'a': [1, 2]}\n\n\n\n\nclass A: pass \n",
    "emoji and joiners": "👩‍👩‍👧 🏳️‍🌈 👍🏽 ن‌ا a\u200db\u2060c\n",
    "decomposed": "cafe\u0301 n\u0303andu\u0301 \u1112\u1161\u11ab\n",
    "form feeds, tabs and capitals": "ONE\tTWO\f\nTHREE     FOUR\u00a0FIVE \n\n\n\n\nSIX\n",
    "right to left with marks": "\u200fשלום\u200e (abc) \u2067مرحبا\u2069 123\n",
}


@cache
def train(name: str, model_type: str) -> bytes:
    """A tokenizer of the text alone, which makes its pieces, and covers the other texts with bytes."""
    return train_tokenizer(
        [TEXTS[name]] * 60, vocab_size=1000, model_type=model_type, is_size_explicit=False
    ).model


@pytest.mark.parametrize("name", TEXTS)
def test_verbatim_texts_are_not_changed(name: str) -> None:
    """Every character stays: also tabs, form feeds, spaces at the ends of lines, and decomposed accents."""
    text = f"start\n{TEXTS[name]}end\n"
    assert clean_file(text.encode(), name="a.txt", layout="verbatim").text == text


@pytest.mark.parametrize(
    "name", [name for name in TEXTS if name not in {"decomposed", "code"} and "form" not in name]
)
def test_cleaning_keeps_every_script(name: str) -> None:
    """Without a layout, only the compatible forms of Unicode's NFC differ, which look the same."""
    import unicodedata

    text = unicodedata.normalize("NFC", f"start\n{TEXTS[name]}end\n")
    assert clean_file(text.encode(), name="a.txt").text == text


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char"])
@pytest.mark.parametrize("name", TEXTS)
def test_text_to_pieces_to_text(name: str, model_type: str) -> None:
    """With pieces of its own, and with those of another script."""
    text = TEXTS[name]
    for known in (name, "Latin"):
        tokenizer = Tokenizer(train(known, model_type))
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
@pytest.mark.parametrize("name", TEXTS)
def test_exports_give_the_same_pieces(name: str, model_type: str) -> None:
    """``tokenizer.json``, which the exports for transformers and ONNX have, encodes and decodes as the run does."""
    text, model = TEXTS[name], train(name, model_type)
    exported = tokenizers.Tokenizer.from_str(json.dumps(describe_tokenizer(read_vocabulary(model))))
    ids = Tokenizer(model).encode(text).tolist()
    assert exported.encode(text, add_special_tokens=False).ids == ids
    assert exported.decode(ids, skip_special_tokens=False) == text
