"""Training that goes on from a finished model: its weights, its own text among the new one, and what became of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_manifest
from semilla.events import Note, Progress
from semilla.model.transformer import Transformer
from semilla.pipeline.start_model import StartModel, read_start
from semilla.records import names
from semilla.records.files import hash_file
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.training.checkpoints.seal import load_checked
from semilla.training.data import TrainingData, build_data
from semilla.training.evaluate import evaluate
from semilla.training.stored import START, open_store


@dataclass(frozen=True)
class Continuation:
    """The model that a training goes on from; ``own_data`` is its own text, None where there is none or the same."""

    start: StartModel
    own_data: TrainingData | None
    replay: float

    def add_text(self, data: TrainingData) -> TrainingData:
        """The training data with a share of the model's own text."""
        if not self.own_data or not self.replay:
            return data
        return replace(data, replayed=self.own_data, replay_share=self.replay)

    def load(self, model: Transformer) -> None:
        """Give ``model`` the weights of the start."""
        weights = {name: torch.tensor(value) for name, value in self.start.load_weights().items()}
        load_checked(weights, model, name=str(self.start.directory))

    def compare(
        self, model: Transformer, weights: Mapping[str, torch.Tensor], data: TrainingData
    ) -> dict[str, Any]:
        """Bits per byte of the new text and of the model's own, before and after; ``model`` ends with ``weights``."""
        texts = {"this_text": data} | ({"own_text": self.own_data} if self.own_data else {})
        bits: dict[str, dict[str, float]] = {name: {} for name in texts}
        load_after = partial(load_checked, dict(weights), model, name="the trained model")
        for moment, load in (("before", partial(self.load, model)), ("after", load_after)):
            load()
            for name, text in texts.items():
                bits[name][moment] = evaluate(model, text).bits_per_byte["all"]
        return {
            "directory": str(self.start.directory),
            "version": self.start.version,
            "sha256": self.start.sha256,
            "replay": self.replay if self.own_data else 0.0,
            "bits_per_byte": bits,
        }


def open_continuation(
    config: PipelineConfiguration, tokenizer: Tokenizer, *, progress: Progress
) -> Continuation | None:
    """Find the model that ``config`` starts from, and read its own text; None for a new model."""
    start = read_start(config)
    if start is None:
        return None
    directory = Path(config.output_directory)
    is_same = start.corpus_sha256 == hash_file(directory / read_manifest(directory).corpus_file)
    documents = [] if is_same else start.read_text()
    tokens = directory / names.TOKENS
    store = open_store(start.directory, tokens, progress=progress, name=START) if documents else None
    own_data = build_data(documents, tokenizer, config, store) if documents else None
    version = f", version {start.version}" if start.version else ""
    if is_same:
        told = "with the same text"
    elif own_data is None:
        told = "whose own text is not there, so it may forget it"
    else:
        told = f"and {config.replay:.0%} of the training is its own text"
    progress(Note(f"The training goes on from {start.directory}{version}, {told}."))
    return Continuation(start, own_data, config.replay)
