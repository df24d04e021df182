"""The models of kept epochs, made small enough for the page: fewer bits per weight, and then fewer models."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from semilla.export.web.network import Pack

MOST_BITS, FEWEST_BITS = 8, 4
"""Bits per weight. With three, a model writes visibly worse than it does."""


@dataclass(frozen=True)
class EpochModels:
    """``arrays`` has the codes and the floats of each model in base64, by epoch."""

    bits: int = MOST_BITS
    arrays: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    left_out: Sequence[int] = ()


def fit_epoch_models(packs: Mapping[int, Pack], *, room_bytes: int) -> EpochModels:
    """All models with as many bits as fit into ``room_bytes``; if none fits with FEWEST_BITS, fewer models."""
    epochs = sorted(packs)
    if not epochs:
        return EpochModels()
    for bits in range(MOST_BITS, FEWEST_BITS - 1, -1):
        arrays = {epoch: encode(packs[epoch], bits=bits) for epoch in epochs}
        sizes = [sum(map(len, one)) for one in arrays.values()]
        if sum(sizes) <= room_bytes:
            return EpochModels(bits, arrays)
    chosen = spread(epochs, count=room_bytes // max(sizes))
    return EpochModels(
        bits, {epoch: arrays[epoch] for epoch in chosen}, [one for one in epochs if one not in chosen]
    )


def spread(epochs: Sequence[int], *, count: int) -> list[int]:
    """``count`` of the epochs, the first among them."""
    return [epochs[place * len(epochs) // count] for place in range(count)]


def encode(pack: Pack, *, bits: int = MOST_BITS) -> tuple[str, str]:
    """The codes, ``bits`` each, and the float32 numbers of a network, in base64."""
    codes, floats = (pack if bits == MOST_BITS else pack.round_to(bits)).join()
    packed = codes if bits == MOST_BITS else pack_bits(np.frombuffer(codes, np.int8), bits=bits)
    return base64.b64encode(packed).decode(), base64.b64encode(floats).decode()


def pack_bits(codes: npt.NDArray[np.int8], *, bits: int) -> bytes:
    """Codes as numbers of ``bits`` bits one after the other, highest bit first; the middle of their range is 0."""
    numbers = (codes + 2 ** (bits - 1)).astype(np.uint8)
    return np.packbits(np.unpackbits(numbers[:, None], axis=1)[:, 8 - bits :]).tobytes()
