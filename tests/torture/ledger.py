"""Trials on disk as they end, one line of JSON each, so a long run can be stopped, continued and read."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


class Ledger:
    """Appends trials to ``path``, if there is one.

    ``trials`` are those of this seed, recorded before or now. The next run repeats a trial that found a fault, which
    should be fixed by then; both stay in the file, and the later one counts.
    """

    def __init__(self, path: Path | None, *, experiment: str, seed: int) -> None:
        self.path = path
        self.seed = seed
        self._trials = {trial["index"]: trial for trial in _read_trials(path, seed=seed)} if path else {}
        self._append({"experiment": experiment, "seed": seed, **describe_machine()})

    @property
    def trials(self) -> list[dict[str, Any]]:
        return list(self._trials.values())

    def is_done(self, index: int) -> bool:
        """Whether this trial was made and found no fault."""
        return index in self._trials and not self._trials[index]["faults"]

    def add(self, trial: dict[str, Any]) -> None:
        self._trials[trial["index"]] = trial
        self._append({"seed": self.seed, **trial})

    def _append(self, line: dict[str, Any]) -> None:
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def describe_machine() -> dict[str, Any]:
    """Date, machine and versions, which every recorded figure needs."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} x {_read_processor()}",
        "load": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("semilla", "torch", "sentencepiece", "onnxruntime")},
    }


def _read_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def _read_trials(path: Path, *, seed: int) -> Iterator[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in map(json.loads, lines):
        if "index" in line and line.pop("seed") == seed:
            yield line
