"""A GGUF file loaded in llama.cpp itself, through llama-cpp-python where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from semilla.export.parity import Comparison, compare_ids, compare_logits, find_covered, list_lines
from semilla.export.trained_model import Ids, Logits, TrainedModel

PROGRAM = f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"


def compare_loaded(path: Path, trained: TrainedModel, *, limit: float | None) -> tuple[Comparison, ...]:
    """Load the file. The ids of all covered lines must agree, and the logits within ``limit``, if any."""
    with open_llama(path, num_context=trained.model["max_position_embeddings"]) as llama:

        def score(ids: Ids) -> Logits:
            llama.reset()
            llama.eval(ids.tolist())
            return np.array(llama.scores[: len(ids)])

        lines = find_covered(trained, list_lines(trained))
        return (
            compare_ids(lambda line: tokenize(llama, line), trained, program=PROGRAM, lines=lines),
            compare_logits(score, trained, program=PROGRAM, limit=limit),
        )


@contextmanager
def open_llama(path: Path, *, num_context: int) -> Iterator[Any]:
    """Open a file for exact comparison: one thread, a float32 KV cache, logits of every token."""
    llama = llama_cpp.Llama(
        str(path),
        n_ctx=num_context,
        n_batch=num_context,
        n_threads=1,
        logits_all=True,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        verbose=False,
    )
    try:
        yield llama
    finally:
        llama.close()


def tokenize(llama: Any, text: str) -> list[int]:
    """Encode plain text: nothing is put before it, and names of control tokens are text."""
    return list(llama.tokenize(text.encode(), add_bos=False, special=False))
