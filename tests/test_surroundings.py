"""A run in odd surroundings: paths, locales, closed pipes, threads, forks, shadowed modules; and what it leaves
behind."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from small_runs import assert_four_lines, list_words, run, write_text

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import IntegrityError, InterruptedRunError, ValidationFailureError
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import prerequisite_check, tokenizer_training
from semilla.runtime.network import _open_session
from semilla.system import interrupts
from semilla.terminal.console import abandon_output


class _KnownPackages:
    """Replaces the check of the packages, which takes seconds and has tests of its own."""

    torch_mb = None

    def __init__(self, config: PipelineConfiguration) -> None: ...

    def list_checks(self) -> list[object]:
        return []

    def stop(self) -> None: ...


@pytest.fixture
def _ends_after_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """End the run once the corpus is written: these tests need no more."""

    def stop(config: PipelineConfiguration, *, progress: object) -> None:
        raise ValidationFailureError("far enough")

    monkeypatch.setattr(prerequisite_check, "PackageProbe", _KnownPackages)
    monkeypatch.setattr(tokenizer_training, "run", stop)


ODD = [
    *(
        "con espacio",
        "a,b",
        'it\'s "q"',
        "100%s",
        "🌱 ñ",
        "-delante",
        "x" * 255,
        "~",
        "$HOME",
        "a;b|c",
        "#x",
        "[x]*?",
    ),
    *("a\\b", ".oculto", "a\x1b[31m", "\u202eoir", "a\tb"),
]


@pytest.mark.usefixtures("_ends_after_the_corpus")
@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name)[:12])
def test_odd_names_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, name: str) -> None:
    """As output directory and as text: created, read, displayed safely, and removed again (D15, S7)."""
    monkeypatch.chdir(tmp_path)
    text = Path("textos") / name[:250]
    text.parent.mkdir()
    write_text(text)
    assert cli.main([*list_words(Path("run"), f"./{text}"), "--output-dir", f"./{name}"]) == 3
    assert_four_lines(capsys.readouterr().err, category="validation_failure", phase="tokenizer_training")
    assert (tmp_path / name / "corpus.txt").is_file()
    assert cli.main(["status", "--", f"./{name}"]) == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\u202e" not in output
    record = (tmp_path / name / "pipeline_status.json").read_text(encoding="utf-8")
    log = (tmp_path / name / "semilla.log").read_text(encoding="utf-8")
    assert not {"\x1b", "\u202e"} & {*record, *log}
    assert cli.main(["clean", "--yes", "--", f"./{name}"]) == 0
    assert list((tmp_path / name).iterdir()) == []
    assert text.is_file()


@pytest.mark.parametrize(
    ("name", "words"), [("x" * 256, "too long"), ("a\nb", "line breaks"), ("\udcff", "one line")]
)
def test_impossible_names_are_mistakes_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, name: str, words: str
) -> None:
    """A name that is too long, has two lines or undecodable bytes is refused with that reason (D15)."""
    monkeypatch.chdir(tmp_path)
    assert run(Path(name), "sample") == 64
    error = capsys.readouterr().err
    assert error.startswith("error[invalid_config] ")
    assert words in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_ends_after_the_corpus")
def test_passwords_stay_out_of_everything_written(tmp_path: Path, capsys) -> None:
    """The password of an address is in no file and on no stream, nor in the suggested next command (S11)."""
    address = "http://ana:s3creto@127.0.0.1:9/libro.txt"
    assert run(tmp_path / "run", address) == 2
    captured = capsys.readouterr()
    assert "***@127.0.0.1" in captured.err
    written = [path.read_text(encoding="utf-8") for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not any("s3creto" in text for text in [*written, captured.out, captured.err])


def list_open_files() -> dict[str, str]:
    """Descriptor -> its target."""
    # The descriptor of the folder itself, open while it is read, is gone afterwards.
    return {
        path.name: str(path.readlink()) for path in [*Path("/proc/self/fd").iterdir()] if path.is_symlink()
    }


@pytest.mark.usefixtures("_ends_after_the_corpus")
def test_runs_leave_no_descriptors_threads_or_children(
    tmp_path: Path, capsys, pytestconfig: pytest.Config
) -> None:
    """After twenty runs (``--num-runs``), this process holds what it held after the second one (E8)."""
    text, first = write_text(tmp_path / "libro.txt"), None
    for number in range(1, pytestconfig.getoption("num_runs") + 1):
        assert run(tmp_path / "run", text) == 3
        held = (list_open_files(), [thread.name for thread in threading.enumerate()])
        first = first if number > 2 else held
        assert held == first, f"after run {number}"
        assert not list(tmp_path.rglob(".semilla-*.tmp"))
    assert multiprocessing.active_children() == []
    assert not Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")


def test_output_that_nobody_reads_costs_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its reader left, standard output is redirected to /dev/null under the same descriptor (E8)."""
    with (tmp_path / "output").open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        before = list_open_files()
        abandon_output()
        assert list_open_files() == {**before, str(output.fileno()): os.devnull}


# ---- as a library


@pytest.mark.usefixtures("_ends_after_the_corpus")
def test_a_run_in_a_thread_leaves_signals_and_seeds_alone(tmp_path: Path) -> None:
    """It installs no handler, seeds no global generator, and keeps a pending request of the main thread (E10)."""
    text = write_text(tmp_path / "libro.txt")
    config = PipelineConfiguration(corpus_source=str(text), output_directory=str(tmp_path / "run"))
    handlers, failures = {number: signal.getsignal(number) for number in interrupts.SIGNALS}, []
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()

    def work() -> None:
        try:
            run_pipeline(config)
        except Exception as error:
            failures.append(error)

    with interrupts.catch_signals():
        during = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert isinstance(failures[0], ValidationFailureError)
        assert signal.getsignal(signal.SIGTERM) is during
        os.kill(os.getpid(), signal.SIGTERM)
        second = threading.Thread(target=work)
        second.start()
        second.join()
        with pytest.raises(InterruptedRunError):
            interrupts.check()
    assert {number: signal.getsignal(number) for number in interrupts.SIGNALS} == handlers
    assert np.random.get_state()[1].tolist() == before


PROGRAM = """
import os, sys
from semilla import cli
child = os.fork()
if child == 0:
    os._exit(cli.main(sys.argv[1:]))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def start(
    *words: str, python: tuple[str, ...] = ("-m", "semilla"), **options: object
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **dict(options.pop("environment", {}))}
    command = [sys.executable, *python, *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment, **options
    )


def test_it_works_after_a_fork(tmp_path: Path) -> None:
    """A process forked after the import runs a command like any other (E10)."""
    outcome = start("status", str(tmp_path), python=("-c", PROGRAM))
    assert outcome.returncode == 64
    assert_four_lines(outcome.stderr, category="invalid_config", phase="status")


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"TERM": "dumb", "COLUMNS": "20"},
        {"NO_COLOR": "1"},
    ],
    ids=["C", "ASCII", "dumb and narrow", "no colour"],
)
def test_plain_surroundings_get_plain_text(tmp_path: Path, environment: dict[str, str]) -> None:
    """No locale, no colours, twenty columns: the same lines, without control codes and without a traceback (E7)."""
    # Where Python itself reads names as ASCII, no other name can be passed.
    place = str(tmp_path / ("corrida" if "PYTHONUTF8" in environment else "niño 🌱"))
    outcome = start("config", "show", "--output-dir", place, environment=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "\x1b" not in outcome.stdout
    failed = start("status", place, environment=environment)
    assert failed.returncode == 64
    assert_four_lines(failed.stderr, category="invalid_config", phase="status")


def test_a_reader_of_one_line_is_enough(tmp_path: Path) -> None:
    """``| head -1`` ends the output without an error (E7)."""
    program = f"{sys.executable} -m semilla config schema | head -1; echo ${{PIPESTATUS[0]}}"
    outcome = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert outcome.stdout.splitlines() == ["{", "0"]
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("command", "code"), [(["run", "--corpus-source", "sample"], 1), (["status", "x"], 74)]
)
def test_a_broken_package_says_what_to_install(tmp_path: Path, command: list[str], code: int) -> None:
    """A core package that cannot be imported is a dependency error; in a run, of its first phase (E1)."""
    (tmp_path / "pydantic.py").write_text(
        "raise ImportError('libfoo.so: invalid ELF header')", encoding="utf-8"
    )
    outcome = start(*command, environment={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert outcome.returncode == code
    assert outcome.stderr.startswith("error[dependency] ")
    assert "invalid ELF header" in outcome.stderr
    assert "scripts/install train" in outcome.stderr


def test_a_file_in_the_working_directory_is_not_taken_for_a_package(tmp_path: Path) -> None:
    """``python -m semilla`` does not import a local file with the name of a package (S14)."""
    for name in ("pydantic", "argparse", "rich", "numpy", "torch"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(99)", encoding="utf-8")
    assert start("config", "show", cwd=tmp_path).returncode == 0


def test_a_network_reads_no_file_outside_its_bundle(tmp_path: Path) -> None:
    """Weights that point at another file are refused by the runtime, as an integrity error."""
    weights = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=1)
    for key, value in (("location", "../secret.bin"), ("length", "8")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    values = [helper.make_tensor_value_info(name, 1, [2]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights]
    )
    path = tmp_path / "bundle" / "model.onnx"
    path.parent.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"12345678")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        _open_session(path, num_threads=1, portable=False)


@pytest.mark.parametrize(
    ("words", "code"), [("check", 74), ("run --output-dir /tmp/x", 74), ("guide oom", 0), ("--version", 0)]
)
def test_a_deleted_working_directory_is_named(tmp_path: Path, words: str, code: int) -> None:
    """torch would end the process while it is imported there; what imports nothing still works."""
    program = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m semilla {words}"
    done = subprocess.run(["sh", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code
    if code:
        cause = assert_four_lines(done.stderr, category="io_error", phase=words.split(maxsplit=1)[0])
        assert "working directory" in cause


def test_a_text_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash from before the phase decides about reuse, so later bytes never count as unchanged (C23)."""
    from semilla.corpus.sources import fingerprint_files, resolve_source

    text, link = write_text(tmp_path / "libro.txt"), tmp_path / "enlace.txt"
    link.symlink_to(text)
    before = fingerprint_files(resolve_source(str(link)))
    shutil.copy(write_text(tmp_path / "otro.txt", seed=1), text)
    assert fingerprint_files(resolve_source(str(link))) != before
