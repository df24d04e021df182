"""The costs in docs/scaling.md are those that the model computes from the recorded results."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from semilla.configuration.schema import ModelArchitecture
from semilla.model.transformer import Transformer

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
    curve = json.loads((RESULTS / "training-costs.json").read_text(encoding="utf-8"))["curves"]
    most = curve["corpus_size_mb"][-1]
    shape = {"num_layers": 12, "d_model": 512, "num_heads": 8, "dim_feedforward": 2048}
    sizes = []
    for architecture, pieces in (
        (ModelArchitecture(), 8000), (ModelArchitecture.model_validate(shape), 32_000)
    ):  # fmt: skip
        network = Transformer(architecture, vocab_size=pieces, max_positions=128)
        sizes.append(sum(weight.numel() for weight in network.parameters()))
    default, largest = sizes
    rate = model.read_processor_rate()
    text = 20 * model.BYTES_PER_TOKEN * largest
    expected = [
        f"{rate / 1e9:.0f} billion operations",
        f"{most['operations']:.1e} operations in".replace("e+", "e"),
        f"{most['minutes']:.1f} minutes",
        f"{most['operations'] / most['minutes'] / 60 / 1e9:.0f} billion a second",
        f"{4 * default / 1e6:.1f} MB a step",
        f"{4 * default / 125e6 * 1000:.0f} ms at 1 Gbit/s",
        f"{4096 / ours['tokens_per_s'] * 1000:.0f} ms ({ours['tokens_per_s']:,.0f} tokens a second)",
        f"{(2048 / ours['tokens_per_s'] + 4 * default / 125e6) * 1000:.0f} ms at best",
        f"{text / 1e9:.0f} GB of text and {model.Cost(text).operations / rate / 86_400:.0f} days",
    ]
    words = " ".join(PAGE.split())
    assert [one for one in expected if one not in words] == []
