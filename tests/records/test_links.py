"""Links planted in a run's directory lead no writer to files that belong to somebody else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_runs import assert_four_lines

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import InvalidConfigError
from semilla.export.targets import export_model
from semilla.records import disk, files, names
from semilla.records.archive import drop_model, list_models
from semilla.records.files import collect_garbage, make_directory
from semilla.records.folders import collect_folders, stage_folder
from semilla.records.links import refuse_links
from semilla.records.run_configuration import write_run_configuration
from semilla.records.status import PipelineStatus, write_status

PLACES = [
    *names.FILES,
    *names.FOLDERS,
    f"{names.MODELS}/1.0.0",
    f"{names.BUNDLE}/model.onnx",
    f"{names.DOWNLOADS}/pg1.txt",
]


def describe(folder: Path) -> list[tuple[str, bytes, int]]:
    """Everything in ``folder``: its name, its content and when it last changed."""
    return [
        (str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    ]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else, which every test leaves as it is."""
    folder = tmp_path / "victim"
    (folder / "bundle").mkdir(parents=True)
    for name in ("a", ".semilla-0.tmp", "bundle/.semilla-1.tmp", "bundle/model.onnx", "1.0.0"):
        (folder / name).write_text("mío")
    before = describe(folder)
    yield folder
    assert describe(folder) == before


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "o"
    folder.mkdir()
    return folder


def run(directory: Path) -> int:
    text = directory.parent / "text.txt"
    text.write_text("Había una vez una semilla. \n" * 100)
    return cli.main(["run", "--output-dir", str(directory), "--corpus-source", str(text)])


def make_run(directory: Path) -> None:
    """A run that has done nothing yet."""
    config = PipelineConfiguration(output_directory=str(directory))
    write_status(directory, PipelineStatus(configuration_sha256=write_run_configuration(directory, config)))


def plant(directory: Path, name: str, target: Path) -> Path:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("name", PLACES)
def test_no_planted_link_is_followed(
    directory: Path, victim: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever name of ours it has, a run ends with 64, names it, and writes nothing."""
    path = plant(directory, name, victim if name in names.FOLDERS else victim / "a")
    before = sorted(directory.rglob("*"))
    assert run(directory) == 64
    error = assert_four_lines(capsys.readouterr().err, category="invalid_config", phase="prerequisite_check")
    assert str(path) in error
    assert sorted(directory.rglob("*")) == before


@pytest.mark.parametrize(
    "target", ["nowhere", "o", "o/.semilla.lock"], ids=["dangling", "upwards", "to itself"]
)
def test_links_that_lead_nowhere_are_refused(directory: Path, tmp_path: Path, target: str) -> None:
    """A dangling link would create a file elsewhere, and a loop is no file."""
    plant(directory, names.LOCK, tmp_path / target)
    assert run(directory) == 64
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", [names.LOCK, names.LOG, names.HEARTBEAT])
def test_a_file_with_a_second_name_is_not_changed(directory: Path, victim: Path, name: str) -> None:
    """A hard link is somebody else's file, too. The opener refuses it as well."""
    os.link(victim / "a", directory / name)
    assert run(directory) == 64
    with pytest.raises(OSError, match="second name"):
        disk.open_own(str(directory / name), os.O_WRONLY)


@pytest.mark.parametrize("name", [names.LOCK, names.LOG, names.HEARTBEAT, names.STATUS])
@pytest.mark.parametrize("command", ["run", "status", "clean"])
def test_a_named_pipe_blocks_no_command(directory: Path, name: str, command: str) -> None:
    """It is refused or ignored, without waiting for its other end."""
    if name != names.STATUS:
        write_status(directory, PipelineStatus())
    os.mkfifo(directory / name)
    code = run(directory) if command == "run" else cli.main([command, str(directory)])
    assert code != 0 or command == "status"


@pytest.mark.parametrize(
    ("name", "code"),
    [(names.CONFIGURATION, 74), (names.METRICS, 64), (names.CORPUS_MANIFEST, 64), ("bilingual_8k.vocab", 0)],
)
def test_a_report_waits_for_no_pipe(directory: Path, name: str, code: int) -> None:
    """Nor does it for the vocabulary, whose longest words it leaves out."""
    make_run(directory)
    (directory / name).unlink(missing_ok=True)
    os.mkfifo(directory / name)
    assert cli.main(["report", str(directory)]) == code


@pytest.mark.parametrize("name", [names.CONFIGURATION, "bilingual_8k.vocab"])
def test_a_report_reads_no_file_without_end(
    directory: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads one byte more than the limit of a sparse file of a terabyte."""
    make_run(directory)
    with (directory / name).open("wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read without a limit"))
    assert cli.main(["report", str(directory)]) == (65 if name == names.CONFIGURATION else 0)


@pytest.mark.parametrize("command", [["clean", "--yes"], ["report"]], ids=["clean", "report"])
@pytest.mark.parametrize("name", [names.LOCK, names.REPORT, names.BUNDLE])
def test_other_commands_follow_no_link(
    directory: Path, victim: Path, command: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``clean`` removes nothing through a link, and ``report`` writes nothing."""
    run_status = PipelineStatus(artifacts_created=[f"{names.BUNDLE}/model.onnx"])
    write_status(directory, run_status)
    (directory / names.CONFIGURATION).write_text("")
    plant(directory, name, victim if name == names.BUNDLE else victim / "a")
    assert cli.main([command[0], str(directory), *command[1:]]) == 64
    assert_four_lines(capsys.readouterr().err, category="invalid_config", phase=command[0])


@pytest.mark.parametrize("name", ["seed-2", "comparison.html"])
def test_a_sweep_follows_no_link(
    directory: Path, victim: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in place of the directory of a run nor of the comparison; no run begins before it is refused."""
    plant(directory, name, victim if name == "seed-2" else victim / "a")
    assert cli.main(["sweep", "--output-dir", str(directory), "--seed", "1,2"]) == 64
    error = assert_four_lines(capsys.readouterr().err, category="invalid_config", phase="sweep")
    assert str(directory / name) in error
    assert [path.name for path in directory.iterdir()] == [name]


def test_an_export_follows_no_link(directory: Path, victim: Path) -> None:
    """Neither its own place in the run's directory nor the place it is given may be one."""
    plant(directory, names.EXPORTS, victim)
    with pytest.raises(InvalidConfigError):
        export_model(directory, target="onnx")
    with pytest.raises(InvalidConfigError, match="not a folder"):
        export_model(directory.parent, target="onnx", output=directory / names.EXPORTS)


def test_a_folder_is_never_made_of_a_link(directory: Path, victim: Path) -> None:
    """Also one that becomes a link after the run began."""
    plant(directory, names.BUNDLE, victim)
    with pytest.raises(InvalidConfigError, match="link"):
        make_directory(directory / names.BUNDLE)


def test_garbage_is_collected_on_this_side_of_links(directory: Path, victim: Path) -> None:
    """A link under a temporary name goes, and what it leads to stays; a link to a folder is not entered."""
    plant(directory, ".semilla-2.tmp", victim / "a")
    plant(directory, ".semilla-models-3.folder", victim)
    plant(directory, names.BUNDLE, victim)
    (directory / ".semilla-4.tmp").mkdir()
    collect_garbage(directory)
    collect_garbage(directory / names.BUNDLE)
    collect_folders(directory)
    collect_folders(directory / names.BUNDLE)
    assert [path.name for path in sorted(directory.iterdir())] == [".semilla-4.tmp", names.BUNDLE]


def test_a_tree_is_removed_on_this_side_of_links(directory: Path, victim: Path) -> None:
    """Links inside go, to files and to folders; so does a link in the place of the tree."""
    plant(directory / "tree", "file", victim / "a")
    plant(directory / "tree", "folder", victim)
    plant(directory, "link", victim)
    files.remove_tree(directory / "tree")
    files.remove_tree(directory / "link")
    assert list(directory.iterdir()) == []


def swap_before(call: Callable[..., object], act: Callable[[], None]) -> Callable[..., object]:
    def swapped(*arguments: object) -> object:
        act()
        return call(*arguments)

    return swapped


def test_a_folder_that_becomes_a_link_while_it_is_removed_leads_nowhere(
    directory: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is removed is in the folder that was opened, not in the one that has its name now."""
    tree = directory / "tree"
    tree.mkdir()
    (tree / "a").touch()

    def swap() -> None:
        if not tree.is_symlink():
            tree.rename(directory / "moved")
            tree.symlink_to(victim)

    monkeypatch.setattr(disk, "unlink", swap_before(disk.unlink, swap))
    files.remove_tree(tree)
    assert not (directory / "moved" / "a").exists()


def test_a_folder_in_whose_place_a_link_is_is_replaced(directory: Path, victim: Path) -> None:
    """The link goes, and what it led to stays."""
    plant(directory, "it", victim)
    with stage_folder(directory / "it") as staged:
        (staged / "text.txt").touch()
    assert [path.name for path in (directory / "it").iterdir()] == ["text.txt"]


def test_a_kept_model_that_is_a_link_is_none(directory: Path, victim: Path) -> None:
    """It is not listed, so it is never dropped; dropping one that became a link removes the link."""
    write_status(directory, PipelineStatus())
    place = directory / names.MODELS / "1.0.0"
    place.parent.mkdir()
    place.symlink_to(victim)
    assert list_models(directory) == []
    drop_model(place)
    assert not place.is_symlink()


def test_the_directory_itself_may_be_given_as_a_link(directory: Path, tmp_path: Path) -> None:
    """Only what is in it must not be links. A link in ``exports``, which belong to the user, is no concern."""
    (directory / names.EXPORTS).mkdir()
    plant(directory, f"{names.EXPORTS}/latest", tmp_path)
    (tmp_path / "link").symlink_to(directory)
    refuse_links(tmp_path / "link")
    shutil.rmtree(directory)


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_a_file_that_is_changed_in_place_obeys_the_umask(directory: Path, umask: int) -> None:
    """The log, the lock and the heartbeat are as private as the umask says."""
    previous = os.umask(umask)
    try:
        os.close(disk.open_own(str(directory / names.LOG), os.O_WRONLY | os.O_CREAT))
    finally:
        os.umask(previous)
    assert (directory / names.LOG).stat().st_mode & 0o777 == 0o644 & ~umask
