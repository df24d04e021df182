"""The costs in docs/scaling.md are those that the model computes from the recorded results."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from semilla.configuration.schema import ModelArchitecture, PipelineConfiguration
from semilla.model.transformer import Transformer
from semilla.planning.cost import estimate_step_s
from semilla.planning.law import Design, describe_design, read_fitted

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def model() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cost_model", ROOT / "benchmarks" / "cost_model.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def describe_shape(shape: dict[str, int], *, pieces: int = 8000) -> Design:
    return describe_design(
        PipelineConfiguration.model_validate({"model_architecture": shape, "tokenizer_vocab_size": pieces})
    )


def test_the_cost_of_a_step_is_within_15_percent_of_measured_trainings(model: ModuleType) -> None:
    """Widths trained to the end, and 200 steps of 25 million parameters; the page has the figures."""
    curves = json.loads((RESULTS / "training-costs.json").read_text(encoding="utf-8"))["curves"]
    (default,) = [one["minutes"] for one in curves["corpus_size_mb"] if one["value"] == 3]
    words = " ".join(PAGE.split())
    for row in curves["d_model"][-2:]:
        width = row["value"]
        design = describe_shape({"d_model": width, "dim_feedforward": 2 * width})
        minutes = default * model.read_default_tokens_per_s() / model.predict_tokens_per_s(design)
        assert row["minutes"] == pytest.approx(minutes, rel=0.15)
        ratio = f"{row['minutes']:.1f} minutes | {minutes:.1f} minutes | {row['minutes'] / minutes:.2f} |"
        assert f"| 2 x {width} | as above | {ratio}" in words
    found = json.loads((RESULTS / "large-training.json").read_text(encoding="utf-8"))
    # The model of that day predicted as if nine steps in ten of both networks had sampled softmax.
    default_design = describe_design(PipelineConfiguration())
    shape = {"num_layers": 5, "d_model": 512, "num_heads": 8, "dim_feedforward": 2048}
    full = [replace(one, sampled=0 * one.sampled) for one in (default_design, describe_shape(shape))]
    steps_s = [
        float(estimate_step_s(one, read_fitted().speed)[0])
        for one in (default_design, describe_shape(shape), *full)
    ]
    predicted = found["predicted_tokens_per_s"]["plan"] * steps_s[1] / steps_s[0] * steps_s[2] / steps_s[3]
    assert found["tokens_per_s"] == pytest.approx(predicted, rel=0.15)
    assert f"{4096 / found['tokens_per_s']:.2f} s a step | {4096 / predicted:.2f} s a step" in words


def test_the_page_has_the_computed_table(model: ModuleType) -> None:
    """If this fails, copy the output of benchmarks/cost_model.py to the page."""
    found = re.search(r"<!-- costs -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found
    assert found[1] == model.draw_cost_table()


def test_ten_times_the_text_costs_a_hundred_times_as_much(model: ModuleType) -> None:
    """Network and text grow together. Two ranks send their gradients once, many nearly twice."""
    small, large = model.Cost(1e9), model.Cost(1e10)
    assert large.operations == pytest.approx(100 * small.operations)
    assert small.count_sent_bytes(2) == pytest.approx(4 * small.parameters)
    assert small.count_sent_bytes(1000) == pytest.approx(8 * small.parameters, rel=0.002)


def test_the_figures_in_the_text_follow_from_the_results(model: ModuleType) -> None:
    """Rates, the step of two ranks, and the largest network of ``semilla run``."""
    ours = json.loads((RESULTS / "training-speed.json").read_text(encoding="utf-8"))["contenders"]["ours"]
    shape = {"num_layers": 12, "d_model": 512, "num_heads": 8, "dim_feedforward": 2048}
    sizes = []
    for architecture, pieces in (
        (ModelArchitecture(), 8000), (ModelArchitecture.model_validate(shape), 32_000)
    ):  # fmt: skip
        network = Transformer(architecture, vocab_size=pieces, max_positions=128)
        sizes.append(sum(weight.numel() for weight in network.parameters()))
    default, largest = sizes
    days = 20 * largest / model.predict_tokens_per_s(describe_shape(shape, pieces=32_000)) / 86_400
    text = 20 * model.BYTES_PER_TOKEN * largest
    expected = [
        f"{4 * default / 1e6:.1f} MB a step",
        f"{4 * default / 125e6 * 1000:.0f} ms at 1 Gbit/s",
        f"{4096 / ours['tokens_per_s'] * 1000:.0f} ms ({ours['tokens_per_s']:,.0f} tokens a second)",
        f"{(2048 / ours['tokens_per_s'] + 4 * default / 125e6) * 1000:.0f} ms at best",
        f"{text / 1e9:.0f} GB of text and {days:.0f} days",
    ]
    words = " ".join(PAGE.split())
    assert [one for one in expected if one not in words] == []
