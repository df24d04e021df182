"""The learning rate, the momentum and the dropout as pure functions of the step."""

from __future__ import annotations

from dataclasses import dataclass

FINAL_SHARE = 0.02
"""The rate of the last step, as a share of the base rate."""
FIRST_MOMENTUM, MOMENTUM = 0.85, 0.95
MOMENTUM_STEPS = 300
"""Steps from the first momentum to the final one."""


@dataclass(frozen=True)
class Schedule:
    """The steps of a training: those of all its epochs, and the cool-down with which early stopping ends it before."""

    planned_steps: int
    cool_down: range | None = None

    @property
    def total_steps(self) -> int:
        """Steps that are taken in all."""
        return self.cool_down.stop if self.cool_down else self.planned_steps


def compute_learning_rate(
    step: int, *, total_steps: int, base: float, warmup_fraction: float, cool_down: range | None = None
) -> float:
    """Learning rate of ``step`` (from 0): linear warm-up to ``base``, then linear decay to a small remainder.

    In a ``cool_down`` it falls to that remainder in so many steps from where it was.

    Bergsma et al. 2025, https://arxiv.org/abs/2502.15938, find it better than cosine decay, and so did we.
    """
    if cool_down and step > cool_down.start:
        first = compute_learning_rate(
            cool_down.start, total_steps=total_steps, base=base, warmup_fraction=warmup_fraction
        )
        last = FINAL_SHARE * base
        return last + (first - last) * (cool_down.stop - step) / len(cool_down)
    warmup_steps = max(1, round(total_steps * warmup_fraction))
    if step < warmup_steps:
        return base * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return base * (1 - (1 - FINAL_SHARE) * min(1.0, progress))


def compute_momentum(step: int) -> float:
    """Muon's momentum for ``step`` (from 0): a linear rise, because early gradients are soon out of date.

    After Jordan et al. 2024, https://github.com/KellerJordan/modded-nanogpt.
    """
    return FIRST_MOMENTUM + (MOMENTUM - FIRST_MOMENTUM) * min(1.0, step / MOMENTUM_STEPS)


def compute_dropout(step: int, *, total_steps: int, final: float) -> float:
    """Probability for ``step`` (from 0): a linear rise from none to ``final``.

    Text that was read few times is not overfitted yet, and until then dropout only slows learning. This is the late
    dropout of Liu et al. 2023, https://arxiv.org/abs/2303.01500, without its jump.
    """
    return final * step / max(1, total_steps)
