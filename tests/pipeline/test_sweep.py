"""Sweeps: each run is the same as on its own, and a stopped sweep continues."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from disk_faults import DiskFaults, kill
from small_runs import write_text
from tiny_training import KnownPackages, describe_end, in_child

from semilla import cli
from semilla.configuration.loading import load_configuration
from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DivergedError, InvalidConfigError, NetworkError
from semilla.events import silent
from semilla.pipeline import sweep
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import PhaseRecord, model_training, prerequisite_check, validation
from semilla.pipeline.sweep import Outcome, Trial, is_listable, name_trial, plan_trials, run_trials
from semilla.records import names
from semilla.records.status import read_status

FLAGS = {
    "tokenizer_vocab_size": "1000", "num_layers": "1", "d_model": "64", "num_heads": "2", "dim_feedforward": "128",
    "batch_size": "32", "optimizer": "adamw", "max_sequence_length": "64", "num_epochs": "2", "num_threads": "1",
    "precision": "float32", "max_validation_loss": "20",
}  # fmt: skip
NUM_KILLS = 8
"""Of the system calls of a sweep, spread evenly."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "libro ñ, uno.txt")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the validation, which is tested elsewhere and takes longer than the training."""
    monkeypatch.setattr(prerequisite_check, "PackageProbe", KnownPackages)
    monkeypatch.setattr(validation, "run", lambda config, *, progress: PhaseRecord("validation"))
    torch.set_num_threads(1)


Plan = Callable[..., list[Trial]]


@pytest.fixture
def plan(source: Path, tmp_path: Path) -> Plan:
    def make(root: Path = tmp_path / "sweep", **lists: str) -> list[Trial]:
        def configure(**texts: str) -> PipelineConfiguration:
            flags = {**FLAGS, "corpus_source": str(source), **texts}
            return load_configuration(flags=flags, environment={}).config

        return plan_trials({k: v.split(",") for k, v in lists.items()}, root=root, configure=configure)

    return make


def run_all(trials: list[Trial]) -> list[Outcome]:
    return list(run_trials(trials, show=lambda trial: nullcontext(silent)))


def outcomes(trial: Trial) -> str:
    """First letters of the outcomes of corpus, tokenizer and training: done, reused."""
    status = read_status(trial.directory)
    assert status
    assert (status.run_state, status.attempt) == ("complete", 1)
    phases = ("corpus_download", "tokenizer_training", "model_training")
    return "".join(status.phase_records[phase].outcome[0] for phase in phases)


def test_every_combination_is_a_run_and_the_last_list_changes_fastest(plan: Plan) -> None:
    """Combinations count up like the digits of a number."""
    found = [tuple(trial.values.values()) for trial in plan(num_layers="1,2", seed="1,2,3")]
    assert found == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]


def test_a_run_has_a_directory_named_by_its_values(plan: Plan, tmp_path: Path) -> None:
    """The way a value is written does not matter, and a repeated value runs once."""
    trials = plan(num_layers="1,2", learning_rate="3e-4,0.0003,0.001")
    assert [trial.directory.name for trial in trials] == [
        "num-layers-1_learning-rate-0.0003", "num-layers-1_learning-rate-0.001",
        "num-layers-2_learning-rate-0.0003", "num-layers-2_learning-rate-0.001",
    ]  # fmt: skip
    assert {trial.directory.parent for trial in trials} == {tmp_path / "sweep"}
    assert (
        trials[1].config.training_hyperparameters.learning_rate == trials[1].values["learning_rate"] == 0.001
    )
    assert name_trial({"optimizer": "muon", "seed": 3}) == "optimizer-muon_seed-3"


@pytest.mark.parametrize(("name", "listed"), [
    ("num_layers", True), ("learning_rate", True), ("seed", True), ("optimizer", True), ("corpus_source", False),
    ("corpus_mirrors", False), ("output_directory", False), ("strict", False),
])  # fmt: skip
def test_a_comma_divides_numbers_and_choices_only(name: str, listed: bool) -> None:
    """A file name may contain a comma."""
    assert is_listable(name) is listed


def test_a_wrong_value_is_reported_before_anything_runs(plan: Plan, tmp_path: Path) -> None:
    """Otherwise a mistake in the third run would appear after hours."""
    with pytest.raises(InvalidConfigError, match="num_layers = '99'"):
        plan(num_layers="1,2,99")
    assert not (tmp_path / "sweep").exists()


def test_a_sweep_needs_something_to_vary(plan: Plan) -> None:
    """That would be a single run."""
    with pytest.raises(InvalidConfigError, match="nothing to vary"):
        plan(num_layers="1")


def test_a_run_of_a_sweep_ends_in_the_bits_of_the_same_run_alone(plan: Plan, tmp_path: Path) -> None:
    """Text and tokenizer are copied from the first run, and nothing else is shared."""
    trials = plan(seed="1,2")
    assert [outcome.error for outcome in run_all(trials)] == [None, None]
    assert [outcomes(trial) for trial in trials] == ["ddd", "rrd"]
    alone = trials[1].config.model_copy(update={"output_directory": str(tmp_path / "alone")})
    run_pipeline(alone)
    assert describe_end(trials[1].directory) == describe_end(tmp_path / "alone")


def test_artifacts_that_depend_on_a_value_are_made_for_each(plan: Plan) -> None:
    """A different vocabulary size needs a new tokenizer, but not a new text."""
    trials = plan(tokenizer_vocab_size="1000,1050")
    run_all(trials)
    assert [outcomes(trial) for trial in trials] == ["ddd", "rdd"]
    assert not list(trials[1].directory.glob("tokenizer_1k.*"))


def test_a_sweep_killed_anywhere_ends_as_if_it_had_not_been(plan: Plan, tmp_path: Path) -> None:
    """The same command keeps finished runs, continues the unfinished one and starts the rest."""
    with DiskFaults() as rehearsal:
        whole = plan(tmp_path / "whole", seed="1,2")
        run_all(whole)
    calls = len(rehearsal.names)
    second = next(i for i, path in enumerate(rehearsal.paths) if "seed-2" in path)
    for at in [*range(second, second + 12, 3), *range(calls // NUM_KILLS, calls, calls // NUM_KILLS)]:
        trials = plan(tmp_path / f"killed at {at}", seed="1,2")

        def die(trials: list[Trial] = trials, at: int = at) -> None:
            with DiskFaults(at=at, act=kill):
                run_all(trials)

        assert in_child(die) == -9
        assert [outcome.error for outcome in run_all(trials)] == [None, None]
        for trial, expected in zip(trials, whole, strict=True):
            assert describe_end(trial.directory) == describe_end(expected.directory)


def test_a_finished_run_is_not_touched_again_and_a_longer_list_adds_to_it(plan: Plan) -> None:
    """Not one byte of it changes."""
    first = plan(seed="1,2")
    run_all(first)
    before = {path: path.stat().st_mtime_ns for path in first[0].directory.rglob("*.pt")}
    run_all(plan(seed="1,2,3"))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert outcomes(plan(seed="1,2,3")[2]) == "rrd"


def test_a_failure_caused_by_the_values_does_not_stop_the_sweep(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learning rate that makes training diverge is a result."""
    train = model_training.run

    def diverge(config: PipelineConfiguration, **keywords: Any) -> PhaseRecord:
        if config.training_hyperparameters.learning_rate > 0.005:
            raise DivergedError("not a number")
        return train(config, **keywords)

    monkeypatch.setattr(model_training, "run", diverge)
    found = [
        outcome.error and outcome.error.category for outcome in run_all(plan(learning_rate="0.01,0.001"))
    ]
    assert found == ["diverged", None]


def test_any_other_failure_stops_the_sweep(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network failure would hit every run, so the sweep stops."""

    def fail(config: PipelineConfiguration, **keywords: Any) -> PhaseRecord:
        raise NetworkError("unplugged")

    monkeypatch.setattr(model_training, "run", fail)
    trials = plan(seed="1,2")
    with pytest.raises(NetworkError):
        run_all(trials)
    assert not trials[1].directory.exists()


@pytest.fixture(scope="module")
def swept(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over two widths and two seeds, run from the command line."""
    root = tmp_path_factory.mktemp("swept") / "anchura"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prerequisite_check, "PackageProbe", KnownPackages)
        patch.setattr(validation, "run", lambda config, *, progress: PhaseRecord("validation"))
        words = [
            f"--{name.replace('_', '-')}={value}"
            for name, value in FLAGS.items()
            if name != "dim_feedforward"
        ]
        options = [
            "--corpus-source",
            str(source),
            "--dim-feedforward",
            "128,192",
            "--seed=1,2",
            "--num-epochs=1",
        ]
        assert cli.main(["sweep", *words, *options, "--output-dir", str(root)]) == 0
    return root


def test_the_command_leaves_the_runs_and_a_page_that_compares_them(swept: Path) -> None:
    """Each trial's directory is a normal run directory."""
    runs = sorted(path.name for path in swept.iterdir() if path.is_dir())
    assert runs == [f"dim-feedforward-{width}_seed-{seed}" for width in (128, 192) for seed in (1, 2)]
    assert (swept / "comparison.html").is_file()
    status = json.loads((swept / runs[3] / names.STATUS).read_bytes())
    assert status["run_state"] == "complete"


def test_the_table_has_a_row_for_each_run_and_says_which_is_better(
    swept: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first columns are the values. Repeating the command only shows the table again."""
    place = shutil.copytree(swept, tmp_path / "anchura")
    words = [
        f"--{name.replace('_', '-')}={value}" for name, value in FLAGS.items() if name != "dim_feedforward"
    ]
    options = ["--corpus-source", str(source), "--dim-feedforward", "128,192", "--seed=1,2", "--num-epochs=1"]
    capsys.readouterr()
    assert cli.main(["sweep", *words, *options, "--output-dir", str(place)]) == 0
    out = capsys.readouterr().out
    assert out.count("Nothing to do") == 4
    rows = [line.split() for line in out.splitlines() if line.endswith("complete")]
    assert [row[:2] for row in rows] == [["128", "1"], ["128", "2"], ["192", "1"], ["192", "2"]]
    assert re.search(r"bits per byte, [\d.]+ less than ", out)


def test_without_a_directory_a_sweep_has_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It does not use data/, the default of a single run."""
    seen: list[Trial] = []

    def note(trials: list[Trial], **keywords: Any) -> Iterator[Outcome]:
        seen.extend(trials)
        raise InvalidConfigError("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "run_trials", note)
    assert cli.main(["sweep", "--seed", "1,2"]) == 64
    assert [str(trial.directory) for trial in seen] == ["sweep/seed-1", "sweep/seed-2"]
