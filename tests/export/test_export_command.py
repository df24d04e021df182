"""``semilla export`` writes what was asked for, reports how it was checked, and changes nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import onnxruntime
import pytest
import transformers

from semilla import cli
from semilla.export import onnx_folder, targets
from semilla.installation import suggest_installation
from semilla.records.files import read_record, write_record
from semilla.records.lock import hold_lock


def export(directory: Path, *words: str) -> int:
    return cli.main(["export", str(directory), *words])


def read_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The four lines of the one error that was printed."""
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0].split("[")[0] for line in lines if not line.startswith(" ")] == [
        "error",
        "kept:",
        "next:",
        "help:",
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("words", "folder", "files"),
    [
        (["--to", "onnx"], "onnx", {"model.onnx", "tokenizer.model"}),
        (["--to", "gguf"], "gguf-f16", {"model-f16.gguf"}),
        (["--to", "gguf", "--quantization", "q8_0"], "gguf-q8_0", {"model-q8_0.gguf"}),
        (["--to", "web"], "web", {"model.html"}),
        (["--to", "ollama"], "ollama-f16", {"model-f16.gguf", "Modelfile"}),
    ],
    ids=["onnx", "gguf", "gguf q8_0", "web", "ollama"],
)
def test_an_export_is_a_folder_with_its_card_and_report(
    own_run: Path, capsys: pytest.CaptureFixture[str], words: list[str], folder: str, files: set[str]
) -> None:
    """The report lists each file with its hash and size, and what was compared. A second export replaces the first."""
    for _ in range(2):
        assert export(own_run, *words) == 0
    written = own_run / "exports" / folder
    assert {path.name for path in written.iterdir()} == {*files, "README.md", "export.json"}
    report = json.loads((written / "export.json").read_text(encoding="utf-8"))
    for file in report["files"]:
        data = (written / file["path"]).read_bytes()
        assert (file["sha256"], file["size_bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert len(report["files"]) == len(files) + 1
    assert {"ids of lines", "logits of contexts", "int8 weights"} & {
        one["what"] for one in report["comparisons"]
    }
    printed = capsys.readouterr().out
    assert all(name in printed for name in files)
    assert "identical" in printed
    assert list((own_run / "exports").iterdir()) == [written]


def test_json_report_and_another_folder(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --output, nothing is written into the run's directory."""
    before = sorted(run_dir.rglob("*"))
    capsys.readouterr()
    assert export(run_dir, "--to", "onnx", "--output", str(tmp_path / "a" / "ñ"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["folder"] == str(tmp_path / "a" / "ñ")
    assert report["target"] == "onnx"
    assert sorted(run_dir.rglob("*")) == before


def test_the_card_has_origin_figures_and_limits_but_no_private_path(own_run: Path) -> None:
    """Of a local file the card shows only the name, and a name cannot break the table."""
    assert export(own_run, "--to", "onnx") == 0
    card = (own_run / "exports" / "onnx" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlanguage:\n- e")
    for part in ("# A small language", "## Use", "## What it was trained on", "## Limits", "## Licence"):
        assert part in card
    assert "| validation loss | " in card
    assert "en.txt" in card
    assert str(own_run.parent) not in card
    assert "my | texts" not in card


def read_config(folder: Path) -> str:
    network: Any = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    return str(network.model_version)


def read_gguf(folder: Path) -> str:
    return str(gguf.GGUFReader(folder / "model-f16.gguf").fields["general.version"].contents())


def read_graph(folder: Path) -> str:
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return str(session.get_modelmeta().custom_metadata_map["model_version"])


@pytest.mark.parametrize(
    ("target", "read_version"),
    [("huggingface", read_config), ("gguf", read_gguf), ("onnx", read_graph)],
    ids=["huggingface", "gguf", "onnx"],
)
def test_an_export_keeps_the_models_version(
    own_run: Path, tmp_path: Path, target: str, read_version: Callable[[Path], str]
) -> None:
    """It is where programs that read the format look for it, in the card, and in the report."""
    status = read_record(own_run / "pipeline_status.json")
    write_record(own_run / "pipeline_status.json", {**status, "model_version": "2.1.7"})
    assert export(own_run, "--to", target, "--output", str(tmp_path / "written")) == 0
    assert read_version(tmp_path / "written") == "2.1.7"
    assert "| Version | 2.1.7 |" in (tmp_path / "written" / "README.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "written" / "export.json").read_bytes())["model_version"] == "2.1.7"


def break_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the exported graph return NaN, as a bug in the writer could."""
    monkeypatch.setattr(onnx_folder, "open_scorer", lambda graph: lambda ids: [[float("nan")]])


def test_an_export_that_differs_from_the_model_is_not_kept(
    own_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 65; the earlier export is unchanged."""
    assert export(own_run, "--to", "onnx") == 0
    before = {path: path.read_bytes() for path in (own_run / "exports").rglob("*") if path.is_file()}
    break_check(monkeypatch)
    capsys.readouterr()
    assert export(own_run, "--to", "onnx") == 65
    assert "error[validation_failure] export: the logits of onnxruntime" in read_error(capsys)
    after = {path: path.read_bytes() for path in (own_run / "exports").rglob("*") if path.is_file()}
    assert after == before


def test_files_that_were_added_are_not_replaced(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next export refuses to replace a folder that holds a note, and names the note."""
    assert export(own_run, "--to", "onnx") == 0
    note = own_run / "exports" / "onnx" / "notes.md"
    note.write_text("mine")
    capsys.readouterr()
    assert export(own_run, "--to", "onnx") == 64
    assert "contains notes.md, which is not from an export" in read_error(capsys)
    assert note.read_text() == "mine"


@pytest.mark.parametrize("place", ["", "bundle"])
def test_a_run_and_its_bundle_are_not_overwritten(
    own_run: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    assert export(own_run, "--to", "onnx", "--output", str(own_run / place)) == 64
    assert "holds files but no export.json" in read_error(capsys)


# ---- bad input: one clear error each


def damage_model(directory: Path) -> None:
    path = directory / "best_model.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def forget_training(directory: Path) -> None:
    path = directory / "pipeline_status.json"
    status = read_record(path)
    del status["phase_records"]["model_training"]
    write_record(path, status)


def keep_bundle_alone(directory: Path) -> None:
    bundle = shutil.copytree(directory / "bundle", directory.parent / "copy")
    shutil.rmtree(directory)
    bundle.rename(directory)


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (damage_model, 65, "best_model.pt has changed"),
        (lambda run: (run / "best_model.pt").unlink(), 65, "best_model.pt is missing"),
        (lambda run: (run / "tokenizer_1k.model").write_bytes(b""), 65, "tokenizer_1k.model has changed"),
        (lambda run: (run / "corpus.txt").write_bytes(b"x"), 65, "corpus.txt has changed"),
        (lambda run: (run / "pipeline_status.json").write_text("{"), 65, "its SHA-256 differs"),
        (forget_training, 65, "has no finished training: model_training is not done"),
        (keep_bundle_alone, 64, "is a bundle, which has no trained weights"),
        (lambda run: (run / "configuration.toml").unlink(), 65, "is not a run's directory"),
        (shutil.rmtree, 64, "does not exist"),
    ],
    ids=[
        "bit flipped", "model missing", "tokenizer emptied", "corpus changed", "status cut", "unfinished", "bundle",
        "no configuration", "no folder",
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_exported_is_refused(
    own_run: Path, capsys: pytest.CaptureFixture[str], damage: Any, code: int, message: str
) -> None:
    """One error names the file or the way out, and no folder is left."""
    damage(own_run)
    assert export(own_run, "--to", "onnx") == code
    assert message in read_error(capsys)
    assert not (own_run / "exports").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "pytorch"], "'pytorch'"),
        ([], "--to"),
        (["--to", "onnx", "--quantization", "q8_0"], "--quantization is only for --to gguf and --to ollama"),
        (["--to", "gguf", "--quantization", "q4_0"], "'q4_0'"),
    ],
    ids=["target", "no target", "quantized onnx", "quantization"],
)
def test_wrong_flags_are_refused(
    run_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    capsys.readouterr()
    assert export(run_dir, *words) == 64
    assert message in read_error(capsys)


def test_a_single_file_is_refused(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert export(run_dir / "best_model.pt", "--to", "onnx") == 64
    assert "is a file; give the output directory of a run" in read_error(capsys)


def test_an_active_run_is_left_alone(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold_lock(own_run):
        assert export(own_run, "--to", "onnx") == 75
    assert "a run is active" in read_error(capsys)


def test_a_missing_package_is_named_with_its_extra(
    own_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(target: str, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'gguf'", name="gguf")

    monkeypatch.setattr(targets, "open_format", fail)
    assert export(own_run, "--to", "gguf") == 74
    assert f"next: {suggest_installation('export')}" in read_error(capsys)


def test_cleaning_a_run_leaves_its_exports(own_run: Path) -> None:
    """Exports belong to the user, not to the run."""
    assert export(own_run, "--to", "onnx") == 0
    assert cli.main(["clean", str(own_run), "--yes"]) == 0
    assert (own_run / "exports" / "onnx" / "model.onnx").is_file()
    assert not (own_run / "best_model.pt").exists()
