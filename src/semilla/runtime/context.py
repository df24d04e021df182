"""Reads tokens into a KV cache and chooses the next one, one forward pass at a time.

After every token the processor's small caches are full of weights, so code that runs between two forward passes has to
be fetched again: a dozen NumPy calls cost as much as half the network. So all arrays are bound to the graph once, the
graph writes the chosen token where it reads its next input, and Python changes four numbers between two passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from random import Random
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime

from semilla.errors import IntegrityError
from semilla.runtime.bundle import GenerationSettings
from semilla.runtime.network import Network

Logits: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]

NOT_FINITE = "the model computed NaN or infinity; its weights are damaged"
LAST = np.array([-1], np.int64)
GREEDY = GenerationSettings(temperature=0, repetition_penalty=1)
LEAST_TEMPERATURE = 1e-6
"""Below this the likeliest token is certain, and float32 might overflow."""


class Arrays:
    """What the graph reads and writes for B texts. Those of some of them are views of the same memory."""

    def __init__(self, network: Network, settings: GenerationSettings, *, num_texts: int = 1) -> None:
        self.network = network
        self.sampling = make_sampling_inputs(settings, vocab_size=network.vocab_size)
        self.ids = np.zeros((num_texts, network.capacity), np.int64)
        self.next = np.zeros((num_texts, 1), np.int64)
        self.last, self.total = np.zeros(num_texts, np.int32), np.zeros(1, np.int32)
        self.drawn = np.zeros(num_texts, np.float32)
        self.best = np.zeros((num_texts, 1, int(self.sampling["count"][0])), np.float32)
        # np.empty: memory is used page by page as rows are written, so a short text needs little of it.
        self.caches = {
            name: np.empty((num_texts, *shape), np.float32) for name, shape in network.caches.items()
        }

    def take(self, start: int, end: int) -> Arrays:
        """The arrays of the texts from ``start`` to ``end``."""
        part = copy(self)
        part.ids, part.next, part.last = self.ids[start:end], self.next[start:end], self.last[start:end]
        part.drawn, part.best = self.drawn[start:end], self.best[start:end]
        part.caches = {name: cache[start:end] for name, cache in self.caches.items()}
        return part

    def bind(
        self, token_ids: Ids, *, scored: Ids = LAST, outputs: Mapping[str, Array] | None = None
    ) -> onnxruntime.IOBinding:
        """Bind the graph to these arrays, to read ``token_ids`` [B, T].

        ``outputs`` are bound instead of the chosen tokens. A binding holds addresses, not arrays: each array must live
        as long as the binding is used.
        """
        binding = self.network.session.io_binding()
        inputs: dict[str, Array] = {
            "input_ids": token_ids,
            "last_position": self.last,
            "length": self.total.reshape(()),
            "scored": scored,
            "seen": self.ids[:, None],
            "uniform": self.drawn.reshape((-1, 1, 1) if self.network.takes_batches else -1),
            **self.sampling,
            **{f"past.{name}": cache for name, cache in self.caches.items()},
        }
        # The keys and values of new tokens are written into the cache in place.
        caches = {f"present.{name}": cache for name, cache in self.caches.items()}
        chosen: Mapping[str, Array] = {"next_id": self.next[:, None], "best_scores": self.best}
        for name, array in inputs.items():
            binding.bind_input(name, *_locate(array))
        for name, array in {**(chosen if outputs is None else outputs), **caches}.items():
            binding.bind_output(name, *_locate(array))
        return binding


class Context:
    """The tokens read so far, their KV cache, and the token chosen to follow them: ``next_id``.

    A model knows no positions beyond its training length. When the context is full, the later half of the tokens is
    read again into an empty cache and the rest is forgotten, so generation can go on forever; each refill costs as
    much as a few steps. Merely dropping the oldest rows would keep keys that have attended to dropped tokens, at
    positions that count them, which the model never saw in training. Stopping at a full context would make
    ``max_tokens`` mean something else for every prompt.

    ``draw`` returns the uniform number from 0 to 1 that decides a choice. ``arrays`` are those of one text. With
    ``keeps_logits``, ``logits`` [vocabulary] are those that the next token was chosen from.
    """

    def __init__(
        self, arrays: Arrays, *, draw: Callable[[], float] = float, keeps_logits: bool = False
    ) -> None:
        self._network, self._arrays, self.draw = arrays.network, arrays, draw
        self.capacity, self._length = arrays.network.capacity, 0
        self._ids: Ids = arrays.ids[0]
        self.logits = np.zeros(self._network.vocab_size, np.float32) if keeps_logits else None
        # Memoryviews read and write single numbers in half the time of NumPy's indexing.
        self._id_view, self._next_view = _view(self._ids), _view(arrays.next)
        self._last_view, self._total_view = _view(arrays.last), _view(arrays.total)
        self._drawn_view, self._best_view = _view(arrays.drawn), _view(arrays.best)

    @cached_property
    def _step(self) -> onnxruntime.IOBinding:
        """What reads the next token; a batch has a binding of its own."""
        binding = self._arrays.bind(self._arrays.next)
        if self.logits is not None:
            binding.bind_output("logits", *_locate(self.logits[None, None]))
        return binding

    @property
    def token_ids(self) -> Ids:
        return self._ids[: self._length]

    @property
    def next_id(self) -> int:
        return int(self._next_view[0])

    def read(self, token_ids: Sequence[int] | Ids) -> None:
        """Read one or more further tokens, and choose the next one."""
        self.store(token_ids)
        self.advance()

    def store(self, token_ids: Sequence[int] | Ids) -> None:
        """Read all but the last of some further tokens, and leave that one for the next step."""
        ids = np.array(token_ids, np.int64)
        if self._length + len(ids) > self.capacity:
            ids = np.concatenate([self.token_ids, ids])[-(self.capacity // 2) :]
            self._length = 0
        if self._length == 0:
            # Unused places repeat the first token, because the graph always penalizes the full array.
            self._ids[:] = ids[0]
        for chunk in self._append(ids[:-1]):
            self._run(self._arrays.bind(chunk[None]), self._length + len(chunk))
        self._next_view[0] = ids[-1]

    def advance(self) -> int:
        """Read the token chosen last, choose the one after it, and return that."""
        self.place()
        self._network.run(self._step)
        if not math.isfinite(self._best_view[0]):
            raise IntegrityError(NOT_FINITE)
        return self.next_id

    def place(self) -> int:
        """Set the inputs of a step, which may be one of a batch; return the length of the context after it."""
        length = self._length
        if length == self.capacity:
            self.store([self._next_view[0]])
            length = self._length
        self._id_view[length] = self._next_view[0]
        self._last_view[0], self._drawn_view[0] = length, self.draw()
        self._length = self._total_view[0] = length = length + 1
        return length

    def copy(self, other: Context) -> None:
        """Become what ``other`` is."""
        self.draw, self._length = other.draw, other._length
        self._ids[:] = other._ids
        self._next_view[0] = other._next_view[0]
        for name, cache in self._arrays.caches.items():
            cache[:, :, : self._length] = other._arrays.caches[name][:, :, : self._length]

    def compute_logits(self, token_ids: Sequence[int] | Ids) -> Logits:
        """Read tokens that still fit, and return the logits [T, vocabulary] after each of them."""
        assert self._length + len(token_ids) <= self.capacity
        logits, start = np.empty((1, len(token_ids), self._network.vocab_size), np.float32), 0
        positions = np.arange(self.capacity)
        for chunk in self._append(np.array(token_ids, np.int64)):
            end = start + len(chunk)
            binding = self._arrays.bind(
                chunk[None], scored=positions[: len(chunk)], outputs={"logits": logits[:, start:end]}
            )
            self._run(binding, self._length + len(chunk))
            start = end
        rows: Logits = logits[0]
        return rows

    def forget(self, *, from_position: int) -> None:
        """Remove the tokens from ``from_position`` on."""
        assert 0 <= from_position <= self._length
        self._length = from_position
        self._ids[from_position:] = self._ids[0]

    def _append(self, ids: Ids) -> Iterator[Ids]:
        """Store tokens chunk by chunk, as they are read, and yield a view of each chunk."""
        for start in range(0, len(ids), self._network.chunk_tokens):
            chunk = ids[start : start + self._network.chunk_tokens]
            stored = self._ids[self._length : self._length + len(chunk)]
            stored[:] = chunk
            yield stored

    def _run(self, binding: onnxruntime.IOBinding, length: int) -> None:
        self._last_view[0], self._total_view[0] = length - 1, length
        self._network.run(binding)
        self._length = length


def open_random(seed: int) -> Callable[[], float]:
    """The random numbers of one text, one a choice."""
    return Random(seed).random  # noqa: S311 - a text, not a secret


def make_sampling_inputs(settings: GenerationSettings, *, vocab_size: int) -> dict[str, Array]:
    """The settings as the graph's inputs for sampling."""
    is_greedy = settings.temperature < LEAST_TEMPERATURE
    count = 1 if is_greedy else min(settings.top_k or vocab_size, vocab_size)
    numbers = {
        "penalty": settings.repetition_penalty,
        "penalty_squared": settings.repetition_penalty**2,
        "temperature": 1.0 if is_greedy else settings.temperature,
        "top_p": settings.top_p,
    }
    inputs: dict[str, Array] = {name: np.array([value], np.float32) for name, value in numbers.items()}
    return {"count": np.array([count]), **inputs}


def _view(array: Array) -> Any:
    return array.reshape(-1).data


def _locate(array: Array) -> tuple[str, int, Any, tuple[int, ...], int]:
    """The arguments of a binding: device, its number, element type, shape and address."""
    assert array.flags.c_contiguous
    return "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
