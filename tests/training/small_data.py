"""A network and a text small enough to train in a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from semilla.configuration.schema import PipelineConfiguration
from semilla.training.data import Batch, HeldOutText, TrainingData, Windows


def make_config(**hyperparameters: object) -> PipelineConfiguration:
    settings = {
        "batch_size": 4, "max_sequence_length": 32, "num_epochs": 2, "precision": "float32", "num_threads": 1,
        "learning_rate": 1e-3, **hyperparameters,
    }  # fmt: skip
    return PipelineConfiguration.model_validate(
        {
            "model_architecture": {"num_layers": 1, "d_model": 64, "num_heads": 2, "dim_feedforward": 128},
            "training_hyperparameters": settings,
            "tokenizer_vocab_size": 1000,
            "seed": 7,
        }
    )


def make_data(
    *, num_tokens: int = 1200, vocab_size: int = 1000, config: PipelineConfiguration
) -> TrainingData:
    draw = np.random.default_rng(0)
    # Token n + 1 is mostly token n plus one: something to learn.
    steps = (draw.random(num_tokens) < 0.1) * draw.integers(0, 50, num_tokens) + 1
    stream = (4 + np.cumsum(steps) % (vocab_size - 4)).astype(np.int32)
    cut = num_tokens * 9 // 10
    settings = config.training_hyperparameters
    held_out = (HeldOutText("en", stream[cut:], 300),)
    return TrainingData(
        stream[:cut], held_out, settings.batch_size, settings.max_sequence_length, config.seed
    )


def make_batch(inputs: Windows, targets: Windows, **options: Any) -> Batch:
    plain = {"seed": 5, "dropout": 0.0, "samples_output": False}
    return Batch(inputs, targets, num_targets=targets.size, **{**plain, **options})
