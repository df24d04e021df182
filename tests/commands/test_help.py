"""The help of commands: one screen first, everything on request; short flags; the default directory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from semilla import cli
from semilla.commands import COMMANDS
from semilla.configuration.flags import BRIEF_HELP, FREQUENT, GROUPS, SHORT_FLAGS, name_group
from semilla.configuration.settings import list_settings

SCREEN_LINES = 48
WITH_SETTINGS = ("run", "check", "sweep", "config")


def read_help(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main([*words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_the_help_shows_the_frequent_settings_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The others are in --help-all, which the help names."""
    monkeypatch.setenv("COLUMNS", "80")
    text, everything = read_help(capsys, command, "--help"), read_help(capsys, command, "--help-all")
    assert f"show all {len(list_settings())} settings" in text
    for name, setting in list_settings().items():
        assert bool(re.search(rf"{setting.flag}[ ,]", text)) is (name in FREQUENT)
        assert re.search(rf"{setting.flag}[ ,]", everything)


def test_the_help_of_run_fits_on_a_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns, with every frequent setting and its default."""
    monkeypatch.setenv("COLUMNS", "80")
    text = read_help(capsys, "run", "--help")
    assert len(text.splitlines()) <= SCREEN_LINES
    assert max(map(len, text.splitlines())) <= 80
    assert "-e, --num-epochs N" in text
    assert "[20]" in text


def test_every_setting_has_a_heading_and_none_is_empty() -> None:
    """A new setting comes under "run" unless its name says otherwise."""
    headings = {name_group(setting) for setting in list_settings().values()}
    assert headings == set(GROUPS)
    assert {*BRIEF_HELP, *SHORT_FLAGS} <= FREQUENT <= set(list_settings())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_short_flag_belongs_to_a_long_one(command: str) -> None:
    """Every one-letter flag of a command has a name that can be read in a script."""
    for action in cli.build_parser(command)._actions:
        if any(len(flag) == 2 for flag in action.option_strings):
            assert any(flag.startswith("--") for flag in action.option_strings)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("run -o out", "output_directory", "out"),
        ("run -o=out", "output_directory", "out"),
        ("run -i book.txt", "corpus_source", ["book.txt"]),
        ("run -e 3", "num_epochs", "3"),
        ("run -e3", "num_epochs", "3"),
        ("run -s -1", "seed", "-1"),
        ("generate -n 5", "num_texts", 5),
        ("generate -n5", "num_texts", 5),
        ("generate -m x", "model", Path("x")),
        ("generate -t 0.5", "temperature", 0.5),
        ("status -w", "watch", True),
        ("clean -y data", "yes", True),
        ("report -o x.html", "output", Path("x.html")),
        ("export -t gguf", "to", "gguf"),
        ("serve -p 0", "port", 0),
    ],
)
def test_short_flags(words: str, name: str, value: object) -> None:
    """A value follows after a space, after =, or as a number at once."""
    command, *rest = words.split()
    parsed, unknown = cli.build_parser(command).parse_known_args(rest)
    assert (getattr(parsed, name), unknown) == (value, [])


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("run -seed 3", ["-seed", "3"]),
        ("run -seed=3", ["-seed=3"]),
        ("run -output-dir x -e 3", ["-output-dir", "x"]),
        ("run -oout", ["-oout"]),
        ("run -seed -e 3", ["-seed"]),
        ("generate -seed 3", ["-seed", "3"]),
        ("generate -- -seed", []),
    ],
)
def test_a_long_flag_with_one_dash_is_never_a_short_one(words: str, unknown: list[str]) -> None:
    """``-seed 3`` is not ``-s eed``; after ``--`` a word is no flag at all."""
    command, *rest = words.split()
    parsed, found = cli.build_parser(command).parse_known_args(rest)
    assert found == unknown
    assert getattr(parsed, "seed", None) is None


@pytest.mark.parametrize("command", ["status", "info", "validate", "export --to gguf", "clean"])
def test_dir_is_optional_and_data_by_default(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Without DIR, a command works on ./data: here it says that there is nothing in it."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(command.split()) in {64, 65}
    assert "data" in capsys.readouterr().err.splitlines()[0]


def test_clean_needs_a_name_where_it_does_not_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --yes, the directory must be named."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["clean", "--yes"]) == 64
    assert "--yes asks nothing" in capsys.readouterr().err
