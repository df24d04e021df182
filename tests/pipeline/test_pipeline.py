"""The main job from end to end on a small text: artifacts, reuse, resume and failures."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_runs import SMALL, hash_tree, list_words, read, run, write_text

from semilla import cli
from semilla.errors import PHASES, IncompatibleError
from semilla.export.web import page as web_page
from semilla.pipeline import phases
from semilla.records.status import read_status, write_status

LONGER = ["--num-epochs", "6", "--checkpoint-every", "5"]


def outcomes(directory: Path) -> str:
    """First letters of the outcomes of phases 2 to 5: done, reused, skipped."""
    records = read(directory)["phase_records"]
    return "".join(records[phase]["outcome"][0] for phase in PHASES[1:])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "libro ñ, uno.txt")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    directory = tmp_path_factory.mktemp("finished") / "run"
    assert run(directory, source) == 0
    return directory


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_run_leaves_every_artifact_of_the_specification(finished: Path) -> None:
    """The status lists each artifact, and none is empty."""
    expected = {
        "corpus.txt", "corpus_manifest.json", "tokenizer_1k.model", "tokenizer_1k.vocab", "best_model.pt",
        "final_model.pt", "checkpoint_epoch_1.pt", "checkpoint_epoch_2.pt", "training_metrics.json",
        "configuration.toml", "bundle/model.onnx", "bundle/tokenizer.model", "bundle/bundle.json", "report.html",
        "model.html",
    }  # fmt: skip
    created = set(read(finished)["artifacts_created"])
    assert expected <= created
    assert all((finished / name).stat().st_size > 0 for name in created)


def test_the_bundle_contains_its_licence(finished: Path) -> None:
    """The bundle folder alone says under which licence it is."""
    description = json.loads((finished / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert "person who trained the model" in description["licence"]


def test_the_status_is_as_specified(finished: Path) -> None:
    """The status has every field, the phases in order and the validation results."""
    status = read(finished)
    assert status["current_phase"] == status["run_state"] == "complete"
    assert status["completed_phases"] == list(PHASES)
    assert set(status["phase_timings"]) == set(PHASES)
    assert status["error_details"] is None
    results = status["validation_results"]
    assert results["constitutional_compliance"] is True
    assert {"latency_p95_ms", "tokens_per_sec", "rss_mb", "peak_mb"} <= set(results["inference_metrics"])
    assert (
        results["final_val_loss"]
        == read(finished, "training_metrics.json")["epoch_history"][-1]["validation_loss"]
    )
    assert results["sample_generations"]


def test_the_metrics_are_as_specified(finished: Path) -> None:
    """The metrics have one complete row per epoch, and a summary."""
    metrics = read(finished, "training_metrics.json")
    assert metrics["run_id"] == read(finished)["pipeline_id"]
    assert [row["epoch_number"] for row in metrics["epoch_history"]] == [1, 2]
    fields = {
        "epoch_number", "train_loss", "validation_loss", "learning_rate", "elapsed_seconds", "sample_outputs",
        "gradient_norm", "tokens_per_second",
    }  # fmt: skip
    assert fields <= set(metrics["epoch_history"][0])
    assert set(metrics["final_metrics"]) == {
        "total_training_time", "best_epoch", "convergence_achieved", "overfitting_detected",
    }  # fmt: skip


def test_a_second_run_with_nothing_changed_touches_nothing(copy: Path, source: Path, capsys) -> None:
    """No byte changes, and a note says so."""
    before = hash_tree(copy)
    assert run(copy, source) == 0
    assert hash_tree(copy) == before
    assert "nothing" in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("--max-validation-loss", "19"), "rrrd"),
        (("--num-epochs", "1"), "rrdd"),
        (("--tokenizer-model-type", "bpe"), "rddd"),
        (("--tokenizer-vocab-size", "1050"), "rddd"),
    ],
)
def test_a_changed_input_reruns_exactly_what_depends_on_it(
    copy: Path, source: Path, change: tuple[str, str], expected: str
) -> None:
    """Later phases run again and earlier ones are reused."""
    assert run(copy, source, *change) == 0
    assert outcomes(copy) == expected


def test_a_changed_text_reruns_everything(finished: Path, tmp_path: Path, source: Path) -> None:
    """The same path with different content is a different input."""
    directory = shutil.copytree(finished, tmp_path / "run")
    original = source.read_bytes()
    try:
        write_text(source, seed=1)
        assert run(directory, source) == 0
    finally:
        source.write_bytes(original)
    assert outcomes(directory) == "dddd"


def test_a_damaged_artifact_is_made_again(copy: Path, source: Path) -> None:
    """After a flipped byte the tokenizer is trained again; its bytes are the same, so the rest is reused."""
    path = copy / "tokenizer_1k.model"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert run(copy, source) == 0
    assert path.read_bytes() == good
    assert read(copy)["current_phase"] == "complete"


def test_skipped_phases_use_the_existing_artifacts(copy: Path, source: Path) -> None:
    """A skipped phase does not need its source."""
    options = ("--skip-phases", "corpus_download", "tokenizer_training", "--num-epochs", "1")
    assert run(copy, source.with_name("gone.txt"), *options) == 0
    assert outcomes(copy) == "ssdd"


@pytest.mark.parametrize(("phase", "name", "code"), [
    ("corpus_download", "corpus.txt", 2), ("tokenizer_training", "tokenizer_1k.model", 3),
])  # fmt: skip
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_skipped_phase_with_stale_artifacts_is_an_error(
    copy: Path, source: Path, phase: str, name: str, code: int, is_missing: bool, capsys
) -> None:
    """A damaged or missing artifact is never used for training (E6)."""
    (copy / name).unlink() if is_missing else (copy / name).write_bytes(b"something else")
    assert run(copy, source, "--skip-phases", phase, "--num-epochs", "1") == code
    assert "error[integrity]" in capsys.readouterr().err


def test_a_skipped_phase_with_sound_but_stale_artifacts_is_an_error(
    copy: Path, tmp_path: Path, capsys
) -> None:
    """A valid tokenizer of a different text is refused; the next command trains a new one (E6)."""
    other = write_text(tmp_path / "otro.txt", seed=1)
    assert run(copy, other, "--skip-phases", "tokenizer_training", "--num-epochs", "1") == 3
    error = capsys.readouterr().err
    assert "error[integrity] tokenizer_training: tokenizer_training cannot be skipped: " in error
    assert "corpus changed since it ran" in error
    command = next(line for line in error.splitlines() if line.startswith("next: "))
    assert "--skip-phases" not in command
    assert cli.main(shlex.split(command)[2:]) == 0
    assert outcomes(copy)[:2] == "rd"


def test_a_missed_gate_is_exit_5_and_keeps_the_model(copy: Path, source: Path, capsys) -> None:
    """The error names the figure and by how much it missed; validating with a fair limit passes."""
    assert run(copy, source, "--max-validation-loss", "0.5") == 5
    error = capsys.readouterr().err
    assert "error[validation_failure] validation: " in error
    assert "validation_loss = " in error
    assert "off by" in error
    assert (copy / "best_model.pt").exists()
    status = read(copy)
    assert status["error_details"]["failed_phase"] == "validation"
    assert status["error_details"]["error_type"] == "validation_failure"
    assert status["validation_results"]["findings"]
    assert "Trained, but a gate was missed" in (copy / "report.html").read_text(encoding="utf-8")
    assert run(copy, source, "--max-validation-loss", "19") == 0
    assert outcomes(copy) == "rrrd"
    assert "Trained, but a gate was missed" not in (copy / "report.html").read_text(encoding="utf-8")


def test_a_run_killed_after_its_last_phase_keeps_its_verdict(copy: Path, source: Path) -> None:
    """The validation and its results are reused."""
    status = read_status(copy)
    assert status is not None
    results, status.run_state, status.current_phase = status.validation_results, "running", "validation"
    write_status(copy, status)
    assert run(copy, source, "--resume") == 0
    after = read_status(copy)
    assert after is not None
    assert outcomes(copy) == "rrrr"
    assert results is not None
    assert after.validation_results == results


def test_a_text_made_again_to_the_same_bytes_keeps_the_verdict(copy: Path, source: Path) -> None:
    """A lost corpus and tokenizer come out byte-identical, so the model and its validation are reused."""
    before = read_status(copy)
    assert before is not None
    assert before.validation_results is not None
    (copy / "corpus.txt").unlink()
    next(copy.glob("tokenizer_*.model")).unlink()
    assert run(copy, source) == 0
    after = read_status(copy)
    assert after is not None
    assert outcomes(copy) == "ddrr"
    assert after.validation_results == before.validation_results


def test_validate_measures_again_without_training(copy: Path) -> None:
    """The model does not change, and the validation results are new."""
    before, timings = hash_tree(copy), read(copy)["phase_timings"]
    assert cli.main(["validate", str(copy)]) == 0
    after, kept = hash_tree(copy), read(copy)["phase_timings"]
    assert [kept[phase] for phase in PHASES[:4]] == [timings[phase] for phase in PHASES[:4]]
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"pipeline_status.json", "report.html", "model.html"}


def test_a_run_that_misses_a_gate_has_no_page(copy: Path, source: Path) -> None:
    """A page never shows another model than the bundle."""
    assert run(copy, source, "--max-validation-loss", "0.5") == 5
    assert not (copy / "model.html").exists()
    assert "model.html" not in read(copy)["artifacts_created"]
    assert run(copy, source, "--max-validation-loss", "19") == 0
    assert (copy / "model.html").exists()


def test_a_tokenizer_that_a_page_cannot_run_leaves_the_run_without_a_page(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is finished, and a note says why there is no page."""

    def refuse(*_: object) -> str:
        raise IncompatibleError("exports support only tokenizers that Semilla trained")

    monkeypatch.setattr(web_page, "render_page", refuse)
    assert cli.main(["validate", str(copy)]) == 0
    assert "There is no model.html: exports support only tokenizers" in capsys.readouterr().out
    assert not (copy / "model.html").exists()
    assert read(copy)["run_state"] == "complete"


def test_a_mistyped_text_changes_nothing_of_a_finished_run(copy: Path, source: Path, capsys) -> None:
    """The run stays complete: its model, its records and its report."""
    before = hash_tree(copy)
    assert run(copy, source.with_name("no such text.txt")) == 1
    assert "error[invalid_corpus] prerequisite_check" in capsys.readouterr().err
    assert hash_tree(copy) == before


@pytest.mark.parametrize("option", [("--d-model", "128"), ("--tokenizer-vocab-size", "1050")])
def test_resuming_with_another_shape_is_refused_with_both_values(
    copy: Path, source: Path, option: tuple[str, str], capsys
) -> None:
    """Vocabulary and architecture must match a checkpoint."""
    assert run(copy, source, *option, "--resume") == 4
    error = capsys.readouterr().err
    assert "error[incompatible] model_training" in error
    old = {"--d-model": "64", "--tokenizer-vocab-size": "1000"}[option[0]]
    assert f"{old} -> {option[1]}" in error


def test_hyperparameters_may_differ_on_resume(copy: Path, source: Path, capsys) -> None:
    """After two epochs a third is requested: one more is trained, and a note says bit-identity is lost."""
    assert run(copy, source, "--num-epochs", "3", "--resume") == 0
    assert [row["epoch_number"] for row in read(copy, "training_metrics.json")["epoch_history"]] == [1, 2, 3]
    assert "num_epochs 2 -> 3" in capsys.readouterr().out


def test_unfinished_checkpoints_and_no_choice_is_a_usage_error(copy: Path, source: Path, capsys) -> None:
    """Without a terminal there is no question; the error names both flags."""
    assert run(copy, source, "--num-epochs", "1") == 0
    status = read_status(copy)
    assert status is not None
    status.phase_records.pop("model_training")
    status.interrupt()
    write_status(copy, status)
    assert run(copy, source) == 64
    error = capsys.readouterr().err
    assert "--resume" in error
    assert "--no-resume" in error
    assert run(copy, source, "--no-resume") == 0
    assert read(copy)["current_phase"] == "complete"


def test_damaged_checkpoints_never_mean_a_silent_fresh_start(copy: Path, source: Path, capsys) -> None:
    """The newest valid checkpoint is used; when none is valid, the run stops and names --no-resume."""
    newest = copy / "checkpoint_epoch_2.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert run(copy, source, "--num-epochs", "3", "--resume") == 0
    assert "skipped checkpoint_epoch_2.pt" in capsys.readouterr().out
    for path in copy.glob("checkpoint_*.pt"):
        path.write_bytes(b"")
    assert run(copy, source, "--num-epochs", "4", "--resume") == 4
    error = capsys.readouterr().err
    assert "error[integrity]" in error
    assert "--no-resume" in error


def test_running_out_of_memory_suggests_a_batch_size_that_runs(tmp_path: Path, source: Path) -> None:
    """A real allocation fails under a limit set during training; the suggested size fits under it."""
    directory = tmp_path / "run"
    script = """
import resource, sys
from semilla import cli
from semilla.pipeline.phases import model_training
from semilla.system import allocator
allocator.HUGE_HEAP = allocator.HUGE_PAGE  # room in the heap would count as used
train = model_training._train
def limited(*arguments, **keywords):
    import psutil, torch
    used = psutil.Process().memory_info()
    torch.randn(300, 300) @ torch.randn(300, 300)
    resource.setrlimit(resource.RLIMIT_DATA, (used.data + 150 * 2**20, resource.RLIM_INFINITY))
    train(*arguments, **keywords)
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
model_training._train = limited
sys.exit(cli.main(sys.argv[1:]))
"""
    options = [
        "run",
        "--output-dir",
        str(directory),
        "--corpus-source",
        str(source),
        *SMALL,
        "--num-epochs",
        "4",
    ]

    def attempt(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *options, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    # Sixteen sequences of 128 are one worker batch, and twelve layers of it need more than is left.
    big = ("--batch-size", "16", "--max-sequence-length", "128", "--num-layers", "12")
    failed = attempt(*big)
    assert failed.returncode == 4, failed.stderr
    assert "error[oom] model_training" in failed.stderr
    suggested = failed.stderr.split("try --batch-size ")[1].split()[0]
    assert int(suggested) < 16
    worked = attempt(*big, "--batch-size", suggested, "--resume")
    assert worked.returncode == 0, worked.stderr


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    directory = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert run(directory, source, *LONGER) == 0
    return directory


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_resumed_the_run_ends_in_the_same_bits(
    tmp_path: Path, source: Path, uninterrupted: Path, number: signal.Signals, code: int
) -> None:
    """After a signal during training the step is finished and saved, and nothing is lost."""
    whole, cut = uninterrupted, tmp_path / "cut"
    command = [sys.executable, "-m", "semilla", *list_words(cut, source)]
    with subprocess.Popen(
        [*command, *LONGER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("epoch 2"):
                break
        os.killpg(child.pid, number)
        _, error = child.communicate(timeout=120)
    assert child.returncode == code, error
    assert "error[interrupted] model_training" in error
    assert "--resume" in error
    assert read(cut)["run_state"] == "interrupted"
    assert "Interrupted in model_training" in (cut / "report.html").read_text(encoding="utf-8")
    assert run(cut, source, *LONGER, "--resume") == 0
    weights = [torch.load(d / "best_model.pt", weights_only=True)["model_state"] for d in (whole, cut)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    rows = [read(d, "training_metrics.json")["epoch_history"] for d in (whole, cut)]
    clocks = {"elapsed_seconds", "tokens_per_second"}
    assert [{k: v for k, v in row.items() if k not in clocks} for row in rows[0]] == [
        {k: v for k, v in row.items() if k not in clocks} for row in rows[1]
    ]


def test_a_second_run_in_the_same_directory_is_refused(copy: Path, source: Path, capsys) -> None:
    """The second run exits with 75, and the first is not affected."""
    code = "import sys, time, pathlib; from semilla.records.lock import hold_lock\n" \
           "with hold_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"  # fmt: skip
    before = hash_tree(copy)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(copy)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert run(copy, source) == 75
        child.kill()
    assert "error[locked]" in capsys.readouterr().err
    assert hash_tree(copy) == before


def test_the_status_is_valid_at_every_instant(tmp_path: Path, source: Path) -> None:
    """A reader in a loop sees only complete documents in valid states."""
    directory = tmp_path / "run"
    command = [sys.executable, "-m", "semilla", *list_words(directory, source)]
    seen, num_reads = [], 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            for name in ("pipeline_status.json", "training_metrics.json"):
                if (directory / name).exists():
                    content = read(directory, name)
                    num_reads += 1
                    if "current_phase" in content and content["current_phase"] not in seen[-1:]:
                        seen.append(content["current_phase"])
            time.sleep(0.001)
    assert child.returncode == 0
    order = [*PHASES, "complete"]
    assert [phase for phase in order if phase in seen] == seen
    assert num_reads > 100


def test_a_phase_that_cannot_be_loaded_meanwhile_is_no_error_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is loaded when the work beside it has ended; a missing package is an error where it is used."""
    loaded = []

    def load(phase: str) -> None:
        loaded.append(phase)
        raise ImportError("no torch")

    monkeypatch.setattr(phases, "load_phase", load)
    with phases.load_meanwhile("model_training"):
        pass
    assert loaded == ["model_training"]
