"""The parity check: an export must give the same results as the trained model, or it is not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.errors import ValidationFailureError
from semilla.export.float32_graph import Weights
from semilla.export.trained_model import Ids, TrainedModel
from semilla.tokenizer.tokenizer import SPACE_MARK

LARGEST_LOGIT_DIFFERENCE = 1e-4
"""Allowed between two float32 programs. The logits themselves are of the order of 10."""
NUM_CONTEXTS = 16
MAX_LINES = 20_000

PROBES = (
    " two  spaces, and one at the end ",
    "a line\nand another\n\n",
    "¿Qué? —¡Sí! “quoted” «citado» ﬁ Ǆ ½",
    "🌱 日本語 \u00a0\u200d\ttab",
    "<s></s><unk> <0x41><0x0A> < 0x41 >",
)
"""Texts that break tokenizers: spaces, line breaks, characters in no piece, and names of special pieces."""


@dataclass(frozen=True)
class Comparison:
    """One figure of the parity check. Without a ``limit`` it is only reported."""

    what: str
    program: str
    compared: int
    difference: float
    limit: float | None = None


@dataclass(frozen=True)
class Parity:
    """The figures of one export, and notes on what could not be checked."""

    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()


def list_lines(trained: TrainedModel) -> list[str]:
    """List the held-out lines (evenly spaced ones if there are more than MAX_LINES) and the probes."""
    lines = trained.list_lines()
    return [*lines[:: -(-len(lines) // MAX_LINES)], *PROBES]


def find_covered(trained: TrainedModel, lines: Iterable[str]) -> list[str]:
    """Find the lines whose characters are all in the vocabulary."""
    covered = {
        character for piece in trained.vocabulary.pieces if piece.is_matched for character in piece.text
    }
    return [line for line in lines if covered.issuperset(line.replace(" ", SPACE_MARK))]


def compare_ids(
    encode: Callable[[str], Iterable[int]], trained: TrainedModel, *, program: str, lines: Sequence[str]
) -> Comparison:
    """Encode ``lines``; ValidationFailureError unless all ids are those of the trained tokenizer."""
    expected = [trained.tokenizer.encode(line).tolist() for line in lines]
    found = [list(encode(line)) for line in lines]
    different = [index for index, ids in enumerate(found) if ids != expected[index]]
    if different:
        first = different[0]
        raise _refuse(
            f"{program} gives different ids for {len(different)} of {len(lines)} lines. The first is "
            f"{lines[first]!r}: {found[first]}; the trained tokenizer gives {expected[first]}"
        )
    return Comparison("ids of lines", program, len(lines), 0, 0)


def compare_texts(
    decode: Callable[[Sequence[int]], str], trained: TrainedModel, *, program: str, lines: Sequence[str]
) -> Comparison:
    """Decode the ids of ``lines``; ValidationFailureError unless the result is the lines again."""
    for line in lines:
        text = decode(trained.tokenizer.encode(line).tolist())
        if text != line:
            raise _refuse(f"{program} decodes the ids of {line!r} to {text!r}")
    return Comparison("texts of ids", program, len(lines), 0, 0)


def compare_logits(
    score: Callable[[Ids], npt.NDArray[Any]],
    trained: TrainedModel,
    *,
    program: str,
    num_contexts: int = NUM_CONTEXTS,
    limit: float | None = LARGEST_LOGIT_DIFFERENCE,
) -> Comparison:
    """Compare logits on held-out contexts. ``score`` returns the logits [n, V] of a context's last n tokens.

    Raises ValidationFailureError when the largest difference is over ``limit``.
    """
    contexts = trained.cut_contexts(num_contexts)
    differences = []
    for ids in contexts:
        logits = score(ids)
        differences.append(np.abs(logits - trained.compute_logits(ids)[-len(logits) :]).max())
    largest = float(np.max(differences))  # NaN stays NaN, and fails the comparison below
    if limit is not None and not largest <= limit:
        raise _refuse(f"the logits of {program} differ by up to {largest:.3g}; the limit is {limit:g}")
    return Comparison("logits of contexts", program, len(contexts), largest, limit)


def compare_weights(
    found: Weights, trained: TrainedModel, *, program: str, block: int = 1, limit: float = 0.0
) -> Comparison:
    """Compare the tensors that were read back with the trained ones.

    Each error is relative to the largest of the ``block`` weights that share a scale. Raises ValidationFailureError
    when a tensor is missing or an error is over ``limit``.
    """
    if missing := trained.weights.keys() - found.keys():
        raise _refuse(f"{program} does not find {min(missing)}")
    errors = {
        name: _measure_error(weight, found[name], block=block) for name, weight in trained.weights.items()
    }
    for name, error in errors.items():
        if not error <= limit:
            raise _refuse(
                f"{program} reads {name} with a relative error of {error:.3g}; the limit is {limit:.3g}"
            )
    return Comparison("relative error of weights", program, len(errors), max(errors.values()), limit)


def compare_fields(found: dict[str, Any], expected: dict[str, Any], *, program: str) -> Comparison:
    """Raise ValidationFailureError unless every expected field has its value."""
    different = [key for key, value in expected.items() if found.get(key) != value]
    if different:
        raise _refuse(f"{program} reads a different value of {different[0]} than was written")
    return Comparison("fields", program, len(expected), 0, 0)


SMALLEST_NORMAL_F16 = 2.0**-14
"""Below it, 16 bits have an absolute precision, not a relative one."""


def _measure_error(weight: npt.NDArray[Any], found: npt.NDArray[Any], *, block: int) -> float:
    if weight.shape != found.shape:
        return float("inf")
    block = block if weight.shape[-1] % block == 0 else 1
    errors = np.abs(weight - found).reshape(-1, block)
    scales = np.abs(weight).reshape(-1, block).max(axis=1, keepdims=True)
    return float((errors / np.maximum(scales, SMALLEST_NORMAL_F16)).max())


def _refuse(message: str) -> ValidationFailureError:
    return ValidationFailureError(message, kept="the trained model; nothing was exported")
