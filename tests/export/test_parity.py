"""The comparisons that decide whether an export is kept."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import make_model

from semilla.errors import ValidationFailureError
from semilla.export import parity
from semilla.export.trained_model import Ids, Logits, TrainedModel


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return make_model()


def test_equal_ids_pass_and_one_other_id_does_not(model: TrainedModel) -> None:
    """The error counts the lines and shows the first."""
    lines = model.list_lines()
    assert parity.compare_ids(model.tokenizer.encode, model, program="it", lines=lines).compared == len(lines)

    def encode(text: str) -> list[int]:
        ids = model.tokenizer.encode(text).tolist()
        return ids[:-1] if text == lines[2] else ids

    with pytest.raises(
        ValidationFailureError, match=f"it gives different ids for 1 of {len(lines)} lines"
    ) as caught:
        parity.compare_ids(encode, model, program="it", lines=lines)
    assert lines[2] in caught.value.message
    assert caught.value.kept == "the trained model; nothing was exported"


@pytest.mark.parametrize("wrong", [2e-4, float("nan")])
def test_logits_over_the_limit_are_refused(model: TrainedModel, wrong: float) -> None:
    """One logit of one context is enough. NaN is over every limit."""
    first = model.cut_contexts(2)[0]

    def score(ids: Ids) -> Logits:
        logits = model.compute_logits(ids).copy()
        logits[-1, 5] += wrong if (ids == first).all() else 0
        return logits

    with pytest.raises(ValidationFailureError, match=r"differ by up to .*; the limit is 0\.0001"):
        parity.compare_logits(score, model, program="it")


def test_logits_of_only_the_last_token_can_be_compared(model: TrainedModel) -> None:
    """A program may return the logits of every token, or only of the last ones."""
    comparison = parity.compare_logits(lambda ids: model.compute_logits(ids)[-1:], model, program="it")
    assert comparison.difference == 0
    assert comparison.compared > 1


def test_weights_may_differ_by_the_rounding_of_their_format(model: TrainedModel) -> None:
    """An error is relative to the largest weight with the same scale. A missing tensor or wrong shape fails."""
    name = "model.norm.weight"
    rounded = {key: weight.copy() for key, weight in model.weights.items()}
    rounded[name][7] += 0.01
    block = np.abs(model.weights[name][:32]).max()
    found = parity.compare_weights(rounded, model, program="it", block=32, limit=0.02)
    assert found.difference == pytest.approx(0.01 / block, rel=1e-3)
    for spoiled in (rounded, {**rounded, name: rounded[name][:5]}, {name: rounded[name]}):
        with pytest.raises(ValidationFailureError, match="it "):
            parity.compare_weights(spoiled, model, program="it")


def test_only_lines_of_known_characters_count_as_covered(model: TrainedModel) -> None:
    """A space counts as its mark. One unknown character excludes a line."""
    assert parity.find_covered(model, ["una niña", "una ñiña 日"]) == ["una niña"]


def test_contexts_are_held_out_text_of_full_length(model: TrainedModel) -> None:
    """They are evenly spaced, and none is there twice."""
    text = [token for part in model.held_out for token in model.tokenizer.encode(part).tolist()]
    contexts = model.cut_contexts(5)
    assert [len(ids) for ids in contexts] == [32] * 5
    assert contexts[0].tolist() == text[:32]
    assert contexts[-1].tolist() == text[-32:]
