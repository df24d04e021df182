"""Repeat the run that the guide quotes, record its figures, and update the numbers in the guide.

The command is the one in scripts/first-run. The figures go to docs/guide/recorded/first-run.json, with the date and
the machine. ``--from DIRECTORY`` takes the figures of a finished run of that command instead; the recorded transcript
then stays as it is.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import write_guide

import semilla
from semilla import __version__
from semilla.corpus.manifest import read_manifest
from semilla.records import names
from semilla.records.metrics import TrainingMetrics, read_metrics
from semilla.records.results import ValidationResults
from semilla.records.status import PipelineStatus, read_status

OPENING, OPENING_TOKENS, SEED, TEMPERATURES = "Once upon a time there was", 24, 1, (0, 0.5, 1.0, 1.5, 2.0)
"""What the recorded model continues, so that the guide can show what the temperature does."""
FIRST_RUN = Path(__file__).parent / "first-run"


def read_command() -> list[str]:
    """Return the words of the command in scripts/first-run, as a user types them."""
    line = re.search(
        r"^\.venv/bin/(semilla run .*?) \"\$@\"$", FIRST_RUN.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert line, "scripts/first-run no longer has its command"
    return shlex.split(line[1])


def make_run(directory: Path) -> list[str]:
    """Run the command with ``directory`` as its output directory; return the lines that it printed."""
    words = [sys.executable, "-m", *read_command(), "--output-dir", str(directory)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEMILLA_")}
    done = subprocess.run(words, check=True, capture_output=True, encoding="utf-8", env=kept)
    return [line.replace(str(directory), "data") for line in done.stdout.splitlines()]


def collect(directory: Path, transcript: list[str]) -> dict[str, Any]:
    """Collect everything that the guide quotes from a run."""
    status, metrics = read_status(directory), read_metrics(directory / names.METRICS)
    assert status
    assert status.validation_results
    return {
        "command": shlex.join(read_command()),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "version": __version__,
        "figures": dict(sorted(collect_figures(directory, status, metrics).items())),
        "epochs": [epoch.model_dump(mode="json") for epoch in metrics.epoch_history],
        "findings": [finding.model_dump(mode="json") for finding in status.validation_results.findings],
        "transcript": transcript,
        "temperatures": continue_opening(directory),
        "stories": list_stories(status.validation_results),
    }


def list_stories(results: ValidationResults) -> list[str]:
    """The first text that the finished model wrote in each language, with the opening that it continued."""
    first = {sample.language: sample for sample in reversed(results.list_samples())}
    return [first[language].whole.rstrip() for language in sorted(first)]


def continue_opening(directory: Path) -> list[dict[str, Any]]:
    """Let the bundle of a run continue one opening at each temperature, without other limits on its choice."""
    model = semilla.load(directory)
    return [
        {
            "prompt": OPENING,
            "temperature": temperature,
            "text": model.generate(
                OPENING,
                seed=SEED,
                max_tokens=OPENING_TOKENS,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                repetition_penalty=1.0,
            ),
        }
        for temperature in TEMPERATURES
    ]


def collect_figures(directory: Path, status: PipelineStatus, metrics: TrainingMetrics) -> dict[str, float]:
    """Collect single numbers by name: losses, sizes, seconds, measurements of the bundle."""
    results, final = status.validation_results, metrics.final_metrics
    assert results
    assert final
    first, last = metrics.epoch_history[0], metrics.epoch_history[-1]
    figures: dict[str, float] = {
        "num_epochs": len(metrics.epoch_history),
        "best_epoch": final.best_epoch,
        "best_validation_loss": results.best_val_loss,
        "final_training_loss": last.train_loss,
        "final_validation_loss": last.validation_loss,
        "first_training_loss": first.train_loss,
        "first_validation_loss": first.validation_loss,
        "first_learning_rate": first.learning_rate,
        "last_learning_rate": last.learning_rate,
        "first_gradient_norm": first.gradient_norm,
        "last_gradient_norm": last.gradient_norm,
        "training_seconds": final.total_training_time,
        "total_seconds": sum(status.phase_timings.values()),
        "corpus_bytes": (directory / names.COLLECTION_CORPUS).stat().st_size,
        "num_documents": len(read_manifest(directory).documents),
        "bundle_bytes": sum(
            path.stat().st_size for path in (directory / names.BUNDLE).rglob("*") if path.is_file()
        ),
        "overfitting_gap": last.validation_loss - last.train_loss,
        **results.inference_metrics.model_dump(),
    }
    figures |= {f"bits_per_byte_{key}": value for key, value in results.bits_per_byte.items()}
    for language, grammar in results.minimal_pairs.items():
        figures[f"minimal_pairs_{language}"] = 100 * grammar.accuracy
        figures[f"minimal_pairs_count_{language}"] = grammar.num_pairs
    figures |= {one.name.replace(".", "_"): one.value for one in results.findings if one.value is not None}
    for phase, entry in status.phase_records.items():
        figures[f"{phase}_seconds"] = status.phase_timings[phase]
        figures |= flatten(entry.details)
    return figures


def flatten(details: dict[str, Any], *, prefix: str = "") -> dict[str, float]:
    """Return the numbers in the details of a phase. Names of nested objects are joined with ``_``."""
    figures: dict[str, float] = {}
    for name, value in details.items():
        if isinstance(value, dict):
            figures |= flatten(value, prefix=f"{prefix}{name}_")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            figures[f"{prefix}{name}"] = value
    return figures


def describe_machine() -> str:
    found = re.search(
        r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
    )
    cores = len(os.sched_getaffinity(0))
    return f"{found[1] if found else platform.machine()}, {cores} cores, {platform.system()}"


def main() -> int:
    if "--from" in sys.argv:
        directory = Path(sys.argv[sys.argv.index("--from") + 1])
        content = collect(directory, write_guide.read_recorded()["transcript"])
    else:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "data"
            content = collect(directory, make_run(directory))
    write_guide.RECORDED.parent.mkdir(exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, indent=1)
    write_guide.RECORDED.write_text(text + "\n", encoding="utf-8")
    sys.argv[1:] = []
    return write_guide.main()


if __name__ == "__main__":
    sys.exit(main())
