"""The command under PyTorch's own launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import list_words, read, write_text
from tiny_training import describe_end, list_checkpoints

TIMEOUT_S = 900
OPTIONS = [*("--batch-size", "32"), *("--num-epochs", "6"), *("--checkpoint-seconds", "0.001")]


def start(directory: Path, text: Path, *options: str) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
    return subprocess.Popen(
        [*launcher, "-m", "semilla", *list_words(directory, text), *OPTIONS, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def find_rank(launcher: int, rank: int) -> int:
    """Process id of a rank."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text(encoding="utf-8").split()
    return next(
        int(child)
        for child in children
        if f"\0RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes()
    )


@pytest.mark.slow(reason="two whole runs, in which torchrun starts a process per rank")
@pytest.mark.timeout(2 * TIMEOUT_S)
def test_torchrun_restarts_a_killed_rank_and_no_bit_changes(tmp_path: Path) -> None:
    """The second start resumes although no flag says so; rank 0 alone has displayed the phases."""
    text = write_text(tmp_path / "libro.txt")
    whole = start(tmp_path / "whole", text)
    output, _ = whole.communicate(timeout=TIMEOUT_S)
    assert whole.returncode == 0, output
    assert output.count("[4/5] model_training: done") == 1
    killed = start(tmp_path / "killed", text)
    deadline_s = time.monotonic() + TIMEOUT_S
    while not (tmp_path / "killed").is_dir() or not list_checkpoints(tmp_path / "killed"):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    os.kill(find_rank(killed.pid, 1), signal.SIGKILL)
    output, _ = killed.communicate(timeout=TIMEOUT_S)
    assert killed.returncode == 0, output
    assert "rank 1 on " in output
    assert output.count("error[killed]") == 1
    assert read(tmp_path / "killed")["attempt"] == 2
    assert describe_end(tmp_path / "killed") == describe_end(tmp_path / "whole")
