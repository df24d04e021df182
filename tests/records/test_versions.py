"""A model's version says whether the vocabulary, the architecture or the training changed."""

from __future__ import annotations

from typing import Any

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.records.versions import FinishedModel, choose_version, parse_version


def list_inputs(**changes: Any) -> dict[str, Any]:
    """Inputs in the form the training phase records."""
    config = PipelineConfiguration()
    shape = config.model_architecture.model_dump()
    settings = config.training_hyperparameters.model_dump(exclude={"num_threads"})
    return {"corpus": "c0", "tokenizer": "t0", "seed": 0, **shape, **settings, **changes}


@pytest.mark.parametrize(("changes", "version"), [
    ({}, "2.3.4"),
    ({"learning_rate": 0.001}, "2.3.5"),
    ({"num_epochs": 40}, "2.3.5"),
    ({"seed": 1}, "2.3.5"),
    ({"corpus": "c1"}, "2.3.5"),
    ({"num_layers": 3}, "2.4.0"),
    ({"d_model": 64, "learning_rate": 0.001}, "2.4.0"),
    ({"tie_embeddings": False}, "2.4.0"),
    ({"tokenizer": "t1"}, "3.0.0"),
    ({"tokenizer": "t1", "num_layers": 3, "seed": 1}, "3.0.0"),
])  # fmt: skip
def test_the_largest_change_counts(changes: dict[str, Any], version: str) -> None:
    """Vocabulary counts before architecture before training, and lower numbers restart; no change, same version."""
    last = FinishedModel(version="2.3.4", inputs=list_inputs())
    assert choose_version(list_inputs(**changes), last) == version


def test_the_first_model_of_a_directory_is_1_0_0() -> None:
    """There is no earlier model to compare with."""
    assert choose_version(list_inputs(), None) == "1.0.0"


def test_a_model_of_before_a_setting_was_renamed_or_added_is_the_same_model() -> None:
    """Inputs are compared under current names, with defaults for newer settings."""
    old = list_inputs()
    old["sampled_output"] = old.pop("sampled_output_fraction")
    del old["dropout"]
    last = FinishedModel(version="1.0.0", inputs=old)
    assert choose_version(list_inputs(), last) == "1.0.0"
    assert choose_version(old, last) == "1.0.0"
    assert choose_version(list_inputs(sampled_output_fraction=0.1), last) == "1.0.1"


def test_versions_are_compared_as_numbers() -> None:
    """1.0.10 is newer than 1.0.9."""
    assert parse_version("1.0.10") > parse_version("1.0.9")


@pytest.mark.parametrize(
    "text", ["1.0", "1.0.0.0", "01.0.0", "1.0.x", "", "1.0.0\n", "-1.0.0", "1.0." + "9" * 5000]
)
def test_invalid_versions_are_refused(text: str) -> None:
    """Folder names are untrusted."""
    with pytest.raises(ValueError, match="is not a model version"):
        parse_version(text)
