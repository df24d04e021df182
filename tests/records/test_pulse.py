"""The pulse: where a run is between two records, for readers who take nothing half written."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.errors import LockedError
from semilla.events import PhaseStarted, StepDone, Transferred
from semilla.records import heartbeat as pulse
from semilla.records import names
from semilla.records.heartbeat import KEPT_LOSSES, PLACE_BYTES, Trace, open_pulse, read_beat
from semilla.records.lock import hold_lock, is_locked


def make_step(number: int, *, loss: float = 5.5) -> StepDone:
    return StepDone(number, 100, 1, 2, loss, 3e-4, 20_000.0, 7.0)


def test_what_was_told_last_is_read(tmp_path: Path) -> None:
    """The step, the losses so far and the download under way, from the lock file of a run that goes on."""
    with hold_lock(tmp_path), open_pulse(tmp_path) as tell:
        assert read_beat(tmp_path) is None
        tell(PhaseStarted("corpus_download"))
        tell._last_s = -1e9
        tell(Transferred("pg11.txt", 5, None))
        beat = read_beat(tmp_path)
        assert beat is not None
        assert (beat.step, beat.transfer) == (None, Transferred("pg11.txt", 5, None))
        tell(PhaseStarted("model_training"))
        tell._last_s = -1e9
        tell(make_step(1))
        beat = read_beat(tmp_path)
        assert beat is not None
        assert (beat.step, beat.transfer, beat.losses) == (make_step(1), None, (5.5,))


def test_the_lock_still_tells_its_holder(tmp_path: Path) -> None:
    """The pulse stands behind it, and a second run is refused with the first one's number."""
    with hold_lock(tmp_path), open_pulse(tmp_path) as tell:
        tell(PhaseStarted("model_training"))
        assert is_locked(tmp_path)
        assert "process_id" in (tmp_path / names.LOCK).read_text(encoding="utf-8")[:PLACE_BYTES]
        with pytest.raises(LockedError, match=r"process \d+ since"), hold_lock(tmp_path):
            pass


def test_the_line_is_written_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps there are: by the clock, not by the step."""
    clock = [0.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: clock[0])
    writes = []
    monkeypatch.setattr(pulse.os, "pwrite", lambda *arguments: writes.append(arguments))
    with hold_lock(tmp_path), open_pulse(tmp_path) as tell:
        for number in range(1000):
            clock[0] = number / 100
            tell(make_step(number))
    assert len(writes) == 10


@pytest.mark.parametrize("damage", [b"", b"zzzzzzzz {}", b"00000000 {}\n", b"\xff" * 300, b"\0" * 600])
def test_a_line_that_is_not_whole_is_none(tmp_path: Path, damage: bytes) -> None:
    """Whatever a reader meets there."""
    (tmp_path / names.LOCK).write_bytes(b"{}".ljust(PLACE_BYTES, b"\0") + damage)
    assert read_beat(tmp_path) is None


def test_readers_never_take_a_mixture(tmp_path: Path) -> None:
    """A writer and a reader at once: every line taken is one that was written."""
    stop = threading.Event()
    with hold_lock(tmp_path), open_pulse(tmp_path) as tell:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                tell._last_s = -1e9
                tell(make_step(number, loss=float(number)))

        writer = threading.Thread(target=write)
        writer.start()
        beats = [read_beat(tmp_path) for _ in range(2000)]
        stop.set()
        writer.join()
    steps = [beat.step for beat in beats if beat and beat.step]
    assert steps
    assert all(step.loss == step.step for step in steps)


@given(st.integers(1, 5000))
def test_a_trace_stays_short_and_keeps_the_course(count: int) -> None:
    """A falling value of any length is a falling line of bounded length, and its text fits one page."""
    trace = Trace()
    for number in range(count):
        trace.add(float(count - number))
    assert len(trace.means) < 2 * KEPT_LOSSES
    assert trace.means == sorted(trace.means, reverse=True)
    assert len(json.dumps([round(mean, 4) for mean in trace.means])) < pulse.SIZE_BYTES - 400
