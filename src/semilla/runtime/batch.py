"""Generates several texts together: one forward pass chooses the next token of each.

A pass over one text spends most of its time on starting operators and on reading weights. Both are shared by the texts
of a batch. The products of a row have the same bits in every batch (``semilla.export.int8_graph.LARGEST_BLOCK``), and
all else is computed per text, so a text does not depend on those beside it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import onnxruntime

from semilla.errors import IntegrityError
from semilla.runtime.bundle import GenerationSettings
from semilla.runtime.context import NOT_FINITE, Arrays, Context, open_random
from semilla.runtime.network import Network
from semilla.runtime.streams import TextStream

LARGEST_BATCH = 16
"""Beyond it, a token takes as long, and the KV caches leave the processor's caches."""
CACHE_BYTES = 64 * 2**20
"""KV caches of all batches that are generated at a time, as far as each has more than one text."""
TURN_S = 0.01
"""How long the threads work before they meet, which takes a hundredth of it."""


class Batch:
    """Texts that take part in every forward pass, and others that wait for the place of one that has ended."""

    def __init__(
        self, network: Network, settings: GenerationSettings, streams: Sequence[TextStream], *, largest: int
    ) -> None:
        self._network = network
        self._arrays = Arrays(network, settings, num_texts=min(largest, len(streams)))
        self._places = [Context(self._arrays.take(k, k + 1)) for k in range(len(self._arrays.ids))]
        self._bindings: dict[int, onnxruntime.IOBinding] = {}
        self._active: list[TextStream] = []
        self._waiting = deque(streams)
        self._prompt, self._prompt_ids = Context(Arrays(network, settings)), np.array([])

    def advance(self) -> bool:
        """Choose a token for each text that there is a place for; return whether any text goes on."""
        while self._waiting and len(self._active) < len(self._places):
            self._admit(self._waiting.popleft())
        if not self._active:
            return False
        active, arrays = self._active, self._arrays
        arrays.total[0] = max([place.place() for place in self._places[: len(active)]])
        self._network.run(self._bind(len(active)))
        if not np.isfinite(arrays.best[: len(active), 0, 0]).all():
            raise IntegrityError(NOT_FINITE)
        tokens = arrays.next[:, 0].tolist()
        for number in reversed(range(len(active))):
            stream = active[number]
            stream.push(tokens[number])
            if stream.ended:
                self._remove(number)
        return bool(self._active or self._waiting)

    def _admit(self, stream: TextStream) -> None:
        """Give a text the next place. Its prompt is read, unless the last text had the same."""
        if not np.array_equal(self._prompt_ids, stream.prompt_ids):
            self._prompt.forget(from_position=0)
            self._prompt.store(stream.prompt_ids)
            self._prompt_ids = stream.prompt_ids
        place = self._places[len(self._active)]
        place.copy(self._prompt)
        place.draw = open_random(stream.seed)
        self._active.append(stream)

    def _remove(self, number: int) -> None:
        """Take a text out. The last one moves to its place, so that those in use lie together."""
        last = self._active.pop()
        if number < len(self._active):
            self._active[number] = last
            self._places[number].copy(self._places[len(self._active)])

    def _bind(self, num_texts: int) -> onnxruntime.IOBinding:
        if num_texts not in self._bindings:
            arrays = self._arrays.take(0, num_texts)
            self._bindings[num_texts] = arrays.bind(arrays.next)
        return self._bindings[num_texts]


def open_batches(
    network: Network, settings: GenerationSettings, streams: Sequence[TextStream], *, num_threads: int
) -> None:
    """Have ``streams`` generated in batches, one in each thread, whenever one of them is read.

    A batch has a single place in the graph of an earlier Semilla, which reads one text at a time, and in a portable
    network, whose products may have other bits in a batch.
    """
    num_batches = max(1, min(num_threads, len(streams)))
    cache_bytes = 4 * sum(map(prod, network.caches.values()))
    largest = LARGEST_BATCH if network.takes_batches and not network.portable else 1
    largest = max(1, min(largest, CACHE_BYTES // (num_batches * cache_bytes)))
    batches = [
        Batch(network, settings, streams[start::num_batches], largest=largest) for start in range(num_batches)
    ]
    advance: Callable[[], object] = batches[0].advance if num_batches == 1 else _open_threads(batches)
    for stream in streams:
        stream.wait_for(advance)


def _open_threads(batches: Sequence[Batch]) -> Callable[[], object]:
    """A function that lets every batch take a turn in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - one text needs no threads

    pool = ThreadPoolExecutor(len(batches), thread_name_prefix="generation")

    def take_turn(batch: Batch) -> None:
        end_s = time.monotonic() + TURN_S
        while batch.advance() and time.monotonic() < end_s:
            pass

    def advance() -> None:
        for _ in pool.map(take_turn, batches):
            pass

    return advance
