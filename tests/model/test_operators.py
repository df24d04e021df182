"""The hand-written operators and gradients equal the formulas, and dropout drops the right share."""

from __future__ import annotations

import pytest
import torch

from semilla.model.operators import (
    NORM_EPSILON,
    QUERY_ROWS,
    Dropout,
    MaskedSum,
    Positions,
    apply_rotary,
    attend,
    gate,
    normalize,
)
from semilla.model.transformer import compute_rotary_tables


@pytest.mark.parametrize("length", [1, 9, QUERY_ROWS, 2 * QUERY_ROWS + 3])
def test_attention_equals_that_of_torch(length: int) -> None:
    """For any number of query blocks it equals scaled dot-product attention."""
    torch.manual_seed(0)
    qkv = torch.randn(2, length, 9, 8, requires_grad=True)
    grad = torch.randn(2, length, 3, 8)
    cos, sin = compute_rotary_tables(length, 6, 8)
    mask = torch.full((length, length), float("-inf")).triu(1)
    qk, v = qkv.split([6, 3], dim=2)
    q, k = apply_rotary(qk, cos, sin).chunk(2, dim=2)
    heads = (x.transpose(1, 2) for x in (q, k, v))
    expected = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2)
    found = attend(qkv, Positions(cos, sin, mask))
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad(found, qkv, grad),
        torch.autograd.grad(expected, qkv, grad),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_rotations_depend_on_distance_only() -> None:
    """The product of two rotated vectors is the same for all positions at the same distance."""
    tables = compute_rotary_tables(20, 1, 8)
    x, y = (apply_rotary(torch.randn(8).expand(1, 20, 1, 8), *tables)[0, :, 0] for _ in range(2))
    torch.testing.assert_close(x[3] @ y[8], x[13] @ y[18], rtol=1e-4, atol=1e-5)


def test_handwritten_gradients_are_those_of_the_formulas() -> None:
    """Compare each in double precision with finite differences, and the norm with torch's."""
    torch.manual_seed(0)
    x, other, kept = (torch.randn(5, 6, dtype=torch.float64, requires_grad=True) for _ in range(3))
    matrices = [torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(normalize, (x,))
    assert torch.autograd.gradcheck(gate, (x, *matrices))
    assert torch.autograd.gradcheck(lambda x, other: MaskedSum.apply(x, other, kept.detach()), (x, other))
    tables = [table.double() for table in compute_rotary_tables(5, 2, 6)]
    mask = torch.full((5, 5), float("-inf"), dtype=torch.float64).triu(1)
    qkv = torch.randn(2, 5, 3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda qkv: attend(qkv, Positions(*tables, mask)), (qkv,))
    torch.testing.assert_close(normalize(x), torch.nn.functional.rms_norm(x, (6,), eps=NORM_EPSILON))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    """The same seeds give the same masks for ``apply`` and ``add``; a probability of 0 drops nothing."""
    ones = torch.ones(2, 50_001)
    dropped = Dropout(0.25, seeds=[3, 4]).apply(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(Dropout(0.25, seeds=[3, 4]).apply(ones), dropped)
    assert torch.equal(Dropout(0.25, seeds=[3, 4]).add(ones, ones), 1 + dropped)
    assert torch.equal(Dropout(0.0).apply(ones), ones)
