"""Compare the memory estimate with measured peaks, each measured in its own process."""

from __future__ import annotations

import pytest

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.model import operators
from semilla.prerequisites.duration import rehearse_training
from semilla.training import loss, memory
from semilla.training.memory import (
    computes_in_bfloat16,
    estimate_run_memory_mb,
    estimate_training_memory_mb,
    find_fitting_batch_size,
)


def make_config(
    *, layers: int, width: int, heads: int, inner: int, batch: int, length: int, pieces: int, precision: str
) -> PipelineConfiguration:
    architecture = {"num_layers": layers, "d_model": width, "num_heads": heads, "dim_feedforward": inner}
    settings = {"batch_size": batch, "max_sequence_length": length, "precision": precision, "num_threads": 1}
    return PipelineConfiguration.model_validate(
        {
            "model_architecture": architecture,
            "training_hyperparameters": settings,
            "tokenizer_vocab_size": pieces,
            "corpus_size_mb": 1,
        }
    )


def measure_peak_mb(config: PipelineConfiguration) -> float:
    """Peak resident memory of a fresh process that takes a few steps and measures a validation loss."""
    return rehearse_training(config)["peak_mb"]


DEFAULT = {
    "layers": 2, "width": 128, "heads": 4, "inner": 256, "batch": 32, "length": 128, "pieces": 8000,
    "precision": "float32",
}  # fmt: skip
SHAPES = {
    "default": DEFAULT,
    "deep": {**DEFAULT, "layers": 12, "batch": 16, "pieces": 1000},
    "many pieces": {**DEFAULT, "layers": 1, "width": 256, "batch": 4, "length": 64, "pieces": 32000},
    "long context": {**DEFAULT, "width": 64, "heads": 8, "batch": 2, "length": 1024, "pieces": 1000},
    "one sequence": {**DEFAULT, "width": 512, "heads": 16, "inner": 2048, "batch": 1, "pieces": 1000},
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_estimate_is_within_a_quarter_of_the_measured_peak(name: str) -> None:
    """For shapes dominated by activations, embeddings or attention scores, and one that needs little memory."""
    config = make_config(**SHAPES[name])
    assert estimate_training_memory_mb(config) == pytest.approx(measure_peak_mb(config), rel=0.25)


@pytest.mark.skipif(
    not computes_in_bfloat16(TrainingHyperparameters()), reason="this processor has no bfloat16 instructions"
)
def test_the_estimate_depends_on_the_precision() -> None:
    """bfloat16 needs less memory, and its estimate is as accurate."""
    wide, narrow = (
        make_config(**{**DEFAULT, "precision": precision}) for precision in ("float32", "bfloat16")
    )
    assert estimate_training_memory_mb(narrow) < estimate_training_memory_mb(wide)
    assert estimate_training_memory_mb(narrow) == pytest.approx(measure_peak_mb(narrow), rel=0.25)


def test_the_estimate_counts_every_process() -> None:
    """Two processes take more memory than one."""
    alone = make_config(**DEFAULT)
    together = alone.change(num_threads=2)
    estimate = estimate_training_memory_mb(together)
    assert estimate > estimate_training_memory_mb(alone) + 100
    assert estimate == pytest.approx(measure_peak_mb(together), rel=0.25)


def test_the_estimate_depends_on_the_build_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build with CUDA takes more memory, also on a machine without a GPU. A measured size replaces the usual one."""
    config = make_config(**DEFAULT)
    estimates = []
    for has_cuda in (False, True):
        monkeypatch.setattr(memory, "has_cuda_build", lambda has_cuda=has_cuda: has_cuda)
        estimates.append(estimate_training_memory_mb(config))
    assert estimates[1] - estimates[0] == pytest.approx(memory.TORCH_MB[True] - memory.TORCH_MB[False])
    assert estimate_training_memory_mb(config, torch_mb=memory.TORCH_MB[False]) == pytest.approx(estimates[0])


def test_a_single_sequence_has_no_smaller_batch() -> None:
    """After running out of memory with one sequence, no batch size is suggested."""
    config = make_config(**DEFAULT)
    assert memory.suggest_batch_size(config.change(batch_size=1)) is None
    assert memory.suggest_batch_size(config.change(batch_size=3)) == 1


def test_the_estimate_counts_the_rows_that_are_computed_together() -> None:
    """The estimate uses the constants of the loss and of attention, without importing torch."""
    assert (memory.CHUNK_ROWS, memory.QUERY_ROWS) == (loss.CHUNK_ROWS, operators.QUERY_ROWS)


@pytest.mark.parametrize("batch_size", [1, 7, 31, 32])
def test_the_fitting_batch_size_is_the_largest_that_fits(batch_size: int) -> None:
    """One more sequence might not fit. A budget below the memory of one sequence fits none."""
    config = make_config(**DEFAULT)
    need_mb = estimate_run_memory_mb(config.change(batch_size=batch_size))
    budget_mb = need_mb * (1 + memory.ESTIMATE_ERROR)
    assert find_fitting_batch_size(config, budget_mb=budget_mb) == batch_size
    assert find_fitting_batch_size(config, budget_mb=budget_mb - 0.1) == (batch_size - 1 or None)
