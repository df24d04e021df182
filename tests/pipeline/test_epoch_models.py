"""With ``keep_epochs`` a run keeps int8 models of its first epochs, and its page writes with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_runs

from semilla import cli
from semilla.export.trained_model import read_run
from semilla.records import names


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_runs.write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def directory(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    assert small_runs.run(directory, text, "--keep-epochs") == 0
    return directory


def list_kept(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob(names.EPOCH_MODEL_PATTERN))


def test_the_models_of_the_first_epochs_are_kept(directory: Path) -> None:
    """They are artifacts, recorded with their hashes; the page has those that are not the model itself."""
    assert list_kept(directory) == ["model_epoch_1.onnx", "model_epoch_2.onnx"]
    status = small_runs.read(directory)
    assert set(list_kept(directory)) <= set(status["artifacts_created"])
    details = status["phase_records"]["model_training"]["details"]
    assert [one["path"] for one in details["epoch_models"]] == list_kept(directory)
    others = {1, 2} - {details["best_epoch"]}
    assert set(read_run(directory)[1].epoch_models) == others
    page = (directory / names.PAGE).read_text(encoding="utf-8")
    assert all(f'id="codes-{epoch}"' in page for epoch in others)


def test_a_changed_model_is_left_out(directory: Path) -> None:
    """A lost or damaged one costs neither the run nor the page."""
    (other,) = read_run(directory)[1].epoch_models
    path = directory / names.name_epoch_model(other)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert read_run(directory)[1].epoch_models == {}
        path.unlink()
        assert read_run(directory)[1].epoch_models == {}
    finally:
        path.write_bytes(whole)


def test_the_next_training_removes_them(directory: Path, text: Path) -> None:
    """Unless it keeps its own. A file of the user under such a name stays."""
    mine = directory / names.name_epoch_model(50)
    mine.write_text("mine", encoding="utf-8")
    assert small_runs.run(directory, text, "--seed", "1", "--num-epochs", "1", "--no-resume") == 0
    assert list_kept(directory) == [mine.name]
    assert small_runs.read(directory)["phase_records"]["model_training"]["details"]["epoch_models"] == []
    assert (
        small_runs.run(directory, text, "--seed", "1", "--num-epochs", "2", "--resume", "--keep-epochs") == 0
    )
    assert list_kept(directory) == ["model_epoch_2.onnx", mine.name]
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert list_kept(directory) == [mine.name]
