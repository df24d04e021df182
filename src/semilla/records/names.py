"""The name of every file in a run's output directory."""

from __future__ import annotations

import re
from pathlib import Path

STATUS = "pipeline_status.json"
CONFIGURATION = "configuration.toml"
LOG = "semilla.log"
LOCK = ".semilla.lock"
HEARTBEAT = ".semilla.heartbeat"
"""What the run is doing right now; there only while it goes on."""

COLLECTION_CORPUS = "corpus_bilingual.txt"
"""The text of a catalogue collection. Earlier versions used this name for every text."""
CORPUS = "corpus.txt"
"""The text of any other source."""
CORPUS_MANIFEST = "corpus_manifest.json"
DOWNLOADS = "downloads"
"""Folder of verified downloads, reused by later runs."""

METRICS = "training_metrics.json"
BEST_MODEL = "best_model.pt"
FINAL_MODEL = "final_model.pt"
REPORT = "report.html"
PAGE = "model.html"
"""The model as one page, for a browser."""
BUNDLE = "bundle"
"""Folder with the model for the small machine."""
TRACKERS = ("tensorboard", "trackio", "mlflow")
"""Folders with the files of trackers, each when its tracker is on."""
MODELS = "models"
"""Folder of earlier finished models, one folder per version."""
TOKENS = "tokens"
"""Folder with the token ids of a large text, which later phases reuse."""
EXPORTS = "exports"
"""Folder of exports, one folder each. They belong to the user and are not artifacts of the run."""
EXPORT_REPORT = "export.json"
"""In each export: its format, its files with their hashes, and the results of its parity check."""


FOLDERS = (DOWNLOADS, BUNDLE, *TRACKERS, MODELS, TOKENS, EXPORTS)
FILES = (
    STATUS,
    CONFIGURATION,
    LOG,
    LOCK,
    HEARTBEAT,
    COLLECTION_CORPUS,
    CORPUS,
    CORPUS_MANIFEST,
    METRICS,
    BEST_MODEL,
    FINAL_MODEL,
    REPORT,
    PAGE,
)
_TOP_LEVEL = {(name,) for name in (*FOLDERS, *FILES)}


def holds_run(directory: Path) -> bool:
    """Return whether a run was made in ``directory``, or goes on there."""
    return any((directory / name).exists() for name in (STATUS, LOCK))


def is_output(path: Path, directory: Path) -> bool:
    """Return whether ``path`` has a name that runs use in their ``directory``, or is in a folder that has."""
    return path.is_relative_to(directory) and path.relative_to(directory).parts[:1] in _TOP_LEVEL


COLLECTION_TOKENIZER, OWN_TOKENIZER = "bilingual", "tokenizer"
"""First words of the names of a tokenizer's files, for a catalogue collection and for any other source."""


def name_tokenizer(vocab_size: int, *, is_collection: bool) -> str:
    """Stem of the tokenizer's files, from the requested size: 8000 -> bilingual_8k, 2500 -> bilingual_2500.

    ``is_collection`` says that the text is a collection of the catalogue; for any other it is tokenizer_8k.
    """
    size = f"{vocab_size // 1000}k" if vocab_size % 1000 == 0 else str(vocab_size)
    return f"{COLLECTION_TOKENIZER if is_collection else OWN_TOKENIZER}_{size}"


def is_text_or_tokenizer(name: str) -> bool:
    """Return whether this is the name of a corpus, or of a file of a tokenizer."""
    tokenizer = rf"({COLLECTION_TOKENIZER}|{OWN_TOKENIZER})_[0-9]+k?\.(model|vocab)"
    return name in {COLLECTION_CORPUS, CORPUS} or re.fullmatch(tokenizer, name) is not None


CHECKPOINT_PATTERN = "checkpoint_*_*.pt"
"""Glob for checkpoints. It may match other files; ``parse_checkpoint`` decides."""


def parse_checkpoint(name: str) -> tuple[str, int] | None:
    """Return the kind of a checkpoint, epoch or step, and its number; None for any other name."""
    match = re.fullmatch(r"checkpoint_(epoch|step)_(0|[1-9][0-9]*)\.pt", name)
    return (match[1], int(match[2])) if match else None


KEPT_EPOCHS = (1, 2, 5, 10, 20, 50, 100)
"""Epochs whose int8 models a run keeps when asked (``keep_epochs``): a model changes most at the beginning."""
EPOCH_MODEL_PATTERN = "model_epoch_*.onnx"


def name_epoch_model(epoch: int) -> str:
    return f"model_epoch_{epoch}.onnx"


def list_epoch_models(directory: Path) -> dict[int, Path]:
    """List the files in a directory that have the names of epoch models."""
    paths = {epoch: directory / name_epoch_model(epoch) for epoch in KEPT_EPOCHS}
    return {epoch: path for epoch, path in paths.items() if path.is_file()}


def name_epoch_checkpoint(epoch: int) -> str:
    return f"checkpoint_epoch_{epoch}.pt"


def name_step_checkpoint(step: int) -> str:
    return f"checkpoint_step_{step}.pt"
