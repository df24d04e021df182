"""The outcome of a run as a headline, and the command to run next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semilla.configuration.settings import to_command
from semilla.errors import PHASES, RETRYABLE
from semilla.formatting import quote
from semilla.report.figures import describe_miss
from semilla.report.runs import RecordedRun

OPENINGS = {"es": "Había una vez"}
USUAL_OPENING = "Once upon a time"


@dataclass(frozen=True)
class Verdict:
    """An outcome. ``tone`` is good, warn, bad or open. ``command`` may be empty."""

    tone: str
    headline: str
    lines: Sequence[str]
    command: str


def judge_run(run: RecordedRun) -> Verdict:
    """Say whether there is a model to use, and what to do next."""
    status, place = run.status, quote(run.directory)
    if status.error_details:
        return _describe_failure(run)
    if status.run_state == "complete":
        return _describe_success(run)
    if status.run_state == "interrupted":
        line = f"The progress is saved{_count_epochs(run)}."
        again = to_command(run.config, resume_from_checkpoint=True)
        return Verdict("open", f"Interrupted in {status.current_phase}", [line], again)
    return Verdict("open", f"Running: {status.current_phase}", [], f"semilla status --watch {place}")


def _describe_failure(run: RecordedRun) -> Verdict:
    error = run.status.error_details
    assert error is not None
    is_trained = error.failed_phase == PHASES[-1]
    headline = "Trained, but not ready to ship" if is_trained else f"Stopped in {error.failed_phase}"
    command = f"semilla guide {error.error_type}"
    if error.error_type in RETRYABLE:
        command = to_command(run.config, resume_from_checkpoint=True)
    return Verdict("bad", headline, [error.error_message], command)


def _describe_success(run: RecordedRun) -> Verdict:
    findings = run.results.findings if run.results else []
    missed = [finding for finding in findings if not finding.passed]
    if missed:
        miss = "misses its" if len(missed) == 1 else "miss their"
        line = f"All gates passed. {len(missed)} of {len(findings)} figures {miss} target."
        command = f"semilla guide {missed[0].topic}"
        return Verdict(
            "warn", "Ready to ship, some targets missed", [line, *map(describe_miss, missed)], command
        )
    opening = OPENINGS.get(run.languages[0] if run.languages else "", USUAL_OPENING)
    command = f"semilla generate {quote(opening)} --model {quote(run.directory)}"
    return Verdict("good", "Ready to ship", [f"All {len(findings)} gates and targets are met."], command)


def _count_epochs(run: RecordedRun) -> str:
    done, total = len(run.epochs), run.config.training_hyperparameters.num_epochs
    return f": {done} of {total} epochs" if done else ""
