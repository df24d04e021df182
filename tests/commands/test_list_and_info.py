"""``semilla list`` and ``semilla info``: what is there, and what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_runs import write_workplace
from tiny_bundle import draw_weights, write_tiny_bundle

from semilla import cli
from semilla.records import names
from semilla.records.status import PipelineStatus, read_status, write_status
from semilla.runtime.bundle import MODEL

LONG_AGO = "2020-01-02T03:04:05.678+00:00"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a finished run, a running one whose process is gone, and a bundle alone."""
    write_workplace(tmp_path)
    write_tiny_bundle(make(tmp_path / "data") / names.BUNDLE)
    gone = PipelineStatus()
    gone.enter("prerequisite_check")
    write_status(make(tmp_path / "más" / "gone"), gone)
    write_tiny_bundle(make(tmp_path / "más") / "alone")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_json(capsys: pytest.CaptureFixture[str], *words: str):
    assert cli.main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_everything_below_is_listed_with_its_true_state(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs and bundles that stand alone; the bundle of a run is the model of that run."""
    entries = {entry["directory"]: entry for entry in read_json(capsys, "list")}
    found = {name: (entry["state"], entry["has_model"]) for name, entry in entries.items()}
    assert found == {
        "data": ("complete", True),
        "más/alone": ("model", True),
        "más/gone": ("interrupted", False),
    }
    assert entries["data"]["updated_at"] == read_status(place / "data").updated_at


def test_directories_are_named_as_commands_take_them(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another folder is a prefix of what it holds, as it was typed; and a run is listed itself."""
    assert [entry["directory"] for entry in read_json(capsys, "list", "más")] == ["más/alone", "más/gone"]
    assert [entry["directory"] for entry in read_json(capsys, "list", "./data")] == ["data"]
    for entry in read_json(capsys, "list"):
        if entry["has_model"]:
            assert cli.main(["info", entry["directory"]]) == 0


def test_the_list_is_a_table_for_people(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row each; without any there is a sentence."""
    assert cli.main(["list"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "state"
    assert [row.split()[0] for row in rows] == ["complete", "model", "interrupted"]
    make(place / "empty")
    assert cli.main(["list", "empty"]) == 0
    assert capsys.readouterr().out == f"There are no runs and no models in {place / 'empty'}.\n"


def test_damage_is_listed_and_not_fatal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged status and a damaged bundle are named; the rest of the list is as before."""
    (place / "data" / names.STATUS).write_text("{}")
    with (place / "más" / "alone" / MODEL).open("r+b") as file:
        file.write(b"\0")
    states = {entry["directory"]: entry["state"] for entry in read_json(capsys, "list")}
    assert states == {"data": "damaged", "más/alone": "damaged", "más/gone": "interrupted"}


def test_the_card_says_what_the_model_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its size is that of its tensors; its documents, settings and licence are those of the bundle."""
    card = read_json(capsys, "info", "más/alone")
    weights = draw_weights(card["model"])
    assert card["parameters"] == sum(weight.size for weight in weights.values())
    assert card["size_bytes"] == sum(
        (place / "más" / "alone" / name).stat().st_size for name in ("model.onnx", "tokenizer.model")
    )
    assert (card["languages"], card["licence"]) == (["en", "es"], "CC0-1.0")
    assert card["validation_results"] is None
    assert cli.main(["info", "más/alone"]) == 0
    text = capsys.readouterr().out
    assert f"{card['parameters']:,}" in text
    assert "La niña y el río" in text
    assert "next: semilla generate 'Once upon a time' --model 'más/alone'" in text


def test_untied_weights_are_counted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A separate output matrix adds to the parameters."""
    write_tiny_bundle(tmp_path / "untied", tie_word_embeddings=False)
    card = read_json(capsys, "info", str(tmp_path / "untied"))
    assert card["parameters"] == sum(weight.size for weight in draw_weights(card["model"]).values())


def test_the_default_is_the_run_in_data(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without DIR the card is that of ./data."""
    assert read_json(capsys, "info") == read_json(capsys, "info", "data")


@pytest.mark.parametrize(("version", "is_its_own"), [("", True), ("1.0.1", False)])
def test_figures_belong_to_the_model(
    place: Path, capsys: pytest.CaptureFixture[str], version: str, is_its_own: bool
) -> None:
    """The results of a run are shown for the model they measured, and not for an older bundle beside them."""
    status = read_status(place / "data")
    status.model_version = version
    status.validation_results = make_results()
    write_status(place / "data", status)
    card = read_json(capsys, "info")
    assert bool(card["validation_results"]) is is_its_own
    assert cli.main(["info"]) == 0
    assert ("2.125 en" in capsys.readouterr().out) is is_its_own


def make_results():
    from semilla.records.results import Finding, InferenceMetrics, ValidationResults

    device = InferenceMetrics(
        latency_p95_ms=1,
        latency_p95_us=900.0,
        latency_p50_us=800.0,
        latency_p99_us=950.0,
        first_token_ms=1.0,
        tokens_per_sec=900.0,
        rss_mb=60,
        peak_mb=61,
    )
    return ValidationResults(
        sample_generations=[],
        final_train_loss=3.0,
        final_val_loss=3.5,
        inference_metrics=device,
        constitutional_compliance=True,
        best_val_loss=3.25,
        bits_per_byte={"en": 2.125},
        findings=[Finding.judge("rss_mb", "gate", 60, "<=", 400, unit="MB")],
    )


def test_a_damaged_bundle_has_no_card(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files are verified before anything is shown."""
    path = place / "data" / names.BUNDLE / MODEL
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert cli.main(["info"]) == 65
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error[integrity]")
