"""The files of a run that never ran: made to look otherwise, and read for a figure."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from semilla.records import names
from semilla.records.status import read_status, write_status
from semilla.report.runs import RecordedRun

ATTACK = "</title><script>alert(1)</script><img src=x onerror=alert(1)>"


def set_running(directory: Path) -> None:
    """Make a finished run look as if its training went on."""
    status = read_status(directory)
    assert status is not None
    status.run_state, status.current_phase = "running", "model_training"
    del status.completed_phases[3:]
    write_status(directory, status)


def look_up(run: RecordedRun, source: str) -> Any:
    """The value of a figure in the JSON files of the run."""
    status = json.loads((run.directory / names.STATUS).read_text(encoding="utf-8"))
    metrics = json.loads((run.directory / names.METRICS).read_text(encoding="utf-8"))
    details = {phase: entry["details"] for phase, entry in status["phase_records"].items()}
    results = status["validation_results"]
    findings = {finding["name"]: finding["value"] for finding in results["findings"]}
    if source == "phase_timings":
        return sum(status["phase_timings"].values())
    content = {**status, **metrics, **details, **results, "findings": findings}
    if source.startswith("findings."):
        return findings[source.removeprefix("findings.")]
    for part in re.findall(r"[^.\[\]]+", source):
        content = content[int(part)] if part.isdigit() else content[part]
    return content
