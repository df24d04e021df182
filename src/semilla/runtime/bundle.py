"""Reads a bundle: the folder that ships to a device. Nothing in it is used before its hash is verified.

``model.onnx`` is the network and ``tokenizer.model`` the SentencePiece model. ``bundle.json`` describes them: shape,
generation defaults, origin, and the SHA-256 and size of the other two files. Its own ``sha256`` covers the rest of its
content, because memory cards and USB sticks lose bits. The folder can be moved or copied as a whole.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict, Unpack

from semilla.errors import IncompatibleError, IntegrityError, InvalidConfigError, Mistake, from_os_error
from semilla.records import names
from semilla.records.files import Artifact, read_json
from semilla.records.nearby import is_run, suggest_run

DESCRIPTION = "bundle.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.model"
BUNDLE_VERSION = 3
"""Increased when older readers cannot read what is written now. Version 2 had a graph for one text at a time."""
OLDEST_VERSION = 2
"""The oldest version that is read. Version 1 had a float32 graph."""
LARGEST_BYTES = {DESCRIPTION: 64 * 2**20, MODEL: 256 * 2**20, TOKENIZER: 32 * 2**20}
"""Three times what the largest shape, vocabulary or list of documents needs; a larger file is refused."""
SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
"""The parts of the model's shape that the runtime uses."""

RANGES: dict[str, tuple[float, float, str]] = {
    "max_tokens": (1, 1_000_000, "1 to 1000000"),
    "temperature": (0, 10, "0 to 10; 0 always takes the likeliest token"),
    "top_k": (0, 1_000_000, "0 to 1000000; 0 considers every token"),
    "top_p": (1e-6, 1, "above 0, up to 1; 1 considers every token"),
    "repetition_penalty": (0.1, 10, "0.1 to 10; 1 leaves repeated tokens alone"),
}
"""Setting -> smallest value, largest value, and the range in words."""


class SettingChanges(TypedDict, total=False):
    """Settings to change for one text; a setting left out or None keeps the bundle's default."""

    max_tokens: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    repetition_penalty: float | None
    stop: tuple[str, ...] | list[str] | None


@dataclass(frozen=True)
class GenerationSettings:
    """How tokens are sampled; a ``stop`` text ends the generation and is not part of the result.

    Raises InvalidConfigError that lists every value out of range.
    """

    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    repetition_penalty: float = 1.1
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(self.stop))
        mistakes = [mistake for name in RANGES if (mistake := _find_mistake(name, getattr(self, name)))]
        if not all(isinstance(text, str) and text for text in self.stop):
            mistakes.append(Mistake("stop", self.stop, "must be texts of at least one character"))
        if mistakes:
            raise InvalidConfigError("these settings cannot be used:", mistakes=mistakes)

    def change(self, **changes: Unpack[SettingChanges]) -> GenerationSettings:
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given)

    def list_changes(self) -> SettingChanges:
        """All of these settings, as changes to a model's own."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "repetition_penalty": self.repetition_penalty,
            "stop": self.stop,
        }


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were verified. ``model`` uses the names of Hugging Face's LlamaConfig."""

    directory: Path
    model: Mapping[str, Any]
    settings: GenerationSettings
    start_token_ids: tuple[int, ...]
    languages: tuple[str, ...]
    licence: str
    provenance: Mapping[str, Any]
    version: str = ""
    """MAJOR.MINOR.PATCH of the model; empty in bundles written before models had versions."""

    @property
    def model_path(self) -> Path:
        return self.directory / MODEL

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / TOKENIZER


def read_bundle(path: Path, *, command: str = "generate --model") -> Bundle:
    """Verify and read the bundle at ``path``, which may also be a run's output directory.

    ``command`` is the beginning of the command to suggest with the directory that was meant.

    Raises InvalidConfigError when there is nothing at ``path``, IntegrityError when the bundle is missing or damaged,
    and IncompatibleError when another version of Semilla wrote it.
    """
    directory = find_bundle(path, command=command)
    try:
        return _parse(directory, _read_description(directory))
    except IntegrityError as error:
        if directory.name == names.BUNDLE:
            error.next_command = f"semilla validate {shlex.quote(str(directory.parent))}"
        raise


def find_bundle(path: Path, *, command: str = "generate --model") -> Path:
    """Find the bundle's folder: ``path`` itself, or ``bundle`` inside it."""
    if path.is_file():
        raise _refuse_file(path)
    for directory in (path, path / names.BUNDLE):
        if (directory / DESCRIPTION).is_file():
            return directory
    if not path.is_dir():
        hint, next_command = suggest_run(path, command)
        raise InvalidConfigError(f"there is no folder {path}{hint}", next_command=next_command)
    hint, next_command = suggest_run(path, command)
    raise IntegrityError(
        f"{path} holds no finished model: neither {DESCRIPTION} nor {names.BUNDLE}/{DESCRIPTION} is there"
        f"{'' if is_run(path) else hint}",
        next_command=f"semilla status {shlex.quote(str(path))}" if is_run(path) else next_command,
    )


def hash_description(description: Mapping[str, Any]) -> str:
    """SHA-256 of the content of ``bundle.json``, independent of its layout and without its own ``sha256``."""
    content = {key: value for key, value in description.items() if key != "sha256"}
    return sha256(json.dumps(content, sort_keys=True).encode())


def _refuse_file(path: Path) -> IntegrityError:
    folder = path.parent
    is_exported = (folder / names.BUNDLE / DESCRIPTION).is_file()
    command = "generate --model" if is_exported else "validate"
    return IntegrityError(
        f"{path} is a single file; text is generated from a bundle, the folder that validation exports "
        "from a checkpoint. Only training opens checkpoints",
        next_command=f"semilla {command} {shlex.quote(str(folder))}",
    )


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / DESCRIPTION
    _check_size(DESCRIPTION, path.stat().st_size)
    description = read_json(path)
    if not isinstance(description, dict) or not isinstance(description.get("bundle_version"), int):
        raise IntegrityError(f"{path} does not describe a bundle")
    if description["bundle_version"] > BUNDLE_VERSION:
        raise IncompatibleError(
            f"{path} has version {description['bundle_version']}; this Semilla reads up to {BUNDLE_VERSION}",
            next_command="pip install --upgrade semilla",
        )
    if description["bundle_version"] < OLDEST_VERSION:
        raise IncompatibleError(
            f"{path} has version {description['bundle_version']}, of an earlier Semilla; validating its run again "
            "writes a new bundle",
            next_command=f"semilla validate {shlex.quote(str(directory.parent))}",
        )
    if description.get("sha256") != hash_description(description):
        raise IntegrityError(f"{path} is not what was written: its SHA-256 differs")
    return description


def _parse(directory: Path, description: dict[str, Any]) -> Bundle:
    try:
        files = [Artifact(name, **description["files"][name]) for name in (MODEL, TOKENIZER)]
        generation = dict(description["generation"])
        bundle = Bundle(
            directory=directory,
            model=description["model"],
            start_token_ids=tuple(generation.pop("start_token_ids")),
            settings=GenerationSettings(**generation),
            languages=tuple(description["languages"]),
            licence=description["licence"],
            provenance=description["provenance"],
            version=str(description.get("model_version", "")),
        )
        _check_shape(bundle.model, bundle.start_token_ids)
        for file in files:
            _check_size(file.path, file.size_bytes)
    except (KeyError, TypeError, ValueError, InvalidConfigError) as error:
        raise IntegrityError(f"{directory / DESCRIPTION} cannot be used: {error!r}") from error
    for file in files:
        _verify(directory / file.path, file)
    return bundle


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal, by Python's built-in code if possible: hashlib would load OpenSSL, 3.5 MB."""
    for name in ("_sha2", "_sha256"):  # Python 3.12 and newer, 3.11
        with suppress(ImportError):
            return str(import_module(name).sha256(data).hexdigest())
    return str(import_module("hashlib").sha256(data).hexdigest())


def _verify(path: Path, file: Artifact) -> None:
    """Compare size and hash; a file of the wrong size is not read."""
    try:
        size_bytes = path.stat().st_size
        is_intact = size_bytes == file.size_bytes and sha256(path.read_bytes()) == file.sha256
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing") from None
    except OSError as error:
        raise from_os_error(error, path) from error
    if not is_intact:
        raise IntegrityError(f"{path} is not what was recorded: its size or SHA-256 differs")


def _check_size(name: str, size_bytes: int) -> None:
    if not 0 < size_bytes <= LARGEST_BYTES[name]:
        raise IntegrityError(f"{name} has {size_bytes} bytes; no bundle has such a file")


def _check_shape(model: Mapping[str, Any], start_token_ids: tuple[Any, ...]) -> None:
    """Raise ValueError unless the runtime can compute with these numbers."""
    sizes = [model[name] for name in SIZES]
    if not all(type(size) is int and 0 < size < 2**20 for size in sizes):
        raise ValueError(f"impossible sizes {dict(zip(SIZES, sizes, strict=True))}")
    if not start_token_ids or any(type(token) is not int for token in start_token_ids):
        raise ValueError(f"impossible start tokens {start_token_ids}")
    if not all(0 <= token < model["vocab_size"] for token in start_token_ids):
        raise ValueError(f"start tokens {start_token_ids} are not in the vocabulary")


def _find_mistake(name: str, value: Any) -> Mistake | None:
    smallest, largest, allowed = RANGES[name]
    is_whole = isinstance(getattr(GenerationSettings, name), int)
    if isinstance(value, bool) or not isinstance(value, int if is_whole else (int, float)):
        return Mistake(name, value, f"must be a {'whole ' if is_whole else ''}number, {allowed}")
    if smallest <= value <= largest:
        return None
    return Mistake(name, value, f"must be {allowed}", largest if value > largest else smallest)
