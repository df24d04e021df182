"""Texts of twelve scripts, and code, come through cleaning, pieces, generation and the three exports unchanged."""

# ruff: noqa: RUF001 - letters of other scripts look like Latin ones

from __future__ import annotations

import math
import random
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from semilla.configuration.schema import ModelArchitecture
from semilla.corpus.cleaning.clean import clean_text
from semilla.export import gguf, huggingface, onnx_folder, parity
from semilla.export.trained_model import TrainedModel
from semilla.model.generate import generate_sample
from semilla.model.transformer import Transformer, initialize_weights
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, Tokenizer, check_round_trip
from semilla.tokenizer.training import train_tokenizer

TEXTS = {
    "Latin": "Žluťoučký kůň úpěl ďábelské ódy.\nThe QUICK BROWN FOX jumps. ¿Qué? —¡Sí, señor!",
    "Greek": "Η γρήγορη αλεπού πηδά πάνω από τον σκύλο.\nἐν ἀρχῇ ἦν ὁ λόγος, καὶ ὁ λόγος ἦν.",
    "Cyrillic": "Съешь ещё этих мягких французских булок.\nЩедрий вечір, добрий вечір, їжак і ґава!",
    "Arabic": "كان يا ما كان في قديم الزمان بنتٌ صغيرة.\nقالت: «أهلاً وسهلاً»، ثم مَضَتْ.",
    "Persian, with joiners": "می\u200cخواهم کتاب\u200cها را ببرم.\nخانه\u200cای نزدیک رود بود.",
    "Hebrew": "הָיֹה הָיְתָה יַלְדָּה קְטַנָּה בִּכְפָר.\nהיא אמרה: „שלום!” והלכה.",
    "Devanagari": "एक बार की बात है, एक लड़की थी।\nक्\u200dष और क्ष, श्री और र्\u200dय।",
    "Thai": "กาลครั้งหนึ่งมีเด็กหญิงคนหนึ่งอยู่ในหมู่บ้าน\nน้ำใสไหลเย็นเห็นตัวปลา",
    "Chinese": "从前有一个小女孩，住在河边的村子里。\n她说：「你好！」然后走了。",
    "Japanese": "むかしむかし、あるところに女の子がいました。\n「こんにちは」と言って、ラーメンを食べた。",
    "Korean": "옛날 옛적에 어느 마을에 소녀가 살았습니다.\n“안녕하세요!” 하고 말했어요.",
    "Ge'ez": "ከዕለታት አንድ ቀን አንዲት ልጅ ነበረች።\nሰላም፡ ለኪ፡ ብላ፡ ሄደች።",
    "emoji": "Ana 👩‍👩‍👧‍👦 y Luis 🏳️‍🌈 👍🏽 1️⃣ ❤️.\nBandera 🇪🇸🇪🇹, corazón ♥︎.",
    "code": "def add(a,  b):\n\tif a:\n\t\treturn a  +  b   # all\n\f\nclass A:\n    pass",
    "decomposed": unicodedata.normalize("NFD", "Él pidió café con piñones.\nÅngström, naïve, 각하."),
}
MAX_STEPS, RATE = 300, 1e-2
LEARNED = 0.6
"""Least probability of every token. Training on makes the logits larger, and so the rounding errors of float32."""
EXACT = {"code", "decomposed"}
"""Cleaning composes accents and normalises spaces, unless ``--layout verbatim`` says otherwise; code has it."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small for more
    yield
    torch.set_num_threads(before)


@cache
def make_model(script: str) -> TrainedModel:
    """A small network that has learned the text by heart, with a vocabulary of the text."""
    text = f"{TEXTS[script]}\n"
    draw = random.Random(0)
    cuts = [draw.randrange(len(text) - 5) for _ in range(800)]
    words = " ".join(text[cut : cut + draw.randrange(2, 6)] for cut in cuts)
    tokenizer = train_tokenizer(
        [text * 12, words], vocab_size=400, model_type="unigram", is_size_explicit=False
    ).model
    network = Transformer(
        ModelArchitecture(d_model=64, num_heads=2, dim_feedforward=128, num_layers=2),
        vocab_size=Tokenizer(tokenizer).vocab_size,
        max_positions=192,
    )
    initialize_weights(network, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[BEGIN_ID, *Tokenizer(tokenizer).encode(text).tolist(), END_ID]])
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    for step in range(MAX_STEPS):
        logits = network.compute_logits(network(ids[:, :-1]))
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )
        if losses.max() < -math.log(LEARNED):
            break
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / MAX_STEPS)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    return TrainedModel(network.eval(), tokenizer, (text, text), version="1.0.0")


@pytest.mark.parametrize("script", TEXTS)
def test_cleaning_keeps_every_character(script: str) -> None:
    """Joiners, variation selectors, directions, tabs and runs of spaces."""
    layout = "verbatim" if script in EXACT else "auto"
    assert clean_text(TEXTS[script], name="x", layout=layout).text == f"{TEXTS[script]}\n"


@pytest.mark.parametrize("script", TEXTS)
def test_pieces_give_the_text_back(script: str) -> None:
    """With a vocabulary of the script, and with that of another, where each byte is a piece."""
    check_round_trip(make_model(script).tokenizer, TEXTS[script])
    check_round_trip(make_model("Latin" if script != "Latin" else "code").tokenizer, TEXTS[script])


@pytest.mark.parametrize("script", TEXTS)
def test_a_model_writes_the_text_it_has_learned(script: str) -> None:
    """Character for character, and then it ends."""
    model = make_model(script)
    written, ending = generate_sample(
        model.network,
        model.tokenizer,
        "",
        start_id=BEGIN_ID,
        num_tokens=len(model.tokenizer.encode(TEXTS[script])) + 2,
        temperature=0.01,
        seed=0,
    )
    assert (written, ending) == (f"{TEXTS[script]}\n", "itself")


@pytest.mark.parametrize("script", TEXTS)
def test_the_three_exports_agree(script: str, tmp_path: Path) -> None:
    """Each gives the same ids and logits as the trained model for every line of the script."""
    model = make_model(script)
    lines = parity.list_lines(model)
    assert set(TEXTS[script].split("\n")) <= set(lines)
    for name, write, check in (
        ("onnx", onnx_folder.write, onnx_folder.check),
        ("huggingface", huggingface.write, huggingface.check),
        (
            "gguf",
            lambda folder, trained: gguf.write(folder, trained, quantization="f32"),
            lambda folder, trained: gguf.check(folder, trained, quantization="f32"),
        ),
    ):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, model)
        found = check(folder, model).comparisons
        assert found
        assert all(one.limit is None or one.difference <= one.limit for one in found)
