"""Phase 1 as a whole."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext

import pytest

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.errors import DiskSpaceError, InvalidCorpusError, OutOfMemoryError
from semilla.events import Warned, silent
from semilla.pipeline.phases import prerequisite_check
from semilla.pipeline.phases.prerequisite_check import check_all, has_corpus, read_inputs, run
from semilla.prerequisites import memory
from semilla.prerequisites.check import fail_check, pass_check
from semilla.prerequisites.packages import PACKAGES, PackageProbe
from semilla.system.processor import count_cores

NAMES = [
    "platform",
    "output_directory",
    "disk_space",
    "memory",
    "corpus_source",
    "parameters",
    "corpus_size",
    "learning_rate",
    "threads",
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def _without_slow_checks(monkeypatch):
    """Leave out the check of the packages, and the steps that the duration is estimated from."""
    monkeypatch.setattr("semilla.prerequisites.packages.PACKAGES", ())
    figures = {"sampled_s": 0.1, "full_s": 0.2, "evaluation_s": 0.1, "peak_mb": 500.0}
    monkeypatch.setattr("semilla.prerequisites.duration.rehearse_training", lambda config: figures)


def test_everything_is_checked_and_nothing_left_behind(place):
    """Every check gives a verdict, and the working directory does not change."""
    checks = check_all(PipelineConfiguration(corpus_source="sample"))
    assert [check.name for check in checks] == ["python", *PACKAGES, *NAMES, "duration"]
    assert [check.name for check in checks if not check.ok] == []
    assert list(place.iterdir()) == []


@pytest.mark.usefixtures("_without_slow_checks")
def test_failures_are_reported_together(place):
    """The first failure is the error, and its message contains the others."""
    (place / "data").write_text("in the way")
    with pytest.raises(Exception, match="in the way") as caught:
        run(PipelineConfiguration(corpus_source="quento.txt"), progress=silent)
    error = caught.value
    assert error.phase == "prerequisite_check"
    assert error.status == 64
    assert "\nalso invalid_corpus: there is no file" in str(error)
    assert str(error) == error.message


@pytest.mark.usefixtures("_without_slow_checks")
def test_advice_becomes_warnings_with_a_topic(place):
    """Unusual settings pass with a warning that names the topic to look up."""
    config = PipelineConfiguration(
        corpus_source="sample",
        corpus_size_mb=101,
        training_hyperparameters=TrainingHyperparameters(batch_size=65, learning_rate=0.001),
    )
    events = []
    record = run(config, progress=events.append)
    warnings = [event for event in events if isinstance(event, Warned)]
    assert [event.topic for event in warnings] == ["corpus_size", "learning_rate"]
    assert record.warnings == [event.text for event in warnings]
    assert record.details["parameters"].startswith("1,352,320 parameters")
    json.dumps(record.details, allow_nan=False)
    assert read_inputs(config, {}) == {}


@pytest.mark.usefixtures("_without_slow_checks")
@pytest.mark.parametrize(
    ("changes", "advised"),
    [
        ({"corpus_size_mb": 1}, False),
        ({"corpus_size_mb": 100}, False),
        ({"corpus_size_mb": 101}, True),
        ({"training_hyperparameters": {"batch_size": 65, "learning_rate": 0.0003}}, False),
        ({"training_hyperparameters": {"batch_size": 64, "learning_rate": 0.01}}, False),
        ({"training_hyperparameters": {"batch_size": 65, "learning_rate": 0.00031}}, True),
        ({"training_hyperparameters": {"num_threads": count_cores()}}, False),
        ({"training_hyperparameters": {"num_threads": count_cores() + 1}}, True),
    ],
)
def test_advice_begins_where_it_should(place, changes, advised):
    """Advice is given just outside the usual range, and not at its limits."""
    checks = check_all(PipelineConfiguration(corpus_source="sample", **changes))
    assert any(check.advice for check in checks) is advised


@pytest.mark.usefixtures("_without_slow_checks")
def test_a_name_too_long_ends_with_64(place, capsys):
    """An error in the configuration alone exits with 64, also when phase 1 finds it."""
    assert cli.main(["check", "--corpus-source", "sample", "--output-dir", "x" * 300]) == 64
    assert "error[invalid_config] check: this path cannot be used" in capsys.readouterr().err


@pytest.mark.usefixtures("_without_slow_checks")
@pytest.mark.parametrize(("torch_mb", "fits"), [(None, True), (150.0, True), (150_000.0, False)])
def test_memory_is_checked_again_with_the_measured_size_of_torch(place, monkeypatch, torch_mb, fits):
    """Both in a run and in ``semilla check``; where it could not be measured, the usual size counts."""
    monkeypatch.setattr(memory, "measure_available_mb", lambda: 100_000.0)
    monkeypatch.setattr(
        PackageProbe, "list_checks", lambda probe: vars(probe).update(torch_mb=torch_mb) or []
    )
    config = PipelineConfiguration(corpus_source="sample")
    assert {check.name: check.ok for check in check_all(config)}["memory"] is fits
    with nullcontext() if fits else pytest.raises(OutOfMemoryError):
        run(config, progress=silent)


def test_a_corpus_of_the_same_source_counts_as_there(place):
    """Only a manifest of the same source saves the request to its server."""
    assert not has_corpus(PipelineConfiguration())
    (place / "data").mkdir()
    (place / "data" / "corpus_manifest.json").write_text("{damaged")
    assert not has_corpus(PipelineConfiguration())


# ---- as a command


def replace_checks(monkeypatch, *checks):
    monkeypatch.setattr(
        "semilla.pipeline.phases.prerequisite_check.check_all", lambda config, **kwargs: list(checks)
    )


def test_check_prints_the_whole_table_also_when_some_fail(place, monkeypatch, capsys):
    """Every verdict is shown before the error, and the exit code is that of the phase."""
    full = fail_check("disk_space", DiskSpaceError("full"), found="1 MB", needed="160 MB")
    gone = fail_check("corpus_source", InvalidCorpusError("gone"), found="nothing", needed="a corpus")
    replace_checks(monkeypatch, pass_check("python", found="3.11", needed="3.11"), full, gone)
    assert cli.main(["check"]) == 1
    output = capsys.readouterr()
    assert [line.split()[:2] for line in output.out.splitlines()[1:]] == [
        ["ok", "python"],
        ["failed", "disk_space"],
        ["failed", "corpus_source"],
    ]
    assert output.err.startswith("error[disk_space] prerequisite_check: full\n  also invalid_corpus: gone\n")


def test_check_speaks_json(place, monkeypatch, capsys):
    """``--json`` prints the verdicts for programs, failures included."""
    full = fail_check("disk_space", DiskSpaceError("full ñ"), found="1 MB", needed="160 MB")
    replace_checks(monkeypatch, pass_check("python", found="3.11", needed="3.11"), full)
    assert cli.main(["check", "--json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)
    assert [verdict["verdict"] for verdict in verdicts] == ["ok", "failed"]
    assert verdicts[1]["category"] == "disk_space"
    assert verdicts[1]["message"] == "full ñ"


@pytest.mark.usefixtures("_without_slow_checks")
def test_predicted_lack_of_memory_ends_with_1(place, monkeypatch, capsys):
    """A run that does not fit in memory fails before it starts and suggests a smaller batch."""
    monkeypatch.setattr(memory, "measure_available_mb", lambda: 2000.0)
    argv = ["check", "--corpus-source=sample", "--batch-size=128", "--max-sequence-length=2048"]
    assert cli.main([*argv, "--tokenizer-vocab-size=32000"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error[oom] prerequisite_check:")
    assert "reduce batch_size from 128 to " in error


@pytest.mark.usefixtures("_without_slow_checks")
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("short.txt", b"Too short.\n", "too small: 11 characters"),
        ("book.epub", b"PK\x03\x04 not really", "is a ZIP archive"),
        ("texts/notes.xyz", b"# Notes\n", "left out: 1 unknown format (notes.xyz)"),
        ("old.txt", "El año pasado, la mañana.\n".encode("latin-1") * 200, "give --corpus-encoding latin-1"),
        (
            "sums.txt",
            "".join(f"{n}+{n}={n + n}\n" for n in range(900)).encode(),
            "--tokenizer-model-type char",
        ),
    ],
)
def test_check_says_what_the_run_will_say(place, capsys, name, content, expected):
    """A local text that a run would refuse fails the check with the run's own message, and nothing is left behind."""
    path = place / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    source = name.partition("/")[0]
    assert cli.main(["check", "--corpus-source", source]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error[invalid_corpus] prerequisite_check:")
    assert expected in error
    assert "semilla-trial-" not in error
    assert [path.name for path in place.iterdir()] == [source]


@pytest.mark.usefixtures("_without_slow_checks")
def test_check_reads_the_text(place):
    """The check of a local text gives its size and language, the size of its vocabulary, and the warnings of a run."""
    words = "The old house stood at the river, and nobody knew who had lived there before the winter of that year. "
    path = place / "texts" / "a.txt"
    path.parent.mkdir()
    path.write_text("".join(f"{words}{n} {words.strip()}\n" for n in range(200)), encoding="utf-8")
    (path.parent / "b.xyz").write_text("x", encoding="utf-8")
    checks = {check.name: check for check in check_all(PipelineConfiguration(corpus_source="texts"))}
    assert checks["text"].found == f"{path.stat().st_size:,} bytes in 1 documents (100% en)"
    assert "b.xyz" in checks["text"].advice
    assert checks["vocabulary"].found.endswith("pieces")
    assert "corpus_size" not in checks


def test_the_phase_needs_no_torch():
    """The parent process checks packages without importing them."""
    assert prerequisite_check.__name__ in sys.modules
    assert "torch" not in vars(prerequisite_check)
