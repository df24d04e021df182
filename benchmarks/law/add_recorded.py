"""Describe full-size runs that were recorded earlier as rows of the grid: they hold the law at the large end.

    python benchmarks/law/add_recorded.py MIRROR CACHE [--output benchmarks/results/quality-recorded.jsonl]

The runs are those of ``training-quality-*.json``, whose last loss is in nats per token, and those of the three default
books, with the bits per byte of docs/experiments. All have the default settings. Only the texts are measured here.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from run_grid import prepare_tokenizer

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.manifest import Document
from semilla.corpus.split import VALIDATION_SHARE
from semilla.planning.text_facts import measure_facts

RESULTS = Path(__file__).parents[1] / "results"
SINGLE = {84: "en", 4650: "fr", 55752: "pt"}
BOOKS = (1342, 11, 2000)
EPOCHS = 20
THREE_BOOKS_BITS = 1.529
"""docs/experiments/2026-11-29-three-books-20-epochs.md"""
THREE_BOOKS_LOSS, TWO_EPOCHS_LOSS = 4.153, 4.637
"""The same page, and the mean of docs/experiments/2026-11-29-ten-seeds.md, in nats per token of the same vocabulary."""
THREE_BOOKS_TOKENS = 13_460_480 // EPOCHS
"""An epoch of training-losses.json."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mirror", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--output", type=Path, default=RESULTS / "quality-recorded.jsonl")
    options = parser.parse_args()
    rows = [describe_single(number, options.mirror, options.cache) for number in SINGLE]
    three = asdict(measure_facts([read_book(number, "en", options.mirror) for number in BOOKS]))
    for epochs, bits in (
        (EPOCHS, THREE_BOOKS_BITS),
        (2, THREE_BOOKS_BITS * TWO_EPOCHS_LOSS / THREE_BOOKS_LOSS),
    ):
        rows.append(make_row("three books", three, epochs, bits, sizes=(THREE_BOOKS_TOKENS, 8000)))
    options.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_book(number: int, language: str, mirror: Path) -> Document:
    path = mirror / "cache/epub" / str(number) / f"pg{number}.txt"
    text = clean_file(path.read_bytes(), name=path.name).text
    cut = text.index("\n", len(text) - round(VALIDATION_SHARE * len(text))) + 1
    return Document(str(number), language, path.name, (text[:cut],), (text[cut:],))


def describe_single(number: int, mirror: Path, cache: Path) -> dict[str, Any]:
    """The last epoch of a run of one book, in bits per byte of its held-out tenth."""
    document = read_book(number, SINGLE[number], mirror)
    folder = cache / f"book-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(folder, [document], 8000)
    held_out = document.validation_texts[0]
    per_token = len(held_out.encode()) / len(tokenizer.encode(held_out))
    tokens = len(tokenizer.encode(document.train_texts[0]))
    recorded = json.loads((RESULTS / f"training-quality-{number}.json").read_text(encoding="utf-8"))
    loss = recorded["contenders"]["ours"]["curve"][-1]["loss"]
    bits = loss / math.log(2) / per_token
    facts = asdict(measure_facts([document]))
    return make_row(f"book {number}", facts, EPOCHS, bits, sizes=(tokens, tokenizer.vocab_size))


def make_row(
    text: str, facts: dict[str, Any], epochs: int, bits: float, *, sizes: tuple[int, int]
) -> dict[str, Any]:
    """The row of a run with the default settings; ``sizes``: tokens of the training text, pieces of the vocabulary."""
    config = PipelineConfiguration()
    settings = config.training_hyperparameters.model_dump(
        include={"batch_size", "max_sequence_length", "learning_rate", "dropout"}
    )
    return {
        "text": text,
        "facts": facts,
        **config.model_architecture.model_dump(exclude={"tie_embeddings"}),
        **settings,
        "num_epochs": epochs,
        "vocab_size": sizes[1],
        "train_tokens": sizes[0],
        "bits_per_byte": [round(bits, 4)],
    }


if __name__ == "__main__":
    main()
