"""Fit the law of quality and the cost of a step to the recorded grid, and write what was fitted.

    python benchmarks/law/fit.py [--check]

Least squares in logarithms with a weak prior on every coefficient, so that few runs suffice and a coefficient that the
runs do not determine stays at its prior. ``--check`` writes nothing and fails when the recorded coefficients differ.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from law import Design, count_steps_per_epoch, predict_bits
from speed import estimate_training_s
from text_facts import TextFacts

RESULTS = Path(__file__).parents[1] / "results"
TARGET = RESULTS / "quality-law.json"
Numbers = npt.NDArray[np.float64]

LAW = {
    # coefficient: prior mean, prior deviation
    "floor": (math.log(0.45), 0.4),
    "size": (math.log(0.06), 1.0),
    "size_power": (0.35, 0.1),
    "seen": (math.log(0.30), 0.7),
    "seen_power": (0.40, 0.15),
    "batch": (0.3, 0.2),
    "held_size": (0.5, 0.25),
    "held_place": (3.5, 1.5),
    "held_dropout": (3.0, 2.0),
    "overfit": (0.05, 0.05),
    "dropout": (0.03, 0.05),
    "rate": (0.02, 0.02),
    "rate_place": (math.log(7e-4), 0.3),
    "rate_steps": (-0.2, 0.1),
    "pieces": (0.0, 0.05),
    "context": (0.0, 0.05),
}
SPEED = {
    # seconds a floating-point operation, an operation of attention, a number in memory, a layer of a step, a parameter
    "products": (math.log(2e-11), 1.0),
    "attention": (math.log(4e-11), 1.0),
    "memory": (math.log(1e-8), 1.5),
    "step": (math.log(1e-3), 1.0),
    "update": (math.log(1e-9), 1.0),
}
"""These are all positive, so their logarithms are fitted."""
BITS_ERROR, SECONDS_ERROR = 0.03, 0.15
"""Deviation of a run from the law, against which the priors are weighed."""
NINE_IN_TEN = 1.645


class Runs(NamedTuple):
    """The recorded runs as arrays, [N]."""

    texts: list[str]
    design: Design
    train_tokens: Numbers
    counted_bits: Numbers
    bits: Numbers
    seconds: Numbers
    """Of one thread; NaN where it was not recorded."""
    facts: list[TextFacts]

    @property
    def steps(self) -> Numbers:
        return self.design.epochs * count_steps_per_epoch(self.design, self.train_tokens)

    @property
    def bytes_per_token(self) -> Numbers:
        return np.array([one.train_bytes for one in self.facts]) / self.train_tokens


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = fit_all(read_grid(), read_recorded())
    content = json.dumps(found, indent=1) + "\n"
    if options.check:
        return 0 if is_close(json.loads(TARGET.read_text(encoding="utf-8")), found) else 1
    TARGET.write_text(content, encoding="utf-8")
    print(content)
    return 0


def read_grid() -> Runs:
    """The runs of the grid."""
    lines = (RESULTS / "quality-grid.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for line in lines if (row := json.loads(line))["run"] >= 0]
    facts = json.loads((RESULTS / "quality-texts.json").read_text(encoding="utf-8"))
    return arrange([{**row, "facts": facts[row["text"]]} for row in rows])


def read_recorded() -> Runs:
    """Full-size runs that were recorded earlier."""
    lines = (RESULTS / "quality-recorded.jsonl").read_text(encoding="utf-8").splitlines()
    return arrange([json.loads(line) for line in lines])


def arrange(rows: Sequence[Mapping[str, Any]]) -> Runs:
    def column(name: str) -> Numbers:
        return np.array([row.get(name, math.nan) for row in rows], dtype=np.float64)

    facts = [TextFacts(**row["facts"]) for row in rows]
    design = Design(
        column("vocab_size"),
        column("num_layers"),
        column("d_model"),
        column("dim_feedforward"),
        column("max_sequence_length"),
        column("batch_size"),
        column("num_epochs"),
        column("dropout"),
        column("learning_rate"),
    )
    return Runs(
        [row["text"] for row in rows],
        design,
        column("train_tokens"),
        np.array([one.counted_bits for one in facts]),
        np.array([row["bits_per_byte"][-1] for row in rows]),
        column("processor_s"),
        facts,
    )


def join(left: Runs, right: Runs) -> Runs:
    """The runs of both."""
    design = Design(
        *(
            np.concatenate([getattr(part.design, one.name) for part in (left, right)])
            for one in fields(Design)
        )
    )
    arrays = {
        name: np.concatenate([getattr(left, name), getattr(right, name)])
        for name in ("train_tokens", "counted_bits", "bits", "seconds")
    }
    return Runs(left.texts + right.texts, design, facts=left.facts + right.facts, **arrays)


def take(runs: Runs, places: Sequence[int]) -> Runs:
    """Some of the runs."""
    return Runs(
        *(
            [part[place] for place in places] if isinstance(part, list)
            else part.take(places) if isinstance(part, Design) else part[places]
            for part in runs
        )
    )  # fmt: skip


def fit_all(grid: Runs, recorded: Runs) -> dict[str, Any]:
    """Every coefficient, the errors of texts that a fit did not see, and the range of the runs."""
    runs = join(grid, recorded)
    law, speed = fit_law(runs), fit_speed(grid)
    design = runs.design
    ranges = {
        "train_bytes": [one.train_bytes for one in runs.facts],
        "tokenizer_vocab_size": design.pieces,
        "num_layers": design.layers,
        "d_model": design.width,
        "num_epochs": design.epochs,
        "max_sequence_length": design.context,
        "batch_size": design.batch,
        "dropout": design.dropout,
        "learning_rate": design.rate,
        "training_tokens": runs.steps * design.tokens_per_step,
    }
    unseen = measure_unseen(runs)
    return {
        "law": shorten(law),
        "token": shorten(fit_token(runs)),
        "speed": shorten(speed),
        "errors": {"bits": claim(unseen), "seconds": claim(measure_unseen_seconds(grid))},
        "range": {name: [float(min(values)), float(max(values))] for name, values in ranges.items()},
        "runs": [
            [text, float(bits), round(float(fitted), 3), round(float(bits * np.exp(error)), 3)]
            for text, bits, fitted, error in zip(
                runs.texts, runs.bits, expect_bits(runs, law), unseen, strict=True
            )
        ],
    }


def shorten(coefficients: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in coefficients.items()}


def fit_law(runs: Runs) -> dict[str, float]:
    def residuals(coefficients: Mapping[str, float]) -> Numbers:
        return np.log(expect_bits(runs, coefficients) / runs.bits) / BITS_ERROR

    return fit(residuals, LAW)


def expect_bits(runs: Runs, coefficients: Mapping[str, float]) -> Numbers:
    return predict_bits(
        runs.design,
        train_tokens=runs.train_tokens,
        counted_bits=runs.counted_bits,
        coefficients=coefficients,
    )


def fit_speed(runs: Runs) -> dict[str, float]:
    def residuals(logarithms: Mapping[str, float]) -> Numbers:
        coefficients = {name: math.exp(value) for name, value in logarithms.items()}
        expected = estimate_training_s(runs.design, steps=runs.steps, coefficients=coefficients)
        return np.log(expected / runs.seconds) / SECONDS_ERROR

    return {name: math.exp(value) for name, value in fit(residuals, SPEED).items()}


def fit_token(runs: Runs) -> dict[str, float]:
    """Characters per token as powers of the vocabulary and of the text."""
    size = np.log(np.array([one.train_bytes for one in runs.facts]) / 1e6)
    per_character = np.array([one.bytes_per_character for one in runs.facts])
    inputs = np.stack([np.ones_like(size), np.log(runs.design.pieces / 1000), size], axis=1)
    found, *_ = np.linalg.lstsq(inputs, np.log(runs.bytes_per_token / per_character), rcond=None)
    return dict(zip(("constant", "pieces", "bytes"), map(float, found), strict=True))


def measure_unseen(runs: Runs) -> Numbers:
    """Logarithm of predicted over measured bits per byte of every run, by a fit without the runs of its text."""
    errors = np.empty(len(runs.bits))
    for inside, others in split_by_text(runs):
        held_out = take(runs, inside)
        errors[inside] = np.log(expect_bits(held_out, fit_law(take(runs, others))) / held_out.bits)
    return errors


def measure_unseen_seconds(runs: Runs) -> Numbers:
    """The same of the seconds of a run."""
    errors = np.empty(len(runs.bits))
    for inside, others in split_by_text(runs):
        held_out, coefficients = take(runs, inside), fit_speed(take(runs, others))
        expected = estimate_training_s(held_out.design, steps=held_out.steps, coefficients=coefficients)
        errors[inside] = np.log(expected / held_out.seconds)
    return errors


def split_by_text(runs: Runs) -> Iterator[tuple[list[int], list[int]]]:
    """For every text, the places of its runs and of all others."""
    for text in dict.fromkeys(runs.texts):
        yield (
            [place for place, one in enumerate(runs.texts) if one == text],
            [place for place, one in enumerate(runs.texts) if one != text],
        )


def claim(errors: Numbers) -> float:
    """The error that nine in ten stay below, if errors are normal."""
    return round(NINE_IN_TEN * float(np.sqrt((errors**2).mean())), 3)


def fit(
    residuals: Callable[[Mapping[str, float]], Numbers], priors: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Levenberg and Marquardt's method with numerical derivatives. ``residuals`` are in units of their deviation."""
    means, deviations = np.array(list(priors.values())).T

    def measure(values: Numbers) -> Numbers:
        named = dict(zip(priors, values.tolist(), strict=True))
        return np.concatenate([residuals(named), (values - means) / deviations])

    values, damping = means.copy(), 1e-2
    current = measure(values)
    for _ in range(300):
        slopes = np.stack(
            [
                (measure(values + 1e-4 * deviation * unit) - current) / (1e-4 * deviation)
                for deviation, unit in zip(deviations, np.eye(len(values)), strict=True)
            ],
            axis=1,
        )
        square = slopes.T @ slopes
        step = np.linalg.solve(square + damping * np.diag(np.diag(square)), -slopes.T @ current)
        changed = measure(values + step)
        if changed @ changed < current @ current:
            is_done = current @ current - changed @ changed < 1e-9
            values, current, damping = values + step, changed, damping / 3
            if is_done:
                break
        else:
            damping *= 4
            if damping > 1e9:
                break
    return dict(zip(priors, values.tolist(), strict=True))


def is_close(left: Any, right: Any) -> bool:
    """Whether two contents are the same but for the rounding of another machine."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(is_close(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(is_close, left, right))
    if isinstance(left, str):
        return left == right
    return bool(np.isclose(left, right, rtol=0.02, atol=0.005))


if __name__ == "__main__":
    sys.exit(main())
