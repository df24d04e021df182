"""Token files of a large text are a run's artifacts, and go when a later run reads its text in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_training import train

from semilla.events import ArtifactRemoved, ArtifactWritten, Event, Note
from semilla.records import names
from semilla.training import stored


def test_token_files_go_when_the_text_becomes_small(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is reported as written and as removed, and that is said once. A file of another name stays."""
    events: list[Event] = []
    with monkeypatch.context() as patch:
        patch.setattr(stored, "LARGE_BYTES", 1000)
        train(directory, progress=events.append, num_epochs=1)
    folder = directory / names.TOKENS
    written = {event.path for event in events if isinstance(event, ArtifactWritten)}
    found = set(folder.iterdir())
    assert found <= written
    assert {path.name for path in found} >= {"train.json", "held_out.json", "train_00000.ds"}
    notes = folder / "notas.txt"
    notes.write_text("mías", encoding="utf-8")
    events.clear()
    train(directory, progress=events.append, num_epochs=1)
    assert [*folder.iterdir()] == [notes]
    assert {event.path for event in events if isinstance(event, ArtifactRemoved)} >= found
    assert sum("larger text" in event.text for event in events if isinstance(event, Note)) == 1
    events.clear()
    notes.unlink()
    train(directory, progress=events.append, num_epochs=1)
    assert not any("larger text" in event.text for event in events if isinstance(event, Note))
