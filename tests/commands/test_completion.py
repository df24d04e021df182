"""``semilla completion``: what the shells are told is what the parsers take."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from semilla import cli
from semilla.commands import COMMANDS
from semilla.commands.completion import FOLDERS, WRITERS, list_commands
from semilla.configuration.settings import list_settings


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script for each shell, in a file of its own."""
    folder = tmp_path_factory.mktemp("completion")
    paths = {shell: folder / f"semilla.{shell}" for shell in WRITERS}
    commands = list_commands()
    for shell, path in paths.items():
        path.write_text(WRITERS[shell](commands), encoding="utf-8")
    return paths


def test_every_command_and_every_setting_can_be_completed() -> None:
    """Nothing is listed by hand."""
    commands = {command.name: command for command in list_commands()}
    assert list(commands) == list(COMMANDS)
    flags = {option.flag: option for option in commands["run"].options}
    assert {setting.flag for setting in list_settings().values()} <= flags.keys()
    assert flags["--tokenizer-model-type"].values == ("unigram", "bpe", "char", "word")
    assert flags["--progress"].values == ("auto", "plain", "json")
    assert flags["--no-resume"].values is None
    assert commands["status"].operands == FOLDERS


@pytest.mark.parametrize("shell", WRITERS)
def test_a_shell_takes_its_script(scripts: dict[str, Path], shell: str) -> None:
    """It parses: no quote of a help text is left open."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n", str(scripts[shell])], check=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["semilla", "gen"], {"generate"}),
        (["semilla", "run", "--num-l"], {"--num-layers"}),
        (["semilla", "run", "--tokenizer-model-type", "b"], {"bpe"}),
        (["semilla", "status", "--wa"], {"--watch"}),
        (["semilla", "status", "mi"], {"mi carpeta"}),
        (["semilla", "completion", ""], {"bash", "zsh", "fish"}),
        (["semilla", "run", "--seed", ""], set()),
    ],
)
def test_bash_completes(scripts: dict[str, Path], tmp_path: Path, words: list[str], found: set[str]) -> None:
    """As after pressing Tab behind these words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (tmp_path / "mi carpeta").mkdir()
    code = (
        f'source {scripts["bash"]}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _semilla; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "-c", code, "bash", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert set(done.stdout.splitlines()) - {""} == found


def test_the_command_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """And an unknown shell is a wrong setting."""
    assert cli.main(["completion", "fish"]) == 0
    assert "complete -c semilla -f" in capsys.readouterr().out
    assert cli.main(["completion", "cmd"]) == 64
