"""Runs that take seconds: their settings, their text, and checks shared by tests."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_toml
from semilla.errors import PHASES
from semilla.records import names
from semilla.records.status import PhaseEntry, PipelineStatus, write_status

SMALL = (
    "--tokenizer-vocab-size 1000 --num-layers 1 --d-model 64 --num-heads 2 --dim-feedforward 128 --batch-size 8 "
    "--max-sequence-length 32 --num-epochs 2 --num-threads 1 --precision float32"
).split()  # fmt: skip


def write_text(path: Path, *, seed: int = 0, num_lines: int = 1500) -> Path:
    """Write sentences in both languages: enough words for 1,000 pieces, enough regularity to learn."""
    draw = random.Random(seed)
    syllables = [
        "ma",
        "ri",
        "lo",
        "ñu",
        "te",
        "ca",
        "sól",
        "pe",
        "bri",
        "do",
        "gue",
        "zu",
        "fa",
        "nó",
        "che",
        "vi",
    ]
    nouns = ["".join(draw.choices(syllables, k=3)) for _ in range(1200)]
    names = ["".join(draw.choices(syllables, k=2)).title() for _ in range(60)]
    frames = [
        "{0} tiene un {1} y no quiere otro {1}.",
        "—¿Dónde está el {1}? —pregunta {0}.",
        "¡Mira el {1}, {0}!",
        "{0} has a {1} and wants another {1}.",
        "“Where is the {1}?” asks {0}. 🙂",
    ]
    lines = [draw.choice(frames).format(draw.choice(names), draw.choice(nouns)) for _ in range(num_lines)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def list_words(directory: Path, source: Path | str) -> list[str]:
    return ["run", "--output-dir", str(directory), "--corpus-source", str(source), *SMALL]


def run(directory: Path, source: Path | str, *options: str) -> int:
    return cli.main([*list_words(directory, source), *options])


def read(directory: Path, name: str = "pipeline_status.json") -> Any:
    return json.loads((directory / name).read_text(encoding="utf-8"))


def hash_tree(directory: Path) -> dict[str, str]:
    files = sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and path.suffix not in {".log", ".lock", ".heartbeat"}
    )
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_four_lines(stderr: str, *, category: str, phase: str) -> str:
    assert "Traceback" not in stderr
    heads = [line for line in stderr.splitlines() if not line.startswith("  ")]
    assert [line.split(": ")[0] for line in heads] == [f"error[{category}] {phase}", "kept", "next", "help"]
    assert all(line.partition(": ")[2] for line in heads)
    assert heads[3] == f"help: semilla guide {category}"
    return stderr[: stderr.index("\nkept: ")]


def make_many_characters(num_characters: int) -> str:
    draw = random.Random(2)
    characters = [chr(0x4E00 + place) for place in range(num_characters)]
    draw.shuffle(characters)
    rows = ["".join(characters[start : start + 40]) for start in range(0, num_characters, 40)]
    return "\n".join(rows * 40) + "\n"


def write_workplace(root: Path) -> None:
    """Write a folder to type commands in: a finished run ``data``, as far as commands look at it, and ``book.txt``."""
    (root / "book.txt").write_text("Había una vez una semilla.\n", encoding="utf-8")
    (root / "data").mkdir()
    status = PipelineStatus()
    for phase in PHASES:
        status.enter(phase)
        status.complete_phase(phase, PhaseEntry())
    status.finish()
    write_status(root / "data", status)
    (root / "data" / names.CONFIGURATION).write_text(to_toml(PipelineConfiguration()), encoding="utf-8")
    (root / "data" / names.BEST_MODEL).write_bytes(b"PK")
