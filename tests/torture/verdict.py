"""What two finished runs must have in common, and what must hold in the directory of a killed run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from semilla.commands.status import read_true_status
from semilla.errors import SemillaError
from semilla.records import names
from semilla.records.files import TEMP_PREFIX, TEMP_SUFFIX, is_intact
from semilla.records.metrics import read_metrics
from semilla.runtime.budgets import BUDGETS
from semilla.training.checkpoints.checkpoint import read_sealed

CLOCKS = {"elapsed_s", "elapsed_seconds", "tokens_per_second", "total_training_time", "run_id"}
"""Fields with times or the run's name; two runs differ in nothing else."""
FOREIGN = {
    "notas del usuario.txt": b"no tocar\n",
    ".semilla-mine": b"",
    "otro/checkpoint_epoch_1.pt": b"mine",
}
"""Foreign files in the output directory, some with names close to ours."""
OWN_PLACES = (
    names.STATUS, names.CONFIGURATION, names.LOG, names.LOCK, names.HEARTBEAT, names.CORPUS, names.CORPUS_MANIFEST,
    names.METRICS, names.BEST_MODEL, names.FINAL_MODEL, names.REPORT, names.PAGE, names.CHECKPOINT_PATTERN,
    names.COLLECTION_CORPUS, "bilingual_8k.*", "tokenizer_8k.*", f"{names.BUNDLE}/*", f"{names.DOWNLOADS}/*",
    f"{names.TOKENS}/*",
)  # fmt: skip
UNSEALED = {
    names.STATUS,
    names.CONFIGURATION,
    names.LOG,
    names.LOCK,
    names.HEARTBEAT,
    names.METRICS,
    names.REPORT,
    names.PAGE,
}
"""Files that tell the time, so they differ between runs; the two that matter are read and compared field by field."""


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: its results, its history, and the bytes of its files without times."""

    directory: Path
    text: Path
    results: Mapping[str, object]
    history: list[object]
    sha256: Mapping[str, str]
    text_sha256: Mapping[str, str]


def describe_reference(directory: Path, *, text: Path) -> Reference:
    history = json.loads((directory / names.METRICS).read_bytes())["epoch_history"]
    hashes = {name: sha for name, sha in hash_files(directory).items() if is_timeless(name)}
    return Reference(
        directory,
        text,
        read_results(directory),
        [drop_clocks(row) for row in history],
        hashes,
        hash_files(text),
    )


def plant_foreign_files(directory: Path) -> None:
    for name, content in FOREIGN.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def compare(directory: Path, reference: Reference) -> list[str]:
    """Every difference between a finished run and the reference, and every other fault."""
    results, expected = read_results(directory), reference.results
    differing = [name for name in {**expected, **results} if results.get(name) != expected.get(name)]
    faults = [f"{len(differing)} results differ: {', '.join(sorted(differing)[:5])}"] if differing else []
    if find_temporaries(directory):
        faults.append("temporary files were left behind")
    status, _ = read_true_status(directory)
    if status.run_state != "complete":
        faults.append(f"the status says {status.run_state}")
    return faults + list_faults(directory, reference)


def list_faults(
    directory: Path, reference: Reference, *, announced: str | None = None, may_fail: bool = False
) -> list[str]:
    """Faults of a directory at any instant, also right after a kill; ``announced`` is a checkpoint it had.

    The status may say "failed" where the run itself could record the end of another process.
    """
    faults = [
        *find_strange_files(directory, reference),
        *find_incomplete(directory, reference),
        *find_lies(directory, reference, may_fail=may_fail),
    ]
    if announced and not (directory / announced).is_file():
        faults.append(f"{announced} was announced and is gone")
    return faults


def read_results(directory: Path) -> dict[str, object]:
    """Everything that must be the same in two runs, under readable names: tensors, losses, metrics, files."""
    results: dict[str, object] = {}
    for path in sorted(directory.glob("*.pt")):
        if not path.name.startswith("checkpoint_step_"):
            results.update(flatten(path.name, read_sealed(path)))
    metrics = json.loads((directory / names.METRICS).read_bytes())
    del metrics["sha256"]  # depends on clocks; reading verifies it
    results.update(flatten(names.METRICS, metrics))
    status = json.loads((directory / names.STATUS).read_bytes())
    verdict = {k: v for k, v in (status["validation_results"] or {}).items() if k != "inference_metrics"}
    verdict["findings"] = [
        finding for finding in verdict.get("findings", []) if finding["name"] not in BUDGETS
    ]
    results.update(flatten("validation", verdict))
    results.update({n: sha for n, sha in hash_files(directory).items() if is_timeless(n)})
    return results


def flatten(name: str, value: Any) -> Iterator[tuple[str, object]]:
    """Leaves of a nested value under their paths, clocks left out; tensors by dtype, shape and bytes."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key not in CLOCKS and key != "output_directory":
                yield from flatten(f"{name}/{key}", part)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from flatten(f"{name}/{index}", part)
    elif isinstance(value, torch.Tensor):
        data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        yield name, (str(value.dtype), tuple(value.shape), hashlib.sha256(data).hexdigest())
    else:
        yield name, value


def drop_clocks(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in CLOCKS}


def hash_files(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def is_timeless(name: str) -> bool:
    """Whether a file is byte-identical in every run. Archives of torch are compared by content."""
    return name not in UNSEALED and not name.endswith((".pt", TEMP_SUFFIX)) and name not in FOREIGN


def find_temporaries(directory: Path) -> list[Path]:
    return list(directory.rglob(f"{TEMP_PREFIX}*{TEMP_SUFFIX}"))


def find_strange_files(directory: Path, reference: Reference) -> Iterator[str]:
    """Faults in the user's files, inside and outside, and files with unexpected names."""
    for name, content in FOREIGN.items():
        path = directory / name
        if not path.is_file() or path.read_bytes() != content:
            yield f"{name} is not ours and was touched"
    if hash_files(reference.text) != reference.text_sha256:
        yield "the user's text was touched"
    known = {path for pattern in OWN_PLACES for path in directory.glob(pattern)} | set(
        find_temporaries(directory)
    )
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path not in known and path.relative_to(directory).as_posix() not in FOREIGN:
            yield f"{path.name} is a file that nobody expects"


def find_incomplete(directory: Path, reference: Reference) -> Iterator[str]:
    """Files under final names that are incomplete."""
    for name, sha256 in hash_files(directory).items():
        if is_timeless(name) and sha256 != reference.sha256.get(name):
            yield f"{name} is not what it is in the end"
    for path in directory.glob("*.pt"):
        try:
            read_sealed(path)
        except SemillaError as error:
            yield f"{path.name}: {error}"


def find_lies(directory: Path, reference: Reference, *, may_fail: bool = False) -> Iterator[str]:
    """Status and metrics that do not parse, or claim what has not happened."""
    try:
        if (directory / names.METRICS).exists():
            metrics = read_metrics(directory / names.METRICS)
            rows = [drop_clocks(row.model_dump(mode="json")) for row in metrics.epoch_history]
            if rows != reference.history[: len(rows)]:
                yield "the metrics tell of epochs that never were"
        if not (directory / names.STATUS).exists():
            return
        status, _ = read_true_status(directory)
    except SemillaError as error:
        yield str(error)
        return
    if status.run_state not in {"interrupted", "complete", *(["failed"] if may_fail else [])}:
        yield f"the status of a killed run says {status.run_state}"
    for phase in status.completed_phases:
        damaged = [a.path for a in status.phase_records[phase].artifacts if not is_intact(a, root=directory)]
        if damaged:
            yield f"{phase} is said to be done, but {', '.join(damaged)} is not what it left"
