"""Models trained one after another in a directory: versions, kept copies, status, comparison, clean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_runs import hash_tree, read, run, write_text
from tiny_training import KnownPackages

from semilla import cli
from semilla.evaluation import gates
from semilla.pipeline.phases import prerequisite_check
from semilla.records.archive import list_models

STEPS = {
    "1.0.0": (),
    "1.0.1": ("--learning-rate", "0.001"),
    "1.1.0": ("--dim-feedforward", "192"),
    "2.0.0": ("--tokenizer-vocab-size", "1050", "--keep-models", "2"),
}
"""Version -> what was changed to get it from the one before."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A directory after four trainings, with the hashes of the files after each."""
    place = tmp_path_factory.mktemp("history")
    source, directory = write_text(place / "libro.txt"), place / "run"
    left = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prerequisite_check, "PackageProbe", KnownPackages)
        patch.setitem(gates.THRESHOLDS, "gain_over_frequencies", gates.Threshold("gate", ">=", -100.0))
        for version, options in STEPS.items():
            assert run(directory, source, "--num-epochs", "1", *options) == 0
            assert read(directory)["model_version"] == version
            left[version] = hash_tree(directory)
    return {"directory": directory, "left": left}


@pytest.fixture(autouse=True)
def _low_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    # Hardly anything is learned in one epoch.
    monkeypatch.setitem(gates.THRESHOLDS, "gain_over_frequencies", gates.Threshold("gate", ">=", -100.0))


@pytest.fixture
def directory(history: dict[str, Any], tmp_path: Path) -> Path:
    return Path(shutil.copytree(history["directory"], tmp_path / "run"))


def test_each_earlier_model_is_kept_as_it_was(history: dict[str, Any]) -> None:
    """Byte for byte, except its status, which lists the folder; of three earlier models, two are kept."""
    assert [model.version for model in list_models(history["directory"])] == ["1.1.0", "1.0.1"]
    for model in list_models(history["directory"]):
        kept = hash_tree(model.directory)
        kept.pop("pipeline_status.json")
        assert kept.items() <= history["left"][model.version].items()
        assert {"best_model.pt", "bundle/bundle.json", "configuration.toml", "training_metrics.json"} < set(
            kept
        )


def test_the_bundle_contains_its_version(history: dict[str, Any]) -> None:
    """Both the current and the earlier bundles contain their versions."""
    folders = [history["directory"], *(model.directory for model in list_models(history["directory"]))]
    versions = [json.loads((one / "bundle" / "bundle.json").read_bytes())["model_version"] for one in folders]
    assert versions == ["2.0.0", "1.1.0", "1.0.1"]


def test_text_is_generated_from_an_earlier_model(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its folder name selects it, and the output says which version it is."""
    words = ["generate", "Había", "--model", str(directory / "models" / "1.0.1"), "--seed", "1", "--json"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["model_version"] == "1.0.1"


def test_status_shows_the_version_and_the_earlier_ones(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists each earlier model with its result, as text and as JSON."""
    monkeypatch.setenv("COLUMNS", "300")  # no line is folded, however long the path is
    assert cli.main(["status", str(directory)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(", model 2.0.0")
    start = lines.index("earlier models:")
    assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["1.1.0", "1.0.1"]
    assert "bits per byte" in lines[start + 1]
    assert cli.main(["status", str(directory), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["model_version"] == "2.0.0"
    assert [model["version"] for model in content["earlier_models"]] == ["1.1.0", "1.0.1"]


def test_the_report_shows_the_version_and_the_earlier_ones(directory: Path) -> None:
    """The title shows the version, and a table lists the earlier models."""
    assert cli.main(["report", str(directory)]) == 0
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "model 2.0.0" in page
    assert "Earlier models in this directory" in page
    assert all(f'<th scope="row">{version}</th>' in page for version in ("1.1.0", "1.0.1"))


def test_a_model_is_compared_with_the_one_before(directory: Path, tmp_path: Path) -> None:
    """The folder of an earlier model works like a run's directory."""
    page = tmp_path / "comparison.html"
    words = ["report", str(directory / "models" / "1.0.1"), str(directory / "models" / "1.1.0")]
    assert cli.main([*words, "--output", str(page)]) == 0
    assert "dim_feedforward" in page.read_text(encoding="utf-8")


def test_cleaning_removes_the_earlier_models_and_nothing_of_anybody_else(
    directory: Path, tmp_path: Path
) -> None:
    """Files that a report on an earlier model left are removed, too."""
    assert cli.main(["report", str(directory / "models" / "1.0.1")]) == 0
    (directory / "models" / "mine.pt").write_text("mine")
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert [path.relative_to(directory).as_posix() for path in directory.rglob("*")] == [
        "models",
        "models/mine.pt",
    ]


def test_judging_again_keeps_version_and_folder(directory: Path) -> None:
    """Only the validation changes, so no copy is kept."""
    before = {name for name in hash_tree(directory) if name.startswith("models/")}
    words = ["validate", str(directory), "--max-validation-loss", "19"]
    assert cli.main(words) == 0
    assert read(directory)["model_version"] == "2.0.0"
    assert {name for name in hash_tree(directory) if name.startswith("models/")} == before
