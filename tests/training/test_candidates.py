"""Scoring a sample of the vocabulary estimates the whole: targets exactly, the rest on average."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semilla.training.candidates import draw_candidates
from semilla.training.loss import compute_training_loss

VOCAB_SIZE = 1600


def draw(targets: np.ndarray, step: int = 0) -> object:
    return draw_candidates(targets, vocab_size=VOCAB_SIZE, seed=3, step=step)


def test_every_target_is_a_candidate_and_no_token_twice() -> None:
    """In ascending order, with no offset for the batch's own tokens."""
    targets = np.array([[5, 9, 5], [700, 9, 11]])
    candidates = draw(targets)
    tokens = candidates.tokens_C.tolist()
    assert tokens == sorted(set(tokens))
    assert {5, 9, 11, 700} <= set(tokens)
    assert len(tokens) % 256 == 0
    assert len(tokens) >= 4 + VOCAB_SIZE // 8
    offsets = dict(zip(tokens, candidates.offset_C.tolist(), strict=True))
    assert all(offsets[token] == 0 for token in (5, 9, 11, 700))
    assert sum(np.exp(list(offsets.values()))) == pytest.approx(VOCAB_SIZE, rel=1e-5)


def test_the_draw_depends_on_seed_and_step_only() -> None:
    """The same step draws the same tokens, another one others."""
    targets = np.array([[1, 2]])
    assert (draw(targets).tokens_C == draw(targets).tokens_C).all()
    assert draw(targets).tokens_C.tolist() != draw(targets, step=1).tokens_C.tolist()


def test_a_batch_with_most_of_the_vocabulary_scores_all_of_it() -> None:
    """Sampling would save nothing."""
    assert draw(np.arange(1100)) is None


def test_the_normalising_sum_is_right_on_average() -> None:
    """Over many draws, exponentials of the sampled scores add up to those of all scores."""
    scores = torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(0)).numpy()
    targets = np.array([[4, 8, 15]])
    sums = []
    for step in range(400):
        candidates = draw(targets, step=step)
        sums.append(np.exp(scores[candidates.tokens_C] + candidates.offset_C).sum())
    assert np.mean(sums) == pytest.approx(np.exp(scores).sum(), rel=0.02)


def test_gradients_reach_candidates_only_and_point_the_same_way() -> None:
    """The sampled gradient of the hidden states is close to the exact one."""
    torch.manual_seed(0)
    hidden = torch.randn(8, 16, 32, requires_grad=True)
    weight = (0.1 * torch.randn(VOCAB_SIZE, 32)).requires_grad_()
    targets = torch.randint(0, 60, (8, 16))
    exact, gradients = 0.0, []
    for candidates in (None, draw(targets.numpy())):
        hidden.grad = weight.grad = None
        scored, rows, offset = weight, targets, None
        if candidates is not None:
            scored, offset = weight[candidates.tokens_C], torch.from_numpy(candidates.offset_C)
            rows = torch.from_numpy(np.searchsorted(candidates.tokens_C, targets.numpy()))
        loss = compute_training_loss(hidden, scored, rows, offset_C=offset)
        loss.backward()
        exact = exact or loss.item()
        assert loss.item() == pytest.approx(exact, rel=0.02)
        gradients.append(hidden.grad.flatten())
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.95
    untouched = np.setdiff1d(np.arange(VOCAB_SIZE), draw(targets.numpy()).tokens_C)
    assert (weight.grad[untouched] == 0).all()
