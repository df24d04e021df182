"""Each earlier model is complete in its folder or absent, however the process ends."""

from __future__ import annotations

import errno
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from disk_faults import DiskFaults, fail_with, kill
from tiny_training import in_child

from semilla.errors import IntegrityError, InvalidConfigError, SemillaError
from semilla.records import archive, names
from semilla.records.files import describe_artifact, is_intact
from semilla.records.folders import collect_folders
from semilla.records.status import PhaseEntry, PipelineStatus, read_status, write_status
from semilla.records.versions import FinishedModel

TRAINED = ("best_model.pt", "final_model.pt", "training_metrics.json")
TOKENIZER = ("bilingual_1k.model", "bilingual_1k.vocab")
OTHERS = ("bundle/bundle.json", "bundle/model.onnx", "configuration.toml", "corpus_manifest.json")
NOT_KEPT = ("corpus_bilingual.txt", "checkpoint_epoch_2.pt", "semilla.log", "notas ñ.txt")


def write_run(directory: Path, *, version: str = "1.0.0", content: str = "una semilla 🌱") -> PipelineStatus:
    """Write the files of a finished run, each with its own name and ``content``."""
    for name in (*TRAINED, *TOKENIZER, *OTHERS, *NOT_KEPT):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"{name}: {content}", encoding="utf-8")
    (directory / "bundle" / ".semilla-00.tmp").touch()
    entries = {
        phase: PhaseEntry(artifacts=[describe_artifact(directory / name, root=directory) for name in files])
        for phase, files in {"tokenizer_training": TOKENIZER, "model_training": TRAINED}.items()
    }
    sha256 = entries["tokenizer_training"].artifacts[0].sha256
    status = PipelineStatus(
        run_state="complete",
        phase_records=entries,
        model_version=version,
        finished_model=FinishedModel(version=version, inputs={"tokenizer": sha256}),
    )
    status.artifacts_created = [
        f"{names.MODELS}/{version}/{name}" for name in archive.name_parts(directory, status)
    ]
    write_status(directory, status)
    return status


def hash_folder(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "salida"


def test_a_kept_model_is_laid_out_like_a_run(directory: Path) -> None:
    """It holds the same bytes, without the corpus, the checkpoints and the files of others."""
    status = write_run(directory)
    archive.keep_model(directory, status)
    kept = hash_folder(directory / "models" / "1.0.0")
    assert set(kept) == {*TRAINED, *TOKENIZER, *OTHERS, names.STATUS}
    assert kept.items() <= hash_folder(directory).items()
    assert archive.is_kept(directory, status)


def test_earlier_models_are_listed_newest_first(directory: Path) -> None:
    """Versions sort as numbers. Folders that are not versions, or are damaged, are left out."""
    for version in ("1.0.9", "1.0.10", "2.0.0", "1.1.0"):
        archive.keep_model(directory, write_run(directory, version=version))
    (directory / "models" / "mine").mkdir()
    (directory / "models" / "1.2.3").mkdir()
    (directory / "models" / "2.0.0" / names.STATUS).write_text("{}")
    listed = archive.list_models(directory, except_for="1.1.0")
    assert [model.version for model in listed] == ["1.0.10", "1.0.9"]
    assert listed[0].status == read_status(directory / "models" / "1.0.10")


def test_a_kill_between_any_two_system_calls_leaves_both_models_whole(directory: Path) -> None:
    """The copy is complete or absent, the original is complete, and the next attempt finishes."""
    status = write_run(directory)
    with DiskFaults() as rehearsal:
        archive.keep_model(directory, status)
    expected, folder = hash_folder(directory / "models" / "1.0.0"), directory / "models" / "1.0.0"
    here = {name: sha for name, sha in hash_folder(directory).items() if not name.startswith("models/")}
    assert len(rehearsal.names) > 60
    seen = set()
    for at in range(1, len(rehearsal.names) + 1):
        shutil.rmtree(directory / "models", ignore_errors=True)

        def die(at: int = at) -> None:
            with DiskFaults(at=at, act=kill):
                archive.keep_model(directory, status)

        assert in_child(die) == -9
        assert not folder.exists() or hash_folder(folder) == expected
        seen.add(folder.exists())
        if not archive.is_kept(directory, status):
            archive.keep_model(directory, status)
        assert hash_folder(folder) == expected
        collect_folders(directory / "models")
        assert sorted(path.name for path in (directory / "models").iterdir()) == ["1.0.0"]
        assert {
            name: sha for name, sha in hash_folder(directory).items() if not name.startswith("models/")
        } == here
    assert seen == {True, False}


def test_a_kill_while_an_earlier_model_is_removed_leaves_it_whole_or_gone(directory: Path) -> None:
    """A part of it never has its name."""
    status = write_run(directory)
    archive.keep_model(directory, status)
    folder = directory / "models" / "1.0.0"
    expected = hash_folder(folder)
    shutil.copytree(folder, directory / "copy")
    with DiskFaults() as rehearsal:
        archive.drop_model(folder)
    for at in range(1, len(rehearsal.names) + 1):
        shutil.copytree(directory / "copy", folder, dirs_exist_ok=True)

        def die(at: int = at) -> None:
            with DiskFaults(at=at, act=kill):
                archive.drop_model(folder)

        assert in_child(die) == -9
        assert not folder.exists() or hash_folder(folder) == expected
        collect_folders(directory / "models")
        assert [path.name for path in (directory / "models").iterdir()] in ([], ["1.0.0"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_leaves_no_part_of_a_model(directory: Path, number: int) -> None:
    """Whichever call fails, existing files stay and no temporary folder remains."""
    status = write_run(directory)
    with DiskFaults() as rehearsal:
        archive.keep_model(directory, status)
    whole = hash_folder(directory)
    for at in range(1, len(rehearsal.names) + 1, 3):
        shutil.rmtree(directory / "models", ignore_errors=True)
        try:
            with DiskFaults(at=at, act=fail_with(number)):
                archive.keep_model(directory, status)
        except SemillaError:
            found = hash_folder(directory)
            assert found == whole or not any(name.startswith("models/") for name in found)


def test_a_damaged_model_is_not_kept(directory: Path) -> None:
    """Only files that match their recorded hashes are kept."""
    status = write_run(directory)
    (directory / "best_model.pt").write_text("something else")
    with pytest.raises(IntegrityError, match=r"best_model\.pt"):
        archive.keep_model(directory, status)
    assert not (directory / "models" / "1.0.0").exists()


def test_a_model_that_is_kept_stays_when_its_tokenizer_was_replaced_since(directory: Path) -> None:
    """The copy made before the change stays. Without a copy, the new tokenizer is not kept with the old model."""
    status = write_run(directory)
    learned = status.phase_records["tokenizer_training"]
    learned.artifacts[0] = replace(learned.artifacts[0], sha256="0" * 64)
    archive.keep_model(directory, status)
    assert not {*TOKENIZER} & set(hash_folder(directory / "models" / "1.0.0"))
    assert archive.is_kept(directory, status)


def test_a_folder_of_another_origin_is_not_used(directory: Path) -> None:
    """No run made it, so an error says so and the folder stays."""
    status = write_run(directory)
    status.artifacts_created = []
    (directory / "models" / "1.0.0").mkdir(parents=True)
    (directory / "models" / "1.0.0" / "mine.pt").write_text("mine")
    with pytest.raises(InvalidConfigError, match="in the way"):
        archive.is_kept(directory, status)
    assert (directory / "models" / "1.0.0" / "mine.pt").read_text() == "mine"


def test_a_copy_of_ours_that_is_damaged_is_made_again(directory: Path) -> None:
    """It is copied again while the original exists."""
    status = write_run(directory)
    archive.keep_model(directory, status)
    (directory / "models" / "1.0.0" / "final_model.pt").write_text("flipped")
    assert not archive.is_kept(directory, status)
    archive.keep_model(directory, status)
    assert all(
        is_intact(artifact, root=directory / "models" / "1.0.0")
        for artifact in status.phase_records["model_training"].artifacts
    )


def test_surplus_is_the_oldest_and_never_a_folder_with_files_of_others(directory: Path) -> None:
    """A model folder that contains a user's file is not removed."""
    created: list[str] = []
    for version in ("1.0.0", "1.0.1", "1.0.2", "1.0.3"):
        status = write_run(directory, version=version)
        archive.keep_model(directory, status)
        created += status.artifacts_created
    status.artifacts_created = created
    (directory / "models" / "1.0.1" / "notas.txt").write_text("mine")
    assert [path.name for path in archive.list_surplus(directory, status, keep=2)] == ["1.0.0"]
    assert [path.name for path in archive.list_surplus(directory, status, keep=0)] == [
        "1.0.3",
        "1.0.2",
        "1.0.0",
    ]
