"""Seeds derived from several numbers."""

from __future__ import annotations

from semilla.model.seeds import mix_seed


def test_seeds_of_neighbouring_steps_are_far_apart() -> None:
    """Every step has a seed of its own, also for run seeds at the ends of the range."""
    seeds = {mix_seed(seed, step) for seed in (0, 1, 2**63 - 1) for step in range(1000)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**63 for seed in seeds)
