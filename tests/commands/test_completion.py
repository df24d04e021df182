"""``semilla completion``: the scripts offer what the parsers accept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import shtab

from semilla import cli
from semilla.commands import COMMANDS
from semilla.commands.completion import SHELLS, build_parser, write_script
from semilla.configuration.settings import list_settings


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script for each shell, in a file of its own."""
    folder = tmp_path_factory.mktemp("completion")
    paths = {shell: folder / f"semilla.{shell}" for shell in SHELLS}
    for shell, path in paths.items():
        path.write_text(write_script(shell), encoding="utf-8")
    return paths


def test_every_command_and_every_setting_can_be_completed() -> None:
    """The parser is built from the commands; nothing is listed by hand."""
    commands: dict[str, Any] = build_parser()._get_positional_actions()[0].choices  # type: ignore[assignment]
    assert list(commands) == list(COMMANDS)
    flags = commands["run"]._option_string_actions
    assert {setting.flag for setting in list_settings().values()} <= flags.keys()
    assert flags["--tokenizer-model-type"].choices == ["unigram", "bpe", "char", "word"]
    assert flags["--progress"].choices == ("auto", "plain", "json")
    assert flags["--corpus-source"].complete == shtab.FILE
    assert flags["--output-dir"].complete == shtab.DIRECTORY
    assert flags["--no-resume"].nargs == 0
    assert commands["status"]._get_positional_actions()[0].complete == shtab.DIRECTORY


def test_help_is_cut_to_one_sentence(scripts: dict[str, Path]) -> None:
    """A menu has one line for each flag, and no room for its default."""
    fish = scripts["fish"].read_text(encoding="utf-8")
    assert "-d 'a bundle, or the output directory" in fish
    assert "(default" not in fish


def test_zsh_can_load_the_script_with_source(scripts: dict[str, Path]) -> None:
    """The help says so. shtab itself supports only eval."""
    assert "if [[ $zsh_eval_context[-1] == (eval|file) ]]" in scripts["zsh"].read_text(encoding="utf-8")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_can_parse_its_script(scripts: dict[str, Path], shell: str) -> None:
    """The shell can parse it: no help text leaves a quote open."""
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
    """Pressing Tab after these words offers these completions."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (tmp_path / "mi carpeta").mkdir()
    code = (
        f'source {scripts["bash"]}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_semilla; '
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
    """An unknown shell is a configuration error."""
    assert cli.main(["completion", "fish"]) == 0
    assert "complete -c semilla -f" in capsys.readouterr().out
    assert cli.main(["completion", "cmd"]) == 64
