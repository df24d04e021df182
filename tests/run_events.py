"""The events of a small run, as a display receives them."""

from __future__ import annotations

from semilla.errors import PHASES
from semilla.events import EpochDone, PhaseFinished, PhaseStarted, Progress, StepDone, Transferred, Warned
from semilla.pipeline.phases import PhaseRecord
from semilla.records.metrics import EpochMetrics


def make_epoch(number: int = 1, *, samples: tuple[str, ...] = ()) -> EpochDone:
    metrics = EpochMetrics(
        epoch_number=number,
        train_loss=4.5,
        validation_loss=4.75,
        learning_rate=3e-4,
        elapsed_seconds=20,
        sample_outputs=list(samples),
        gradient_norm=1.0,
        tokens_per_second=21234.4,
        bits_per_byte={"all": 1.625, "en": 1.6},
    )
    return EpochDone(metrics, is_best=True)


def send_run_events(progress: Progress) -> None:
    """Send the events of a small run."""
    for phase in PHASES:
        progress(PhaseStarted(phase))
        if phase == "corpus_download":
            progress(Transferred("pg11.txt", 100, None))
            progress(Transferred("pg11.txt", 2**20, 2**20))
            progress(Warned("el libro cambió\x1b[31m\nnext: rm", "corpus_drift"))
        if phase == "model_training":
            progress(StepDone(1, 2, 1, 7, 8.9, 3e-4, 20000.0, 61.0))
            progress(make_epoch(samples=("Había una vez\x1b]0;título\x07 🌱", "Once\nupon")))
        progress(
            PhaseFinished(
                phase, PhaseRecord(phase), "reused" if phase == "tokenizer_training" else "done", 65
            )
        )
