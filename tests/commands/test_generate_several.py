"""``semilla generate -n 5 --output FILE``: several texts, and a file that is whole or absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle

from semilla import cli
from semilla.escape import escape_controls
from semilla.records import files
from semilla.runtime import session
from semilla.runtime.session import load

MAX_TOKENS = 12


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "bundle")


@pytest.fixture(scope="module")
def expected(bundle_dir: Path) -> list[str]:
    """The texts of the seeds 5 to 7, with their prompt."""
    model = load(bundle_dir)
    return [f"Había{model.generate('Había', seed=seed, max_tokens=MAX_TOKENS)}" for seed in (5, 6, 7)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def generate(bundle_dir: Path, *words: str) -> int:
    options = ["--seed", "5", "--max-tokens", str(MAX_TOKENS), "-m", str(bundle_dir)]
    return cli.main(["generate", "Había", *options, *words])


@pytest.mark.parametrize("words", [[], ["--portable"]])
def test_portable_opens_a_portable_model(
    bundle_dir: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def open_model(path: Path, *, portable: bool) -> session.Model:
        asked.append(portable)
        return load(path, portable=portable)

    monkeypatch.setattr(session, "load", open_model)
    assert generate(bundle_dir, *words) == 0
    assert asked == [bool(words)]


def show(text: str) -> str:
    return escape_controls(text, keeps_marks=True)


def test_several_texts_have_consecutive_seeds(
    place: Path, bundle_dir: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty line separates them, and each is the text of its seed."""
    assert generate(bundle_dir, "-n", "3") == 0
    output = capsys.readouterr()
    assert output.out == "\n\n".join(map(show, expected)) + "\n"
    assert [line.split(",")[0] for line in output.err.splitlines()] == ["seed: 5", "seed: 6", "seed: 7"]


def test_json_is_a_list_where_a_number_was_given(
    place: Path, bundle_dir: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for one text, so that a program need not look at the number. Without -n it is one object."""
    assert generate(bundle_dir, "-n3", "--json") == 0
    reports = json.loads(capsys.readouterr().out)
    assert [report["prompt"] + report["text"] for report in reports] == expected
    assert [report["seed"] for report in reports] == [5, 6, 7]
    assert generate(bundle_dir, "-n", "1", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert generate(bundle_dir, "--json") == 0
    assert json.loads(capsys.readouterr().out)["text"] == one["text"]


def test_without_a_seed_the_texts_follow_a_random_one(
    place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So one number repeats all of them."""
    assert cli.main(["generate", "x", "-m", str(bundle_dir), "-n", "2", "--max-tokens", "1", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert second["seed"] == (first["seed"] + 1) % 2**63


def test_texts_go_to_a_file(
    place: Path, bundle_dir: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As they would have been printed. The screen says what was written, with the seeds."""
    assert generate(bundle_dir, "-n", "3", "--output", "mío.txt") == 0
    assert (place / "mío.txt").read_text(encoding="utf-8") == "\n\n".join(map(show, expected)) + "\n"
    assert capsys.readouterr().out == "Wrote mío.txt (seed: 5, 6, 7)\n"
    assert generate(bundle_dir, "--output", "one.json", "--json") == 0
    report = json.loads((place / "one.json").read_text(encoding="utf-8"))
    assert report["prompt"] + report["text"] == expected[0]


def test_an_existing_file_is_not_replaced_unasked(
    place: Path, bundle_dir: Path, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is an error before the model is loaded; with --overwrite it is replaced, and that is said."""
    (place / "text").write_text("mine")
    assert generate(bundle_dir, "--output", "text") == 64
    assert "text exists" in capsys.readouterr().err
    assert (place / "text").read_text() == "mine"
    assert generate(bundle_dir, "--output", "text", "--overwrite") == 0
    assert (place / "text").read_text(encoding="utf-8") == show(expected[0]) + "\n"
    assert capsys.readouterr().out.startswith("Replaced text")


def test_a_link_that_leads_nowhere_is_something_too(
    place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not replaced unasked either."""
    (place / "text").symlink_to("gone")
    assert generate(bundle_dir, "--output", "text") == 64
    assert (place / "text").is_symlink()


def test_the_file_is_whole_or_absent(
    place: Path, bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk leaves the old file, and no part of a new one."""
    (place / "text").write_text("mine")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.disk, "write", fail)
    assert generate(bundle_dir, "--output", "text", "--overwrite") == 74
    assert [path.name for path in place.iterdir()] == ["text"]
    assert (place / "text").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["-n", "0"], "num_texts = 0"),
        (["-n", "1001"], "nearest valid value: 1000"),
        (["--overwrite"], "only for --output"),
        (["--output", "."], "is a folder"),
        (["--output", "no/where"], "there is no folder no"),
    ],
)
def test_mistakes_end_with_64(
    place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], cause: str
) -> None:
    """Nothing is generated and nothing written."""
    assert generate(bundle_dir, *words) == 64
    output = capsys.readouterr()
    assert cause in output.err
    assert output.out == ""
    assert list(place.iterdir()) == []
