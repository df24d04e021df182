"""Measure the grammar and language of a trained model, compared with a bigram model and an untrained network.

    python benchmarks/language.py RUN_DIRECTORY [--checkpoint NAME] [--num-samples 500] [--output FILE]

Asks minimal pairs of the trained network, of the same network untrained, and of a bigram model of the same tokens. Then
draws ``--num-samples`` samples a language (temperature 0.8, held-out openings) and measures their language, repetition
and copying, with the training text's own repetition at equal length for comparison. Writes JSON: date, machine,
versions, every figure, the pairs that the trained network got wrong, and twenty samples a language, unedited.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents
from semilla.corpus.prompts import find_prompts
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.evaluation.copying import measure_copying
from semilla.evaluation.minimal_pairs import make_score, measure_grammar, prefer_right
from semilla.evaluation.pair_selection import PROBE_PAIRS, SEED, accept_new, measure_coverage
from semilla.evaluation.text_metrics import (
    measure_language_share,
    measure_repetition,
    measure_usual_repetition,
)
from semilla.evaluation.texts import SAMPLE_TOKENS, draw_texts
from semilla.export.bundle import write_bundle
from semilla.model.transformer import Transformer, describe_llama
from semilla.pipeline.main_job import read_run_configuration
from semilla.records import names
from semilla.runtime.session import load
from semilla.stories.minimal_pairs import MinimalPair, make_pairs
from semilla.stories.terms import LANGUAGES
from semilla.tokenizer.tokenizer import NEWLINE_ID, Tokenizer, read_tokenizer
from semilla.training.checkpoints.checkpoint import read_sealed
from semilla.training.data import build_data, find_start_id
from semilla.training.state import build_state

NUM_SHOWN = 20
TEMPERATURE = 0.8
SMOOTHING = 100.0
"""Pseudo-counts of the token frequencies in each row of the bigram table (a Dirichlet prior)."""

Score = Callable[[Sequence[str]], npt.NDArray[np.float64]]


def main() -> None:
    options = read_options()
    run = Path(options.run)
    config = read_run_configuration(run)
    documents = read_documents(run)
    tokenizer = read_tokenizer(find_tokenizer(config, run)[0])
    stream = build_data(documents, tokenizer, config).stream
    model = read_model(run, options.checkpoint, config, tokenizer)
    untrained = build_state(config, vocab_size=tokenizer.vocab_size, precision="float32").model.eval()
    scores = {
        "trained": make_score(model, tokenizer),
        "bigram": make_bigram_score(stream, tokenizer),
        "untrained": make_score(untrained, tokenizer),
    }
    results = {
        **describe_machine(),
        "run": describe_run(run, options.checkpoint, config),
        "minimal_pairs": measure_pairs(scores, documents),
        "samples": measure_samples(model, tokenizer, run, documents, stream, num_samples=options.num_samples),
    }
    Path(options.output).write_text(
        json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    print_results(results)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", help="the output directory of a finished or interrupted training")
    parser.add_argument("--checkpoint", default=names.BEST_MODEL, help="file of that directory to measure")
    parser.add_argument("--num-samples", type=int, default=500, help="samples a language")
    parser.add_argument("--output", default="benchmarks/language.json")
    return parser.parse_args()


def describe_run(run: Path, checkpoint: str, config: PipelineConfiguration) -> dict[str, Any]:
    metrics = json.loads((run / names.METRICS).read_text(encoding="utf-8"))
    manifest = json.loads((run / names.CORPUS_MANIFEST).read_text(encoding="utf-8"))
    return {
        "checkpoint": checkpoint,
        "corpus_sha256": manifest["corpus_sha256"],
        "epochs_trained": len(metrics["epoch_history"]),
        "epochs_planned": config.training_hyperparameters.num_epochs,
        "validation_losses": [row["validation_loss"] for row in metrics["epoch_history"]],
        "bits_per_byte": metrics["epoch_history"][-1]["bits_per_byte"],
        "configuration": config.flatten(),
    }


def read_model(
    run: Path, checkpoint: str, config: PipelineConfiguration, tokenizer: Tokenizer
) -> Transformer:
    length = config.training_hyperparameters.max_sequence_length
    model = Transformer(config.model_architecture, vocab_size=tokenizer.vocab_size, max_positions=length)
    model.load_state_dict(read_sealed(run / checkpoint)["model_state"])
    return model.eval()


def make_bigram_score(stream: npt.NDArray[np.int32], tokenizer: Tokenizer) -> Score:
    """P(token | token before), from counts smoothed towards the frequencies of the tokens."""
    size = tokenizer.vocab_size
    frequencies = (np.bincount(stream, minlength=size) + 1) / (len(stream) + size)
    rows = np.bincount(stream[:-1], minlength=size)
    keys, counts = np.unique(stream[:-1].astype(np.int64) * size + stream[1:], return_counts=True)

    def score(sentences: Sequence[str]) -> npt.NDArray[np.float64]:
        return np.array([score_ids(np.array([NEWLINE_ID, *tokenizer.encode(one)])) for one in sentences])

    def score_ids(ids: npt.NDArray[np.int64]) -> float:
        expected = ids[:-1] * size + ids[1:]
        places = np.minimum(np.searchsorted(keys, expected), len(keys) - 1)
        seen = np.where(keys[places] == expected, counts[places], 0)
        return float(np.log((seen + SMOOTHING * frequencies[ids[1:]]) / (rows[ids[:-1]] + SMOOTHING)).sum())

    return score


def measure_pairs(scores: dict[str, Score], documents: list[Document]) -> dict[str, Any]:
    """By language: coverage, seconds, figures of every model, what the trained one got wrong."""
    found: dict[str, Any] = {}
    for language in LANGUAGES:
        text = "\n".join(one.train_text for one in documents if one.language == language)
        if not text:
            continue
        began_s = time.perf_counter()
        pairs = make_pairs(language, seed=SEED, accept=accept_new(text))
        made_s = time.perf_counter() - began_s
        coverage = measure_coverage(make_pairs(language, seed=SEED, per_phenomenon=PROBE_PAIRS), text)
        found[language] = {"num_pairs": len(pairs), "making_s": made_s, "coverage": coverage}
        for name, score in scores.items():
            began_s = time.perf_counter()
            found[language][name] = measure_grammar(pairs, score, coverage=coverage).model_dump()
            found[language][name]["scoring_s"] = time.perf_counter() - began_s
        found[language]["failures_of_trained"] = list_failures(pairs, scores["trained"])
    return found


def list_failures(pairs: list[MinimalPair], score: Score) -> list[list[str]]:
    preferred = prefer_right(pairs, score)
    return [
        [pair.phenomenon, pair.right, pair.wrong]
        for pair, is_right in zip(pairs, preferred, strict=True)
        if not is_right
    ]


def measure_samples(
    model: Transformer,
    tokenizer: Tokenizer,
    run: Path,
    documents: list[Document],
    stream: npt.NDArray[np.int32],
    *,
    num_samples: int,
) -> dict[str, Any]:
    """Draw samples with the runtime that ships and judge them (measures: language, repetition, copying)."""
    bundle = run / names.BUNDLE
    write_bundle(
        bundle,
        weights={name: tensor.detach().numpy() for name, tensor in model.state_dict().items()},
        model=describe_llama(model),
        tokenizer_model=find_tokenizer(read_run_configuration(run), run)[0].read_bytes(),
        generation={"temperature": TEMPERATURE},
        start_id=find_start_id(documents),
        provenance={"documents": []},
        languages=list(dict.fromkeys(document.language for document in documents)),
    )
    writer = load(bundle)
    found: dict[str, Any] = {"usual_repetition_p95": measure_usual_repetition(stream, length=SAMPLE_TOKENS)}
    for language, openings in find_prompts(documents, tokenizer, per_language=num_samples).items():
        samples = draw_texts(writer, openings, language=language, seed=0, max_tokens=SAMPLE_TOKENS)
        texts = [sample.text for sample in samples]
        encoded = [tokenizer.encode(text).tolist() for text in texts]
        copies = measure_copying(encoded[:100], stream)
        found[language] = {
            "num_samples": len(texts),
            "mean_tokens": statistics.fmean(map(len, encoded)),
            "language_share": measure_language_share(texts, language),
            "repetition": statistics.fmean(map(measure_repetition, encoded)),
            "copying_median_of_100": statistics.median(copies),
            "copying_longest_of_100": max(copies),
            "samples": [one.marked for one in samples[:: max(1, len(samples) // NUM_SHOWN)][:NUM_SHOWN]],
        }
    return found


def print_results(results: dict[str, Any]) -> None:
    for language, found in results["minimal_pairs"].items():
        print(f"{language}: coverage {found['coverage']:.1%}, {found['trained']['num_pairs']} pairs asked")
        for name in ("trained", "bigram", "untrained"):
            one = found[name]
            print(f"  {name:10} {one['accuracy']:.1%} ({one['low']:.1%} to {one['high']:.1%})")
        for phenomenon in found["trained"]["phenomena"]:
            shares = [
                f"{found[name]['phenomena'][phenomenon]['accuracy']:6.1%}"
                for name in ("trained", "bigram", "untrained")
            ]
            print(
                f"    {phenomenon:22} {' '.join(shares)}  of {found['trained']['phenomena'][phenomenon]['num_pairs']}"
            )
    for language, one in results["samples"].items():
        if isinstance(one, dict):
            print(f"{language}: language {one['language_share']:.1%}, repetition {one['repetition']:.4f}")
    print(f"usual repetition (95th percentile) {results['samples']['usual_repetition_p95']:.4f}")


if __name__ == "__main__":
    main()
