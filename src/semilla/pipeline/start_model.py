"""The finished model that a training goes on from (``--start-from``).

Its tokenizer and its shape are kept, because its weights fit nothing else. A run's directory also has the text that
the model was trained on, which is mixed into the training (``--replay``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from semilla.configuration.schema import SAMPLE_SETTINGS, ModelArchitecture, PipelineConfiguration
from semilla.configuration.settings import group_settings, list_settings
from semilla.corpus.manifest import Document, read_documents, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.errors import IncompatibleError, InvalidConfigError, LockedError, Mistake
from semilla.records import names
from semilla.records.files import hash_file, read_bytes, verify_artifact
from semilla.records.lock import is_locked
from semilla.records.nearby import is_run, suggest_run
from semilla.records.run_configuration import read_run_configuration
from semilla.records.status import PipelineStatus, read_status
from semilla.runtime.bundle import DESCRIPTION, read_bundle

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HUGGING_FACE = "config.json"
"""What a folder of that format has, and no other folder that is read here."""
TEXT_SETTINGS = (
    *(
        "corpus_source",
        "corpus_size_mb",
        "corpus_grade",
        "corpus_seed",
        "corpus_encoding",
        "corpus_languages",
    ),
    *("text_column", "title_column", "layout", "dedupe", "repair"),
)
"""Settings that decide which text a run trains on."""
WARM_UPS = ("repetition_fraction", "short_context_fraction")
"""Settings that help a network at the start of its first training, and have no use later."""

Weights = Mapping[str, "npt.NDArray[np.float32]"]


@dataclass(frozen=True)
class StartModel:
    """A finished model. ``settings`` are what a training that goes on from it has to keep, by name."""

    directory: Path
    version: str
    sha256: str
    """Of its weights."""
    settings: Mapping[str, Any]
    context: int
    """Tokens of the longest sequence it was trained on."""
    tokenizer_model: bytes
    load_weights: Callable[[], Weights]
    """In float32, with the names of Hugging Face's LlamaForCausalLM."""
    text_settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings that its own text came from, by name."""
    corpus_sha256: str = ""
    """Of its own text; empty where that is not there."""

    def read_text(self) -> list[Document]:
        """The text that the model was trained on, empty where it is not there."""
        return read_documents(self.directory) if self.corpus_sha256 else []


def read_start(config: PipelineConfiguration) -> StartModel | None:
    """Find and verify the model that ``config`` starts from; None when it trains a new one.

    Raises InvalidConfigError when there is no model, LockedError while a run is active there, IncompatibleError when
    it cannot be continued, and IntegrityError when a file is damaged.
    """
    if not config.start_from:
        return None
    directory = Path(config.start_from)
    if directory.resolve() == Path(config.output_directory).resolve():
        raise InvalidConfigError(
            "a run cannot start from its own directory: for more passes over the same text raise --num-epochs, for "
            "anything else give another --output-dir"
        )
    if is_run(directory) and is_locked(directory):
        raise LockedError(f"a run is active in {directory}; start from it when it has finished")
    found = directory.iterdir() if directory.is_dir() else ()
    states = ((path.name, path.stat()) for path in sorted(found) if path.is_file())
    return _read_folder(directory, tuple((name, one.st_mtime_ns, one.st_size) for name, one in states))


@lru_cache(maxsize=1)
def _read_folder(directory: Path, states: tuple[tuple[str, int, int], ...]) -> StartModel:  # noqa: ARG001
    """Read and verify a model. It is hashed again only when ``states``, those of its files, have changed."""
    if is_run(directory):
        return _read_run(directory)
    if (directory / DESCRIPTION).is_file():
        return _read_bundle(directory)
    if (directory / HUGGING_FACE).is_file():
        from semilla.export.llama_folder import read_llama_folder  # noqa: PLC0415 - reads with safetensors

        found = read_llama_folder(directory)
        return _describe(
            directory,
            found.model,
            found.tokenizer_model,
            lambda: read_llama_folder(directory).weights,
            sha256=found.sha256,
        )
    hint, next_command = suggest_run(directory, "run --start-from")
    raise InvalidConfigError(
        f"--start-from {directory}: there is no run, bundle or Hugging Face folder{hint}",
        next_command=next_command,
    )


def adopt_start(config: PipelineConfiguration) -> PipelineConfiguration:
    """The configuration with what the model to start from decides; raises InvalidConfigError for what contradicts it.

    The warm-ups of a first training are off, and the text of a run is trained on again, unless they are set.
    """
    start = read_start(config)
    if start is None:
        return config
    if config.minutes:
        raise InvalidConfigError("--minutes plans a new model, so it cannot be used with --start-from")
    given = _list_given(config)
    mistakes = [
        Mistake(
            name,
            given[name],
            f"the model in {start.directory} has {value}",
            value,
            list_settings()[name].flag,
        )
        for name, value in start.settings.items()
        if given.get(name, value) != value
    ]
    if mistakes:
        raise InvalidConfigError(
            "the model to start from keeps its shape and its tokenizer", mistakes=mistakes
        )
    adopted: dict[str, Any] = {"max_sequence_length": start.context, **dict.fromkeys(WARM_UPS, 0.0)}
    if "corpus_source" not in given:
        adopted |= start.text_settings
    return PipelineConfiguration.model_validate(group_settings(adopted | given | dict(start.settings)))


def _list_given(config: PipelineConfiguration) -> dict[str, Any]:
    """The settings that the user set, without those that come with the sample stories."""
    flat = config.flatten()
    own = SAMPLE_SETTINGS if config.corpus_source == "sample" else {}
    return {name: flat[name] for name in config.list_given() & set(flat) if own.get(name) != flat[name]}


def _read_run(directory: Path) -> StartModel:
    config = read_run_configuration(directory)
    status = read_status(directory) or PipelineStatus()
    if not status.is_trained:
        raise IncompatibleError(f"{directory} has no finished training to start from")
    known = {one.path: one for entry in status.phase_records.values() for one in entry.artifacts}
    tokenizer = find_tokenizer(config, directory)[0]
    for name in (names.BEST_MODEL, tokenizer.name):
        verify_artifact(known[name], root=directory)
    settings = {
        **config.model_architecture.model_dump(),
        "tokenizer_vocab_size": config.tokenizer_vocab_size,
        "tokenizer_model_type": config.tokenizer_model_type,
    }

    def load_weights() -> Weights:
        from semilla.training.checkpoints.seal import read_sealed  # noqa: PLC0415 - torch, which most commands lack

        state = read_sealed(directory / names.BEST_MODEL)["model_state"]
        return {name: tensor.numpy() for name, tensor in state.items()}

    flat, corpus = config.flatten(), known.get(read_manifest(directory).corpus_file)
    return StartModel(
        directory,
        status.model_version,
        known[names.BEST_MODEL].sha256,
        settings,
        config.training_hyperparameters.max_sequence_length,
        read_bytes(tokenizer),
        load_weights,
        text_settings={name: flat[name] for name in TEXT_SETTINGS},
        corpus_sha256=corpus.sha256 if corpus else "",
    )


def _read_bundle(directory: Path) -> StartModel:
    bundle = read_bundle(directory, command="run --start-from")

    def load_weights() -> Weights:
        from semilla.export.int8_graph import read_int8_weights  # noqa: PLC0415 - onnx, which takes memory

        return read_int8_weights(bundle.model_path.read_bytes(), model=bundle.model)

    return _describe(
        directory,
        bundle.model,
        bundle.tokenizer_path.read_bytes(),
        load_weights,
        sha256=hash_file(bundle.model_path),
        version=bundle.version,
    )


def _describe(
    directory: Path,
    model: Mapping[str, Any],
    tokenizer_model: bytes,
    load_weights: Callable[[], Weights],
    *,
    sha256: str,
    version: str = "",
) -> StartModel:
    """A model without a text of its own. ``model`` uses the names of LlamaConfig."""
    try:
        shape = ModelArchitecture(
            num_layers=model["num_hidden_layers"],
            d_model=model["hidden_size"],
            num_heads=model["num_attention_heads"],
            dim_feedforward=model["intermediate_size"],
            tie_embeddings=model["tie_word_embeddings"],
        )
    except ValidationError as error:
        found = error.errors()[0]
        raise IncompatibleError(
            f"{directory} holds a model that Semilla does not train: {'.'.join(map(str, found['loc']))}: {found['msg']}"
        ) from error
    smallest = int(list_settings()["tokenizer_vocab_size"].minimum or 1)
    return StartModel(
        directory,
        version,
        sha256,
        {**shape.model_dump(), "tokenizer_vocab_size": max(smallest, model["vocab_size"])},
        model["max_position_embeddings"],
        tokenizer_model,
        load_weights,
    )
