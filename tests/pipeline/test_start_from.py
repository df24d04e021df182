"""``--start-from``: a finished model goes on, with its tokenizer, its shape and some of its own text."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import hash_tree, read, run, write_text

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.corpus.manifest import read_documents
from semilla.pipeline.start_model import adopt_start, read_start
from semilla.records import names
from semilla.records.run_configuration import read_run_configuration
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.checkpoints.seal import read_sealed
from semilla.training.data import build_data, plan_epoch

LENIENT = ("--max-validation-loss", "20")
CONTINUE = (
    "--num-threads",
    "1",
    "--precision",
    "float32",
    "--batch-size",
    "8",
    "--num-epochs",
    "1",
    *LENIENT,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("base")
    assert run(folder / "run", write_text(folder / "libro.txt"), *LENIENT) in {0, 5}
    return folder / "run"


@pytest.fixture(scope="module")
def other_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("other") / "otro.txt", seed=7, num_lines=600)


def go_on(directory: Path, start: Path, *options: str) -> int:
    return cli.main(["run", "-o", str(directory), "--start-from", str(start), *CONTINUE, *options])


def test_the_folder_is_read_once(base: Path, tmp_path: Path) -> None:
    """Phases ask for the model again and again; it is hashed again when a file has changed."""
    shutil.copytree(base, tmp_path / "run")
    config = PipelineConfiguration(start_from=str(tmp_path / "run"), output_directory=str(tmp_path / "out"))
    first = read_start(config)
    assert read_start(config) is first
    (tmp_path / "run" / names.REPORT).write_text("¡otro!")
    again = read_start(config)
    assert again is not None
    assert again is not first
    assert first is not None
    assert again.sha256 == first.sha256


@pytest.fixture(scope="module")
def continued(base: Path, other_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("continued") / "run"
    assert go_on(directory, base, "-i", str(other_text)) in {0, 5}
    return directory


def find_tokenizer_hash(directory: Path) -> str:
    artifacts = read(directory)["phase_records"]["tokenizer_training"]["artifacts"]
    return str(next(one["sha256"] for one in artifacts if one["path"].endswith(".model")))


def test_tokenizer_and_shape_are_kept(base: Path, continued: Path) -> None:
    before, after = read_run_configuration(base), read_run_configuration(continued)
    assert after.model_architecture == before.model_architecture
    assert after.training_hyperparameters.max_sequence_length == 32
    assert find_tokenizer_hash(continued) == find_tokenizer_hash(base)
    assert (read(base)["model_version"], read(continued)["model_version"]) == ("1.0.0", "1.0.1")


def test_both_texts_are_compared(base: Path, continued: Path) -> None:
    start = read(continued)["phase_records"]["model_training"]["details"]["start"]
    assert (start["directory"], start["version"], start["replay"]) == (str(base), "1.0.0", 0.25)
    this, own = start["bits_per_byte"]["this_text"], start["bits_per_byte"]["own_text"]
    assert this["after"] < this["before"]
    recorded = read(base, "training_metrics.json")["epoch_history"]
    assert own["before"] == pytest.approx(min(one["bits_per_byte"]["all"] for one in recorded), rel=1e-5)
    assert own["after"] != own["before"]


def test_a_share_of_each_epoch_is_the_earlier_text(base: Path) -> None:
    config = read_run_configuration(base)
    tokenizer = read_tokenizer(base / "tokenizer_1k.model")
    own = build_data(read_documents(base), tokenizer, config)
    data = replace(
        own, stream=own.stream[:2000], document_starts=(), mixture=None, replayed=own, replay_share=0.25
    )
    first, second = plan_epoch(data, 1), plan_epoch(data, 2)
    replayed = first[first >= len(data.stream)]
    assert len(replayed) == data.num_replayed_windows == round(data.num_own_windows / 3)
    assert set(replayed) != set(second[second >= len(data.stream)])
    assert replayed.max() + data.length < len(data.stream) + len(data.replayed.stream)
    assert data.steps_per_epoch == -(-len(first) // data.batch_size)


def test_without_another_text_the_same_is_read_again(base: Path, tmp_path: Path) -> None:
    assert go_on(tmp_path / "more", base) in {0, 5}
    details = read(tmp_path / "more")["phase_records"]["model_training"]["details"]
    assert (
        read_run_configuration(tmp_path / "more").corpus_source == read_run_configuration(base).corpus_source
    )
    assert list(details["start"]["bits_per_byte"]) == ["this_text"]


def test_a_stopped_training_ends_in_the_same_bits(
    base: Path, other_text: Path, continued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, asked = tmp_path / "run", iter([*[False] * 30, True])
    with monkeypatch.context() as patch:
        patch.setattr(interrupts, "requested", lambda: signal.SIGTERM if next(asked, False) else None)
        patch.setattr(interrupts, "check", lambda: None)
        go_on(directory, base, "-i", str(other_text), "--checkpoint-seconds", "0.01")
    status = go_on(directory, base, "-i", str(other_text), "--resume")
    assert status in {0, 5}
    weights = [read_sealed(one / "final_model.pt")["model_state"] for one in (continued, directory)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--d-model", "128"], "d_model"),
        (["--tokenizer-vocab-size", "2000"], "tokenizer_vocab_size"),
        (["--tokenizer-model-type", "bpe"], "tokenizer_model_type"),
        (["--minutes", "1"], "--minutes plans a new model"),
    ],
)
def test_what_contradicts_the_model_is_refused(
    base: Path, tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go_on(tmp_path / "run", base, *options) == 64
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_warm_ups_of_a_first_training_are_off_unless_they_are_set(base: Path) -> None:
    for source in ("sample", "libro.txt"):
        config = PipelineConfiguration(start_from=str(base), output_directory="other", corpus_source=source)
        settings = adopt_start(config).training_hyperparameters
        assert (settings.repetition_fraction, settings.short_context_fraction) == (0, 0)
        assert settings.dropout == (0 if source == "sample" else 0.2)
    given = TrainingHyperparameters(repetition_fraction=0.1)
    config = PipelineConfiguration(
        start_from=str(base), output_directory="other", training_hyperparameters=given
    )
    assert adopt_start(config).training_hyperparameters.repetition_fraction == 0.1


def test_a_run_does_not_start_from_itself(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hash_tree(base)
    assert go_on(base, base) == 64
    assert "raise --num-epochs" in capsys.readouterr().err
    assert hash_tree(base) == before


def test_a_folder_without_a_model_is_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go_on(tmp_path / "run", base.parent / "rum") == 64
    told = capsys.readouterr().err
    assert f"did you mean {base}?" in told


def test_a_bundle_goes_on_without_its_text(
    base: Path, other_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(base / "bundle", tmp_path / "seed")
    assert go_on(tmp_path / "run", tmp_path / "seed", "-i", str(other_text)) in {0, 5}
    assert "may forget it" in capsys.readouterr().out
    start = read(tmp_path / "run")["phase_records"]["model_training"]["details"]["start"]
    assert (start["version"], start["replay"], list(start["bits_per_byte"])) == ("1.0.0", 0, ["this_text"])


def test_int8_weights_are_those_of_the_model(base: Path) -> None:
    bundle = read_start(PipelineConfiguration(start_from=str(base / "bundle"), output_directory="elsewhere"))
    trained = read_start(PipelineConfiguration(start_from=str(base), output_directory="elsewhere"))
    assert bundle is not None
    assert trained is not None
    before, after = trained.load_weights(), bundle.load_weights()
    assert set(before) == set(after)
    for name, exact in before.items():
        steps = np.abs(exact).max(axis=-1, keepdims=True) / 127 if exact.ndim == 2 else np.zeros(1)
        assert (np.abs(exact - after[name]) <= steps * 0.501).all(), name


def test_more_epochs_go_on_from_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_text(tmp_path / "libro.txt")
    assert run(tmp_path / "run", source, *LENIENT) in {0, 5}
    capsys.readouterr()
    assert run(tmp_path / "run", source, "--num-epochs", "3", *LENIENT) in {0, 5}
    told = " ".join(capsys.readouterr().out.split())
    assert "Continuing from checkpoint_epoch_2.pt" in told
    assert "The learning rate rises from" in told
    history: list[dict[str, Any]] = read(tmp_path / "run", "training_metrics.json")["epoch_history"]
    assert [one["epoch_number"] for one in history] == [1, 2, 3]
    assert read(tmp_path / "run")["model_version"] == "1.0.1"


def test_more_epochs_with_other_settings_start_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_text(tmp_path / "libro.txt")
    assert run(tmp_path / "run", source, *LENIENT) in {0, 5}
    capsys.readouterr()
    assert run(tmp_path / "run", source, "--num-epochs", "3", "--learning-rate", "0.001", *LENIENT) in {0, 5}
    assert "Continuing from" not in capsys.readouterr().out
