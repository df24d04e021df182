"""Trials at the same time, in worker processes forked from the one that is prepared for them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_function: Callable[[Any], Any]


def map_forked(function: Callable[[Any], Any], items: Iterable[Any], *, workers: int) -> Iterator[Any]:
    """Results of ``function`` as they come; it is not sent to the workers, they are forked with it."""
    global _function  # noqa: PLW0603 - where forked workers find it
    _function = function
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(_call, items)


def _call(item: Any) -> Any:
    return _function(item)
