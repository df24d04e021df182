"""A vocabulary left open suits the text: few pieces for a small text, never too few for its characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import write_text

from semilla.configuration.schema import PipelineConfiguration
from semilla.events import Event, Note, silent
from semilla.pipeline.phases import corpus_download, tokenizer_training
from semilla.tokenizer.size import suit_vocabulary

OPEN = PipelineConfiguration()


@pytest.mark.parametrize(
    ("train_bytes", "num_characters", "size"),
    [
        (10_000, 80, 1000),
        (45_000, 80, 1000),
        (163_000, 80, 1630),
        (800_000, 80, 8000),
        (2_500_000, 120, 8000),
    ],
)
def test_a_hundred_bytes_for_each_piece(train_bytes: int, num_characters: int, size: int) -> None:
    assert suit_vocabulary(OPEN, train_bytes=train_bytes, num_characters=num_characters) == size


def test_every_character_has_a_piece() -> None:
    assert suit_vocabulary(OPEN, train_bytes=100_000, num_characters=3000) > 3000 + 256


@pytest.mark.parametrize(
    "values",
    [{"tokenizer_vocab_size": 8000}, {"tokenizer_vocab_size": 2000}, {"tokenizer_model_type": "char"}],
)
def test_what_was_set_stays(values: dict[str, object]) -> None:
    config = PipelineConfiguration.model_validate(values)
    assert suit_vocabulary(config, train_bytes=10_000) == config.tokenizer_vocab_size


def test_phase_3_says_what_it_chose(tmp_path: Path) -> None:
    source = write_text(tmp_path / "libro.txt", num_lines=4000)
    config = PipelineConfiguration(corpus_source=str(source), output_directory=str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    corpus_download.run(config, progress=silent)
    events: list[Event] = []
    record = tokenizer_training.run(config, progress=events.append)
    told = [event.text for event in events if isinstance(event, Note)]
    assert "pieces suit so little text better than the default 8,000" in told[0]
    assert 1000 <= record.details["vocab_size"] < 2000
