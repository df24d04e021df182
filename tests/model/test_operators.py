"""What is written by hand computes what the formulas say, gradients included; dropout drops what it should."""

from __future__ import annotations

import pytest
import torch

from semilla.model.operators import (
    NORM_EPSILON,
    QUERY_ROWS,
    Dropout,
    Normalization,
    Positions,
    attend,
    rotate,
)
from semilla.model.transformer import compute_rotary_tables


@pytest.mark.parametrize("length", [1, 9, QUERY_ROWS, 2 * QUERY_ROWS + 3])
def test_attention_equals_the_library_s(length: int) -> None:
    """Written out for speed, in as many parts as the context has, it is still scaled dot-product attention."""
    torch.manual_seed(0)
    q, k, v, grad = (torch.randn(6, length, 8, requires_grad=True) for _ in range(4))
    mask = torch.full((length, length), float("-inf")).triu(1)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    found = attend(q, k, v, mask)
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad(found, (q, k, v), grad),
        torch.autograd.grad(expected, (q, k, v), grad),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


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
