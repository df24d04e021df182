"""Parallel trials, in worker processes forked from the prepared one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_function: Callable[[Any], Any]


def map_forked(function: Callable[[Any], Any], items: Iterable[Any], *, workers: int) -> Iterator[Any]:
    """Yield results of ``function`` as they come; the workers are forked with it, so it is not pickled.

    When the caller stops early, no more trials start, and those under way finish: they may have a file system to
    unmount.
    """
    global _function  # noqa: PLW0603 - forked workers read it here
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
