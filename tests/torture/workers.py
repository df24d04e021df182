"""Trials at the same time, in worker processes forked from the one that is prepared for them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_function: Callable[[Any], Any]


def map_forked(function: Callable[[Any], Any], items: Iterable[Any], *, workers: int) -> Iterator[Any]:
    """Results of ``function`` as they come; it is not sent to the workers, they are forked with it.

    Whoever stops listening waits for those under way, which may have a file system to unmount; no more are begun.
    """
    global _function  # noqa: PLW0603 - where forked workers find it
    context = multiprocessing.get_context("fork")
    is_over = context.Event()
    _function = lambda item: None if is_over.is_set() else function(item)  # noqa: E731
    with context.Pool(workers) as pool:
        try:
            yield from pool.imap_unordered(_call, items)
        finally:
            is_over.set()
            pool.close()
            pool.join()


def _call(item: Any) -> Any:
    return _function(item)
