"""The heartbeat says what a run is doing right now, and its readers never accept a half-written line."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.errors import InvalidConfigError
from semilla.events import PhaseStarted, StepDone, Transferred
from semilla.records import heartbeat, names
from semilla.records.heartbeat import KEPT_LOSSES, MAX_BYTES, Trace, open_heartbeat, read_heartbeat


def make_step(number: int, *, loss: float = 5.5) -> StepDone:
    return StepDone(number, 100, 1, 2, loss, 3e-4, 20_000.0, 7.0)


def test_the_last_event_is_read(tmp_path: Path) -> None:
    """A reader sees the step, the losses so far and the current download."""
    with open_heartbeat(tmp_path) as tell:
        assert read_heartbeat(tmp_path) is None
        tell(PhaseStarted("corpus_download"))
        tell._last_s = -1e9
        tell(Transferred("pg11.txt", 5, None))
        beat = read_heartbeat(tmp_path)
        assert beat is not None
        assert (beat.step, beat.transfer) == (None, Transferred("pg11.txt", 5, None))
        tell(PhaseStarted("model_training"))
        tell._last_s = -1e9
        tell(make_step(1))
        beat = read_heartbeat(tmp_path)
        assert beat is not None
        assert (beat.step, beat.transfer, beat.losses) == (make_step(1), None, (5.5,))


def test_the_file_is_there_only_while_the_run_goes_on(tmp_path: Path) -> None:
    """It is removed at the end; what a killed run left is emptied by the next one."""
    path = tmp_path / names.HEARTBEAT
    with open_heartbeat(tmp_path) as tell:
        tell(PhaseStarted("model_training"))
        left = path.read_bytes()
    assert not path.exists()
    path.write_bytes(left)
    assert read_heartbeat(tmp_path) is not None
    with open_heartbeat(tmp_path):
        assert read_heartbeat(tmp_path) is None


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """The file it leads to stays as it is."""
    (tmp_path / "mine").write_text("mío")
    (tmp_path / names.HEARTBEAT).symlink_to(tmp_path / "mine")
    with pytest.raises(InvalidConfigError, match="cannot be used"), open_heartbeat(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "mío"


def test_the_line_is_written_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock decides, not the number of steps."""
    clock = [0.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    writes = []
    monkeypatch.setattr(heartbeat.os, "pwrite", lambda *arguments: writes.append(arguments))
    with open_heartbeat(tmp_path) as tell:
        for number in range(1000):
            clock[0] = number / 100
            tell(make_step(number))
    assert len(writes) == 10


@pytest.mark.parametrize("damage", [b"", b"zzzzzzzz {}", b"00000000 {}\n", b"\xff" * 300, b"\0" * 600])
def test_a_damaged_line_is_ignored(tmp_path: Path, damage: bytes) -> None:
    """Whatever the file contains, the reader returns None."""
    (tmp_path / names.HEARTBEAT).write_bytes(damage)
    assert read_heartbeat(tmp_path) is None


def test_readers_never_see_a_mixture(tmp_path: Path) -> None:
    """With a writer and a reader at once, every accepted line is one that was written."""
    stop = threading.Event()
    with open_heartbeat(tmp_path) as tell:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                tell._last_s = -1e9
                tell(make_step(number, loss=float(number)))

        writer = threading.Thread(target=write)
        writer.start()
        beats = [read_heartbeat(tmp_path) for _ in range(2000)]
        stop.set()
        writer.join()
    steps = [beat.step for beat in beats if beat and beat.step]
    assert steps
    assert all(step.loss == step.step for step in steps)


@given(st.integers(1, 5000))
def test_a_trace_stays_short_and_keeps_its_shape(count: int) -> None:
    """A falling value of any length becomes a falling curve of bounded length that fits in one page."""
    trace = Trace()
    for number in range(count):
        trace.add(float(count - number))
    assert len(trace.means) < 2 * KEPT_LOSSES
    assert trace.means == sorted(trace.means, reverse=True)
    assert len(json.dumps([round(mean, 4) for mean in trace.means])) < MAX_BYTES - 400
