"""Every benchmark can be imported and asked for help, and every contender of the training benchmark trains."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from small_runs import write_text
from tiny_models import make_model
from tiny_training import prepare
from torch.nn.functional import cross_entropy

from semilla.tokenizer.tokenizer import BEGIN_ID
from semilla.training.data import HeldOutText

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(BENCHMARKS.rglob("*.py"))
LOADER = """
import contextlib, importlib.util, io, json, sys
found = {}
for path in sys.argv[1:]:
    folder = path.rpartition("/")[0]
    sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location("benchmark_" + str(len(found)), path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found[path] = ""
    if "ArgumentParser" in open(path).read():
        sys.argv, output = [path, "--help"], io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            module.main()
        found[path] = output.getvalue()
    sys.path.remove(folder)
print(json.dumps(found))
"""


def test_every_benchmark_can_be_imported_and_explains_itself() -> None:
    """No benchmark uses a name that the package no longer has."""
    command = [sys.executable, "-c", LOADER, *map(str, SCRIPTS)]
    environment = {"PYTHONPATH": str(BENCHMARKS), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, env=environment, cwd=BENCHMARKS
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == set(map(str, SCRIPTS))
    assert [path for path, text in found.items() if text and not text.startswith("usage: ")] == []


def load_script(path: Path) -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.fixture(scope="module")
def run_script() -> ModuleType:
    """The training benchmark itself."""
    return load_script(BENCHMARKS / "training" / "run.py")


def test_strided_scores_count_every_token_once() -> None:
    """Where no window has more context than another, they are the mean loss; a step of descent changes the next."""
    anchors = load_script(BENCHMARKS / "anchors.py")
    trained = make_model()
    tokens = trained.tokenizer.encode(" ".join(trained.held_out))[:40].astype(np.int32)
    text = HeldOutText("en", tokens, size_bytes=len(tokens))
    logits = trained.compute_logits(np.concatenate([[BEGIN_ID], tokens[:-1]]).astype(np.int64)[:32])
    first = float(
        cross_entropy(torch.from_numpy(logits), torch.from_numpy(tokens[:32]).long(), reduction="sum")
    )
    short = HeldOutText("en", tokens[:32], size_bytes=32)
    assert anchors.score_strided(trained.network, (short,), length=32) == pytest.approx(
        first / math.log(2) / 32, rel=1e-5
    )
    still = anchors.score_strided(trained.network, (text, text), length=32)
    assert still == pytest.approx(anchors.score_strided(trained.network, (text,), length=32), rel=1e-5)
    assert anchors.score_strided(trained.network, (text, text), length=32, rate=0.1) < still


def test_a_compressor_is_measured_by_what_it_had_not_read() -> None:
    """A text that was read before costs next to nothing, random bytes eight bits each."""
    anchors = load_script(BENCHMARKS / "anchors.py")
    compress = anchors.list_compressors()["xz -9e"]
    noise = np.random.Generator(np.random.PCG64(1)).bytes(20_000)
    assert anchors.measure_conditional(compress, noise[:10_000], noise[:10_000]) < 0.2
    assert anchors.measure_conditional(compress, noise[:10_000], noise[10_000:]) == pytest.approx(8, rel=0.02)


@pytest.fixture(scope="module")
def prepared_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has its text and its tokenizer."""
    return prepare(tmp_path_factory.mktemp("benchmark"))


def test_the_first_steps_on_a_large_text_are_compared_with_the_cost_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Phases whose results are there are not run again; the second measurement has float32 and the full softmax."""
    script = load_script(BENCHMARKS / "large_text.py")
    monkeypatch.setattr(script, "rehearse_training", lambda _: {"sampled_s": 0.1, "full_s": 0.2})
    text, run, result = (
        write_text(tmp_path / "text.txt", num_lines=3000),
        tmp_path / "run",
        tmp_path / "result.json",
    )
    words = ["large_text.py", "train", str(text), str(run), "--shapes", "1x64", "--steps", "6"]
    for options in ([], ["--full"]):
        monkeypatch.setattr(sys, "argv", [*words, *options, "--output", str(result)])
        script.main()
        assert ("vocabulary: " in capsys.readouterr().out) == (not options)
        (found,) = json.loads(result.read_text(encoding="utf-8"))["shapes"]
        assert found["steps"] == 6
        assert found["tokens_per_s"] > 0
        assert set(found["memory_mb"]) == {"step 1", "step 3", "step 4", "step 6"}
        assert found["ratio"] == pytest.approx(found["tokens_per_s"] / found["predicted_tokens_per_s"])
    assert (found["precision"], found["sampled_output_fraction"]) == ("float32", 0.0)


def list_contenders() -> list[object]:
    """Trainer, which needs packages of its own, is the fast sample."""
    slow = pytest.mark.slow(reason="each contender trains in a process of its own")
    others = ["ours", "textbook", "with torch's muon", "with uniform samples", "with shared samples"]
    others += ["without worker processes", "without chunked loss", "without kept blocks"]
    return ["hugging face trainer", *(pytest.param(name, marks=slow) for name in others)]


@pytest.mark.parametrize("name", list_contenders())
def test_a_contender_trains_and_leaves_nothing(
    name: str, run_script: ModuleType, prepared_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes a step, evaluates, and leaves no folder in the working directory or the temporary one."""
    pytest.importorskip("accelerate", reason="Trainer needs the extra bench")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.chdir(tmp_path)
    arguments = argparse.Namespace(run_directory=prepared_run, threads=1)
    contender = run_script.Process(name, arguments, epochs=1)
    step = contender.ask("steps 1")
    assert step["tokens"] > 0
    assert step["seconds"] > 0
    assert 0 < contender.ask("evaluate")["loss"] < 20
    assert contender.close() > 0
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    left = {path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor_")}
    assert left == set()
