"""A text in two languages and settings for it: a run of five phases that takes a second and still learns."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from semilla.configuration.schema import GROUPS, PipelineConfiguration

NAMES = "Ana Íñigo Lucía Martín Zoë Begoña José Nuria Óscar Inés".split()
NOUNS = {
    "en": "cat dog garden tree child boat river lorry teacher bird melon clock plane window heart".split(),
    "es": "gato perro jardín árbol niño barco río camión señor pájaro melón reloj avión balcón corazón".split(),
}
FRAMES = {
    "en": (
        "“Where is the {1}?” asks {0}. “The {1} is here.” 🙂",
        "Look at the {1}, {0}! It is a very small {1}.",
        "{0} has a {1} and does not want another {1}.",
    ),
    "es": (
        "—¿Dónde está el {1}? —pregunta {0}. —El {1} está aquí.",
        "¡Mira el {1}, {0}! Es un {1} muy pequeño.",
        "{0} tiene un {1} y no quiere otro {1}.",
    ),
}
SETTINGS: dict[str, Any] = {
    "corpus_languages": ("en", "es"),
    "num_layers": 1,
    "d_model": 64,
    "num_heads": 2,
    "dim_feedforward": 128,
    "batch_size": 32,
    "max_sequence_length": 32,
    "num_epochs": 3,
    "learning_rate": 5e-3,
    "num_threads": 1,
    "precision": "float32",
    "checkpoint_seconds": 0.1,
}
"""The vocabulary is not set, so it shrinks to the 400 pieces that such a text supports."""

STEPS_PER_EPOCH = 5
"""Steps of an epoch of this text with these settings."""


def write_texts(directory: Path, *, num_lines: int = 100) -> Path:
    """Write one file of sentences for each language, always the same; return the directory."""
    draw = random.Random(0)
    directory.mkdir(parents=True, exist_ok=True)
    for language, frames in FRAMES.items():
        lines = [
            draw.choice(frames).format(draw.choice(NAMES), draw.choice(NOUNS[language]))
            for _ in range(num_lines)
        ]
        (directory / f"{language}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def make_config(directory: Path, *, text: Path, **changes: Any) -> PipelineConfiguration:
    """Settings of a run in ``directory``; ``changes`` are flat names, as on the command line."""
    flat = {"corpus_source": str(text), "output_directory": str(directory)} | SETTINGS | changes
    values: dict[str, Any] = {group: {} for group in GROUPS}
    for name, value in flat.items():
        group = next((group for group, model in GROUPS.items() if name in model.model_fields), None)
        (values[group] if group else values)[name] = value
    return PipelineConfiguration.model_validate(values)


def list_words(config: PipelineConfiguration) -> list[str]:
    """The command line of the same run, without its program."""
    words = ["run", "--corpus-source", config.corpus_source, "--output-dir", config.output_directory]
    flat = config.flatten()
    for name in SETTINGS:
        value = flat[name]
        listed = value if isinstance(value, list) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, listed)]
    return words
