"""Does llama.cpp reproduce the trained model? Its tokens, and its greedy continuations in each number format.

    scripts/check-llama-cpp RUN [--output FILE.json]

A greedy continuation is identical when it agrees token by token up to the first step where the two best logits of the
reference are closer than 1e-3. There are two references: the trained model in float32, and the file's own weights,
computed in float32. The first shows what the number format costs, the second what llama.cpp's arithmetic costs: it also
rounds activations, to f16 for f16 weights and to 8 bits for q8_0.

A continuation never recovers from its first close decision. So the report also has figures that do not add up along a
text: the loss of held-out contexts, and the share of their positions with the same most likely token.
"""

from __future__ import annotations

import argparse
import copy
import json
import site
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from held_out import HeldOut, compare_held_out
from machine_facts import describe_machine

from semilla.export import QUANTIZATIONS, gguf
from semilla.export.trained_model import Ids, Logits, TrainedModel, read_run

NUM_PROMPTS = 100
PROMPT_TOKENS = 16
CLOSE_CALL = 1e-3


@dataclass(frozen=True)
class Continuations:
    """How far llama.cpp followed a reference; gaps are between the reference's two best logits where they differ."""

    reference: str
    prompts: int
    identical: int
    close_calls: int
    """Identical continuations that were compared only up to a close call."""
    tokens_compared: int
    tokens_equal: int
    gaps_at_partings: list[float]


def continue_greedily(
    score_last: Callable[[Ids], Logits], prompt: Ids, *, length: int
) -> tuple[Ids, list[float]]:
    """Append the most likely token until ``length``; also return the gap between the two best logits at each step."""
    ids, gaps = prompt, []
    while len(ids) < length:
        logits = score_last(ids)
        second, best = np.partition(logits, -2)[-2:]
        gaps.append(float(best - second))
        ids = np.append(ids, np.argmax(logits))
    return ids[len(prompt) :], gaps


def follow(reference: str, expected: list[tuple[Ids, list[float]]], found: list[Ids]) -> Continuations:
    identical = close_calls = tokens_compared = tokens_equal = 0
    partings = []
    for (ids, gaps), other in zip(expected, found, strict=True):
        end = next((step for step, gap in enumerate(gaps) if gap < CLOSE_CALL), len(ids))
        parting = next((step for step in range(end) if ids[step] != other[step]), None)
        tokens_compared += end
        tokens_equal += end if parting is None else parting
        identical += parting is None
        close_calls += parting is None and end < len(ids)
        partings += [] if parting is None else [gaps[parting]]
    return Continuations(
        reference, len(expected), identical, close_calls, tokens_compared, tokens_equal, sorted(partings)
    )


def open_network(trained: TrainedModel, weights: dict[str, Any] | None = None) -> Callable[[Ids], Logits]:
    """Score the token after a context with the network, with its own weights or the given ones."""
    network = copy.deepcopy(trained.network)
    if weights:
        network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})

    @torch.inference_mode()
    def score_last(ids: Ids) -> Logits:
        hidden = network(torch.from_numpy(ids)[None])
        logits: Logits = network.compute_logits(hidden[:, -1])[0].numpy()
        return logits

    return score_last


def open_llama_scorer(llama: Any) -> Callable[[Ids], Logits]:
    """Score with llama.cpp, which keeps the tokens it has read in its cache and gets only the new ones."""

    def score_last(ids: Ids) -> Logits:
        if llama.n_tokens >= len(ids):
            llama.reset()
        llama.eval(ids[llama.n_tokens :].tolist())
        return np.array(llama.scores[len(ids) - 1])

    return score_last


def check(trained: TrainedModel, quantization: str, *, place: Path) -> dict[str, Any]:
    """Write one file, run the export's own check on it, and compare continuations."""
    from semilla.export.llama_cpp import open_llama  # importable once main() has added its folder

    gguf.write(place, trained, quantization=quantization)
    parity = gguf.check(place, trained, quantization=quantization)
    path = place / gguf.name_file(quantization)
    length = trained.model["max_position_embeddings"]
    prompts = [ids[:PROMPT_TOKENS] for ids in trained.cut_contexts(NUM_PROMPTS)]
    with open_llama(path, num_context=length) as llama:
        score_last = open_llama_scorer(llama)
        found = [continue_greedily(score_last, prompt, length=length)[0] for prompt in prompts]

        def score(ids: Ids) -> Logits:
            llama.reset()
            llama.eval(ids.tolist())
            return np.array(llama.scores[: len(ids)])

        held_out = compare_held_out(trained, score)
    networks = {
        "trained model": open_network(trained),
        "weights of the file": open_network(trained, gguf.read_gguf(path, trained).weights),
    }
    continuations = [
        follow(name, [continue_greedily(network, prompt, length=length) for prompt in prompts], found)
        for name, network in networks.items()
    ]
    return {
        "quantization": quantization,
        "size_bytes": path.stat().st_size,
        "comparisons": [asdict(one) for one in parity.comparisons],
        "held_out": asdict(held_out),
        "continuations": [asdict(one) for one in continuations],
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['quantization']}, {result['size_bytes']:,} bytes")
    for one in result["comparisons"]:
        print(
            f"  {one['program']}: {one['compared']:,} {one['what']}, largest difference {one['difference']:.3g}"
        )
    print(f"  held-out text: {HeldOut(**result['held_out'])}")
    for one in result["continuations"]:
        gaps = one["gaps_at_partings"]
        print(
            f"  greedy against the {one['reference']}: {one['identical']} of {one['prompts']} identical "
            f"({one['close_calls']} up to a close call), {one['tokens_equal']:,} of {one['tokens_compared']:,} tokens"
        )
        if gaps:
            print(
                f"    gaps where they differ: median {statistics.median(gaps):.3g}, largest {max(gaps):.3g}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--packages", required=True, help="where llama-cpp-python is installed")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    site.addsitedir(arguments.packages)
    import llama_cpp

    trained, facts = read_run(arguments.run)
    results = []
    for quantization in QUANTIZATIONS:
        with tempfile.TemporaryDirectory() as place:
            results.append(check(trained, quantization, place=Path(place)))
        show(results[-1])
    report = {
        **describe_machine(),
        "llama_cpp_python": llama_cpp.__version__,
        "model": trained.model,
        "tokenizer": trained.vocabulary.model_type,
        "best_model_sha256": facts.model_sha256,
        "results": results,
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
