"""Balance training between languages when the text is mostly in one of them.

The share of a language is proportional to its size to the power of 1 - balance, the usual smoothing for multilingual
models (Conneau and Lample 2019, section 3.1). A balance of 0 keeps the shares of the text; 1 gives all languages the
same. An epoch keeps its number of windows. When a language gets more windows than it has, they are repeated, each
equally often give or take one. When it gets fewer, every epoch draws different ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mixture:
    """The start and language of each document in a stream of ``num_tokens``, and how far to balance languages."""

    balance: float
    document_starts: Sequence[int] | Counts
    document_languages: tuple[str, ...]
    num_tokens: int

    def choose_windows(self, starts: Counts, draw: np.random.Generator, *, count: int) -> Counts:
        """``count`` windows of ``starts``, shuffled, some omitted and others repeated to balance the languages.

        A window belongs to the language it begins in.
        """
        documents = np.searchsorted(self.document_starts, starts, side="right") - 1
        languages, sizes = np.unique(np.array(self.document_languages)[documents], return_counts=True)
        counts = apportion(balance_shares(sizes, self.balance), count)
        chosen = [
            _draw_evenly(starts[np.array(self.document_languages)[documents] == language], share, draw)
            for language, share in zip(languages, counts.tolist(), strict=True)
        ]
        return draw.permutation(np.concatenate(chosen))

    def measure_shares(self) -> dict[str, float]:
        """Share of the training that each language gets, the language with most text first."""
        sizes: dict[str, int] = {}
        ends = np.append(self.document_starts[1:], self.num_tokens)
        for language, start, end in zip(self.document_languages, self.document_starts, ends, strict=True):
            sizes[language] = sizes.get(language, 0) + int(end - start)
        ranked = sorted(sizes, key=lambda language: -sizes[language])
        shares = balance_shares(np.array([sizes[language] for language in ranked]), self.balance)
        return dict(zip(ranked, shares.tolist(), strict=True))


def balance_shares(sizes: Counts, balance: float) -> npt.NDArray[np.float64]:
    """Shares that add up to 1; every size is above 0."""
    weights = (sizes / sizes.max()) ** (1 - balance)
    return np.asarray(weights / weights.sum())


def apportion(shares: npt.NDArray[np.float64], total: int) -> Counts:
    """Whole numbers that add up to ``total``, each within 1 of its exact share (largest remainder method)."""
    exact = shares * total
    counts = np.floor(exact).astype(np.int64)
    neediest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[neediest] += 1
    return counts


def _draw_evenly(windows: Counts, count: int, draw: np.random.Generator) -> Counts:
    """Draw ``count`` windows; repeat none until all have been drawn."""
    rounds = -(-count // len(windows))
    orders = [draw.permutation(windows) for _ in range(rounds)]
    return np.concatenate(orders)[:count] if orders else windows[:0]
