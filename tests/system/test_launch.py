"""The command that starts a run as torchrun started this one, from what torchrun tells its processes."""

from __future__ import annotations

import pytest

from semilla.system.ranks import write_launch

COMMAND = "semilla run -i notes/ --resume"
ALONE = {
    "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_MAX_RESTARTS": "0",
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4",
    "GROUP_WORLD_SIZE": "1", "MASTER_ADDR": "first.example", "MASTER_PORT": "41007",
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "launcher"),
    [
        ({}, "torchrun --nproc-per-node 4 -m "),
        ({"TORCHELASTIC_MAX_RESTARTS": "3"}, "torchrun --nproc-per-node 4 --max-restarts 3 -m "),
        (
            {"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2"},
            "torchrun --nnodes 2 --rdzv-backend c10d --rdzv-endpoint first.example:41007 --nproc-per-node 2 -m ",
        ),
        ({"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}, ""),
    ],
)
def test_the_command_has_the_launcher_and_where_the_machines_meet(
    told: dict[str, str], launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the same on every machine; one process needs no launcher."""
    for name, value in {**ALONE, **told}.items():
        monkeypatch.setenv(name, value)
    assert write_launch(COMMAND) == launcher + COMMAND


def test_only_runs_are_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    assert write_launch("semilla guide killed") == "semilla guide killed"
