"""The bundle's graph in ONNX Runtime.

ONNX Runtime and not NumPy, though at one megabyte of weights much of the time goes into starting operators in either:
benchmarks/device/run.py has the figures, docs/experiments what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from semilla.errors import IncompatibleError, IntegrityError, OutOfMemoryError, SemillaError
from semilla.runtime.bundle import Bundle

SCORE_BYTES = 2 * 2**20
"""Attention scores of a layer at once: long prompts are read in parts of this size."""

HEAD_MULTIPLE = 16
"""The fused attention takes head widths that this divides; others are filled up with zeros."""


class Network:
    """A session, and the shapes of what is bound to it. Threads may share it.

    Raises IncompatibleError unless the graph reads and writes what the description says.
    """

    def __init__(self, bundle: Bundle, *, num_threads: int = 1) -> None:
        self.session = _open_session(bundle.model_path, num_threads=num_threads)
        self.capacity: int = bundle.model["max_position_embeddings"]
        self.vocab_size: int = bundle.model["vocab_size"]
        self.caches: dict[str, tuple[int, ...]] = {
            value.name.removeprefix("past."): tuple(value.shape)
            for value in self.session.get_inputs()
            if value.name.startswith("past.")
        }
        if not self._is_as_described(bundle.model):
            raise IncompatibleError(f"{bundle.model_path} has another shape than its description says")
        self.part_length = max(1, SCORE_BYTES // (4 * bundle.model["num_attention_heads"] * self.capacity))

    def _is_as_described(self, model: Mapping[str, Any]) -> bool:
        heads, layers = model["num_attention_heads"], range(model["num_hidden_layers"])
        head_width = -(-(model["hidden_size"] // heads) // HEAD_MULTIPLE) * HEAD_MULTIPLE
        names = [f"{layer}.{kind}" for layer in layers for kind in ("key", "value")]
        scored = self.session.get_outputs()[0].shape
        expected = dict.fromkeys(names, (1, heads, self.capacity, head_width))
        return self.caches == expected and scored[-1] == self.vocab_size


def _open_session(path: Path, *, num_threads: int) -> onnxruntime.InferenceSession:
    """Open with the default allocator: arena and memory patterns on or off, speed and memory are the same here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    # Failures arrive as exceptions; the log would repeat them on standard error.
    options.log_severity_level = 4
    try:
        # By path: given as bytes, the file would be in memory twice while it is read.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise translate(error, f"{path} cannot be loaded") from error


def translate(error: Exception, what: str) -> SemillaError:
    """ONNX Runtime has no class for lack of memory; the text of the C++ exception tells."""
    if isinstance(error, MemoryError) or "alloc" in str(error).lower():
        return OutOfMemoryError(f"out of memory: {what}")
    return IntegrityError(f"{what}: {error}")
