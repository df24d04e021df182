"""What the chapters say in prose about numbers is recomputed from the code, so that neither can change alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from semilla.configuration.schema import ModelArchitecture, PipelineConfiguration, TrainingHyperparameters
from semilla.export.bundle import suggest_settings
from semilla.export.int8_graph import LARGEST_BLOCK, quantize
from semilla.guide.documentation import load_documentation
from semilla.model.operators import Dropout
from semilla.model.shape import QUERY_ROWS, count_parameters
from semilla.model.transformer import EMBEDDING_DEVIATION, Transformer, initialize_weights
from semilla.prerequisites.storage import NUM_CHECKPOINTS
from semilla.records.metrics import CONVERGENCE_VARIANCE, OVERFITTING_GAP
from semilla.tokenizer.tokenizer import BEGIN_ID
from semilla.training.micro_batches import CHUNK_ROWS, GROUP_TARGETS, MICRO_BATCH_TOKENS
from semilla.training.muon import POLYNOMIALS
from semilla.training.optimizer import DECAY_MULTIPLIERS
from semilla.training.sampled_softmax import SAMPLE_SIZE, is_worth_sampling
from semilla.training.schedule import FINAL_SHARE, MOMENTUM_STEPS

GUIDE = load_documentation()
SMALL = PipelineConfiguration(
    model_architecture=ModelArchitecture(d_model=64, num_heads=2, dim_feedforward=128),
    training_hyperparameters=TrainingHyperparameters(num_epochs=2),
)
"""The shape of the run that chapter 1 makes."""


NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven")


def read(section_id: str) -> str:
    """A chapter with single spaces, so that a sentence is found however its lines are broken."""
    return " ".join(GUIDE.by_id[section_id].content.split())


def random_cost(width: int) -> float:
    """What random logits cost at first, in nats: half of their variance."""
    return EMBEDDING_DEVIATION**2 * width / 2


def squash(number: float) -> float:
    """The logistic function."""
    return 1 / (1 + math.exp(-number))


def apply_polynomials(values: np.ndarray) -> np.ndarray:
    for first, third, fifth in POLYNOMIALS:
        values = first * values + third * values**3 + fifth * values**5
    return values


def count_attention_operations(length: int, batch_size: int, d_model: int, num_layers: int) -> int:
    """Multiplications and additions of qkᵀ and of weights times values: 2 forward, twice as many backward."""
    ends = [min(start + QUERY_ROWS, length) for start in range(0, length, QUERY_ROWS)]
    pairs = sum((end - start) * end for start, end in itertools.pairwise([0, *ends]))
    return 3 * 2 * 2 * pairs * d_model * num_layers * batch_size


def measure_interval(share: float, count: int) -> str:
    """Wilson's interval of a share, at 95 %."""
    z = 1.959964
    middle, spread = (
        share + z**2 / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)),
    )
    low, high = ((middle + sign * spread) / (1 + z**2 / count) for sign in (-1, 1))
    return f"{low:.2f} to {high:.2f}"


def list_statements() -> dict[str, tuple[str, str]]:
    """A name -> the chapter, and the words that must be in it, with numbers computed here."""
    shape = SMALL.model_architecture
    total, width = count_parameters(SMALL, vocab_size=1000), shape.d_model
    matrices = total - width * (2 * shape.num_layers + 1)
    tokens = 32 * 128
    values = np.linspace(0.01, 1, 100_001)
    moved = apply_polynomials(values)
    dips = [
        values[i]
        for i in range(1, len(values) - 1)
        if moved[i] < 0.1975 and moved[i] <= min(moved[i - 1 : i + 2])
    ]
    attention = count_attention_operations(128, 32, width, shape.num_layers)
    settings, decay = suggest_settings(BEGIN_ID), 0.1 * DECAY_MULTIPLIERS["embeddings"]
    estimates = [2 * (a + b) for a, b in itertools.combinations([1, 1, 1, 5], 2)]
    assert sum(estimates) / len(estimates) == 8
    assert settings.repetition_penalty == 1
    return {
        "parameters": ("model_initialization", f"= {total:,}"),
        "matrix parameters": ("training_loop", f"{matrices:,} matrix parameters (all {total:,} except the norms)"),
        "operations": ("training_loop", f"take {6 * matrices * tokens / 1e9:.1f} billion operations"),
        "attention": ("training_loop", f"They add {attention / 1e9:.1f} billion"),
        "query rows": ("training_loop", f"where {QUERY_ROWS} queries at a time"),
        "logits": ("training_loop", f"or {32 * 128 * 8000 * 4 / 1e6:.0f} MB in float32"),
        "chunk": ("training_loop", f"takes {CHUNK_ROWS} rows at a time"),
        "group": ("training_loop", f"takes {GROUP_TARGETS} positions at a time"),
        "sample": ("training_loop", f"targets and samples together are {SAMPLE_SIZE} tokens"),
        "range": ("optimization", f"to between {moved.min():.2f} and {moved.max():.2f}"),
        "dips": ("optimization", "values near {:.2f}, {:.2f} and {:.2f} end lowest".format(*dips)),
        "one value": ("optimization", f"0.5 becomes 1.75 and then {apply_polynomials(np.array(0.5)):.2f}"),
        "valley x": ("optimization", f"x has only come from 5 to {5 * (1 - 0.07) ** 10:.2f}"),
        "valley y": ("optimization", f"y is already at {(1 - 0.07 * 25) ** 10:.3f}"),
        "decay": ("optimization", f"a weight of 2 becomes {2 * (1 - 0.006 * decay):.4f}"),
        "momentum": ("optimization", f"over the first {MOMENTUM_STEPS} steps"),
        "schedule": ("optimization", f"½ = {1 - (1 - FINAL_SHARE) / 2:.2f}. The whole curve"),
        "embedding": ("model_initialization", f"standard deviation {EMBEDDING_DEVIATION:g} and"),
        "embedding x 100": ("model_initialization", f"with deviation {100 * EMBEDDING_DEVIATION:g} instead of"),
        "logits x 100": ("model_initialization", f"±{100 * EMBEDDING_DEVIATION * math.sqrt(width):.0f} or more"),
        "random logits": ("model_initialization", f"they cost {random_cost(width):.2f}"),
        "norm": ("model_initialization", f"so it becomes ({3 / 12.5**0.5:.3f}, {4 / 12.5**0.5:.3f})"),
        "silu": ("model_initialization", f"silu(2) = {2 * squash(2):.3f}, silu(-6) = {-6 * squash(-6):.3f}"),
        "ten pairs": ("evaluation_and_checkpoints", f"({measure_interval(0.6, 10)})"),
        "thousand pairs": ("evaluation_and_checkpoints", f"({measure_interval(0.6, 1000)})"),
        "bits": ("evaluation_and_checkpoints", f"2.2 / ln 2 = {2.2 / math.log(2):.3f}"),
        "compression": ("evaluation_and_checkpoints", f"to {2.2 / math.log(2) / 3 / 8:.0%}".replace("%", " %")),
        "convergence": ("evaluation_and_checkpoints", f"have a variance below {CONVERGENCE_VARIANCE:g}"),
        "gap": ("evaluation_and_checkpoints", f"by more than {OVERFITTING_GAP:g} at the end"),
        "checkpoints": ("troubleshooting", f"{NUMERALS[NUM_CHECKPOINTS]} checkpoints of up to"),
        "first loss": ("troubleshooting", f"(about {math.log(8000) + random_cost(128):.1f} with 8,000 pieces)"),
        "micro-batch": ("troubleshooting", f"up to {MICRO_BATCH_TOKENS:,} tokens per process"),
        "micro-batches": ("hyperparameters", f"more than {MICRO_BATCH_TOKENS:,} tokens"),
        "block": ("device", f"one scale for each block of {LARGEST_BLOCK} weights"),
        "temperature": ("device", f"temperature {settings.temperature:.1f} and a top-p of {settings.top_p},"),
        "passes without a cache": ("device", f"= {sum(range(1, 129)):,} passes instead of 128"),
        "cache": ("device", f"= {2 * shape.num_layers * 128 * width * 4:,} bytes"),
    }  # fmt: skip


STATEMENTS = list_statements()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_number_in_prose_is_that_of_the_code(name):
    """The sentence with the computed number is in its chapter."""
    chapter, words = STATEMENTS[name]
    assert words in read(chapter)


def test_operations_grow_with_blocks_of_queries():
    """The count of attention's products is that of whole squares when one block covers the context."""
    whole = 3 * 2 * 2 * QUERY_ROWS**2 * 64 * 2 * 32
    assert count_attention_operations(QUERY_ROWS, 32, 64, 2) == whole
    assert count_attention_operations(2 * QUERY_ROWS, 32, 64, 2) == 3 * whole


def test_a_small_vocabulary_is_not_sampled():
    """With 1,000 pieces all logits are computed, with 8,000 a sample."""
    assert not is_worth_sampling(1000)
    assert is_worth_sampling(8000)


@pytest.mark.parametrize(("columns", "scales"), [(64, 1), (LARGEST_BLOCK, 1), (2 * LARGEST_BLOCK, 2)])
def test_a_row_has_one_scale_up_to_256_weights(columns, scales):
    """Longer rows have one for each block."""
    assert quantize(np.ones((3, columns), np.float32))[1].shape == (3, scales)


def test_attention_starts_by_copying():
    """Queries equal keys, and the output matrix is a multiple of the transposed value matrix."""
    model = Transformer(SMALL.model_architecture, vocab_size=1000, max_positions=32)
    initialize_weights(model, generator=torch.Generator().manual_seed(0))
    attention = model.model.layers[0].self_attn
    assert torch.equal(attention.q_proj.weight, attention.k_proj.weight)
    ratio = attention.o_proj.weight / attention.v_proj.weight.t()
    assert torch.allclose(
        ratio, torch.full_like(ratio, 1 / math.sqrt(2 * SMALL.model_architecture.num_layers))
    )


def test_dropout_keeps_the_expected_sum():
    """What is left is scaled up: the mean of many draws is that of the input."""
    kept = Dropout(0.2, seeds=[1] * 8).apply(torch.ones(8, 64, 64))
    assert kept.unique().tolist() == pytest.approx([0, 1.25], rel=0.01)
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
