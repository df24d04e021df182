"""Derive seeds from the seed of the run and numbers such as the step and the row."""

from __future__ import annotations


def mix_seed(*numbers: int) -> int:
    """Mix several numbers into one 63-bit seed, with the finaliser of SplitMix64 (Steele et al. 2014)."""
    value = 0
    for number in numbers:
        value = ((value + number) * 0x9E3779B97F4A7C15 + 1) & (2**64 - 1)
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        value ^= value >> 31
    return value >> 1
