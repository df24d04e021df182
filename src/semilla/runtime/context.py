"""Reads tokens into a KV cache and chooses the next one, one forward pass at a time.

After every token the processor's small caches are full of weights, so code that runs between two forward passes has to
be fetched again: a dozen NumPy calls cost as much as half the network. So all arrays are bound to the graph once, the
graph writes the chosen token where it reads its next input, and Python changes four numbers between two passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime

from semilla.errors import IntegrityError
from semilla.runtime.bundle import GenerationSettings
from semilla.runtime.network import Network, translate

Logits: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]

LAST = np.array([-1], np.int64)
GREEDY = GenerationSettings(temperature=0, repetition_penalty=1)
LEAST_TEMPERATURE = 1e-6
"""Below this the likeliest token is certain, and float32 might overflow."""


class Context:
    """The tokens read so far, their KV cache, and the token chosen to follow them: ``next_id``.

    A model knows no positions beyond its training length. When the context is full, the later half of the tokens is
    read again into an empty cache and the rest is forgotten, so generation can go on forever; each refill costs as
    much as a few steps. Merely dropping the oldest rows would keep keys that have attended to dropped tokens, at
    positions that count them, which the model never saw in training. Stopping at a full context would make
    ``max_tokens`` mean something else for every prompt.

    ``draw`` returns the uniform number from 0 to 1 that decides a choice. The default settings are greedy. With
    ``keeps_logits``, ``logits`` [vocabulary] are those that the next token was chosen from.
    """

    def __init__(
        self,
        network: Network,
        *,
        settings: GenerationSettings = GREEDY,
        draw: Callable[[], float] = float,
        keeps_logits: bool = False,
    ) -> None:
        self.capacity = network.capacity
        self._network, self._draw, self._length = network, draw, 0
        # Unused places repeat the first token, because the graph always penalizes the full array.
        self._ids, self._positions = np.zeros(self.capacity, np.int64), np.arange(self.capacity)
        self._next, self._last = np.zeros((1, 1), np.int64), np.zeros(1, np.int32)
        self._total, self._drawn = np.zeros(1, np.int32), np.zeros(1, np.float32)
        sampling = make_sampling_inputs(settings, vocab_size=network.vocab_size)
        self._best = np.zeros((1, 1, int(sampling["count"][0])), np.float32)
        self.logits = np.zeros(network.vocab_size, np.float32) if keeps_logits else None
        # np.empty: memory is used page by page as rows are written, so a short text needs little of it.
        self._caches = {name: np.empty(shape, np.float32) for name, shape in network.caches.items()}
        self._inputs: dict[str, Array] = {
            "last_position": self._last,
            "length": self._total.reshape(()),
            "seen": self._ids.reshape(1, 1, -1),
            "uniform": self._drawn,
            **sampling,
            **{f"past.{name}": cache for name, cache in self._caches.items()},
        }
        self._step = self._bind(self._next)
        # Memoryviews read and write single numbers in half the time of NumPy's indexing.
        self._id_view, self._next_view = _view(self._ids), _view(self._next)
        self._number_views = tuple(map(_view, (self._last, self._total, self._drawn, self._best)))

    @property
    def token_ids(self) -> Ids:
        return self._ids[: self._length]

    @property
    def next_id(self) -> int:
        return int(self._next_view[0])

    def read(self, token_ids: Sequence[int] | Ids) -> None:
        """Read one or more further tokens, and choose the next one."""
        if self._length + len(token_ids) > self.capacity:
            token_ids = np.concatenate([self.token_ids, token_ids])[-(self.capacity // 2) :]
            self._length = 0
        for chunk in self._append(token_ids):
            if len(chunk) == 1:  # every empty prompt; a new binding would take longer than the forward pass
                self._next_view[0] = chunk[0]
                self._run(self._step, self._length + 1)
            else:
                self._run(self._bind(chunk[None]), self._length + len(chunk))

    def advance(self) -> int:
        """Read the chosen token, choose the one after it, and return that."""
        chosen: int = self._next_view[0]
        if self._length == self.capacity:
            self.read([chosen])
        else:
            self._id_view[self._length] = chosen
            self._run(self._step, self._length + 1)
        return self.next_id

    def compute_logits(self, token_ids: Sequence[int] | Ids) -> Logits:
        """Read tokens that still fit, and return the logits [T, vocabulary] after each of them."""
        assert self._length + len(token_ids) <= self.capacity
        logits, start = np.empty((1, len(token_ids), self._network.vocab_size), np.float32), 0
        for chunk in self._append(token_ids):
            end = start + len(chunk)
            self._run(self._bind(chunk[None], logits[:, start:end]), self._length + len(chunk))
            start = end
        rows: Logits = logits[0]
        return rows

    def forget(self, *, from_position: int) -> None:
        """Remove the tokens from ``from_position`` on."""
        assert 0 < from_position <= self._length
        self._length = from_position
        self._ids[from_position:] = self._ids[0]

    def _append(self, token_ids: Sequence[int] | Ids) -> Iterator[Ids]:
        """Store tokens chunk by chunk, as they are read, and yield a view of each chunk."""
        ids = np.array(token_ids, np.int64)
        if self._length == 0:
            self._ids[:] = ids[0]
        for start in range(0, len(ids), self._network.chunk_tokens):
            chunk = ids[start : start + self._network.chunk_tokens]
            stored = self._ids[self._length : self._length + len(chunk)]
            stored[:] = chunk
            yield stored

    def _run(self, binding: onnxruntime.IOBinding, length: int) -> None:
        last, total, drawn, best = self._number_views
        last[0], total[0], drawn[0] = length - 1, length, self._draw()
        try:
            self._network.session.run_with_iobinding(binding)  # run options, even empty ones, cost 50 µs
        except Exception as error:
            raise translate(error, "the model cannot be run") from error
        if not math.isfinite(best[0]):
            raise IntegrityError("the model computed NaN or infinity; its weights are damaged")
        self._length = length

    def _bind(self, token_ids: Ids, logits: Logits | None = None) -> onnxruntime.IOBinding:
        """Bind the graph's inputs and its output: the chosen token, or with ``logits`` [1, T, V] those of every row.

        A binding holds addresses, not arrays: each array must live as long as this context.
        """
        binding = self._network.session.io_binding()
        rows = LAST if logits is None else self._positions[: token_ids.shape[1]]
        inputs: dict[str, Array] = {**self._inputs, "input_ids": token_ids, "scored": rows}
        outputs: dict[str, Array] = {"next_id": self._next[None], "best_scores": self._best}
        if logits is not None:
            outputs = {"logits": logits}
        elif self.logits is not None:
            outputs["logits"] = self.logits[None, None]
        # The keys and values of new tokens are written into the cache in place.
        outputs |= {f"present.{name}": cache for name, cache in self._caches.items()}
        for name, array in inputs.items():
            binding.bind_input(name, *_locate(array))
        for name, array in outputs.items():
            binding.bind_output(name, *_locate(array))
        return binding


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
