"""The network is causal, has the size it should, and counts positions as Hugging Face does."""

from __future__ import annotations

import pytest
import torch

from semilla.config import ModelArchitecture, PipelineConfiguration
from semilla.model.shape import count_parameters
from semilla.model.transformer import (
    NORM_EPSILON,
    Dropout,
    Normalization,
    Positions,
    Transformer,
    attend,
    compute_rotary_tables,
    initialize_weights,
    mix_seed,
    rotate,
)


def make_model(**changes: object) -> Transformer:
    model = Transformer(ModelArchitecture(**changes), vocab_size=300, max_positions=24)
    initialize_weights(model, generator=torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize(("tied", "expected"), [(True, 1_352_320), (False, 2_376_320)])
def test_the_default_shape_has_the_documented_size(tied: bool, expected: int) -> None:
    """The count without torch and the network itself agree."""
    config = PipelineConfiguration(model_architecture={"tie_embeddings": tied})
    model = Transformer(config.model_architecture, vocab_size=8000, max_positions=8)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected == count_parameters(config)


def test_a_token_never_sees_the_future() -> None:
    """Changing a token leaves every earlier output as it was, and changes the later ones."""
    model = make_model()
    ids = torch.arange(10, 22)[None]
    changed = ids.clone()
    changed[0, 7] = 5
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_tensor_names_are_those_of_llama() -> None:
    """Other programs look weights up by these names."""
    names = set(make_model(tie_embeddings=False, num_layers=1).state_dict())
    layer = "model.layers.0."
    assert names == {
        "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
        layer + "input_layernorm.weight", layer + "post_attention_layernorm.weight",
        *(f"{layer}self_attn.{p}_proj.weight" for p in "qkvo"),
        *(f"{layer}mlp.{p}_proj.weight" for p in ("gate", "up", "down")),
    }  # fmt: skip
    assert "lm_head.weight" not in make_model().state_dict()


def test_attention_equals_the_library_s() -> None:
    """Written out for speed, it is still scaled dot-product attention."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 9, 8) for _ in range(3))
    mask = torch.full((9, 9), float("-inf")).triu(1)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(attend(q, k, v, mask), expected)


def test_rotations_depend_on_distance_only() -> None:
    """The product of two rotated vectors is that of any two positions equally far apart."""
    positions = Positions(*compute_rotary_tables(20, 1, 8), torch.empty(0))
    x, y = (rotate(torch.randn(8).expand(1, 20, 1, 8), positions)[0, :, 0] for _ in range(2))
    torch.testing.assert_close(x[3] @ y[8], x[13] @ y[18], rtol=1e-4, atol=1e-5)


def test_handwritten_gradients_are_those_of_the_formulas() -> None:
    """Of the rotation and of the norm, in double precision against finite differences; the norm equals torch's."""
    torch.manual_seed(0)
    tables = [table.double() for table in compute_rotary_tables(5, 2, 6)]
    x = torch.randn(2, 5, 2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, Positions(*tables, torch.empty(0))), (x,))
    weight = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Normalization.apply, (x, weight))
    expected = torch.nn.functional.rms_norm(x, (6,), weight, NORM_EPSILON)
    torch.testing.assert_close(Normalization.apply(x, weight), expected)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    """Repeatable from its seed, added to the stream as it is applied to the embedding, off at none."""
    ones = torch.ones(100_001)
    dropped = Dropout(0.25, seed=3).thin(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(Dropout(0.25, seed=3).thin(ones), dropped)
    assert torch.equal(Dropout(0.25, seed=3).add(ones, ones), 1 + dropped)
    assert torch.equal(Dropout(0.0).thin(ones), ones)


def test_seeds_of_neighbouring_steps_are_far_apart() -> None:
    """Every step has its own dropout, also for seeds at the ends of the range."""
    seeds = {mix_seed(seed, step) for seed in (0, 1, 2**63 - 1) for step in range(1000)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**63 for seed in seeds)
