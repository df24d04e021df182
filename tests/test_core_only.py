"""An installation of the core alone: commands that need more say so before they touch anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from small_runs import hash_tree, write_workplace

from semilla import installation
from semilla.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
BLOCKED = {modules}
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from semilla.cli import main
sys.exit(main())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a finished run, and an environment without settings."""
    write_workplace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("SEMILLA_")]:
        monkeypatch.delenv(variable)
    return tmp_path


def start_core(*words: str) -> subprocess.CompletedProcess[str]:
    """Start the program where none of the extras can be imported."""
    modules = {module for modules in installation.EXTRAS.values() for module in modules}
    command = [sys.executable, "-P", "-c", PROGRAM.format(modules=modules), *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120
    )


@pytest.mark.parametrize(
    ("command", "code", "missing", "extra"),
    [
        ("validate data", 74, "torch", "train"),
        ("report data", 74, "jinja2", "train"),
        ("report data data", 74, "jinja2", "train"),
        ("check book.txt", 1, "torch", "train"),
        ("plan book.txt --minutes 5", 74, "torch", "train"),
        ("run --output-dir data", 1, "torch", "train"),
        ("run --output-dir data --progress json", 1, "torch", "train"),
        ("sweep --seed 1,2", 74, "torch", "train"),
        ("export data --to onnx", 74, "gguf", "train,export"),
        ("export data --to hub --repo me/model", 74, "huggingface_hub", "hub"),
        ("serve --port 0", 74, "uvicorn", "serve"),
    ],
)
def test_missing_packages_are_named_and_nothing_is_touched(
    place: Path,
    command: str,
    code: int,
    missing: str,
    extra: str,
) -> None:
    """The next command installs the extra from where the person is: in a checkout, with its script."""
    before = hash_tree(place)
    done = start_core(*command.split())
    assert (done.returncode, done.stdout) == (code, "")
    first, kept, suggested, _ = done.stderr.splitlines()
    assert first.startswith("error[dependency]")
    assert missing in first
    assert kept == "kept: everything; nothing was touched"
    assert suggested == f"next: {ROOT / 'scripts' / 'install'} {extra}"
    assert hash_tree(place) == before


@pytest.mark.parametrize(
    "command",
    [
        *[f"{name} --help" for name in COMMANDS],
        "--help",
        "clean --yes data",
        "completion bash",
        "config show",
        "config schema",
        "guide oom",
        "list",
        "status data",
    ],
)
def test_the_core_needs_no_extra(place: Path, command: str) -> None:
    """Reading what a run left works without training packages."""
    assert start_core(*command.split()).returncode == 0


def test_the_extras_are_those_of_the_package() -> None:
    """Every module that the commands ask for is installed by its extra."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for extra, modules in installation.EXTRAS.items():
        installed = " ".join(declared[extra]).replace("-", "_")
        assert [module for module in modules if module not in installed] == []


def test_an_installed_package_is_completed_with_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout there is no script; a pip that belongs to another Python is not used."""
    monkeypatch.setattr(installation, "find_checkout", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"{sys.prefix}/bin/{name}")
    assert installation.suggest_installation("export") == "pip install 'semilla[export]'"
    monkeypatch.setattr(shutil, "which", lambda name: f"/elsewhere/{name}")
    assert installation.suggest_installation() == f"{sys.executable} -m pip install 'semilla[train]'"


def test_a_checkout_is_completed_with_its_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is relative where that is shorter."""
    monkeypatch.chdir(ROOT)
    assert installation.suggest_installation("export") == "scripts/install train,export"


def test_commands_begin_with_the_program_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its path, as long as PATH does not lead to the same program."""
    program = tmp_path / ".venv" / "bin" / "semilla"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert installation.write_command("semilla status data") == ".venv/bin/semilla status data"
    assert installation.write_command("df -h semilla") == "df -h semilla"
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/nowhere")
    assert installation.write_command("semilla status data") == "semilla status data"
    monkeypatch.setattr(sys, "argv", ["/usr/lib/semilla/__main__.py"])
    assert installation.write_command("semilla") == "semilla"
