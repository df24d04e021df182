"""The status follows the phases in order, and its file is correct or refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semilla.errors import PHASES, IntegrityError, LockedError
from semilla.records import names
from semilla.records.lock import hold_lock, is_locked
from semilla.records.metrics import EpochMetrics, summarize
from semilla.records.status import ErrorDetails, PhaseEntry, PipelineStatus, read_status, write_status


def test_a_run_passes_through_all_phases_in_order() -> None:
    """Each phase is entered once, and the run ends as complete."""
    status = PipelineStatus()
    for phase in PHASES:
        status.enter(phase)
        assert status.current_phase == phase
        status.complete_phase(phase, PhaseEntry())
    status.finish()
    assert (status.current_phase, status.run_state) == ("complete", "complete")
    assert tuple(status.completed_phases) == PHASES


@pytest.mark.parametrize("phase", ["tokenizer_training", "model_training", "validation"])
def test_no_phase_can_be_jumped_to(phase: str) -> None:
    """The sequence of the specification is enforced."""
    with pytest.raises(AssertionError, match="comes next"):
        PipelineStatus().enter(phase)


def test_a_failed_run_goes_no_further_until_the_next_attempt() -> None:
    """The next attempt keeps the run's id and begins at the first phase."""
    status = PipelineStatus()
    status.enter("prerequisite_check")
    details = ErrorDetails(
        failed_phase="prerequisite_check", error_type="network", error_message="m", stderr_output=""
    )
    status.fail(details)
    assert status.current_phase == "failed"
    with pytest.raises(AssertionError):
        status.enter("prerequisite_check")
    identity = status.pipeline_id
    status.begin_attempt()
    status.enter("prerequisite_check")
    assert (status.attempt, status.pipeline_id, status.error_details) == (2, identity, None)


def test_the_file_comes_back_as_it_was(tmp_path: Path) -> None:
    """What was written is read back, and a damaged file is refused."""
    status = PipelineStatus(artifacts_created=["corpus_bilingual.txt"])
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    for bad in ("", "[]", '{"current_phase": "dreaming"}', '{"phase_timings": {"validation": NaN}}'):
        (tmp_path / names.STATUS).write_text(bad)
        with pytest.raises(IntegrityError):
            read_status(tmp_path)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second process is refused while the first lives, but not after it was killed."""
    assert not is_locked(tmp_path)
    code = "import sys, time, pathlib; from semilla.records.lock import hold_lock\n" \
           "with hold_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
        with pytest.raises(LockedError, match=f"process {child.pid} since 20"), hold_lock(tmp_path):
            pass
        child.kill()
        child.wait()
    with hold_lock(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def make_epoch(number: int, *, train: float, validation: float) -> EpochMetrics:
    return EpochMetrics(
        epoch_number=number, train_loss=train, validation_loss=validation, learning_rate=1e-4, elapsed_seconds=1,
        sample_outputs=[], gradient_norm=1.0, tokens_per_second=1.0, bits_per_byte={},
    )  # fmt: skip


def test_final_metrics_say_best_plateau_and_overfitting() -> None:
    """Best is the lowest validation loss; three equal losses are a plateau; a gap over 0.5 is overfitting."""
    history = [make_epoch(n, train=4.0, validation=v) for n, v in enumerate([5.0, 4.4, 4.41, 4.42], start=1)]
    final = summarize(history, total_training_time=4.0)
    assert (final.best_epoch, final.convergence_achieved, final.overfitting_detected) == (2, True, False)
    worse = [*history, make_epoch(5, train=3.5, validation=4.6)]
    final = summarize(worse, total_training_time=5.0)
    assert (final.convergence_achieved, final.overfitting_detected) == (False, True)
