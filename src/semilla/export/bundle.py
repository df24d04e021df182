"""Writes the bundle that ships to a device. ``semilla.runtime.bundle`` describes its content and reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semilla import __version__
from semilla.errors import IncompatibleError
from semilla.export.float32_graph import Weights
from semilla.export.int8_graph import build_int8_graph
from semilla.records.files import describe_artifact, make_directory, write_bytes, write_json
from semilla.runtime.bundle import (
    BUNDLE_VERSION,
    DESCRIPTION,
    MODEL,
    TOKENIZER,
    GenerationSettings,
    hash_description,
)
from semilla.tokenizer.tokenizer import BEGIN_ID, NEWLINE_ID, Tokenizer


def suggest_settings(start_id: int) -> GenerationSettings:
    """The settings of a new model, whose texts begin with ``start_id``.

    A model that has learned where documents begin and end repeats names on purpose, and a penalty would make it change
    them. It contradicts itself with unlikely tokens: ``top_p`` leaves those out. A low temperature would too, but then
    most of its texts tell the same few stories.
    """
    if start_id == BEGIN_ID:
        return GenerationSettings(max_tokens=400, temperature=1.0, top_p=0.6, repetition_penalty=1.0)
    return GenerationSettings()


def write_bundle(
    directory: Path,
    *,
    version: str = "",
    weights: Weights,
    model: Mapping[str, Any],
    tokenizer_model: bytes,
    generation: Mapping[str, Any],
    start_id: int = NEWLINE_ID,
    provenance: Mapping[str, Any],
    languages: Sequence[str] = (),
    licence: str = "",
) -> list[Path]:
    """Write the bundle of ``weights``, as ``build_int8_graph`` takes them, and return its files.

    ``version`` is the model's (``semilla.records.versions``). ``generation`` overrides the defaults of
    GenerationSettings. Texts begin with ``start_id``. The description is written last, so a bundle that was cut short
    does not verify.
    """
    settings = asdict(GenerationSettings(**generation))
    _check_vocabulary(tokenizer_model, model)
    graph = build_int8_graph(weights, model=model)
    make_directory(directory)
    write_bytes(directory / MODEL, graph)
    write_bytes(directory / TOKENIZER, tokenizer_model)
    description = {
        "bundle_version": BUNDLE_VERSION,
        "semilla_version": __version__,
        "model_version": version,
        "model": dict(model),
        "generation": {**settings, "stop": list(settings["stop"]), "start_token_ids": [start_id]},
        "languages": list(languages),
        "licence": licence,
        "provenance": dict(provenance),
        "files": {name: _describe_file(directory, name) for name in (MODEL, TOKENIZER)},
    }
    write_json(directory / DESCRIPTION, {**description, "sha256": hash_description(description)})
    return [directory / name for name in (MODEL, TOKENIZER, DESCRIPTION)]


def _check_vocabulary(tokenizer_model: bytes, model: Mapping[str, Any]) -> None:
    """Raise IncompatibleError when tokenizer and model have vocabularies of different sizes."""
    vocab_size = Tokenizer(tokenizer_model).vocab_size
    if vocab_size != model["vocab_size"]:
        raise IncompatibleError(f"the tokenizer has {vocab_size} pieces, the model {model['vocab_size']}")


def _describe_file(directory: Path, name: str) -> dict[str, Any]:
    artifact = describe_artifact(directory / name, root=directory)
    return {"sha256": artifact.sha256, "size_bytes": artifact.size_bytes}
