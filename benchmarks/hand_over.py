"""Ten steps in Hugging Face Accelerate against ten of Semilla's own: same tokenizer, text, weights and optimizer.

    python benchmarks/hand_over.py RUN [--steps 10] [--num-layers 2] [--d-model 128] [--num-heads 4]

RUN is a directory with a text and a tokenizer; its training need not be finished. The tokenizer is exported, and
``recipes/write_tokens.py`` encodes the text with it. ``recipes/train_llama.py`` trains LlamaForCausalLM on that file,
and Semilla's loop trains its own network on the tokens that it encodes itself. Both train in float32 with plain AdamW,
without dropout and with the whole softmax. A shape may lie outside the ranges of ``semilla run``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_documents
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer
from semilla.training.data import TrainingData, build_data
from semilla.training.loop import take_step
from semilla.training.parallel.workers import Workers
from semilla.training.schedule import Schedule, compute_learning_rate
from semilla.training.state import RunState, build_state

RECIPES = Path(__file__).parents[1] / "recipes"
RESULTS = Path(__file__).parent / "results" / "hand-over.json"
RATE, WEIGHT_DECAY = 1e-3, 0.1


def configure(*, batch_size: int, length: int, **shape: int) -> PipelineConfiguration:
    """Nothing that Accelerate's loop lacks."""
    config = PipelineConfiguration.model_validate(
        {
            "training_hyperparameters": {
                "batch_size": batch_size,
                "max_sequence_length": length,
                "learning_rate": RATE,
                "warmup_fraction": 0.2,
                "weight_decay": WEIGHT_DECAY,
                "dropout": 0,
                "sampled_output_fraction": 0,
                "short_context_fraction": 0,
                "repetition_fraction": 0,
                "precision": "float32",
            }
        }
    )
    # Without validation: the ranges are those of `semilla run`, not of the network.
    architecture = config.model_architecture.model_copy(update=shape)
    return config.model_copy(update={"model_architecture": architecture})


def train_own(
    state: RunState, config: PipelineConfiguration, data: TrainingData, order: np.ndarray
) -> Iterator[float]:
    """The losses of Semilla's steps on the windows ``order`` [steps, B], with plain AdamW."""
    settings = config.training_hyperparameters
    group = {"params": list(state.model.parameters()), "multiplier": 1.0}
    state.optimizers = {
        "adamw": torch.optim.AdamW([group], betas=(0.9, 0.95), eps=1e-10, weight_decay=WEIGHT_DECAY)
    }
    with Workers(config) as workers:
        workers.share(state, data)
        for windows in order:
            schedule = Schedule(len(order))
            info = take_step(
                state, settings, windows * data.length, schedule=schedule, data=data, workers=workers
            )
            yield info.loss


def train_theirs(
    state: RunState, config: PipelineConfiguration, tokens: Path, order: np.ndarray
) -> Iterator[float]:
    """The losses of Accelerate's steps on the same windows of the token file, from the same weights."""
    from accelerate import Accelerator
    from torch.utils.data import DataLoader
    from train_llama import Windows, build_network, build_optimizer, train

    shape, settings = config.model_architecture, config.training_hyperparameters
    network = build_network(
        vocab_size=state.model.vocab_size,
        length=settings.max_sequence_length,
        hidden_size=shape.d_model,
        num_layers=shape.num_layers,
        num_heads=shape.num_heads,
        intermediate_size=shape.dim_feedforward,
        tie_embeddings=shape.tie_embeddings,
    )
    weights = dict(state.model.state_dict())
    network.load_state_dict(weights, strict=not shape.tie_embeddings)
    windows = Windows(tokens, length=settings.max_sequence_length, vocab_size=state.model.vocab_size)
    batches = DataLoader(windows, batch_sampler=order.tolist())
    rates = [
        compute_learning_rate(
            step, total_steps=len(order), base=RATE, warmup_fraction=settings.warmup_fraction
        )
        for step in range(len(order))
    ]
    accelerator = Accelerator(cpu=True)
    prepared = accelerator.prepare(network, build_optimizer(network, weight_decay=WEIGHT_DECAY), batches)
    yield from train(*prepared, accelerator, rates=rates)


def export_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write the ``tokenizer.json`` that ``semilla export --to huggingface`` writes."""
    from semilla.export.tokenizer_json import describe_tokenizer
    from semilla.export.vocabulary import read_vocabulary

    described = describe_tokenizer(read_vocabulary(tokenizer.processor.serialized_model_proto()))
    path.write_text(json.dumps(described), encoding="utf-8")


def compare(run: Path, *, steps: int, **settings: int) -> dict[str, Any]:
    """Both lists of losses, in nats per token, and the largest difference between them."""
    sys.path.insert(0, str(RECIPES))
    try:
        from write_tokens import write_tokens

        config = configure(**settings)
        (model_file,) = run.glob("*.model")
        tokenizer = read_tokenizer(model_file)
        data = build_data(list(read_documents(run)), tokenizer, config)
        draw = np.random.default_rng(0)
        order = draw.permutation(data.num_windows)[: steps * data.batch_size].reshape(steps, data.batch_size)
        with tempfile.TemporaryDirectory() as folder:
            tokenizer_file = Path(folder) / "tokenizer.json"
            export_tokenizer(tokenizer, tokenizer_file)
            tokens = write_tokens(run, Path(folder), tokenizer_file=tokenizer_file)
            state = build_state(config, vocab_size=tokenizer.vocab_size, precision="float32")
            theirs = list(train_theirs(state, config, tokens, order))
        own = list(train_own(state, config, data, order))
    finally:
        sys.path.remove(str(RECIPES))
    difference = max(abs(one - other) for one, other in zip(own, theirs, strict=True))
    parameters = sum(weight.numel() for weight in state.model.parameters())
    return {"settings": settings, "parameters": parameters, "semilla": own, "accelerate": theirs,
            "largest_difference": difference}  # fmt: skip


def main() -> None:
    """Read the command line, compare, print and record."""
    parser = argparse.ArgumentParser(description="Compare ten steps in Accelerate with ten of Semilla's.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    for name, default in (("num-layers", 2), ("d-model", 128), ("num-heads", 4), ("dim-feedforward", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--record", action="store_true", help=f"add the result to {RESULTS.name}")
    chosen = vars(parser.parse_args())
    run, record = chosen.pop("run"), chosen.pop("record")
    found = compare(run, **chosen)
    for step, (own, theirs) in enumerate(zip(found["semilla"], found["accelerate"], strict=True), start=1):
        print(f"step {step}: {own:.6f} in Semilla, {theirs:.6f} in Accelerate")
    print(f"largest difference: {found['largest_difference']:.1e}")
    if record:
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
        results.append({**found, "machine": describe_machine()})
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
