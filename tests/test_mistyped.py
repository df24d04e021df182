"""Commands that a beginner types wrong, from the table in docs/mistyped.md, each with its answer."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import hash_tree, write_workplace

from semilla import cli

TABLE = Path(__file__).parents[1] / "docs" / "mistyped.md"


def read_rows() -> list[tuple[str, str, str]]:
    """The rows of the table: what is typed, the answer, the command to try next."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    return [(typed.strip("`"), answer, command.strip("`")) for typed, answer, command in cells]


ROWS = read_rows()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with a finished run and a text, and an environment without settings."""
    root = tmp_path_factory.mktemp("place")
    write_workplace(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for variable in [name for name in os.environ if name.startswith("SEMILLA_")]:
            patch.delenv(variable)
        yield root


def test_the_table_has_at_least_sixty_rows() -> None:
    """Each is a different command."""
    assert len({typed for typed, _, _ in ROWS}) == len(ROWS) >= 60


@pytest.mark.parametrize(("typed", "answer", "command"), ROWS, ids=[typed for typed, _, _ in ROWS])
def test_a_mistyped_command_gets_its_answer(
    place: Path, capsys: pytest.CaptureFixture[str], typed: str, answer: str, command: str
) -> None:
    """The answer and the next command are those of the table, and no file is changed."""
    before = hash_tree(place)
    assert cli.main(shlex.split(typed)[1:]) in {1, 64, 65}
    first, *others = capsys.readouterr().err.splitlines()
    assert first.partition(": ")[2] == answer
    assert f"next: {command}" in others
    assert hash_tree(place) == before


@pytest.mark.parametrize(
    "command", ["status", "report", "validate", "clean", "export --to onnx", "generate --model"]
)
@pytest.mark.parametrize("mistyped", ["dta", "dat", "data/bundel", "nowhere/at/all"])
def test_a_mistyped_directory_never_leads_to_a_training(
    place: Path, capsys: pytest.CaptureFixture[str], command: str, mistyped: str
) -> None:
    """The next command names the run that was meant, or only shows the help."""
    assert cli.main([*command.split(), mistyped]) in {64, 65}
    suggested = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("next: "))
    words = shlex.split(suggested.removeprefix("next: "))
    assert words[1] != "run" or words[2:] == ["--help"]
    if mistyped != "nowhere/at/all":
        assert "data" in words
