"""The graph that ships computes what the network computes, except for rounding each weight to a byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference_decoder import compute_reference, draw_ids
from tiny_bundle import describe_model, draw_weights, write_tiny_bundle

from semilla.errors import IncompatibleError, IntegrityError
from semilla.export.int8_graph import build_int8_graph, choose_block, dequantize, quantize, read_int8_weights
from semilla.runtime.bundle import read_bundle
from semilla.runtime.context import GREEDY, Arrays, Context
from semilla.runtime.network import Network
from semilla.runtime.session import load

SHAPES: list[dict[str, Any]] = [
    {},
    {"tie_word_embeddings": False},
    {"hidden_size": 100, "num_attention_heads": 2, "intermediate_size": 130},  # no power of two anywhere
    {"hidden_size": 66, "num_attention_heads": 11, "num_hidden_layers": 1},  # heads of 6
    {"hidden_size": 64, "num_attention_heads": 16, "num_hidden_layers": 12},  # heads of 4
    {"hidden_size": 512, "num_attention_heads": 1, "intermediate_size": 300, "num_hidden_layers": 1},
    {"hidden_size": 64, "vocab_size": 32_000, "num_hidden_layers": 1},
]


def open_network(directory: Path, changes: dict[str, Any], *, portable: bool = False) -> Network:
    """A network of random weights. The tokenizer plays no part, so any vocabulary will do."""
    model = describe_model(**changes)
    bundle = read_bundle(write_tiny_bundle(directory))
    (directory / "model.onnx").write_bytes(build_int8_graph(draw_weights(model), model=model))
    object.__setattr__(bundle, "model", model)
    return Network(bundle, portable=portable)


@pytest.mark.parametrize("changes", SHAPES)
def test_every_shape_gives_the_logits_of_its_rounded_weights(changes: dict[str, Any], tmp_path: Path) -> None:
    """Products of a portable network are in float32: logits equal the textbook formulas, however the text is split."""
    model = describe_model(**changes)
    ids = draw_ids(model)
    rounded = read_int8_weights(build_int8_graph(draw_weights(model), model=model), model=model)
    expected = compute_reference(rounded, model, ids)
    network = open_network(tmp_path, changes, portable=True)
    assert (
        np.abs(Context(Arrays(network, GREEDY)).compute_logits(ids) - expected).max() <= 5e-4 * expected.std()
    )
    context = Context(Arrays(network, GREEDY))
    for start, end in [(0, 1), (1, 9), (9, 10), (10, 32)]:
        context.read(ids[start:end])
        banned_apart = expected[end - 1].copy()
        banned_apart[:2] = -np.inf
        assert context.next_id == banned_apart.argmax()


@pytest.mark.parametrize("changes", SHAPES[:3])
def test_integer_products_are_close(changes: dict[str, Any], tmp_path: Path) -> None:
    """Rounding activations inside a product costs no more than rounding the weights."""
    model = describe_model(**changes)
    weights, ids = draw_weights(model), draw_ids(model)
    rounded = {name: dequantize(w) if w.ndim == 2 else w for name, w in weights.items()}
    exact, expected = compute_reference(weights, model, ids), compute_reference(rounded, model, ids)
    by_weights = np.sqrt(((expected - exact) ** 2).mean())
    found = Context(Arrays(open_network(tmp_path, changes), GREEDY)).compute_logits(ids)
    assert np.sqrt(((found - expected) ** 2).mean()) <= 1.5 * by_weights
    assert by_weights > 0


@given(
    arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 600)), elements=st.floats(-8, 8, width=32))
)
def test_a_weight_is_off_by_half_a_step_at_most(matrix: npt.NDArray[np.float32]) -> None:
    """A step is 1/127 of the largest weight of the block. Zeros stay zeros."""
    codes, scales = quantize(matrix)
    rounded = dequantize(matrix)
    steps = np.repeat(scales, codes.shape[2], axis=1)[:, : matrix.shape[1]]
    assert (np.abs(rounded - matrix) <= steps * 0.5001 + 1e-37).all()
    assert (rounded[matrix == 0] == 0).all()


def test_64_weights_of_a_row_share_a_scale() -> None:
    """Or all of a shorter row. Blocks are powers of two."""
    assert [choose_block(columns) for columns in (1, 16, 17, 64, 100, 2048)] == [16, 16, 32, 64, 64, 64]
    assert quantize(np.ones((3, 50), np.float32))[1].shape == (3, 1)
    assert quantize(np.ones((3, 600), np.float32))[1].shape == (3, 10)


def test_tied_embeddings_are_stored_once() -> None:
    """Tying saves a byte per weight of the output matrix, and its scales."""
    sizes = []
    for tied in (True, False):
        model = describe_model(tie_word_embeddings=tied, vocab_size=1000)
        sizes.append(len(build_int8_graph(draw_weights(model), model=model)))
    assert 1000 * (32 + 4) <= sizes[1] - sizes[0] < 1000 * (32 + 4) + 500


@pytest.mark.parametrize(("tied", "limit_mb"), [(True, 2.5), (False, 3.0)])
def test_the_default_shape_is_small(*, tied: bool, limit_mb: float) -> None:
    """0.4 MB are left for a tokenizer of 8,000 pieces."""
    model = describe_model(
        vocab_size=8000,
        hidden_size=128,
        intermediate_size=256,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
    )
    assert len(build_int8_graph(draw_weights(model), model=model)) / 2**20 <= limit_mb - 0.4


def test_only_operators_of_onnxruntime_are_used() -> None:
    """The graph has standard operators, and those of the domain that every build for CPUs has."""
    model = describe_model()
    graph = onnx.load_model_from_string(build_int8_graph(draw_weights(model), model=model))
    assert {node.domain for node in graph.graph.node} == {"", "com.microsoft"}


def test_the_same_weights_give_the_same_bytes() -> None:
    """Exporting twice gives the same file; other weights give another."""
    model = describe_model()
    first, second, other = (
        build_int8_graph(draw_weights(model, seed=seed), model=model) for seed in (0, 0, 1)
    )
    assert first == second != other


def test_wrong_weights_are_refused() -> None:
    """A missing tensor, NaN or infinity never reaches a device."""
    model, weights = describe_model(), draw_weights(describe_model())
    weights["model.norm.weight"][3] = np.nan
    with pytest.raises(IntegrityError, match="holds NaN or infinity"):
        build_int8_graph(weights, model=model)
    del weights["model.norm.weight"]
    with pytest.raises(IncompatibleError, match=r"model\.norm\.weight"):
        build_int8_graph(weights, model=model)


@pytest.mark.parametrize("changes", [{"num_attention_heads": 2}, {"max_position_embeddings": 64}])
def test_a_graph_of_another_shape_is_never_run(changes: dict[str, Any], tmp_path: Path) -> None:
    """The description decides how much memory is reserved; a graph that would write beyond it is refused."""
    bundle = read_bundle(write_tiny_bundle(tmp_path, **changes))
    object.__setattr__(bundle, "model", describe_model())
    with pytest.raises(IncompatibleError, match="another shape"):
        Network(bundle)
    assert load(tmp_path).bundle.model["hidden_size"] == 32
