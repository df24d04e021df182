"""The exported graph computes what the network computes, all at once or token by token."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from reference_decoder import compute_reference, draw_ids
from tiny_bundle import describe_model, draw_weights

from semilla.errors import IncompatibleError, IntegrityError
from semilla.export.float32_graph import build_graph

Array = npt.NDArray[Any]
SHAPES: list[dict[str, Any]] = [
    {},
    {"tie_word_embeddings": False},
    {"num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 16},
    {"num_hidden_layers": 3, "num_attention_heads": 8, "intermediate_size": 96, "rope_theta": 500.0},
]
TOLERANCE = 1e-4


def open_graph(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def run_graph(graph: bytes, model: dict[str, Any], ids: Array) -> Array:
    session = open_graph(graph)
    empty = np.zeros((0, model["hidden_size"]), np.float32)
    feed = {value.name: empty for value in session.get_inputs()[1:]}
    logits: Array = session.run(["logits"], {**feed, "input_ids": ids[None]})[0]
    return logits


@pytest.mark.parametrize("changes", SHAPES)
def test_whole_text_gives_the_reference_logits(changes: dict[str, Any]) -> None:
    """Reading a full context at once gives the logits of the textbook formulas at every position."""
    model = describe_model(**changes)
    weights, ids = draw_weights(model), draw_ids(model)
    expected = compute_reference(weights, model, ids)
    assert expected.std() > 0.5, "logits this flat would agree with anything"
    logits = run_graph(build_graph(weights, model=model, all_positions=True), model, ids)
    assert np.abs(logits - expected).max() <= TOLERANCE
    last = run_graph(build_graph(weights, model=model), model, ids)
    assert np.abs(last - expected[-1:]).max() <= TOLERANCE


@pytest.mark.parametrize("changes", SHAPES)
@pytest.mark.parametrize("cuts", [range(1, 33), [1, 32], [7, 8, 31, 32]])
def test_a_text_may_be_read_in_parts(changes: dict[str, Any], cuts: list[int]) -> None:
    """Token by token, or with several on a filled KV cache, the logits are those of the textbook formulas."""
    model = describe_model(**changes)
    weights, ids = draw_weights(model), draw_ids(model)
    expected = compute_reference(weights, model, ids)
    session = open_graph(build_graph(weights, model=model))
    caches = {
        value.name: np.zeros((0, model["hidden_size"]), np.float32) for value in session.get_inputs()[1:]
    }
    for start, end in pairwise([0, *cuts]):
        logits, *new = session.run(None, {**caches, "input_ids": ids[None, start:end]})
        pairs = zip(caches.items(), new, strict=True)
        caches = {name: np.concatenate([rows, more]) for (name, rows), more in pairs}
        assert np.abs(logits[-1] - expected[end - 1]).max() <= TOLERANCE


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_the_trained_network_and_its_graph_agree(*, tie_embeddings: bool) -> None:
    """The weights and description of the torch network give the logits of the torch network."""
    torch = pytest.importorskip("torch")
    from semilla.configuration.schema import ModelArchitecture
    from semilla.model.transformer import Transformer, describe_llama

    torch.manual_seed(0)
    architecture = ModelArchitecture(num_layers=2, d_model=64, num_heads=4, tie_embeddings=tie_embeddings)
    network = Transformer(architecture, vocab_size=300, max_positions=32).eval()
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.copy_(torch.randn_like(tensor) * 0.2 + (tensor.ndim == 1))
        ids = draw_ids({"vocab_size": 300, "max_position_embeddings": 32})
        expected = network.compute_logits(network(torch.from_numpy(ids)[None]))[0].numpy()
    model = describe_llama(network)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert expected.std() > 0.1
    logits = run_graph(build_graph(weights, model=model, all_positions=True), model, ids)
    assert np.abs(logits - expected).max() <= TOLERANCE


def test_only_standard_operators_are_used() -> None:
    """Any ONNX runtime can read the graph: no private domain, and an opset that is five years old."""
    model = describe_model()
    graph = onnx.load_model_from_string(build_graph(draw_weights(model), model=model))
    assert {node.domain for node in graph.graph.node} == {""}
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 17)]


def test_the_same_weights_give_the_same_bytes() -> None:
    """Exporting twice gives the same file; other weights give another."""
    model = describe_model()
    first, second, other = (build_graph(draw_weights(model, seed=seed), model=model) for seed in (0, 0, 1))
    assert first == second != other


def test_tied_embeddings_are_stored_once() -> None:
    """Tying saves the bytes of one matrix [vocabulary, width]."""
    tied, untied = (describe_model(tie_word_embeddings=tied) for tied in (True, False))
    sizes = [len(build_graph(draw_weights(model), model=model)) for model in (tied, untied)]
    matrix_bytes = 4 * tied["vocab_size"] * tied["hidden_size"]
    assert matrix_bytes <= sizes[1] - sizes[0] < matrix_bytes + 500


def test_a_missing_tensor_is_named() -> None:
    """Weights that lack a tensor are refused with its name."""
    model = describe_model()
    weights = draw_weights(model)
    del weights["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(IncompatibleError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        build_graph(weights, model=model)


def test_a_tensor_of_another_shape_is_named() -> None:
    """Weights of another shape than described are refused with both shapes."""
    model = describe_model()
    weights = draw_weights(describe_model(intermediate_size=64))
    with pytest.raises(IncompatibleError, match=r"\(64, 32\).*\(48, 32\)"):
        build_graph(weights, model=model)


def test_weights_that_are_not_numbers_are_refused() -> None:
    """A NaN never reaches a device."""
    model = describe_model()
    weights = draw_weights(model)
    weights["model.norm.weight"][3] = np.nan
    with pytest.raises(IntegrityError, match="holds NaN or infinity"):
        build_graph(weights, model=model)
