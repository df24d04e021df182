"""``config`` and ``validate``, as a user runs them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from semilla import cli
from semilla.commands.validate import THRESHOLDS
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings
from semilla.pipeline import main_job as pipeline
from semilla.records.status import PipelineStatus


def test_config_show_tells_the_origin_of_each_value(monkeypatch, tmp_path, capsys):
    """The table has one line per setting, with value and origin."""
    (tmp_path / "run.toml").write_text("seed = 4\n")
    monkeypatch.setenv("SEMILLA_NUM_EPOCHS", "5")
    argv = ["config", "show", "--num-layers=3", "--config", str(tmp_path / "run.toml")]
    assert cli.main(argv) == 0
    rows = {line.split()[0]: line.split()[1:3] for line in capsys.readouterr().out.splitlines()}
    assert rows["num_layers"] == ["3", "flag"]
    assert rows["num_epochs"] == ["5", "environment"]
    assert rows["seed"] == ["4", "file"]
    assert rows["d_model"] == ["128", "default"]
    assert set(list_settings()) < set(rows)


def test_config_show_in_shell_can_be_sourced():
    """The shell format sets the variables, with quoted values."""
    name = 'it\'s $HOME\\ "ñ"'
    program = f"{sys.executable} -m semilla config show --format shell --output-dir {shlex.quote(name)}"
    script = f"{program} > script; . ./script; {sys.executable} -m semilla config show --format json"
    result = subprocess.run(
        ["sh", "-c", f"cd $(mktemp -d); {script}"], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)["output_directory"] == name


def test_config_show_in_toml_can_be_read_again(tmp_path, capsys):
    """The toml format, read with ``--config``, is the same configuration."""
    assert cli.main(["config", "show", "--format", "toml", "--strict", "--corpus-languages", "en,es"]) == 0
    (tmp_path / "again.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert cli.main(["config", "show", "--format", "json", "--config", str(tmp_path / "again.toml")]) == 0
    config = PipelineConfiguration.model_validate_json(capsys.readouterr().out)
    assert config == PipelineConfiguration(strict=True, corpus_languages=("en", "es"))


def test_config_schema_is_the_json_schema(capsys):
    """The schema names every setting with its range."""
    assert cli.main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$defs"]["ModelArchitecture"]["properties"]["num_layers"]["maximum"] == 12
    assert schema["properties"]["skip_phases"]["items"]["enum"] == ["corpus_download", "tokenizer_training"]


@pytest.mark.parametrize(
    ("argv", "overrides"),
    [
        ([], {}),
        (["--max-validation-loss", "5.5"], {"max_validation_loss": 5.5}),
        (["--strict"], {"strict": True}),
        (["--no-strict"], {"strict": False}),
    ],
)
def test_validate_passes_only_given_thresholds(monkeypatch, tmp_path, argv, overrides):
    """Other thresholds stay those of the run."""
    seen = []

    def run_validation(directory, **kwargs):
        seen.append((directory, kwargs["overrides"]))
        return PipelineStatus()

    monkeypatch.setattr(pipeline, "run_validation", run_validation)
    assert cli.main(["validate", str(tmp_path), *argv]) == 0
    assert seen == [(Path(tmp_path), overrides)]
    assert set(overrides) <= set(THRESHOLDS)
