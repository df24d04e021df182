"""Progress for programs: each event as one line of JSON on standard output.

``event`` is the kind: the name of a class of ``semilla.events`` in snake case (``step_done``). ``time`` is when the
line was written, in ISO 8601 and UTC. The other keys are the event's fields. The last line is ``run_finished`` with the
content of the status file, or ``run_stopped`` with the error.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from semilla.errors import SemillaError
from semilla.escape import escape_controls
from semilla.events import Event
from semilla.records.status import PipelineStatus, now
from semilla.terminal.console import abandon_output


class JsonProgress:
    """A listener that writes a line for every event."""

    def __call__(self, event: Event) -> None:
        write_line(describe_kind(event), describe_fields(event))


def describe_kind(event: Event) -> str:
    """``StepDone`` -> ``step_done``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()


def describe_fields(event: Event) -> dict[str, Any]:
    return {one.name: _simplify(getattr(event, one.name)) for one in dataclasses.fields(event)}


def finish(status: PipelineStatus) -> None:
    """Write the last line of a complete run."""
    write_line("run_finished", {"status": status.model_dump(mode="json")})


def stop(error: SemillaError) -> None:
    """Write the last line of a run that stopped with an error."""
    fields = {"category": error.category, "phase": error.phase, "message": error.message}
    write_line("run_stopped", {**fields, "exit_code": error.status})


def write_line(kind: str, fields: dict[str, Any]) -> None:
    text = json.dumps({"event": kind, "time": now(), **fields}, ensure_ascii=True, allow_nan=False)
    try:
        sys.stdout.write(escape_controls(text) + "\n")
        sys.stdout.flush()
    except OSError:
        # The reader is gone, but training goes on.
        abandon_output()


def _simplify(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value
