"""The network is causal, and has the documented size and the tensor names of Llama."""

from __future__ import annotations

import pytest
import torch

from semilla.configuration.schema import ModelArchitecture, PipelineConfiguration
from semilla.model.shape import count_parameters
from semilla.model.transformer import Transformer, initialize_weights


def make_model(**changes: object) -> Transformer:
    model = Transformer(ModelArchitecture(**changes), vocab_size=300, max_positions=24)
    initialize_weights(model, generator=torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize(("tied", "expected"), [(True, 1_352_320), (False, 2_376_320)])
def test_the_default_shape_has_the_documented_size(tied: bool, expected: int) -> None:
    """The network has as many parameters as computed without torch."""
    config = PipelineConfiguration(model_architecture={"tie_embeddings": tied})
    model = Transformer(config.model_architecture, vocab_size=8000, max_positions=8)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected == count_parameters(config)


def test_a_token_never_sees_the_future() -> None:
    """Changing a token changes the outputs from its position on, and none before."""
    model = make_model()
    ids = torch.arange(10, 22)[None]
    changed = ids.clone()
    changed[0, 7] = 5
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_tensor_names_are_those_of_llama() -> None:
    """Other programs find the weights by these names."""
    names = set(make_model(tie_embeddings=False, num_layers=1).state_dict())
    layer = "model.layers.0."
    assert names == {
        "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
        layer + "input_layernorm.weight", layer + "post_attention_layernorm.weight",
        *(f"{layer}self_attn.{p}_proj.weight" for p in "qkvo"),
        *(f"{layer}mlp.{p}_proj.weight" for p in ("gate", "up", "down")),
    }  # fmt: skip
    assert "lm_head.weight" not in make_model().state_dict()


def test_attention_starts_by_copying_similar_tokens() -> None:
    """Queries equal keys, and the output matrix maps values back to where they came from."""
    for layer in make_model().model.layers:
        attention = layer.self_attn
        assert torch.equal(attention.q_proj.weight, attention.k_proj.weight)
        round_trip = (attention.o_proj.weight @ attention.v_proj.weight).detach()
        assert round_trip.diagonal().min() > 0
        assert round_trip.diagonal().mean() == pytest.approx(0.5, rel=0.1)
