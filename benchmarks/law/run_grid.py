"""Train the grid of small models that the law of quality is fitted to.

    python benchmarks/law/run_grid.py MIRROR CACHE [--minutes 50] [--output benchmarks/results/quality-grid.jsonl]

MIRROR is laid out like a Gutenberg mirror, and CACHE keeps the texts and the tokenizers. The manuals come with the
Debian packages installation-guide-amd64 and aptitude-doc-ru. Every run is one line of JSON. The plan is a pure function
of the seed, so the same command continues: runs that are recorded already are left out. It uses one thread, and stops
before a run that would begin after ``--minutes`` of processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.manifest import Document, read_documents
from semilla.evaluation.losses import find_expected_gain, measure_frequency_baseline
from semilla.events import silent
from semilla.model.shape import count_parameters
from semilla.pipeline.phases import corpus_download
from semilla.planning.text_facts import measure_facts
from semilla.records import names
from semilla.system.allocator import keep_freed_blocks
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import VocabularySizeError, train_tokenizer
from semilla.training.data import TrainingData, build_data
from semilla.training.environment import choose_environment
from semilla.training.epoch import finish_epoch
from semilla.training.loop import train
from semilla.training.parallel.workers import Workers
from semilla.training.state import build_state

TEXTS: tuple[tuple[str, str, int], ...] = (
    # name, file below MIRROR/cache/epub or folder of this machine, bytes of the cleaned text (0: all of it)
    ("en-sherlock-50k", "1661/pg1661.txt", 50_000),
    ("es-pazos-100k", "18005/pg18005.txt", 100_000),
    ("el-manual", "/usr/share/doc/installation-guide-amd64/el", 0),
    ("en-dracula-200k", "345/pg345.txt", 200_000),
    ("ru-manual", "/usr/share/doc/aptitude/html/ru", 0),
    ("es-marianela-50k", "17340/pg17340.txt", 50_000),
    ("code-python", "/usr/lib/python3.11/asyncio", 0),
    ("es-quijote-400k", "2000/pg2000.txt", 400_000),
    ("zh-manual", "/usr/share/doc/installation-guide-amd64/zh_CN", 0),
    ("en-pride-700k", "1342/pg1342.txt", 700_000),
    ("es-fortunata", "17013/pg17013.txt", 0),
    ("pt-casmurro-200k", "55752/pg55752.txt", 200_000),
)
WIDTHS, LAYERS, CONTEXTS, BATCHES = (
    (64, 64, 96, 128, 128, 192, 256),
    (1, 2, 2, 3, 4),
    (64, 128, 128, 256),
    (8, 16, 32),
)
FORWARD, VOCABULARIES = (2, 2, 4), (1000, 1500, 2000, 3000, 4000, 8000)
BYTES_PER_PIECE = (25, 800)
"""Of a vocabulary that is tried."""
DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
RATES = (2.5e-4, 1.5e-3)
MOST_EPOCHS = 40
SHORT_S, LONG_S, LONG_EVERY = 12.0, 90.0, 6
"""Processor seconds of a run, at most and about; every sixth run may be long."""
SPEED = 45e9
"""Floating-point operations a second, to plan how many epochs fit; no result depends on it."""
LEAST_SHARE = 0.7
"""Of the time of one epoch that a run must have."""
NUM_RUNS = 600
BYTES_PER_TOKEN = {1000: 2.6, 1500: 2.8, 2000: 3.0, 3000: 3.2, 4000: 3.4, 8000: 3.9}
NOMINAL_BYTES = 400_000
"""Of a text of unknown size, to plan with."""


def plan_runs() -> Iterator[dict[str, Any]]:
    """Draw the runs: every text in turn, everything else at random. A third has the default shape."""
    draw = random.Random(23)
    for index in range(NUM_RUNS):
        name, _, size = TEXTS[index % len(TEXTS)]
        nominal = size or NOMINAL_BYTES
        shape = {"num_layers": draw.choice(LAYERS), "d_model": draw.choice(WIDTHS)}
        forward = draw.choice(FORWARD)
        if draw.random() < 1 / 3:
            shape, forward = {"num_layers": 2, "d_model": 128}, 2
        shape["num_heads"] = shape["d_model"] // 32
        shape["dim_feedforward"] = shape["d_model"] * forward
        vocabulary = draw.choice(
            [one for one in VOCABULARIES if BYTES_PER_PIECE[0] <= nominal / one <= BYTES_PER_PIECE[1]]
        )
        settings = {
            "batch_size": draw.choice(BATCHES),
            "max_sequence_length": draw.choice(CONTEXTS),
            "learning_rate": round(math.exp(draw.uniform(*map(math.log, RATES))), 6),
            "dropout": draw.choice(DROPOUTS),
        }
        width = shape["d_model"]
        matrices = shape["num_layers"] * (4 * width**2 + 3 * width * shape["dim_feedforward"])
        flop = 6 * (matrices + 700 * width) + 12 * shape["num_layers"] * width * 128
        tokens = 0.9 * nominal / BYTES_PER_TOKEN[vocabulary]
        affordable = (LONG_S if index % LONG_EVERY == LONG_EVERY - 1 else SHORT_S) * SPEED / flop / tokens
        most = min(float(MOST_EPOCHS), max(1.0, affordable))
        settings["num_epochs"] = round(math.exp(draw.uniform(0.5 * math.log(most), math.log(most))))
        if affordable >= LEAST_SHARE:
            yield {"run": index, "text": name, "vocabulary": vocabulary, **shape, **settings}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mirror", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--minutes", type=float, default=50.0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/quality-grid.jsonl"))
    options = parser.parse_args()
    lines = options.output.read_text().splitlines() if options.output.exists() else []
    done = {json.loads(line)["run"] for line in lines if line}
    keep_freed_blocks()
    if not lines:
        add_line(options.output, {"run": -1, "machine": describe_machine()})
    for plan in plan_runs():
        if plan["run"] in done:
            continue
        if time.process_time() > 60 * options.minutes:
            break
        folder = prepare_text(plan["text"], options.mirror, options.cache)
        with suppress(VocabularySizeError):  # fewer pieces than the text has characters
            add_line(options.output, run_one(plan, folder))


def add_line(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row)[:150], flush=True)


def run_one(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train one model on a prepared text and describe it: what was asked, the sizes, and every epoch."""
    documents = read_documents(folder)
    tokenizer = prepare_tokenizer(folder, documents, plan["vocabulary"])
    config = configure(plan, folder, tokenizer.vocab_size)
    data = build_data(documents, tokenizer, config)
    precision = choose_environment(config.training_hyperparameters, device="cpu").precision
    state = build_state(config, vocab_size=tokenizer.vocab_size, precision=precision)
    began_s, steps_s, epochs = time.process_time(), 0.0, []
    with Workers(config) as workers:
        for info in train(state, config=config, data=data, workers=workers):
            steps_s += info.elapsed_s
            if info.ends_epoch:
                metrics, _ = finish_epoch(state, info, data=data)
                epochs.append(metrics)
    return {
        **plan,
        "facts": asdict(measure_facts(documents)),
        **measure_text(documents, data, tokenizer),
        "parameters": count_parameters(config, vocab_size=tokenizer.vocab_size),
        "precision": precision,
        "steps": state.step,
        "processor_s": round(time.process_time() - began_s, 2),
        "steps_s": round(steps_s, 2),
        "bits_per_byte": [round(one.bits_per_byte["all"], 4) for one in epochs],
        "validation_loss": [round(one.validation_loss, 4) for one in epochs],
        "train_loss": [round(one.train_loss, 4) for one in epochs],
    }


def configure(plan: dict[str, Any], folder: Path, vocab_size: int) -> PipelineConfiguration:
    architecture = ("num_layers", "d_model", "num_heads", "dim_feedforward")
    settings = ("batch_size", "max_sequence_length", "learning_rate", "dropout", "num_epochs")
    return PipelineConfiguration.model_validate(
        {
            "tokenizer_vocab_size": max(1000, vocab_size),
            "model_architecture": {name: plan[name] for name in architecture},
            "training_hyperparameters": {"num_threads": 1, **{name: plan[name] for name in settings}},
            "output_directory": str(folder),
        }
    )


def measure_text(documents: list[Document], data: TrainingData, tokenizer: Tokenizer) -> dict[str, Any]:
    """Sizes of the text in bytes and tokens, and the gain that the validation asks for."""
    baseline = measure_frequency_baseline(data, vocab_size=tokenizer.vocab_size)
    return {
        "train_bytes": sum(len(text.encode()) for one in documents for text in one.train_texts),
        "held_out_bytes": sum(text.size_bytes for text in data.held_out),
        "train_tokens": len(data.stream),
        "held_out_tokens": sum(len(text.tokens) for text in data.held_out),
        "vocab_size": tokenizer.vocab_size,
        "frequency_loss": round(baseline, 4),
        "expected_gain": round(
            find_expected_gain(data, vocab_size=tokenizer.vocab_size, baseline=baseline), 4
        ),
    }


def prepare_text(name: str, mirror: Path, cache: Path) -> Path:
    """The folder with the text's corpus and its split, made once by the second phase."""
    folder = cache / name
    folder.mkdir(parents=True, exist_ok=True)
    _, place, size = next(one for one in TEXTS if one[0] == name)
    source = mirror / "cache/epub" / place
    if size:
        source = cut_file(source, size, folder / f"{name}.txt")
    prepare_source(folder, corpus_source=str(source))
    return folder


def cut_file(source: Path, size: int, target: Path) -> Path:
    """Write the first ``size`` bytes of the cleaned text to ``target``."""
    target.write_bytes(cut(clean_file(source.read_bytes(), name=source.name).text, size))
    return target


def prepare_source(folder: Path, **values: Any) -> None:
    """Write the corpus and its split into ``folder``, unless they are there."""
    if not (folder / names.CORPUS_MANIFEST).exists():
        corpus_download.run(PipelineConfiguration(output_directory=str(folder), **values), progress=silent)


def cut(text: str, size: int) -> bytes:
    """The first ``size`` bytes, to the end of a line."""
    content = text.encode()
    return content if not size else content[: content.rindex(b"\n", 0, min(size, len(content))) + 1]


def prepare_tokenizer(folder: Path, documents: list[Document], vocabulary: int) -> Tokenizer:
    path = folder / f"{vocabulary}.tokenizer"
    if not path.exists():
        texts = [text for one in documents for text in one.train_texts]
        path.write_bytes(
            train_tokenizer(texts, vocab_size=vocabulary, model_type="unigram", is_size_explicit=False).model
        )
    return Tokenizer(path.read_bytes())


if __name__ == "__main__":
    main()
