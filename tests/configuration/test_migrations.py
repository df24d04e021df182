"""Files of earlier versions are updated by a command; records of earlier runs are read directly."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from semilla import cli
from semilla.configuration.loading import load_configuration
from semilla.configuration.migrations import (
    CHANGES,
    SCHEMA_KEY,
    SCHEMA_VERSION,
    Change,
    bring_up_to_date,
    migrate_text,
    take_version,
)
from semilla.configuration.settings import list_settings, recall_settings
from semilla.errors import IncompatibleError, InvalidConfigError
from semilla.records import names
from semilla.records.run_configuration import read_run_configuration
from semilla.records.status import PipelineStatus, write_status

OLD_FILE = Path(__file__).parents[1] / "fixtures" / "configuration-schema-1.toml"
"""As ``semilla config show --format toml`` wrote it before ``sampled_output`` got its present name."""


def load(file: Path, **flags: str) -> dict[str, object]:
    return load_configuration(flags=flags, environment={}, file=file).config.flatten()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD_FILE, tmp_path / "mi configuración.toml"))


@pytest.fixture
def _one_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    change = Change("moon_phase", None, release="0.3.0", reason="it had no effect")
    monkeypatch.setitem(CHANGES, change.name, change)


def test_an_old_file_is_refused_with_the_command_that_updates_it(
    old_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One mistake shows the old and the new name, and nothing runs."""
    assert cli.main(["check", "--config", str(old_file)]) == 64
    error = capsys.readouterr().err
    assert error.startswith("error[invalid_config] check: sampled_output = 0.5 (from ")
    assert "called sampled_output_fraction since release 0.1.0" in error
    assert f"next: semilla config migrate '{old_file}'" in error


def test_a_migrated_file_keeps_its_meaning(old_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every value is kept, the renamed one under its new name, and the change is reported."""
    old = tomllib.loads(old_file.read_text(encoding="utf-8"))
    assert cli.main(["config", "migrate", str(old_file)]) == 0
    assert "note: sampled_output is called sampled_output_fraction" in capsys.readouterr().out
    values = load(old_file)
    flat = {name: value for name, value in old.items() if not isinstance(value, dict)}
    flat |= old["model_architecture"] | old["training_hyperparameters"]
    assert values["sampled_output_fraction"] == flat.pop("sampled_output") == 0.5
    assert {name: values[name] for name in flat} == flat
    assert tomllib.loads(old_file.read_text(encoding="utf-8"))[SCHEMA_KEY] == SCHEMA_VERSION


def test_a_file_that_is_up_to_date_is_left_alone(old_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Migrating twice changes nothing the second time."""
    cli.main(["config", "migrate", str(old_file)])
    before = old_file.stat()  # another file would have another number
    assert cli.main(["config", "migrate", str(old_file)]) == 0
    after = old_file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "is up to date" in capsys.readouterr().out


def test_migrating_to_another_file_leaves_the_old_one(old_file: Path, tmp_path: Path) -> None:
    """``--output`` writes to a new file."""
    assert cli.main(["config", "migrate", str(old_file), "--output", str(tmp_path / "new.toml")]) == 0
    assert old_file.read_bytes() == OLD_FILE.read_bytes()
    assert load(tmp_path / "new.toml")["sampled_output_fraction"] == 0.5


def test_comments_and_order_stay_as_they_are() -> None:
    """Only the name changes, in comments too; a new first line has the version."""
    text = "# mío ñ\nseed = 4 # four\r\n\n[training_hyperparameters]\n# sampled_output = 1\nsampled_output = 1 # all\n"
    migrated, notes = migrate_text(text, place="run.toml")
    head, rest = migrated.split("\n", 1)
    assert head == f"{SCHEMA_KEY} = {SCHEMA_VERSION}"
    assert rest == text.replace("sampled_output", "sampled_output_fraction")
    assert len(notes) == 2


@pytest.mark.parametrize("text", [
    "sampled_output = 0.5",
    "'sampled_output' = 0.5",
    "training_hyperparameters.sampled_output = 0.5",
    "training_hyperparameters = {num_epochs = 2, sampled_output = 0.5}",
    "schema_version = 1\nsampled_output=0.5",
    f"schema_version = {SCHEMA_VERSION}\nsampled_output=0.5",
])  # fmt: skip
def test_a_key_is_found_however_it_is_written(text: str) -> None:
    """The key may be quoted, dotted, in an inline table, or in a file with a wrong version."""
    migrated, _ = migrate_text(text, place="run.toml")
    assert tomllib.loads(migrated) == {
        SCHEMA_KEY: SCHEMA_VERSION,
        **bring_up_to_date({k: v for k, v in tomllib.loads(text).items() if k != SCHEMA_KEY}),
    }
    assert "sampled_output_fraction" in migrated


@pytest.mark.parametrize("text", [
    'sampled_output = 0.5\ncorpus_source = "sampled_output = 1"',
    "sampled_output = 0.5\nsampled_output_fraction = 0.5",
])  # fmt: skip
def test_an_unverified_migration_is_not_written(text: str) -> None:
    """A text whose meaning would change, or that sets both names, is left to the user."""
    with pytest.raises(IncompatibleError, match="by hand: sampled_output is called"):
        migrate_text(text, place="run.toml")


def test_a_file_with_other_mistakes_is_not_written(
    old_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mistakes are listed, and the file does not change."""
    old_file.write_text("sampled_output = 7\nnum_leyers = 2\n", encoding="utf-8")
    assert cli.main(["config", "migrate", str(old_file)]) == 64
    error = capsys.readouterr().err
    assert "num_leyers" in error
    assert "sampled_output_fraction = 7" in error
    assert old_file.read_text(encoding="utf-8") == "sampled_output = 7\nnum_leyers = 2\n"


@pytest.mark.usefixtures("_one_removed")
def test_a_removed_setting_is_named_with_its_release(
    old_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Using it is an error with release and reason; migrating turns its line into a comment."""
    old_file.write_text("moon_phase = 'full'\nseed = 4\n", encoding="utf-8")
    assert cli.main(["check", "--config", str(old_file)]) == 64
    assert "removed in release 0.3.0: it had no effect" in capsys.readouterr().err
    assert cli.main(["config", "migrate", str(old_file)]) == 0
    assert "# removed in 0.3.0: moon_phase = 'full'\nseed = 4\n" in old_file.read_text(encoding="utf-8")
    assert load(old_file)["seed"] == 4


@pytest.mark.parametrize("option", [["--sampled-output", "0.5"], ["--sampled-output=0.5"]])
def test_an_old_flag_gets_an_error_with_its_new_name(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the new flag instead of guessing."""
    assert cli.main(["check", *option]) == 64
    assert "called sampled_output_fraction since" in capsys.readouterr().err


def test_an_old_variable_gets_an_error_with_its_new_name() -> None:
    """Variables are treated like flags."""
    with pytest.raises(InvalidConfigError, match="called sampled_output_fraction since"):
        load_configuration(flags={}, environment={"SEMILLA_SAMPLED_OUTPUT": "1"})


@pytest.mark.parametrize(("version", "said"), [
    (SCHEMA_VERSION + 1, "newer Semilla"), (0, "a number"), ("2", "a number"), (True, "a number"),
])  # fmt: skip
def test_an_unknown_schema_version_is_refused(version: object, said: str) -> None:
    """A newer version is refused, too: its names may mean something else."""
    with pytest.raises(InvalidConfigError, match=said):
        take_version({SCHEMA_KEY: version}, place="run.toml")


def test_a_file_from_before_a_new_setting_works(tmp_path: Path) -> None:
    """Settings it does not mention have their defaults, whatever its version."""
    (tmp_path / "run.toml").write_text("schema_version = 1\nnum_layers = 3\n")
    values = load(tmp_path / "run.toml")
    assert (values["num_layers"], values["num_heads"]) == (3, 4)


def test_a_run_of_an_earlier_semilla_is_read_silently(tmp_path: Path) -> None:
    """Its record uses the old name; it need not and cannot be migrated."""
    shutil.copy(OLD_FILE, tmp_path / names.CONFIGURATION)
    write_status(tmp_path, PipelineStatus())
    assert read_run_configuration(tmp_path).training_hyperparameters.sampled_output_fraction == 0.5
    assert cli.main(["config", "migrate", str(tmp_path / names.CONFIGURATION)]) == 64
    assert (tmp_path / names.CONFIGURATION).read_bytes() == OLD_FILE.read_bytes()


def test_recorded_settings_are_compared_under_present_names() -> None:
    """Renamed settings use the new name; settings newer than the record have their defaults."""
    recorded = {"sampled_output": 0.5, "corpus": "abc"}
    recalled = recall_settings(recorded, ["sampled_output_fraction", "dropout", "corpus", "tokenizer"])
    assert recalled == {"sampled_output_fraction": 0.5, "corpus": "abc", "dropout": 0.2}


def test_every_change_leads_to_a_setting() -> None:
    """Every new name exists, and no old name is still in use."""
    settings = list_settings()
    assert [
        change for change in CHANGES.values() if change.new_name and change.new_name not in settings
    ] == []
    assert [name for name in CHANGES if name in settings] == []
