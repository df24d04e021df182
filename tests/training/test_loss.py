"""The chunked loss is cross-entropy: same value, same gradients, without the logits."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from semilla.training.loss import CHUNK_ROWS, compute_training_loss, sum_token_losses


@pytest.mark.parametrize("num_rows", [1, CHUNK_ROWS - 1, CHUNK_ROWS, 2 * CHUNK_ROWS + 3])
def test_value_and_gradients_equal_plain_cross_entropy(num_rows: int) -> None:
    """Whatever the number of rows is, in chunks or not."""
    torch.manual_seed(0)
    hidden = torch.randn(num_rows, 16, requires_grad=True)
    weight = torch.randn(50, 16, requires_grad=True)
    targets = torch.randint(0, 50, (num_rows,))
    (2 * compute_training_loss(hidden, weight, targets)).backward()
    chunked = hidden.grad.clone(), weight.grad.clone()
    hidden.grad, weight.grad = None, None
    plain = F.cross_entropy(hidden @ weight.t(), targets)
    (2 * plain).backward()
    assert compute_training_loss(hidden, weight, targets).item() == pytest.approx(plain.item(), rel=1e-5)
    torch.testing.assert_close(chunked[0], hidden.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(chunked[1], weight.grad, rtol=1e-4, atol=1e-6)


def test_the_reported_sum_is_in_nats() -> None:
    """A model that knows nothing pays log(vocabulary) for each token."""
    hidden = torch.zeros(2, 5, 8)
    total = sum_token_losses(hidden, torch.randn(100, 8), torch.randint(0, 100, (2, 5)))
    assert total == pytest.approx(10 * math.log(100), rel=1e-5)
