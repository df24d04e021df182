"""Make the run of the guide's first chapter, and record what the web edition's figures show of it.

The shares of attention and a histogram of weights go to docs/guide/recorded/figures.json. ``--from DIRECTORY`` takes
them from a finished run of that command instead.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from write_guide import FIGURES, GUIDE

from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.export.int8_graph import SYMMETRIC_ZERO, quantize
from semilla.guide.chapters import parse_chapter
from semilla.model.reference import ReferenceTransformer, apply_rotary
from semilla.records import names
from semilla.records.run_configuration import read_run_configuration
from semilla.tokenizer.tokenizer import Tokenizer, read_tokenizer
from semilla.training.checkpoints.seal import load_weights

SENTENCE = "Emma lost her red ball. A dog found the ball."
MATRIX = "model.layers.0.self_attn.v_proj.weight"
STEPS, BINS_PER_STEP = 8, 4
"""The histogram reaches from -STEPS to STEPS steps of int8 and has BINS_PER_STEP bins for each."""


def read_command() -> list[str]:
    """The words of the command in the first chapter, as a reader types them."""
    chapter = parse_chapter(
        (GUIDE / "01-overview.md").read_text(encoding="utf-8"), file_name="01-overview.md"
    )
    source = next(one.source for one in chapter.code_examples if one.source.startswith("$ semilla run"))
    return shlex.split(source.removeprefix("$ ").replace("\\\n", "").partition("\n")[0])


def record(directory: Path) -> None:
    """Write shares of attention and a histogram of weights of a run."""
    with torch.no_grad():
        model = load_model(directory)
        content = {
            "command": shlex.join(read_command()),
            "attention": measure_attention(model, directory),
            "weights": count_weights(model),
        }
    FIGURES.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def load_model(directory: Path) -> ReferenceTransformer:
    config = read_run_configuration(directory)
    model = ReferenceTransformer(config.model_architecture, vocab_size=load_tokenizer(directory).vocab_size)
    load_weights(directory / names.BEST_MODEL, model)
    return model.eval()


def load_tokenizer(directory: Path) -> Tokenizer:
    return read_tokenizer(find_tokenizer(read_run_configuration(directory), directory)[0])


def measure_attention(model: ReferenceTransformer, directory: Path) -> dict[str, Any]:
    """The shares [layer][head][query][key] that the model gives to the pieces of SENTENCE."""
    tokenizer = load_tokenizer(directory)
    ids = tokenizer.encode(SENTENCE).tolist()
    pieces = [tokenizer.list_pieces()[one][0] for one in ids]
    layers = model.model.layers
    inputs: list[torch.Tensor] = []
    hooks = [
        layer.self_attn.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
        for layer in layers
    ]
    model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    shares = [share_attention(layer.self_attn, x) for layer, x in zip(layers, inputs, strict=True)]
    return {"text": SENTENCE, "pieces": pieces, "shares": np.stack(shares).astype(float).round(3).tolist()}


def share_attention(attention: Any, x: torch.Tensor) -> Any:
    """The weights [head, query, key] of one layer's attention for its input [1, position, feature]."""
    query, key = (
        apply_rotary(projection(x).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2))[0]
        for projection in (attention.q_proj, attention.k_proj)
    )
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    later = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(-1).numpy()


def count_weights(model: ReferenceTransformer) -> dict[str, Any]:
    """Histograms of MATRIX before and after rounding to int8, in units of the step of each row."""
    matrix = model.state_dict()[MATRIX].numpy()
    whole, scales = quantize(matrix)
    filled = np.zeros(whole.shape, np.float32)
    filled.reshape(len(matrix), -1)[:, : matrix.shape[1]] = matrix
    edges = np.linspace(-STEPS, STEPS, 2 * STEPS * BINS_PER_STEP + 1) - 0.5 / BINS_PER_STEP
    before = np.histogram(filled / scales[:, :, None], edges)[0]
    after = np.histogram(whole.astype(np.int64) - SYMMETRIC_ZERO, edges)[0]
    return {
        "matrix": MATRIX,
        "count": matrix.size,
        "steps": STEPS,
        "float32": before.tolist(),
        "int8": after.tolist(),
    }


def main() -> None:
    if "--from" in sys.argv:
        record(Path(sys.argv[sys.argv.index("--from") + 1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", *read_command()], cwd=folder, check=True)
        record(Path(folder) / "data")


if __name__ == "__main__":
    main()
