"""``run --minutes`` chooses settings for the text, keeps what was set, and goes on with the plan it began with."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_runs import read, write_text

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.pipeline import dial
from semilla.planning.plan import PLANNED
from semilla.records.run_configuration import read_run_configuration
from semilla.system import interrupts

MINUTES = ["--minutes", "0.01", "--num-threads", "1", "--precision", "float32", "--max-validation-loss", "20"]
"""So short a time that the smallest network is chosen."""


@pytest.fixture(scope="module", autouse=True)
def _known_speed() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dial, "measure_speed", lambda config: 0.5)
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "libro.txt", num_lines=3000)


def run(directory: Path, source: Path, *options: str) -> int:
    return cli.main(["run", "-o", str(directory), "-i", str(source), *MINUTES, *options])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    directory = tmp_path_factory.mktemp("finished") / "run"
    assert run(directory, source, "--num-heads", "4") == 0
    return directory


def test_the_run_has_the_settings_of_its_plan(finished: Path) -> None:
    plan = read(finished)["plan"]
    flat = read_run_configuration(finished).flatten()
    assert plan["settings"] == {name: flat[name] for name in PLANNED}
    assert (plan["minutes"], flat["num_epochs"], flat["d_model"], flat["num_heads"]) == (0.01, 1, 64, 4)
    assert plan["bits_low"] < plan["bits_per_byte"] < plan["bits_high"]


def test_the_same_command_has_nothing_to_do(
    finished: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read(finished)
    assert run(finished, source, "--num-heads", "4") == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert read(finished) == before


def test_a_stopped_run_goes_on_with_its_plan(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the machine looks fast by then, and the time would allow a larger network."""
    monkeypatch.setattr("semilla.pipeline.phases.tokenizer_training.run", interrupt)
    assert run(tmp_path / "run", source) == 130
    plan = read(tmp_path / "run")["plan"]
    monkeypatch.undo()
    monkeypatch.setattr(dial, "measure_speed", lambda config: 1e-6)
    assert run(tmp_path / "run", source) == 0
    assert read(tmp_path / "run")["plan"] == plan


def interrupt(*_: object, **__: object) -> None:
    signal.raise_signal(signal.SIGINT)
    interrupts.check()


def test_another_choice_or_another_text_makes_another_plan(source: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    own = tmp_path / "own.txt"
    own.write_bytes(source.read_bytes())
    plans = []
    for options in ([], ["--dropout", "0.45"], ["--dropout", "0.45"]):
        assert run(directory, own, *options) in {0, 5}  # one epoch may be too little to learn from
        plans.append(read(directory)["plan"])
        if len(plans) == 2:
            with own.open("a", encoding="utf-8") as file:
                file.write("A new line at the end of the text.\n" * 40)
    assert plans[0]["settings"]["dropout"] != plans[1]["settings"]["dropout"] == 0.45
    assert plans[1]["corpus"] != plans[2]["corpus"]


def make_journal(directory: Path, *, seconds: float, outcome: str = "done") -> Any:
    """A finished run of the corpus in ``directory``, with 3 bits per byte."""
    status = SimpleNamespace(
        validation_results=SimpleNamespace(bits_per_byte={"all": 3.0}),
        phase_timings={"corpus_download": 1.0, "model_training": seconds},
        phase_records={"model_training": SimpleNamespace(outcome=outcome)},
    )
    return SimpleNamespace(directory=directory, status=status)


def test_a_run_without_the_dial_says_what_it_would_bring(finished: Path) -> None:
    """In the same time, relative to what the run reached."""
    config = PipelineConfiguration(corpus_source="libro.txt")
    told = dial.suggest_minutes(config, make_journal(finished, seconds=600))
    assert told is not None
    match = re.search(r"--minutes 11 would choose .* reach about (\S+) bits per byte instead of 3\.00", told)
    assert match
    assert 1 < float(match[1]) < 3 * dial.CLEARLY_LESS


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"minutes": 3.0}, "done"),
        ({"corpus_source": "sample"}, "done"),
        ({"corpus_source": "libro.txt"}, "reused"),
    ],
)
def test_nothing_is_said_where_nothing_is_known(finished: Path, values: dict[str, Any], outcome: str) -> None:
    config = PipelineConfiguration(**values)
    assert dial.suggest_minutes(config, make_journal(finished, seconds=600, outcome=outcome)) is None


def test_plan_shows_the_plans_and_keeps_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan", str(source), "--minutes", "3", "--d-model", "128", "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)
    assert list(plans) == ["1 min 30 s", "3 min 00 s", "12 min 00 s", "without --minutes"]
    assert all(plan["settings"]["d_model"] == 128 for plan in plans.values())
    assert plans["3 min 00 s"]["seconds"][0] <= 180
    assert 1000 <= plans["without --minutes"]["settings"]["tokenizer_vocab_size"] < 2000
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["plan", str(source), "--overnight"]) == 0
    shown = capsys.readouterr().out
    assert "--minutes=480" in shown
    assert "bits per byte" in shown


def test_a_text_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    assert cli.main(["plan", str(tmp_path / "empty.txt")]) == 65
    told = capsys.readouterr().err
    assert "empty.txt" in told
    assert "semilla-trial-" not in told
