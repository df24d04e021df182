"""The chunked loss equals cross-entropy in value and gradients, without holding all logits."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from semilla.training.loss import compute_loss, sum_token_losses


@pytest.mark.parametrize("num_chunks", [1, 3])
@pytest.mark.parametrize("has_offset", [False, True])
def test_value_and_gradients_equal_plain_cross_entropy(num_chunks: int, has_offset: bool) -> None:
    """Each group of rows has its own matrix."""
    torch.manual_seed(0)
    hidden = torch.randn(num_chunks, 7, 16, requires_grad=True)
    weight = torch.randn(num_chunks, 50, 16, requires_grad=True)
    targets = torch.randint(0, 50, (num_chunks, 7))
    offset = torch.randn(num_chunks, 50) if has_offset else None
    found = compute_loss(hidden, weight, targets, offset_MC=offset)
    scores = hidden @ weight.mT + (offset[:, None] if offset is not None else 0)
    plain = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum")
    plain.backward()
    torch.testing.assert_close(found.nats, plain.detach())
    torch.testing.assert_close(found.grad_hidden_MND, hidden.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.grad_weight_MCD, weight.grad, rtol=1e-4, atol=1e-6)


def test_the_reported_sum_is_in_nats() -> None:
    """A model without information has a loss of log(vocabulary size) for each token."""
    hidden = torch.zeros(10, 8)
    total = sum_token_losses(hidden, torch.randn(100, 8), torch.randint(0, 100, (10,)))
    assert total == pytest.approx(10 * math.log(100), rel=1e-5)
