"""Int8 models of a few epochs, which a run keeps when asked (``keep_epochs``): the model's page writes with them.

Each is the graph of ``semilla.export.int8_graph``. They are an extra: a page leaves out those that are missing or
damaged, and no phase depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from semilla.export.int8_graph import build_int8_graph
from semilla.model.transformer import Transformer, describe_llama
from semilla.records import names
from semilla.records.files import Artifact, is_intact, write_bytes


def write_epoch_model(directory: Path, network: Transformer, *, epoch: int) -> Path:
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    path = directory / names.name_epoch_model(epoch)
    write_bytes(path, build_int8_graph(weights, model=describe_llama(network)))
    return path


def read_epoch_models(directory: Path, recorded: Iterable[Mapping[str, Any]]) -> dict[int, bytes]:
    """The graphs that are as their training recorded them (``Artifact.as_json``), by epoch."""
    intact = {one.path for one in (Artifact(**entry) for entry in recorded) if is_intact(one, root=directory)}
    return {
        epoch: path.read_bytes()
        for epoch, path in names.list_epoch_models(directory).items()
        if path.name in intact
    }
