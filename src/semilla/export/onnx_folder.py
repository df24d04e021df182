"""The float32 graph for ONNX Runtime and other readers of ONNX, with its SentencePiece model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from semilla.export.float32_graph import build_graph
from semilla.export.parity import Parity, compare_ids, compare_logits, list_lines
from semilla.export.trained_model import Ids, Logits, TrainedModel
from semilla.records.files import write_bytes
from semilla.tokenizer.tokenizer import Tokenizer

MODEL = "model.onnx"
TOKENIZER = "tokenizer.model"
PROGRAM = f"onnxruntime {onnxruntime.__version__}"

USE = """```python
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: the library would report its use to its vendor
import numpy, onnxruntime, sentencepiece

tokenizer = sentencepiece.SentencePieceProcessor(model_file="tokenizer.model")
session = onnxruntime.InferenceSession("model.onnx")
# Every text starts with the token START_ID; the model ends it with the token 2.
ids = numpy.array([[START_ID, *tokenizer.encode("Once upon a time")]])
cache = {one.name: numpy.zeros((0, one.shape[1]), "float32") for one in session.get_inputs()[1:]}
logits, *new_rows = session.run(None, {"input_ids": ids, **cache})
```

`logits` [1, vocabulary] are those of the next token. To continue, append `new_rows` to the rows of `cache` (they are in
the same order) and pass only the new token."""


def write(folder: Path, trained: TrainedModel) -> None:
    write_bytes(folder / MODEL, build_graph(trained.weights, model=trained.model, version=trained.version))
    write_bytes(folder / TOKENIZER, trained.tokenizer_model)


def check(folder: Path, trained: TrainedModel) -> Parity:
    """Run the exported files; ValidationFailureError when their results differ from the trained model's."""
    tokenizer = Tokenizer((folder / TOKENIZER).read_bytes())
    return Parity(
        (
            compare_ids(tokenizer.encode, trained, program="sentencepiece", lines=list_lines(trained)),
            compare_logits(open_scorer(str(folder / MODEL)), trained, program=PROGRAM),
        )
    )


def open_scorer(graph: str | bytes) -> Callable[[Ids], Logits]:
    """Open a graph, by path or content. The function returned runs a context in two halves, to use the KV cache."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    caches = session.get_inputs()[1:]

    def run(ids: Ids, rows: list[Logits]) -> list[Logits]:
        past = {cache.name: row for cache, row in zip(caches, rows, strict=True)}
        outputs: list[Logits] = session.run(None, {"input_ids": ids[None], **past})
        return outputs

    def score(ids: Ids) -> Logits:
        empty = [np.zeros((0, cache.shape[1]), np.float32) for cache in caches]
        half = len(ids) // 2
        rows = run(ids[:half], empty)[1:] if half else empty
        return run(ids[half:], rows)[0]

    return score
