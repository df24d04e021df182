"""The program from argv to exit code."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import semilla
from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings
from semilla.errors import (
    CATEGORIES,
    EXIT_CODES,
    IntegrityError,
    InterruptedRunError,
    LockedError,
    NetworkError,
    SemillaError,
)
from semilla.pipeline import main_job as pipeline
from semilla.records.status import PipelineStatus
from semilla.terminal import summary

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("SEMILLA_")]:
        monkeypatch.delenv(variable)
    return tmp_path


@pytest.fixture
def calls(place, monkeypatch):
    """Replace the pipeline and record its arguments."""
    seen: list[dict] = []

    def run_pipeline(config, **kwargs):
        seen.append({"config": config, **kwargs})
        return PipelineStatus()

    monkeypatch.setattr(pipeline, "run_pipeline", run_pipeline)
    monkeypatch.setattr(summary, "print_unfinished", lambda directory: None)
    return seen


def fail_with(monkeypatch, problem: BaseException) -> None:
    def run_pipeline(config, **kwargs):
        raise problem

    monkeypatch.setattr(pipeline, "run_pipeline", run_pipeline)


def start(*words: str, **kwargs) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEMILLA_")}
    return subprocess.run(
        [sys.executable, "-m", "semilla", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
        **kwargs,
    )


def assert_four_lines(text: str, *, category: str) -> None:
    lines = text.splitlines()
    marks = [line for line in lines if not line.startswith("  ")]
    assert [line.split(":")[0].split("[")[0] for line in marks] == ["error", "kept", "next", "help"]
    assert marks[0].startswith(f"error[{category}] ")
    assert marks[3] == f"help: semilla guide {category}"
    assert marks[2].removeprefix("next: ").strip()


# ---- what is parsed


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("corpus_source", ["mi libro ñ.txt"], "mi libro ñ.txt"),
        ("corpus_size_mb", ["7"], 7),
        ("tokenizer_vocab_size", ["4096"], 4096),
        ("tokenizer_model_type", ["bpe"], "bpe"),
        ("num_layers", ["3"], 3),
        ("d_model", ["192"], 192),
        ("num_heads", ["8"], 8),
        ("dim_feedforward", ["512"], 512),
        ("tie_embeddings", None, False),
        ("batch_size", ["16"], 16),
        ("learning_rate", ["1e-3"], 0.001),
        ("num_epochs", ["5"], 5),
        ("max_sequence_length", ["64"], 64),
        ("optimizer", ["adamw"], "adamw"),
        ("warmup_fraction", ["0.1"], 0.1),
        ("weight_decay", ["0"], 0.0),
        ("dropout", ["0.25"], 0.25),
        ("sampled_output_fraction", ["0.5"], 0.5),
        ("short_context_fraction", ["0.5"], 0.5),
        ("language_balance", ["0.5"], 0.5),
        ("max_gradient_norm", ["0.5"], 0.5),
        ("precision", ["float32"], "float32"),
        ("num_threads", ["2"], 2),
        ("output_directory", ["-rara"], "-rara"),
        ("resume_from_checkpoint", None, True),
        ("skip_phases", ["corpus_download", "tokenizer_training"], ["corpus_download", "tokenizer_training"]),
        ("corpus_mirrors", ["http://a/,http://b/"], ["http://a/", "http://b/"]),
        ("allow_partial", None, True),
        ("corpus_drift", ["refuse"], "refuse"),
        ("corpus_encoding", ["latin-1"], "latin-1"),
        ("corpus_languages", ["en", "es"], ["en", "es"]),
        ("trust_tokenizer", None, True),
        ("max_validation_loss", ["4.5"], 4.5),
        ("strict", None, True),
        ("seed", ["9223372036854775807"], 2**63 - 1),
        ("corpus_seed", ["3"], 3),
        ("corpus_grade", ["2"], 2),
        ("minutes", ["7.5"], 7.5),
        ("start_from", ["data"], "data"),
        ("replay", ["0.1"], 0.1),
        ("layout", ["lines"], "lines"),
        ("dedupe", None, True),
        ("repair", None, True),
        ("text_column", ["body"], "body"),
        ("title_column", ["name"], "name"),
        ("repetition_fraction", ["0.1"], 0.1),
        ("early_stopping", ["2"], 2),
        ("checkpoint_every", ["2"], 2),
        ("checkpoint_seconds", ["5.5"], 5.5),
        ("keep_models", ["2"], 2),
        ("keep_epochs", None, True),
        ("device", ["auto"], "auto"),
        ("tracker", ["tensorboard"], "tensorboard"),
    ],
)
def test_every_flag_of_run_reaches_the_pipeline(calls, name, words, value):
    """Each flag sets its field and marks it as set."""
    flag = list_settings()[name].flag
    argv = [flag, *words] if words else [flag if value else flag.replace("--", "--no-")]
    assert cli.main(["run", *argv]) == 0
    config = calls[0]["config"]
    assert config.flatten()[name] == value
    assert {
        key for key, origin in config.flatten().items() if origin != PipelineConfiguration().flatten()[key]
    } == {name}


def test_every_setting_has_a_case_above():
    """The table of flags in this file is complete."""
    cases = {case[0] for case in test_every_flag_of_run_reaches_the_pipeline.pytestmark[0].args[1]}
    assert cases == set(list_settings())


def test_repeated_list_flags_add_up_and_repeated_values_replace(calls):
    """A list may be given in parts; for a single value the last flag counts."""
    argv = ["--corpus-mirrors", "http://a/", "--corpus-mirrors=http://b/", "--seed", "1", "--seed=2"]
    assert cli.main(["run", *argv]) == 0
    assert calls[0]["config"].corpus_mirrors == ("http://a/", "http://b/")
    assert calls[0]["config"].seed == 2


@pytest.mark.parametrize(("argv", "resume"), [([], None), (["--resume"], True), (["--no-resume"], False)])
def test_run_passes_on_whether_the_user_chose_to_resume(calls, argv, resume):
    """Giving neither flag is a third case, and without a terminal there is no question."""
    assert cli.main(["run", *argv]) == 0
    assert calls[0]["resume"] is resume
    assert calls[0]["ask"] is None


def test_file_and_environment_reach_the_pipeline(calls, place, monkeypatch):
    """``--config`` and variables are used, and flags override them."""
    (place / "mío.toml").write_text("num_layers = 4\nnum_epochs = 4\nseed = 4\n", encoding="utf-8")
    monkeypatch.setenv("SEMILLA_NUM_EPOCHS", "5")
    monkeypatch.setenv("SEMILLA_SEED", "5")
    assert cli.main(["run", "--config", "mío.toml", "--seed", "6"]) == 0
    values = calls[0]["config"].flatten()
    assert (values["num_layers"], values["num_epochs"], values["seed"]) == (4, 5, 6)


# ---- what is refused


@pytest.mark.parametrize(
    "argv",
    [
        ["rum"],
        ["--nope"],
        ["--nope", "run"],
        ["run", "--epochs", "abc"],
        ["run", "--num-epochs"],
        ["run", "--num-epochs="],
        ["run", "--num-epochs", "abc"],
        ["run", "--num-epochs", "0"],
        ["run", "--num-epochs", "-1"],
        ["run", "--num-epochs", "1e9"],
        ["run", "--num-epoch", "3"],
        ["run", "--skip-phases"],
        ["run", "--skip-phases", "model_training"],
        ["run", "--seed", "-1e3"],
        ["run", "--seed", "1.5"],
        ["run", "--resume=yes"],
        ["run", "stray"],
        ["run", "--config"],
        ["run", "--config", "missing.toml"],
        ["run", "--config", "."],
        ["run", "-x"],
        ["run", "--output-dir", ""],
        ["run", "--output-dir", "a\nb"],
        ["config"],
        ["config", "sho"],
        ["config", "show", "--format", "yaml"],
        ["config", "show", "--nmu-layers", "3"],
        ["status", "a", "b"],
        ["status", "--jsn"],
        ["clean"],
        ["validate", ".", "--num-epochs", "3"],
        ["guide", "zzzz"],
    ],
)
def test_wrong_command_lines_end_with_64(calls, capsys, argv):
    """Any mistake on the command line prints four lines and exits with 64."""
    assert cli.main(argv) == 64
    output = capsys.readouterr()
    assert output.out == ""
    assert_four_lines(output.err, category="invalid_config")
    assert calls == []


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["rum"], "did you mean run?"),
        (["run", "--epochs", "3"], "did you mean --num-epochs?"),
        (["status", "--jsn"], "did you mean --json?"),
        (["run", "--num-layers", "13"], "nearest valid value: 12"),
    ],
)
def test_mistakes_suggest_what_was_meant(calls, capsys, argv, meant):
    """Commands, flags and values suggest the nearest valid one on the first line."""
    cli.main(argv)
    assert meant in capsys.readouterr().err.splitlines()[0]


def test_several_mistakes_stand_on_lines_of_their_own(calls, capsys):
    """All mistakes are reported together, each on an indented line."""
    cli.main(["run", "--epochs", "3", "--num-layers", "13", "--seed"])
    error = capsys.readouterr().err
    assert_four_lines(error, category="invalid_config")
    reported = {line.split()[0] for line in error.splitlines() if line.startswith("  ")}
    assert reported == {"--epochs", "seed", "num_layers"}


# ---- exit codes


@pytest.mark.parametrize(
    ("problem", "code", "category"),
    [
        (RuntimeError("¡ay! 💥"), 70, "internal"),
        (AssertionError(), 70, "internal"),
        (RecursionError("deep"), 70, "internal"),
        (SystemExit(1), 70, "internal"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 74, "oom"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "dependency"),
        (ImportError("libfoo.so: broken", name="torch._C"), 1, "dependency"),
        (ModuleNotFoundError("No module named 'semilla.nope'", name="semilla.nope"), 70, "internal"),
        (OSError(28, "No space left on device"), 74, "disk_space"),
        (PermissionError(13, "Permission denied", "/x"), 74, "permission"),
        (InterruptedRunError(signal.SIGTERM), 143, "interrupted"),
        (LockedError("held"), 75, "locked"),
        (NetworkError("gone"), 74, "network"),
        (IntegrityError("damaged"), 65, "integrity"),
    ],
)
def test_every_exception_has_its_exit_code(place, monkeypatch, capsys, *, problem, code, category):
    """No exception prints a traceback or exits with a bare 1 or 2; missing packages belong to phase 1 (E1)."""
    fail_with(monkeypatch, problem)
    assert cli.main(["run"]) == code
    error = capsys.readouterr().err
    assert_four_lines(error, category=category)
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("phase", "code"), [("prerequisite_check", 1), ("corpus_download", 2), ("validation", 5)]
)
def test_errors_inside_a_phase_end_with_its_ordinal(place, monkeypatch, capsys, phase, code):
    """The phase's number is the exit code, and its name is on the first line."""
    problem = NetworkError("gone", kept="the tokenizer", next_command="semilla status data")
    problem.phase = phase
    fail_with(monkeypatch, problem)
    assert cli.main(["run"]) == code
    assert capsys.readouterr().err.splitlines() == [
        f"error[network] {phase}: gone",
        "kept: the tokenizer",
        "next: semilla status data",
        "help: semilla guide network",
    ]


def test_next_command_repeats_the_run_with_resume(place, monkeypatch, capsys):
    """Without a better command, the next command resumes the same run, quoted for a shell."""
    fail_with(monkeypatch, NetworkError("gone"))
    cli.main(["run", "--no-resume", "--output-dir", "mi salida"])
    assert "next: semilla run --output-dir 'mi salida' --resume\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "suggested", "shown"),
    [
        ("run -o new", "semilla run --corpus-source sample", " --output-dir new"),
        ("run --output-dir='my run'", "semilla run --corpus-source sample", " --output-dir 'my run'"),
        ("run", "semilla run --corpus-source sample", ""),
        ("run -o data", "semilla run --corpus-source sample", ""),
        ("run -o new", "semilla run -o other", ""),
        ("run -o new", "semilla run --output-dir=other", ""),
        ("run -o new", "semilla run --help", ""),
        ("check book.txt -o new", "semilla status", ""),
    ],
)
def test_a_suggested_run_writes_where_the_failed_one_did(place, monkeypatch, capsys, argv, suggested, shown):
    """Without its directory, it would replace the run in the default one."""
    monkeypatch.setattr(cli, "dispatch", raise_always(NetworkError("gone", next_command=suggested)))
    cli.main(shlex.split(argv))
    assert f"next: {suggested}{shown}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "suggested"),
    [
        ("run --resume", None),
        ("run --resume --output-dir=data", "semilla run --resume"),
        ("run --batch-size 1 --resume", "semilla run --batch-size=1 --resume"),
        ("run --corpus-encoding latin-1 --debug", "semilla run --corpus-encoding=latin-1"),
        ("clean data --yes", "semilla clean --yes data"),
        ("status data", "semilla status data"),
    ],
)
@pytest.mark.parametrize("kind", CATEGORIES.values())
def test_the_next_command_is_never_the_one_that_failed(place, monkeypatch, capsys, kind, argv, suggested):
    """However it is written, and whatever the error (H14)."""
    problem = InterruptedRunError(signal.SIGINT) if kind is InterruptedRunError else kind("no")
    problem.next_command = suggested
    monkeypatch.setattr(cli, "dispatch", raise_always(problem))
    cli.main(argv.split())
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("next: "))
    if kind is InterruptedRunError:
        assert "--resume" in line or suggested
    elif "--debug" not in line:
        assert cli.describe_action(line.split()[2:]) != cli.describe_action(argv.split())


def raise_always(problem):
    def refuse(words):
        raise problem

    return refuse


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    "kind", ["device", "below a device", "pipe", "file", "broken link", "link to a file"]
)
def test_what_cannot_be_a_folder_is_a_wrong_setting(place, capsys, command, kind):
    """An output directory that is something else ends with 64, and nothing changes (H15)."""
    os.mkfifo("pipe")
    Path("file").touch()
    Path("broken link").symlink_to("gone")
    Path("link to a file").symlink_to("file")
    chosen = {"device": "/dev/null", "below a device": "/dev/null/data"}.get(kind, kind)
    before = sorted(Path().iterdir())
    assert cli.main([command, "--corpus-source", "sample", "--output-dir", chosen]) == 64
    output = capsys.readouterr()
    assert "is in the way: it is not a folder" in output.out + output.err
    assert sorted(Path().iterdir()) == before


def test_debug_shows_the_traceback_and_then_the_four_lines(place, monkeypatch, capsys):
    """``--debug`` adds the traceback and keeps the exit code."""
    fail_with(monkeypatch, RuntimeError("¡ay!"))
    assert cli.main(["run", "--debug"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert_four_lines(error[error.index("error[internal]") :], category="internal")


def test_text_from_outside_cannot_forge_lines_or_move_the_cursor(place, monkeypatch, capsys):
    """Control characters in a message are escaped and its further lines indented."""
    fail_with(monkeypatch, IntegrityError("\x1b[2Jpg\x9b1.txt\nnext: rm -rf ~\r\u202e"))
    cli.main(["run"])
    error = capsys.readouterr().err
    assert_four_lines(error, category="integrity")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", error)


def test_every_category_can_be_printed(place, monkeypatch, capsys):
    """Each error class prints four lines and has an exit code from the table."""
    for category, kind in CATEGORIES.items():
        problem = kind(signal.SIGINT) if kind is InterruptedRunError else kind("stopped")
        fail_with(monkeypatch, problem)
        assert cli.main(["run"]) in EXIT_CODES
        assert_four_lines(capsys.readouterr().err, category=category)


# ---- help and version


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_of_a_command_says_where_the_exit_codes_are(place, capsys, name):
    """They are the same for every command, so they are listed once."""
    assert cli.main([name, "--help"]) == 0
    assert capsys.readouterr().out.endswith("\nsemilla --help lists the exit codes.\n")


@pytest.mark.parametrize("argv", [["--help"], []])
def test_help_names_every_exit_code(place, capsys, argv):
    """``--help`` of the program ends with the table of exit codes."""
    assert cli.main(argv) == 0
    text = capsys.readouterr().out
    assert all(
        re.search(rf"^ +{code}  {re.escape(line[:40])}", text, re.MULTILINE)
        for code, line in EXIT_CODES.items()
    )


def test_help_of_run_shows_every_flag_with_range_and_default(place, capsys, monkeypatch):
    """The whole help shows flags, ranges and defaults from the settings."""
    monkeypatch.setenv("COLUMNS", "400")
    cli.main(["run", "--help-all"])
    text = capsys.readouterr().out
    for setting in list_settings().values():
        assert re.search(rf"^  (-\w, )?{setting.flag}\b", text, re.MULTILINE)
        if setting.kind in {"integer", "number"}:
            assert f"[{setting.allowed}; default: {setting.default}]" in text


def test_version(capsys):
    """``--version`` prints the version of the package."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"semilla {semilla.__version__}\n"


def test_the_reference_is_current():
    """docs/cli.md is what ``scripts/docs`` generates."""
    result = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "write_cli_reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


# ---- fuzz

WORDS = st.one_of(
    st.sampled_from([*cli.COMMANDS, *(setting.flag for setting in list_settings().values())]),
    st.sampled_from(
        ["--help", "--json", "--yes", "--config", "--model", "--", "-", "-h", "show", "schema", "data", "."]
    ),
    st.sampled_from(
        ["3", "-1", "0.1", "nan", "--no-resume", "--seed=", "--format", "toml", "es", "corpus_download"]
    ),
    st.text(st.characters(exclude_characters="\0"), max_size=8),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.lists(WORDS, max_size=5), st.tuples(st.sampled_from([*cli.COMMANDS]), WORDS, WORDS, WORDS))
)
def test_any_command_line_ends_with_a_code_of_the_table(calls, capsys, monkeypatch, argv):
    """No sequence of words leads to a traceback or an exit code outside the table."""
    monkeypatch.setattr("semilla.pipeline.phases.prerequisite_check.check_all", lambda config, **kwargs: [])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    words = [word for word in argv if word != "--debug"]  # it is there to show a traceback
    assert cli.main(words) in set(EXIT_CODES) - {70}
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err


# ---- as a process


@pytest.mark.parametrize(
    ("argv", "unwanted"),
    [
        (["--help"], {"torch", "pydantic", "rich", "onnxruntime", "numpy"}),
        (["generate", "--help"], {"torch", "pydantic", "rich", "semilla.configuration.schema"}),
        (["run", "--help"], {"torch", "onnxruntime"}),
        (["check", "--corpus-source", "sample"], {"torch", "onnxruntime"}),
        (["status"], {"torch", "onnxruntime"}),
        (["guide", "oom"], {"torch", "onnxruntime"}),
        (["config", "show"], {"torch", "onnxruntime"}),
    ],
)
def test_commands_start_without_what_they_do_not_need(place, argv, unwanted):
    """Light commands import neither torch nor other heavy packages."""
    code = f"import sys; from semilla.cli import main; main({argv!r}); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stderr.split())
    assert "semilla.cli" in loaded
    assert loaded & unwanted == set()


def test_closed_pipe_is_no_error(place):
    """A reader that closes the pipe early causes no message and no error code."""
    program = [sys.executable, "-m", "semilla", "config", "schema"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_reported(place):
    """A full disk behind standard output is a disk error, not a silent success or exit code 120."""
    with Path("/dev/full").open("w") as full:
        program = [sys.executable, "-m", "semilla", "config", "schema"]
        result = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 74
    assert_four_lines(result.stderr, category="disk_space")


def test_closed_streams_do_no_harm(place):
    """Without standard output and error the exit code stays the same."""
    command = f"{sys.executable} -m semilla guide oom >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    command = f"{sys.executable} -m semilla status >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 64


def test_ascii_terminals_get_characters_spelled_out(place):
    """If the terminal cannot show an ñ, it is escaped."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    program = [sys.executable, "-m", "semilla", "config", "show", "--output-dir", "año"]
    result = subprocess.run(program, capture_output=True, text=True, check=True, env=environment)
    assert "a\\xf1o" in result.stdout


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_old_pythons_can_parse_the_entry(name):
    """An old Python can parse the entry module and report what is needed."""
    source = (REPOSITORY / "src" / "semilla" / name).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 7))


def test_old_pythons_get_an_error_that_says_what_is_needed(monkeypatch, capsys):
    """An old Python prints the four lines and exits with 74."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    source = (REPOSITORY / "src" / "semilla" / "__main__.py").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        exec(compile(source, "__main__.py", "exec"), {"__name__": "__main__"})
    assert caught.value.code == 74
    error = capsys.readouterr().err
    assert "needs Python 3.11 or newer, this is 3.9" in error
    assert_four_lines(error, category="dependency")


def test_module_and_script_are_the_same_program(place):
    """``python -m semilla`` is the program."""
    result = start("--version")
    assert (result.returncode, result.stdout) == (0, f"semilla {semilla.__version__}\n")


# ---- as a library


def test_public_names_are_there_and_light():
    """``__all__`` is complete, each name resolves, and importing the package imports nothing else."""
    assert semilla.__all__ == sorted(semilla.__all__, key=lambda name: (name.islower(), name))
    assert {name: getattr(semilla, name) for name in semilla.__all__}["run"] is pipeline.run_pipeline
    assert semilla.SemillaError is SemillaError
    assert set(semilla.__all__) <= set(dir(semilla))
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = semilla.nope
    code = "import sys, semilla, json; print(json.dumps([name for name in sys.modules if 'semilla' in name]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in json.loads(result.stdout) if not name.startswith("__editable__")] == ["semilla"]
