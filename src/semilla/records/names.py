"""The name of every file a run leaves in its output directory, in one place."""

from __future__ import annotations

import re

STATUS = "pipeline_status.json"
CONFIGURATION = "configuration.toml"
LOG = "semilla.log"
LOCK = ".semilla.lock"

CORPUS = "corpus_bilingual.txt"
CORPUS_MANIFEST = "corpus_manifest.json"
DOWNLOADS = "downloads"
"""Folder of verified downloads, reused when a run is repeated."""

METRICS = "training_metrics.json"
BEST_MODEL = "best_model.pt"
FINAL_MODEL = "final_model.pt"
REPORT = "report.html"
BUNDLE = "bundle"
"""Folder with the model as it ships to a device."""
TENSORBOARD = "tensorboard"
"""Folder with TensorBoard's files, where that tracker is on."""
MODELS = "models"
"""Folder of the earlier finished models, each in a folder named by its version."""
EXPORTS = "exports"
"""Folder of the exports, one folder each; they are the user's, no artifacts of the run."""
EXPORT_REPORT = "export.json"
"""In each export: what it is, its files with their hashes, and the figures of its parity check."""


def name_tokenizer(vocab_size: int) -> str:
    """Stem of the tokenizer's files from the requested size: 8000 -> bilingual_8k, 2500 -> bilingual_2500."""
    size = f"{vocab_size // 1000}k" if vocab_size % 1000 == 0 else str(vocab_size)
    return f"bilingual_{size}"


def name_tokenizer_model(vocab_size: int) -> str:
    """The SentencePiece model among the tokenizer's files."""
    return f"{name_tokenizer(vocab_size)}.model"


CHECKPOINT_PATTERN = "checkpoint_*_*.pt"
"""Finds every checkpoint and perhaps a file of somebody else's, which ``is_checkpoint`` tells apart."""


def is_checkpoint(name: str) -> bool:
    return re.fullmatch(r"checkpoint_(epoch|step)_\d+\.pt", name) is not None


def name_epoch_checkpoint(epoch: int) -> str:
    return f"checkpoint_epoch_{epoch}.pt"


def name_step_checkpoint(step: int) -> str:
    return f"checkpoint_step_{step}.pt"
