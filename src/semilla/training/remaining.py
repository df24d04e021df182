"""Estimates how long a run will still take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from semilla.training.state import StepInfo

EPOCH_END_SHARE = 0.04
"""Duration of an epoch's end, as a share of its steps, until one was timed: a forward pass takes a third of a step, and
the held-out text is a ninth of the training text."""
VALIDATION_S = 20.0
"""The validation phase on two cores: samples, minimal pairs, a fresh process."""


class RemainingTime:
    """The seconds until the run ends: steps, the end of each epoch, and the validation."""

    def __init__(self, *, steps_per_epoch: int) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._num_ends = 0
        self._ends_s = 0.0

    @contextmanager
    def timing_epoch_end(self) -> Iterator[None]:
        """Time what follows the last step of an epoch: evaluation, samples, checkpoint."""
        start_s = time.monotonic()
        yield
        self._num_ends += 1
        self._ends_s += time.monotonic() - start_s

    def estimate_s(self, info: StepInfo, *, total_steps: int, step_s: float) -> float:
        """Estimate the seconds after a step, from the mean duration of a step of its epoch."""
        steps = total_steps - info.step
        # The end of the epoch that this step belongs to is still to come.
        num_ends = -(-steps // self._steps_per_epoch) + info.ends_epoch
        guess_s = EPOCH_END_SHARE * self._steps_per_epoch * step_s
        end_s = self._ends_s / self._num_ends if self._num_ends else guess_s
        return steps * step_s + num_ends * end_s + VALIDATION_S
