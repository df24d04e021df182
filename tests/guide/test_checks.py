"""The experiments at the ends of the chapters: every chapter has one, and a bet is compared with the reader's runs."""

from __future__ import annotations

import shlex

import pytest

from semilla import cli
from semilla.cli import build_parser
from semilla.errors import InvalidConfigError
from semilla.guide.checks import CHECKS, FIRST_RUN, Run, compare, measure
from semilla.guide.documentation import load_documentation
from semilla.records.metrics import EpochMetrics

GUIDE = load_documentation()


def make_run(*, loss: float = 2.0, bits_per_byte: float = 1.5, peak_mb: float = 60) -> Run:
    epoch = EpochMetrics(
        epoch_number=1,
        train_loss=loss + 0.5,
        validation_loss=loss,
        learning_rate=1e-4,
        elapsed_seconds=1,
        sample_outputs=[],
        gradient_norm=0.5,
        tokens_per_second=1000.0,
        bits_per_byte={"all": bits_per_byte},
    )
    return Run((epoch,), bits_per_byte, peak_mb, {"num_parameters": 210_240})


def test_every_chapter_but_troubleshooting_has_an_experiment():
    """The troubleshooting chapter is looked things up in, not read."""
    assert {*CHECKS, "troubleshooting"} == {section.section_id for section in GUIDE.sections}


@pytest.mark.parametrize("name", CHECKS)
def test_a_chapter_ends_with_its_experiment(name):
    """It names the flags of each run, its directory, and the command that checks the bet."""
    ending = " ".join(GUIDE.by_id[f"{name}#try-it"].content.split())
    assert f"semilla guide check {name} --bet " in ending
    for directory, flags in CHECKS[name].runs.items():
        assert not flags or f"{flags} --output-dir {directory}" in ending


@pytest.mark.parametrize("name", CHECKS)
def test_the_commands_of_an_experiment_are_valid(name):
    """Every run can be started as it is printed."""
    for directory in CHECKS[name].runs:
        words = shlex.split(CHECKS[name].write_command(directory))
        arguments = build_parser("run").parse_args(words[2:])
        assert directory in {"data", arguments.output_directory}


def test_the_first_run_is_that_of_chapter_1():
    """The experiments change the run that the reader has."""
    assert FIRST_RUN in " ".join(GUIDE.by_id["overview"].content.replace("\\\n", " ").split())


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("overview", 1.5),
        ("model_initialization", 210_240),
        ("data_preparation", -0.25),
        ("training_loop", 0.5),
        ("optimization", 0.25),
        ("evaluation_and_checkpoints", 0.5),
        ("hyperparameters", -0.25),
        ("device", 60),
    ],
)
def test_a_figure_is_taken_from_the_right_run(name, figure):
    """The second of two runs is the new one."""
    runs = [make_run(), make_run(loss=2.5, bits_per_byte=1.75)][: len(CHECKS[name].runs)]
    assert CHECKS[name].measure(*runs) == pytest.approx(figure)


@pytest.mark.parametrize(
    ("bet", "ending"),
    [
        (1.9, "your bet 1.9, measured 1.50 bits per byte: 0.40 too high"),
        (1.0, "0.50 too low"),
        (1.6, "close"),
    ],
)
def test_a_bet_is_compared(bet, ending):
    """Within a tenth it is close."""
    assert compare(CHECKS["overview"], 1.5, bet=bet).endswith(ending)


def test_without_a_bet_the_figure_is_told():
    """A reader may also just look."""
    assert compare(CHECKS["overview"], 1.5, bet=None) == "measured 1.50 bits per byte"


def test_a_run_that_is_missing_is_named_with_its_command(tmp_path, monkeypatch, capsys):
    """The error has the command that makes the run."""
    with pytest.raises(InvalidConfigError, match="no finished run in"):
        measure("overview", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["guide", "check", "tokenization"]) == 64
    assert (
        f"{FIRST_RUN.removeprefix('semilla ')} --tokenizer-model-type char --output-dir letters"
        in capsys.readouterr().err
    )


def test_a_bet_needs_a_chapter(capsys):
    """The chapters with an experiment are named."""
    assert cli.main(["guide", "oom", "--bet", "3"]) == 64
    assert "evaluation_and_checkpoints" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["check"], ["check", "troubleshooting"]])
def test_check_needs_a_chapter_with_an_experiment(words, capsys):
    """A reader who forgets the chapter, or names one without an experiment, learns which have one."""
    assert cli.main(["guide", *words]) == 64
    assert ", hyperparameters, device\n" in capsys.readouterr().err
    assert cli.main(["guide", "check", "this", "machine"]) == 0
