"""A bundle of the default shape with random weights: its size and memory do not depend on their values."""

from __future__ import annotations

import json
import platform
import random
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tiny_bundle import describe_model, draw_weights

from semilla.export.bundle import write_bundle
from semilla.export.int8_graph import build_int8_graph
from semilla.runtime.budgets import measure_in_child
from semilla.runtime.bundle import MODEL, TOKENIZER
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer

BASELINE = Path(__file__).parents[1] / "benchmarks" / "device" / "baseline.json"
NUM_PIECES = 8000


@cache
def train_tokenizer_of_8000() -> bytes:
    """A tokenizer with the default number of pieces, trained on words as long as those of a real text."""
    draw = random.Random(0)
    letters = "aeiouáéíóúñlmnrstcdpbgv"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 11))) for _ in range(12_000)]
    text = "".join(" ".join(draw.choices(words, k=9)) + ".\n" for _ in range(4000))
    return train_tokenizer([text], vocab_size=NUM_PIECES, model_type="unigram", is_size_explicit=True).model


def describe_default(*, tied: bool = True) -> dict[str, Any]:
    return describe_model(
        vocab_size=NUM_PIECES,
        hidden_size=128,
        intermediate_size=256,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
    )


def write_default_bundle(directory: Path) -> Path:
    model, tokenizer_model = describe_default(), train_tokenizer_of_8000()
    assert Tokenizer(tokenizer_model).vocab_size == NUM_PIECES
    write_bundle(
        directory,
        weights=draw_weights(model),
        model=model,
        tokenizer_model=tokenizer_model,
        generation={},
        provenance={},
    )
    return directory


def measure_figures(directory: Path) -> dict[str, float]:
    """Sizes of the files, and the memory of a fresh process that generates with the bundle of ``directory``."""
    metrics, untied = measure_in_child(directory), describe_default(tied=False)
    return {
        "model_bytes": (directory / MODEL).stat().st_size,
        "untied_model_bytes": len(build_int8_graph(draw_weights(untied), model=untied)),
        "tokenizer_bytes": (directory / TOKENIZER).stat().st_size,
        "rss_mb": metrics["exact_rss_mb"],
        "peak_mb": metrics["exact_peak_mb"],
    }


def describe_surroundings() -> dict[str, str]:
    """What memory and sizes depend on, apart from our own code."""
    packages = ("numpy", "onnxruntime", "sentencepiece")
    python = ".".join(platform.python_version_tuple()[:2])
    libc = " ".join(platform.libc_ver())
    return {"machine": platform.machine(), "python": python, "libc": libc} | {
        name: version(name) for name in packages
    }


def read_baseline() -> dict[str, Any]:
    baseline: dict[str, Any] = json.loads(BASELINE.read_text(encoding="utf-8"))
    return baseline
