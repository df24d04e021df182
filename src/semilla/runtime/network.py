"""Opens the bundle's graph in ONNX Runtime.

Why ONNX Runtime and not NumPy, although with 1 MB of weights both spend much of the time on starting operators:
benchmarks/device/run.py measures both, and docs/experiments has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from semilla.errors import IncompatibleError, IntegrityError, OutOfMemoryError, SemillaError
from semilla.runtime.bundle import Bundle
from semilla.runtime.operators import check_operators

SCORE_BYTES = 2 * 2**20
"""The largest attention score matrix of a layer; a long prompt is read in chunks that keep to it."""

HEAD_MULTIPLE = 16
"""The fused attention takes head widths that are a multiple of this; others are padded with zeros."""


ACCURACY_LEVEL = b"accuracy_level\x18"
"""An attribute's name in the file, and the tag of its number: 4 allows products of integers, 1 is float32."""


class Network:
    """An inference session and the shapes of the arrays bound to it. Threads may share it.

    Raises IncompatibleError unless the graph has the inputs and outputs that the description says.
    """

    def __init__(self, bundle: Bundle, *, num_threads: int = 1, portable: bool = False) -> None:
        self.session = _open_session(bundle.model_path, num_threads=num_threads, portable=portable)
        self.capacity: int = bundle.model["max_position_embeddings"]
        self.vocab_size: int = bundle.model["vocab_size"]
        shapes = {value.name: value.shape for value in self.session.get_inputs()}
        self.caches: dict[str, tuple[int, ...]] = {
            name.removeprefix("past."): tuple(shape[1:])
            for name, shape in shapes.items()
            if name.startswith("past.")
        }
        """Of one text."""
        self.portable = portable
        self.takes_batches = len(shapes.get("uniform", ())) > 1
        """Whether a call can read several texts; those of bundles up to version 2 cannot."""
        if not self._is_as_described(bundle.model):
            raise IncompatibleError(f"{bundle.model_path} has another shape than its description says")
        self.chunk_tokens = count_chunk_tokens(bundle.model)

    def run(self, binding: onnxruntime.IOBinding) -> None:
        try:
            self.session.run_with_iobinding(binding)  # run options, even empty ones, cost 50 µs
        except Exception as error:
            raise translate(error, "the model cannot be run") from error

    def _is_as_described(self, model: Mapping[str, Any]) -> bool:
        heads, layers = model["num_attention_heads"], range(model["num_hidden_layers"])
        head_width = -(-(model["hidden_size"] // heads) // HEAD_MULTIPLE) * HEAD_MULTIPLE
        names = [f"{layer}.{kind}" for layer in layers for kind in ("key", "value")]
        expected = dict.fromkeys(names, (heads, self.capacity, head_width))
        logits_shape = self.session.get_outputs()[0].shape
        return self.caches == expected and logits_shape[-1] == self.vocab_size


def count_chunk_tokens(model: Mapping[str, Any]) -> int:
    """How many tokens of a long prompt are read at a time."""
    return max(1, int(SCORE_BYTES // (4 * model["num_attention_heads"] * model["max_position_embeddings"])))


def _open_session(path: Path, *, num_threads: int, portable: bool) -> onnxruntime.InferenceSession:
    """Open with default memory options: arena and memory patterns change neither speed nor memory here.

    A ``portable`` session does not round activations to 8 bits, which enlarges the last bits that differ between
    processors, and which processors without integer kernels do not do.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    # Failures arrive as exceptions; the log would repeat them on standard error.
    options.log_severity_level = 4
    check_operators(path)
    try:
        # By path: given as bytes, the file is in memory twice while it is read.
        model: str | bytes = str(path)
        if portable:
            model = path.read_bytes().replace(ACCURACY_LEVEL + b"\x04", ACCURACY_LEVEL + b"\x01")
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise translate(error, f"{path} cannot be loaded") from error


def translate(error: Exception, what: str) -> SemillaError:
    """Our error for one of ONNX Runtime, which has no class for out of memory: only the C++ message tells."""
    if isinstance(error, MemoryError) or "alloc" in str(error).lower():
        return OutOfMemoryError(f"out of memory: {what}")
    return IntegrityError(f"{what}: {error}")
