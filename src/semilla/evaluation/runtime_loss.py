"""The loss of the model that ships, to set beside that of the model that was trained."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from semilla.runtime.session import Model


def measure_loss(
    model: Model, windows: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
) -> float:
    """Nats per token over ``windows`` of inputs and the targets that follow them, [T] each, T at most a context."""
    nats, num_tokens = 0.0, 0
    for inputs, targets in windows:
        scores = model.score(inputs)
        highest = scores.max(axis=1, keepdims=True)
        sums = np.exp(scores - highest).sum(axis=1, dtype=np.float64)
        chosen = scores[np.arange(len(targets)), targets] - highest[:, 0]
        nats += float((np.log(sums) - chosen).sum())
        num_tokens += len(targets)
    return nats / num_tokens
