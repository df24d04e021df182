"""``semilla generate``, run as a process."""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import train_tiny_tokenizer, write_tiny_bundle

from semilla.commands import generate
from semilla.errors import InvalidConfigError
from semilla.escape import escape_controls
from semilla.runtime.session import load
from semilla.runtime.streams import TextStream
from semilla.terminal.conversation import Conversation
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer

OPTIONS = ["--seed", "5", "--max-tokens", "20"]


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "bundle")


@pytest.fixture(scope="module")
def expected(bundle_dir: Path) -> str:
    return load(bundle_dir).generate("Había una vez", seed=5, max_tokens=20)


def run_semilla(*words: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "semilla", "generate", *map(str, words)]
    kwargs = {"stdin": subprocess.DEVNULL} | kwargs if "input" not in kwargs else kwargs
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=60, **kwargs)


def test_the_prompt_and_its_continuation_are_written(bundle_dir: Path, expected: str) -> None:
    """Standard output has the whole text and a line break, standard error the seed that repeats it and how it ended."""
    done = run_semilla("Había una vez", "--model", bundle_dir, *OPTIONS)
    assert (done.returncode, done.stderr) == (0, "seed: 5, ended at the limit of 20 tokens\n")
    assert done.stdout == escape_controls("Había una vez" + expected) + "\n"


@pytest.mark.parametrize("words", [[], ["-"]])
def test_a_piped_prompt_is_read(bundle_dir: Path, expected: str, words: list[str]) -> None:
    """Without PROMPT, or with -, the prompt is read from a pipe, without its last line break."""
    done = run_semilla(*words, "--model", bundle_dir, *OPTIONS, input="Había una vez\n")
    assert done.stdout == escape_controls("Había una vez" + expected) + "\n"


def test_without_a_prompt_a_new_paragraph_starts(bundle_dir: Path) -> None:
    """If there is nothing to read, the text has no prompt."""
    done = run_semilla("--model", bundle_dir, *OPTIONS)
    expected = load(bundle_dir).generate(seed=5, max_tokens=20)
    assert done.stdout == escape_controls(expected) + "\n"


def test_json_tells_what_is_needed_to_repeat_it(bundle_dir: Path) -> None:
    """It has version, prompt, text, number of tokens, seed and timings. The seed gives the same text again."""
    done = run_semilla("¿Qué", "--model", bundle_dir, "--max-tokens", 15, "--json")
    report = json.loads(done.stdout)
    assert list(report) == ["model_version", "prompt", "text", "tokens", "ended", "seed", "timings"]
    assert report["ended"] == ("limit" if report["tokens"] == 15 else "itself")
    assert report["prompt"] == "¿Qué"
    assert 0 <= report["tokens"] <= 15
    assert report["text"] == load(bundle_dir).generate("¿Qué", seed=report["seed"], max_tokens=15)
    assert all(value >= 0 for value in report["timings"].values())


def test_settings_reach_the_model(bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every flag has the effect of the same setting in the library."""
    words = "--temperature 2 --top-k 0 --top-p 0.5 --repetition-penalty 3 --stop a --stop é --max-tokens 60 --seed 1"
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    assert generate.run(parser.parse_args(["x", "--model", str(bundle_dir), *words.split()])) == 0
    expected = load(bundle_dir).generate(
        "x", temperature=2, top_k=0, top_p=0.5, repetition_penalty=3, stop=["a", "é"], max_tokens=60, seed=1
    )
    assert capsys.readouterr().out == escape_controls("x" + expected) + "\n"
    assert expected != load(bundle_dir).generate("x", max_tokens=60, seed=1)


def test_a_reader_that_leaves_ends_it_quietly(bundle_dir: Path) -> None:
    """When the other end of the pipe is gone, the program ends without an error."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-P", "-m", "semilla", "generate", "x", "--model", str(bundle_dir), *OPTIONS]
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE, timeout=60
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


def read_until(terminal: int, wanted: bytes) -> bytes:
    """Read what a program writes to its terminal, up to ``wanted``."""
    data = b""
    while not data.endswith(wanted):
        data += os.read(terminal, 4096)
    return data


def test_a_conversation_continues_each_line(bundle_dir: Path) -> None:
    """Each line that is typed is continued with the next seed. The end of input ends it with exit code 0."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "semilla", "generate", "--interactive", "--model", str(bundle_dir)]
    options = ["--seed", "5", "--max-tokens", "20"]
    with subprocess.Popen([*command, *options], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        for prompt in ("Once", "Había"):
            read_until(terminal, b"> ")
            os.write(terminal, f"{prompt}\n".encode())
        shown = read_until(terminal, b"\n> ").decode()
        os.write(terminal, b"\x04")
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    expected = load(bundle_dir).generate("Había", seed=6, max_tokens=20)
    text = escape_controls(f"Había{expected}").split()
    assert " ".join([*text, "seed: 6"]) in " ".join(shown.split())


@pytest.mark.parametrize("words", [[], ["x"], ["--json"], ["-n", "2"], ["--output", "file"]])
def test_a_conversation_needs_a_terminal_and_nothing_else(bundle_dir: Path, words: list[str]) -> None:
    """Without a terminal, with a prompt or with --json, it is an error; the program does not wait."""
    done = run_semilla(*words, "--interactive", "--model", bundle_dir)
    assert (done.returncode, done.stdout) == (64, "")
    assert "--interactive" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (["x", "--temperature", "-1", "--top-p", "2"], 64, "top_p = 2.0"),
        (["x", "--temperature", "nan"], 64, "temperature = nan"),
        (["x", "--top-k", "many"], 64, "--top-k"),
        (["x", "--seed", "-1"], 64, "seed = -1"),
        (["x", "--model", "nowhere"], 64, "no folder nowhere"),
        (["x", "--model", "best_model.pt"], 65, "bundle"),
        (["x", "--model", "."], 65, "no finished model"),
    ],
)
def test_mistakes_end_with_their_code(
    tmp_path: Path, bundle_dir: Path, words: list[str], code: int, cause: str
) -> None:
    """Settings out of range and missing folders are 64, files that are not a bundle 65. Nothing is written."""
    (tmp_path / "best_model.pt").write_bytes(b"PK\x03\x04")
    model = [] if "--model" in words else ["--model", bundle_dir]
    done = run_semilla(*words, *model, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert cause in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("data", "message"), [(b"ni\xf1a", "UTF-8"), (b"x" * (generate.LARGEST_PROMPT_BYTES + 1), "larger")]
)
def test_input_that_cannot_be_a_prompt_is_refused(
    monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    """Latin-1 and very large inputs are refused."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(InvalidConfigError, match=message):
        generate.read_prompt("-")


def test_a_closed_standard_input_is_no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without standard input starts a new paragraph and does not wait."""
    monkeypatch.setattr(sys, "stdin", None)
    assert (generate.read_prompt(None), generate.read_prompt("-")) == ("", "")


def test_generated_control_characters_are_shown(
    bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A generated escape sequence does not reach the terminal. JSON keeps the exact text."""
    from semilla.runtime.context import Context

    model = load(bundle_dir)
    ids = [int(token) for token in model.tokenizer.encode("a\x1b[2J\u202eñ")]
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    for words in ([], ["--json"]):
        tokens = iter([*ids, 2])
        monkeypatch.setattr(Context, "next_id", property(lambda _, tokens=tokens: next(tokens)))
        generate.run(parser.parse_args(["x", "--model", str(bundle_dir), *words]))
    shown, _, report = capsys.readouterr().out.partition("\n")
    assert shown == r"xa\u001b[2J\u202eñ"
    assert "\u202e" not in report
    assert json.loads(report)["text"] == "a\x1b[2J\u202eñ"


def run_here(capsys: pytest.CaptureFixture[str], bundle_dir: Path, *words: str) -> str:
    """Run the command in this process and return its standard output."""
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    assert generate.run(parser.parse_args([*words, "--model", str(bundle_dir), *OPTIONS])) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("spaces", [" ", "   "])
def test_a_space_at_the_end_of_a_prompt_begins_the_next_word(
    bundle_dir: Path, capsys: pytest.CaptureFixture[str], spaces: str
) -> None:
    """The text is the same as without the space, and the library does not repeat the space."""
    prompt = "Once upon a time"
    assert run_here(capsys, bundle_dir, prompt + spaces) == run_here(capsys, bundle_dir, prompt)
    model = load(bundle_dir)
    assert list(model.encode(prompt + spaces)) == list(model.encode(prompt))
    for seed in range(20):
        text = model.generate(prompt, seed=seed, max_tokens=5)
        assert model.generate(prompt + spaces, seed=seed, max_tokens=5) == text.removeprefix(" ")


def test_a_vocabulary_of_characters_keeps_the_space() -> None:
    """There a space is a token of its own, and a word after it cannot be joined to the one before."""
    text = ["Once upon a time there was a seed. Había una vez una semilla.\n"] * 50
    model = train_tokenizer(text, vocab_size=1000, model_type="char", is_size_explicit=False).model
    assert not Tokenizer(model).joins_spaces
    assert Tokenizer(train_tiny_tokenizer()).joins_spaces


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (r"\n", "\n"),
        (r"a\n\nb", "a\n\nb"),
        (r"\t", "\t"),
        (r"\\n", r"\n"),
        ("plain", "plain"),
        (r"\x", r"\x"),
    ],
)
def test_a_stop_text_may_be_a_line_break(typed: str, meant: str) -> None:
    """A backslash and an n mean a line break, as in other programs; two backslashes mean one."""
    assert generate.read_stop(typed) == meant


def test_stopping_at_a_line_break_ends_the_text_there(
    bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line break and what follows it are not written."""
    force_text(monkeypatch, bundle_dir, "uno\ndos")
    assert run_here(capsys, bundle_dir, "x", "--stop", r"\n") == "xuno\n"


def test_direction_marks_reach_a_file_and_no_terminal(
    bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right-to-left text needs them; on a terminal they could mislead. Overrides are escaped in both."""
    text = "שלום\u200f \u200e!\u202e"
    force_text(monkeypatch, bundle_dir, text)
    assert run_here(capsys, bundle_dir, "x") == f"x{text[:-1]}\\u202e\n"
    force_text(monkeypatch, bundle_dir, text)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run_here(capsys, bundle_dir, "x") == "x" + escape_controls(text) + "\n"


def force_text(monkeypatch: pytest.MonkeyPatch, bundle_dir: Path, text: str) -> None:
    """Make the model generate this text."""
    from semilla.runtime.context import Context

    tokens = iter([*map(int, load(bundle_dir).tokenizer.encode(text)), 2])
    monkeypatch.setattr(Context, "next_id", property(lambda _: next(tokens)))


def test_a_home_directory_is_found(
    bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell leaves ``--model=~/x`` as it is; here it means the home directory."""
    monkeypatch.setenv("HOME", str(bundle_dir.parent))
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    assert generate.run(parser.parse_args(["x", f"--model=~/{bundle_dir.name}", *OPTIONS])) == 0
    assert capsys.readouterr().out.startswith("x")
    assert load(f"~/{bundle_dir.name}").generate("x", seed=5, max_tokens=2)


class ScriptedTerminal:
    """What a person types, line by line; a KeyboardInterrupt stands for Ctrl-C."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        self.lines = iter(lines)

    def __call__(self, question: str) -> str:
        line = next(self.lines, EOFError)
        if isinstance(line, str):
            return line
        raise line


def converse(
    monkeypatch: pytest.MonkeyPatch, bundle_dir: Path, *lines: str | type[BaseException], seed: int | None = 5
) -> Conversation:
    monkeypatch.setattr("builtins.input", ScriptedTerminal(*lines))
    conversation = Conversation(load(bundle_dir), seed=seed, changes={"max_tokens": 5})
    conversation.hold()
    return conversation


def test_a_conversation_greets_and_knows_commands(
    bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how to end; /help lists the commands; a setting is shown, changed, and kept if the value is wrong."""
    lines = [
        "/help",
        "/temperature",
        "/temperature 0.3",
        "/temperature 99",
        "/temperatur 1",
        "/seed 7",
        "/seed x",
    ]
    conversation = converse(monkeypatch, bundle_dir, *lines, "/exit", "never read")
    assert (conversation.seed, conversation.changes["temperature"]) == (7, 0.3)
    out = capsys.readouterr().out
    for expected in (
        "Ctrl-C ends a text",
        "/seed N",
        "temperature = 0.8",
        "temperature = 0.3",
        "nearest valid value: 10",
        "did you mean /temperature?",
        "seed = 7",
        "'x' is not a whole number",
    ):
        assert expected in out


def test_ctrl_c_ends_the_text_and_not_the_conversation(
    bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the prompt and inside a text; the next line is continued as usual."""
    interrupted = iter([True, False])
    stream = TextStream.__next__

    def interrupt(self: TextStream) -> str:
        if next(interrupted, False):
            raise KeyboardInterrupt
        return stream(self)

    monkeypatch.setattr(TextStream, "__next__", interrupt)
    converse(monkeypatch, bundle_dir, KeyboardInterrupt, "Once", "Había")
    out, err = capsys.readouterr()
    assert "\nOnce\n" in out
    assert "\nHabía" in out
    assert err == "seed: 5\nseed: 6, ended at the limit of 5 tokens\n"
