"""What a training costs by the size of its text: the table of docs/scaling.md, from formulas and measured rates.

    python benchmarks/cost_model.py

A text is read once, by a network with a parameter for every 20 tokens (Hoffmann et al. 2022, arXiv:2203.15556). On
processors a step costs what ``semilla plan`` expects, with the speed that was measured on the default network.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semilla.configuration.schema import PipelineConfiguration
from semilla.planning.cost import estimate_step_s
from semilla.planning.law import Design, describe_design, read_fitted

RESULTS = Path(__file__).parent / "results" / "training-speed.json"
BYTES_PER_TOKEN = 4.0
TOKENS_PER_PARAMETER = 20
BYTES_PER_PARAMETER = 16
"""Weight, gradient and two moments of AdamW in float32 (Rajbhandari et al. 2020, arXiv:1910.02054)."""
GPU_OPERATIONS_PER_S = 989e12 * 0.4
"""Data sheet of an H100 for dense bfloat16, times an assumed share; 38 to 43 % were reached with up to 16,384 of them
(Grattafiori et al. 2024, arXiv:2407.21783)."""
TEXTS = {"1 GB": 1e9, "100 GB": 1e11, "10 TB": 1e13}
UNITS = (("years", 365 * 86_400), ("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Cost:
    """Tokens, parameters and operations of a training, and the bytes that it stores and sends."""

    text_bytes: float

    @property
    def tokens(self) -> float:
        return self.text_bytes / BYTES_PER_TOKEN

    @property
    def parameters(self) -> float:
        return self.tokens / TOKENS_PER_PARAMETER

    @property
    def operations(self) -> float:
        """Six for each parameter and token (Kaplan et al. 2020, arXiv:2001.08361); attention scores not counted."""
        return 6 * self.parameters * self.tokens

    @property
    def token_file_bytes(self) -> float:
        """Two bytes a token."""
        return 2 * self.tokens

    @property
    def state_bytes(self) -> float:
        return BYTES_PER_PARAMETER * self.parameters

    def count_sent_bytes(self, ranks: int) -> float:
        """What each rank sends in a step: a ring all-reduce of the gradients in float32 (Patarasuk and Yuan 2009)."""
        return 2 * (ranks - 1) / ranks * 4 * self.parameters


def read_default_tokens_per_s() -> float:
    """Tokens a second of the default training on two cores, as measured."""
    return float(json.loads(RESULTS.read_text(encoding="utf-8"))["contenders"]["ours"]["tokens_per_s"])


def predict_tokens_per_s(design: Design) -> float:
    """Tokens a second of a training on the two cores, from the step of the default network there."""
    default, coefficients = describe_design(PipelineConfiguration()), read_fitted().speed
    costs = [estimate_step_s(one, coefficients) / one.tokens_per_step for one in (default, design)]
    return read_default_tokens_per_s() * float(costs[0][0] / costs[1][0])


def describe_network(parameters: float) -> Design:
    """A network whose layers have so many parameters: a layer for each 64 of its width, all else as by default.

    Layers of width w have 16 w^2 parameters where the inner width is four times that.
    """
    width = (4 * parameters) ** (1 / 3)
    default = describe_design(PipelineConfiguration())
    shape = {"layers": width / 64, "width": width, "forward": 4 * width}
    return Design(**{**vars(default), **{name: np.array([value]) for name, value in shape.items()}})


def show_count(number: float, unit: str = "") -> str:
    """Two digits and a prefix: 1.2 GB."""
    scale, prefix = next((one for one in SCALES if number >= one[0]), (1, ""))
    scaled = number / scale
    digits = f"{scaled:.1f}" if scaled < 10 else f"{scaled:,.0f}"
    return f"{digits} {prefix}{unit}".strip()


def show_time(seconds: float) -> str:
    """Two digits and the largest unit of which there are two."""
    unit, size = next(one for one in UNITS if seconds >= 2 * one[1] or one[0] == "seconds")
    return f"{seconds / size:,.1f} {unit}" if seconds < 10 * size else f"{seconds / size:,.0f} {unit}"


def draw_cost_table() -> str:
    """The table in Markdown, a column for each text."""
    costs = [Cost(size) for size in TEXTS.values()]
    rows = {
        "tokens": [show_count(one.tokens) for one in costs],
        "parameters": [show_count(one.parameters) for one in costs],
        "operations": [f"{one.operations:.1e}" for one in costs],
        "token files": [show_count(one.token_file_bytes, "B") for one in costs],
        "weights, gradients and moments": [show_count(one.state_bytes, "B") for one in costs],
        "sent by each of 8 ranks in a step": [show_count(one.count_sent_bytes(8), "B") for one in costs],
        "on the two measured cores": [
            show_time(one.tokens / predict_tokens_per_s(describe_network(one.parameters))) for one in costs
        ],
        **{
            f"on {count} GPUs": [show_time(one.operations / (count * GPU_OPERATIONS_PER_S)) for one in costs]
            for count in (8, 256)
        },
    }
    lines = [["text", *TEXTS], ["---"] * (len(TEXTS) + 1), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description="Print what a training costs by the size of its text.").parse_args()
    print(draw_cost_table())


if __name__ == "__main__":
    main()
