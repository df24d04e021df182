"""The outcome of a run as a headline, and the command to run next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semilla.configuration.settings import to_command
from semilla.errors import PHASES, RETRYABLE
from semilla.formatting import quote
from semilla.records.results import Finding
from semilla.records.sample import Sample
from semilla.report.figures import describe_miss
from semilla.report.runs import RecordedRun
from semilla.training.early_stopping import find_last_epoch

OPENINGS = {"en": "Once upon a time", "es": "Había una vez"}
_OPENING_WORDS = 4


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
    headline = "Trained, but a gate was missed" if is_trained else f"Stopped in {error.failed_phase}"
    command = f"semilla guide {error.error_type}"
    if error.error_type in RETRYABLE:
        command = to_command(run.config, resume_from_checkpoint=True)
    return Verdict("bad", headline, [error.error_message], command)


def _describe_success(run: RecordedRun) -> Verdict:
    findings = run.results.findings if run.results else []
    missed = [finding for finding in findings if not finding.passed]
    headline = f"Fits its machine; {describe_text(findings)}"
    if missed:
        miss = "misses its" if len(missed) == 1 else "miss their"
        lines = [f"All gates passed. {len(missed)} of {len(findings)} figures {miss} target."]
        lines += [describe_miss(finding) for finding in missed]
        if run.results and run.results.invented_examples and "invented_words" in {one.name for one in missed}:
            lines.append(f"Words that do not exist in its text: {', '.join(run.results.invented_examples)}")
        return Verdict("warn", headline, lines, f"semilla guide {missed[0].topic}")
    samples = run.results.list_samples() if run.results else []
    language = run.languages[0] if run.languages else ""
    own = [sample for sample in samples if sample.language == language]
    opening = (suggest_opening(own[0]) if own else "") or OPENINGS.get(language, OPENINGS["en"])
    command = f"semilla generate {quote(opening)} --model {quote(run.directory)}"
    return Verdict("good", headline, [f"All {len(findings)} gates and targets are met."], command)


def suggest_opening(sample: Sample) -> str:
    """An opening to try: that of the sample, which is from the text itself, or the usual one if it begins so."""
    usual = OPENINGS.get(sample.language or "", "")
    if usual and (not sample.prompt or sample.prompt.startswith(usual)):
        return usual
    return sample.prompt.strip() or " ".join(sample.text.split()[:_OPENING_WORDS])


def describe_text(findings: Sequence[Finding]) -> str:
    """What the measurements have shown about the text that the model writes, and no more."""
    passed: dict[str, bool] = {}
    for finding in findings:
        kind = finding.name.partition(".")[0]
        passed[kind] = passed.get(kind, True) and finding.passed
    if "invented_words" not in passed:
        return "the words it writes were not measured"
    if not passed["invented_words"]:
        return "some of its words do not exist"
    if not all(passed.get(name, True) for name in ("minimal_pairs", "language", "repetition")):
        return "writes real words, not yet sound sentences"
    if not passed.get("ended", True):
        return "writes sentences that do not come to an end"
    if "coherence" in passed:
        return (
            "writes whole stories" if passed["coherence"] else "writes whole sentences, not yet whole stories"
        )
    known = "whole sentences" if "minimal_pairs" in passed else "real words"
    return f"writes {known}; whether they make sense was not measured"


def _count_epochs(run: RecordedRun) -> str:
    losses = [epoch.validation_loss for epoch in run.epochs]
    done, total = len(losses), find_last_epoch(losses, run.config.training_hyperparameters)
    return f": {done} of {total} epochs" if done else ""
