"""How well a finished run's model predicts its held-out text, beside compressors that are good at text.

    python benchmarks/anchors.py RUN_DIRECTORY [--output FILE]

A compressor's figure is conditional: the compressed size of the training text and the held-out text together, less that
of the training text alone. It learns while it reads, which the model does not, so the model is measured in three ways:

- static: every token once, in windows side by side, as the run reports it;
- strided: every token with at least half a context before it, where the text has one;
- dynamic: strided, with a step of gradient descent on each window after it was scored (Krause et al. 2018,
  https://arxiv.org/abs/1709.07432). The rate is chosen on the end of the training text.

PPMd needs ``pip install pyppmd``, and zpaq the program of that name; without them their rows are missing. Writes JSON.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import shutil
import subprocess
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from machine_facts import describe_machine
from torch.nn.functional import cross_entropy

from semilla.corpus.manifest import read_documents
from semilla.export.trained_model import read_run
from semilla.model.transformer import Transformer
from semilla.records.run_configuration import read_run_configuration
from semilla.tokenizer.tokenizer import BEGIN_ID
from semilla.training.data import HeldOutText, TrainingData, build_data
from semilla.training.evaluate import evaluate

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Of the gradient descent. The best on the end of the training text is used."""
TUNING_SHARE = 0.05
"""Share of the training text that the rate is chosen on."""
MEMORY_BYTES = 2**30
"""Of PPMd: more than it needs for a text that trains a small model."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    documents = read_documents(arguments.run)
    training = "\n\n".join(text for one in documents for text in one.train_texts).encode()
    held_out = "\n\n".join(text for one in documents for text in one.validation_texts).encode()
    trained, _ = read_run(arguments.run)
    data = build_data(documents, trained.tokenizer, read_run_configuration(arguments.run))
    found = {
        "static": evaluate(trained.network, data).bits_per_byte["all"],
        "strided": score_strided(trained.network, data.held_out, length=data.length),
    }
    rate = choose_rate(trained.network, data)
    found["dynamic"] = score_strided(trained.network, data.held_out, length=data.length, rate=rate)
    found |= {
        name: measure_conditional(compress, training, held_out)
        for name, compress in list_compressors().items()
    }
    report = {
        **describe_machine(),
        "training_bytes": len(training),
        "held_out_bytes": len(held_out),
        "parameters": sum(parameter.numel() for parameter in trained.network.parameters()),
        "rate": rate,
        "bits_per_byte": found,
    }
    for name, figure in sorted(found.items(), key=lambda item: item[1]):
        print(f"{name:16} {figure:.4f} bits per byte")
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def score_strided(
    network: Transformer, texts: tuple[HeldOutText, ...], *, length: int, rate: float = 0.0
) -> float:
    """Bits per byte of ``texts``, in windows of ``length`` that overlap by half.

    With a ``rate``, a copy of the network takes a step of gradient descent on each window after scoring it.
    """
    network = deepcopy(network).eval()
    nats = 0.0
    for text in texts:
        inputs = np.concatenate([[BEGIN_ID], text.tokens[:-1]]).astype(np.int64)
        done = 0
        while done < len(inputs):
            start = max(0, done - length // 2)
            window = slice(start, start + length)
            inputs_1T, targets_T = (
                torch.from_numpy(inputs[window])[None],
                torch.from_numpy(text.tokens[window]).long(),
            )
            with torch.set_grad_enabled(rate > 0):
                losses_T = cross_entropy(
                    network.compute_logits(network(inputs_1T))[0], targets_T, reduction="none"
                )
            nats += losses_T[done - start :].sum().item()
            if rate:
                descend(network, losses_T[done - start :].mean(), rate=rate)
            done = start + len(targets_T)
    return nats / math.log(2) / sum(text.size_bytes for text in texts)


def descend(network: Transformer, loss: torch.Tensor, *, rate: float) -> None:
    """Take a step of plain gradient descent."""
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(rate * gradient)


def choose_rate(network: Transformer, data: TrainingData) -> float:
    """The rate that predicts the end of the training text best."""
    tokens = data.stream[-int(TUNING_SHARE * len(data.stream)) :]
    # The size only scales the figure.
    text = HeldOutText("", tokens, size_bytes=len(tokens))
    scores = {rate: score_strided(network, (text,), length=data.length, rate=rate) for rate in RATES}
    return min(scores, key=scores.__getitem__)


Compress = Callable[[bytes], int]


def list_compressors() -> Mapping[str, Compress]:
    """The compressors that are there, each as a function from a text to its compressed size in bytes."""
    found: dict[str, Compress] = {
        "xz -9e": lambda text: len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    }
    try:
        import pyppmd
    except ImportError:
        print("PPMd is left out: pip install pyppmd")
    else:
        found["PPMd order 10"] = lambda text: len(
            pyppmd.compress(text, max_order=10, mem_size=MEMORY_BYTES, variant="H")
        )
    if shutil.which("zpaq"):
        found["zpaq -m5"] = run_zpaq
    else:
        print("zpaq is left out: the program is not installed")
    return found


def run_zpaq(text: bytes) -> int:
    with TemporaryDirectory() as folder:
        Path(folder, "text").write_bytes(text)
        subprocess.run(
            ["zpaq", "add", "text.zpaq", "text", "-m5"], cwd=folder, check=True, capture_output=True
        )
        return Path(folder, "text.zpaq").stat().st_size


def measure_conditional(compress: Compress, training: bytes, held_out: bytes) -> float:
    """Bits per byte of the held-out text for a compressor that has read the training text."""
    return 8 * (compress(training + held_out) - compress(training)) / len(held_out)


if __name__ == "__main__":
    main()
