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

from semilla.planning.cost import estimate_training_s
from semilla.planning.law import Design, count_steps_per_epoch, predict_bits
from semilla.planning.text_facts import TextFacts

RESULTS = Path(__file__).parents[1] / "results"
TARGET = Path(__file__).parents[2] / "src/semilla/planning/law.json"
RESIDUALS = RESULTS / "quality-law.json"
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
    "held_batch": (0.5, 0.3),
    "held_rate": (0.5, 0.3),
    "overfit": (0.15, 0.1),
    "dropout": (0.03, 0.05),
    "rate": (0.02, 0.02),
    "rate_place": (math.log(7e-4), 0.3),
    "rate_steps": (-0.2, 0.1),
    "pieces": (0.0, 0.05),
    "context": (0.0, 0.05),
    "text": (0.0, 0.05),
    "counted": (1.0, 0.2),
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
BITS_ERROR, TEXT_ERROR, SECONDS_ERROR = 0.03, 0.15, 0.15
"""Deviations of a run and of a text from the law, against which the priors are weighed."""
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
    runs, grid = join(read_grid(), read_recorded()), read_grid()
    found = fit_all(runs, grid)
    if options.check:
        return 0 if is_close(json.loads(TARGET.read_text(encoding="utf-8")), found) else 1
    TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    residuals = {"texts": describe_texts(runs, found["law"])}
    RESIDUALS.write_text(json.dumps(residuals, indent=1) + "\n", encoding="utf-8")
    return 0


def read_grid() -> Runs:
    """The runs of the grid, those that differ in one thing only, and those that the law chose."""
    names = ("quality-grid.jsonl", "quality-contrasts.jsonl", "quality-chosen.jsonl")
    return arrange([row for name in names for row in read_rows(name)])


def read_recorded() -> Runs:
    """Full-size runs that were recorded earlier."""
    return arrange(list(read_rows("quality-recorded.jsonl")))


def read_rows(name: str) -> Iterator[dict[str, Any]]:
    path = RESULTS / name
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        row = json.loads(line)
        if "text" in row:  # the first line may be of the machine
            yield row


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
        sampled=np.full(len(rows), 0.9),
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


def fit_all(runs: Runs, grid: Runs) -> dict[str, Any]:
    """Every coefficient, the covariance of the law's, and the errors of texts that a fit did not see."""
    unseen = measure_unseen(runs)
    errors = {
        "text": measure_spread(unseen),
        "pilot": measure_spread(correct_by_pilots(runs, unseen)),
        "seconds": measure_spread(measure_unseen_seconds(grid)),
    }
    return {**fit_coefficients(runs, grid), "errors": errors}


def fit_coefficients(runs: Runs, grid: Runs) -> dict[str, Any]:
    """Every coefficient, and the covariance of the law's."""
    law, covariance = fit_law(runs)
    return {
        "law": shorten(law),
        "covariance": [[float(f"{value:.4g}") for value in row] for row in covariance.tolist()],
        "token": shorten(fit_token(runs)),
        "speed": shorten(fit_speed(grid)),
    }


def describe_texts(runs: Runs, law: Mapping[str, float]) -> list[dict[str, Any]]:
    """For each text the number of its runs, and how far they are from the law and from one fitted without them.

    ``offset`` is the mean of the logarithm of fitted over measured, ``unseen`` that of the fit without the text, and
    ``spread`` the deviation of the runs from ``unseen``.
    """
    fitted, unseen = np.log(expect_bits(runs, law) / runs.bits), measure_unseen(runs)
    return [
        {
            "text": runs.texts[inside[0]],
            "train_bytes": runs.facts[inside[0]].train_bytes,
            "runs": len(inside),
            "best": float(runs.bits[inside].min()),
            "offset": round(float(fitted[inside].mean()), 4),
            "unseen": round(float(unseen[inside].mean()), 4),
            "spread": round(float(unseen[inside].std()), 4),
        }
        for inside, _ in split_by_text(runs)
    ]


def shorten(coefficients: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in coefficients.items()}


def fit_law(runs: Runs) -> tuple[dict[str, float], Numbers]:
    """The coefficients and their covariance. Every text has an offset of its own, so that texts are not confounded."""
    texts = list(dict.fromkeys(runs.texts))
    places = np.array([texts.index(one) for one in runs.texts])

    def residuals(coefficients: Mapping[str, float]) -> Numbers:
        offsets = np.array([coefficients[f"of {text}"] for text in texts])
        return (np.log(expect_bits(runs, coefficients) / runs.bits) + offsets[places]) / BITS_ERROR

    values, covariance = fit(residuals, {**LAW, **{f"of {text}": (0.0, TEXT_ERROR) for text in texts}})
    return {name: values[name] for name in LAW}, covariance[: len(LAW), : len(LAW)]


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

    return {name: math.exp(value) for name, value in fit(residuals, SPEED)[0].items()}


def fit_token(runs: Runs) -> dict[str, float]:
    """Characters per token as powers of the vocabulary, of the text's size and of its bits."""
    size = np.log(np.array([one.train_bytes for one in runs.facts]) / 1e6)
    per_character = np.array([one.bytes_per_character for one in runs.facts])
    inputs = np.stack(
        [np.ones_like(size), np.log(runs.design.pieces / 1000), size, np.log(runs.counted_bits)], axis=1
    )
    found, *_ = np.linalg.lstsq(inputs, np.log(runs.bytes_per_token / per_character), rcond=None)
    return dict(zip(("constant", "pieces", "bytes", "bits"), map(float, found), strict=True))


def measure_unseen(runs: Runs) -> Numbers:
    """Logarithm of predicted over measured bits per byte of every run, by a fit without the runs of its text."""
    errors = np.empty(len(runs.bits))
    for inside, others in split_by_text(runs):
        held_out = take(runs, inside)
        errors[inside] = np.log(expect_bits(held_out, fit_law(take(runs, others))[0]) / held_out.bits)
    return errors


def correct_by_pilots(runs: Runs, unseen: Numbers) -> Numbers:
    """The errors ``unseen`` less that of the shortest run of the same text, for all other runs."""
    left = []
    for inside, _ in split_by_text(runs):
        timed = [place for place in inside if not math.isnan(runs.seconds[place])]
        if timed:
            pilot = min(timed, key=runs.seconds.__getitem__)
            left += [unseen[place] - unseen[pilot] for place in inside if place != pilot]
    return np.array(left)


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


def measure_spread(errors: Numbers) -> float:
    """The deviation of errors whose mean should be 0."""
    return round(float(np.sqrt((errors**2).mean())), 4)


def fit(
    residuals: Callable[[Mapping[str, float]], Numbers], priors: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, float], Numbers]:
    """Levenberg and Marquardt's method with numerical derivatives. ``residuals`` are in units of their deviation.

    Returns the coefficients and their covariance.
    """
    means, deviations = np.array(list(priors.values())).T

    def measure(values: Numbers) -> Numbers:
        named = dict(zip(priors, values.tolist(), strict=True))
        return np.concatenate([residuals(named), (values - means) / deviations])

    values, damping = means.copy(), 1e-2
    current = measure(values)

    def derive() -> Numbers:
        return np.stack(
            [
                (measure(values + 1e-4 * deviation * unit) - current) / (1e-4 * deviation)
                for deviation, unit in zip(deviations, np.eye(len(values)), strict=True)
            ],
            axis=1,
        )

    for _ in range(300):
        slopes = derive()
        square = slopes.T @ slopes
        step = np.linalg.solve(square + damping * np.diag(np.diag(square)), -slopes.T @ current)
        changed = measure(values + step)
        if changed @ changed < current @ current:
            is_done = current @ current - changed @ changed < 1e-6
            values, current, damping = values + step, changed, damping / 3
            if is_done:
                break
        else:
            damping *= 4
            if damping > 1e9:
                break
    slopes = derive()
    return dict(zip(priors, values.tolist(), strict=True)), np.linalg.inv(slopes.T @ slopes)


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
