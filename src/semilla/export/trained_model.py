"""The best model of a finished training, verified, with the held-out text and the facts that an export needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.manifest import CorpusManifest, read_documents, read_manifest
from semilla.corpus.prompts import find_prompts
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.errors import IncompatibleError, InvalidConfigError, LockedError
from semilla.export.epoch_models import read_epoch_models
from semilla.export.float32_graph import Weights, check_weights
from semilla.export.vocabulary import Vocabulary, read_vocabulary
from semilla.model.transformer import Transformer, describe_llama
from semilla.records import names
from semilla.records.files import verify_artifact
from semilla.records.lock import is_locked
from semilla.records.metrics import TrainingMetrics, read_metrics
from semilla.records.nearby import suggest_run
from semilla.records.run_configuration import read_run_configuration
from semilla.records.status import PipelineStatus, read_status
from semilla.runtime.bundle import DESCRIPTION
from semilla.tokenizer.tokenizer import NEWLINE_ID, Tokenizer
from semilla.training.checkpoints.seal import read_sealed
from semilla.training.data import find_start_id

OPENINGS_PER_LANGUAGE = 3

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainedModel:
    """The network and tokenizer to export, and the held-out texts to compare on."""

    network: Transformer
    tokenizer_model: bytes
    held_out: tuple[str, ...]
    version: str = ""
    """MAJOR.MINOR.PATCH; every format has a place for it."""
    start_id: int = NEWLINE_ID
    """The token that a text begins with."""

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self.tokenizer_model)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.tokenizer_model)

    @cached_property
    def model(self) -> dict[str, Any]:
        """The shape, with the names of LlamaConfig."""
        return describe_llama(self.network)

    @cached_property
    def weights(self) -> Weights:
        """Every tensor in float32, with LlamaForCausalLM's names; checked to be finite and of the right shape."""
        weights = {name: tensor.detach().numpy() for name, tensor in self.network.state_dict().items()}
        check_weights(weights, model=self.model)
        return weights

    def list_lines(self) -> list[str]:
        """List the held-out lines that are not empty."""
        return [line for text in self.held_out for line in text.split("\n") if line]

    def cut_contexts(self, count: int) -> list[Ids]:
        """Cut up to ``count`` evenly spaced contexts of full length out of the held-out text."""
        ids = np.concatenate([self.tokenizer.encode(text) for text in self.held_out]).astype(np.int64)
        length = min(len(ids), self.network.max_positions)
        starts = np.unique(np.linspace(0, len(ids) - length, count).astype(int))
        return [ids[start : start + length] for start in starts]

    @torch.inference_mode()
    def compute_logits(self, ids: Ids) -> Logits:
        """The logits [T, vocabulary] after each of the T tokens, in float32."""
        hidden = self.network(torch.from_numpy(ids)[None])
        logits: Logits = self.network.compute_logits(hidden)[0].numpy()
        return logits


@dataclass(frozen=True)
class RunFacts:
    """What the model card and the page say about the training."""

    status: PipelineStatus
    manifest: CorpusManifest
    metrics: TrainingMetrics
    model_sha256: str
    openings: Mapping[str, Sequence[str]]
    """A few beginnings of held-out text in each language; the first one is that of the samples of every epoch."""
    epoch_models: Mapping[int, bytes] = field(default_factory=dict)
    """The int8 graphs of the epochs that were kept, but for the best epoch, which is the model itself."""


def read_run(directory: Path) -> tuple[TrainedModel, RunFacts]:
    """Load and verify the best model of the run in ``directory``.

    Raises InvalidConfigError when there is no such folder or it is a bundle, LockedError while a run is active there,
    IncompatibleError when the training is not finished, and IntegrityError when a file is damaged.
    """
    return load_run(directory, *_open_run(directory))


def load_run(
    directory: Path, config: PipelineConfiguration, status: PipelineStatus
) -> tuple[TrainedModel, RunFacts]:
    """Load and verify the best model of a run whose training ``status`` records as finished."""
    manifest = read_manifest(directory)
    tokenizer_name = find_tokenizer(config, directory)[0].name
    files = (names.BEST_MODEL, names.METRICS, manifest.corpus_file, names.CORPUS_MANIFEST, tokenizer_name)
    hashes = _verify(directory, status, files)
    tokenizer_model = (directory / tokenizer_name).read_bytes()
    documents = read_documents(directory)
    texts = tuple(document.validation_text for document in documents)
    network = _load_network(directory, config, vocab_size=Tokenizer(tokenizer_model).vocab_size)
    trained = TrainedModel(
        network,
        tokenizer_model,
        texts,
        version=status.model_version,
        start_id=find_start_id(documents),
    )
    metrics = read_metrics(directory / names.METRICS)
    # Many stories begin alike.
    found = find_prompts(documents, trained.tokenizer, per_language=4 * OPENINGS_PER_LANGUAGE)
    openings = {
        language: list(dict.fromkeys(prompts))[:OPENINGS_PER_LANGUAGE] for language, prompts in found.items()
    }
    training = status.phase_records["model_training"].details
    epoch_models = read_epoch_models(directory, training.get("epoch_models", []))
    epoch_models.pop(training.get("best_epoch", 0), None)
    return trained, RunFacts(status, manifest, metrics, hashes[names.BEST_MODEL], openings, epoch_models)


def _load_network(directory: Path, config: PipelineConfiguration, *, vocab_size: int) -> Transformer:
    max_positions = config.training_hyperparameters.max_sequence_length
    network = Transformer(config.model_architecture, vocab_size=vocab_size, max_positions=max_positions)
    network.load_state_dict(read_sealed(directory / names.BEST_MODEL)["model_state"])
    return network.eval()


def _open_run(directory: Path) -> tuple[PipelineConfiguration, PipelineStatus]:
    if not directory.is_dir():
        problem = "is a file" if directory.exists() else "does not exist"
        hint, next_command = suggest_run(directory, "status")
        raise InvalidConfigError(
            f"{directory} {problem}; give the output directory of a run{hint}", next_command=next_command
        )
    if (directory / DESCRIPTION).is_file():
        raise InvalidConfigError(
            f"{directory} is a bundle, which has no trained weights to export; give the run's directory, the one "
            f"that holds {names.BEST_MODEL}"
        )
    config = read_run_configuration(directory)
    if is_locked(directory):
        raise LockedError(f"a run is active in {directory}; export when it has finished")
    status = read_status(directory) or PipelineStatus()
    unfinished = [
        phase
        for phase in ("corpus_download", "tokenizer_training", "model_training")
        if phase not in status.phase_records
    ]
    if unfinished:
        raise IncompatibleError(
            f"{directory} has no finished training: {unfinished[0]} is not done",
            next_command=to_command(config, resume_from_checkpoint=True),
        )
    return config, status


def _verify(directory: Path, status: PipelineStatus, required: tuple[str, ...]) -> Mapping[str, str]:
    """Verify files against the hashes that the run recorded, and return the hashes."""
    recorded = {
        artifact.path: artifact for entry in status.phase_records.values() for artifact in entry.artifacts
    }
    for name in required:
        if name not in recorded:
            raise IncompatibleError(f"{directory / names.STATUS} does not list {name}")
        verify_artifact(recorded[name], root=directory)
    return {name: recorded[name].sha256 for name in required}
