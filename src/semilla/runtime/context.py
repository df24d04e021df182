"""What a network has read of one text, and what it chose to follow.

After every token a processor's small caches are full of weights, and whatever else runs has to be fetched anew: a
dozen calls of NumPy cost as much as half the network. So all arrays are bound to the graph once, the token it
chooses is written to where it reads the next one, and a step in between changes four numbers.
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

Scores: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]

LAST = np.array([-1], np.int64)
GREEDY = GenerationSettings(temperature=0, repetition_penalty=1)
LEAST_TEMPERATURE = 1e-6
"""Below this the likeliest token is certain, and float32 might overflow."""


class Context:
    """The tokens read, their keys and values, and the token to follow: ``next_id``.

    A model knows no positions beyond the length it was trained on. When that is reached, the later half of
    the tokens is read again into an empty cache and the rest is forgotten: text may go on for ever, at the
    price of one re-reading per half context (a few steps' time). Merely dropping the oldest rows would keep
    keys that have seen, and positions that count, tokens no longer there: training never showed that to the
    model. Refusing to go on would make ``max_tokens`` mean something else for every prompt.

    ``draw`` gives the number from 0 to 1 that decides a choice. Without ``settings`` the likeliest is chosen.
    """

    def __init__(
        self, network: Network, *, settings: GenerationSettings = GREEDY, draw: Callable[[], float] = float
    ) -> None:
        self.capacity = network.capacity
        self._network, self._draw, self._length = network, draw, 0
        # Where nothing was read yet the first token stands again: the graph always penalises a full array.
        self._ids, self._positions = np.zeros(self.capacity, np.int64), np.arange(self.capacity)
        self._next, self._last = np.zeros((1, 1), np.int64), np.zeros(1, np.int32)
        self._total, self._drawn = np.zeros(1, np.int32), np.zeros(1, np.float32)
        choice = describe_choice(settings, vocab_size=network.vocab_size)
        self._best = np.zeros((1, 1, int(choice["count"][0])), np.float32)
        # Memory is taken up page by page as rows are written, so a short text never pays for a long context.
        self._caches = {name: np.empty(shape, np.float32) for name, shape in network.caches.items()}
        self._inputs: dict[str, Array] = {
            "last_position": self._last,
            "length": self._total.reshape(()),
            "seen": self._ids.reshape(1, 1, -1),
            "uniform": self._drawn,
            **choice,
            **{f"past.{name}": cache for name, cache in self._caches.items()},
        }
        self._step = self._bind(self._next)
        # Numbers are read and written through memoryviews, in half the time of NumPy's indexing.
        self._noted, self._following = _view(self._ids), _view(self._next)
        self._written = tuple(_view(array) for array in (self._last, self._total, self._drawn, self._best))

    @property
    def token_ids(self) -> Ids:
        return self._ids[: self._length]

    @property
    def next_id(self) -> int:
        return int(self._following[0])

    def read(self, token_ids: Sequence[int] | Ids) -> None:
        """Read at least one token more, and choose the next."""
        if self._length + len(token_ids) > self.capacity:
            token_ids = np.concatenate([self.token_ids, token_ids])[-(self.capacity // 2) :]
            self._length = 0
        for part in self._cut(token_ids):
            if len(part) == 1:  # as most prompts that are empty; binding takes longer than reading
                self._following[0] = part[0]
                self._run(self._step, self._length + 1)
            else:
                self._run(self._bind(part[None]), self._length + len(part))

    def advance(self) -> int:
        """Read the token chosen, choose the one after it, and return that."""
        following: int = self._following[0]
        if self._length == self.capacity:
            self.read([following])
        else:
            self._noted[self._length] = following
            self._run(self._step, self._length + 1)
        return self.next_id

    def score(self, token_ids: Sequence[int] | Ids) -> Scores:
        """Read tokens that still fit and return the scores (logits) [T, vocabulary] after each of them."""
        assert self._length + len(token_ids) <= self.capacity
        scores, start = np.empty((1, len(token_ids), self._network.vocab_size), np.float32), 0
        for part in self._cut(token_ids):
            end = start + len(part)
            self._run(self._bind(part[None], scores[:, start:end]), self._length + len(part))
            start = end
        whole: Scores = scores[0]
        return whole

    def forget(self, *, from_position: int) -> None:
        """Take back what was read from ``from_position`` on."""
        assert 0 < from_position <= self._length
        self._length = from_position
        self._ids[from_position:] = self._ids[0]

    def _cut(self, token_ids: Sequence[int] | Ids) -> Iterator[Ids]:
        """Note tokens, part by part as they are read, and hand out the notes."""
        ids = np.array(token_ids, np.int64)
        if self._length == 0:
            self._ids[:] = ids[0]
        for start in range(0, len(ids), self._network.part_length):
            part = ids[start : start + self._network.part_length]
            noted = self._ids[self._length : self._length + len(part)]
            noted[:] = part
            yield noted

    def _run(self, binding: onnxruntime.IOBinding, length: int) -> None:
        last, total, drawn, best = self._written
        last[0], total[0], drawn[0] = length - 1, length, self._draw()
        try:
            self._network.session.run_with_iobinding(binding)  # run options, even empty ones, cost 50 µs
        except Exception as error:
            raise translate(error, "the model cannot be run") from error
        if not math.isfinite(best[0]):
            raise IntegrityError(
                "the model computed scores that are not finite numbers; its weights are damaged"
            )
        self._length = length

    def _bind(self, token_ids: Ids, scores: Scores | None = None) -> onnxruntime.IOBinding:
        """Tell the graph where its inputs lie and where its outputs go: the choice, or all ``scores`` [1, T, V].

        The binding keeps addresses, not arrays: each of them lives as long as this context.
        """
        binding = self._network.session.io_binding()
        scored = LAST if scores is None else self._positions[: token_ids.shape[1]]
        inputs: dict[str, Array] = {**self._inputs, "input_ids": token_ids, "scored": scored}
        outputs: dict[str, Array] = {"next_id": self._next[None], "best_scores": self._best}
        if scores is not None:
            outputs = {"logits": scores}
        # The rows of new tokens are written into the cache.
        outputs |= {f"present.{name}": cache for name, cache in self._caches.items()}
        for name, array in inputs.items():
            binding.bind_input(name, *_locate(array))
        for name, array in outputs.items():
            binding.bind_output(name, *_locate(array))
        return binding


def describe_choice(settings: GenerationSettings, *, vocab_size: int) -> dict[str, Array]:
    """The settings as the graph's inputs."""
    is_greedy = settings.temperature < LEAST_TEMPERATURE
    count = 1 if is_greedy else min(settings.top_k or vocab_size, vocab_size)
    numbers = {
        "penalty": settings.repetition_penalty,
        "penalty_squared": settings.repetition_penalty**2,
        "temperature": 1.0 if is_greedy else settings.temperature,
        "top_p": settings.top_p,
    }
    return {
        "count": np.array([count]),
        **{name: np.array([value], np.float32) for name, value in numbers.items()},
    }


def _view(array: Array) -> Any:
    return array.reshape(-1).data


def _locate(array: Array) -> tuple[str, int, Any, tuple[int, ...], int]:
    """Device, its number, element type, shape and address, as bindings ask for them."""
    assert array.flags.c_contiguous
    return "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
