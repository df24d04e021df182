"""The processes that torchrun starts together: which one this is, and how many there are."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The ``rank`` of this process among ``size``, and ``local_rank`` among the ``local_size`` of this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0
    """How often torchrun has started all of them again."""


def read_place() -> Place:
    """Read what torchrun tells this process. Without torchrun the process is the only one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
    return Place(*(int(os.environ[name]) for name in names))


def write_launch(command: str) -> str:
    """Write a ``semilla run`` as torchrun started this one, the same for each machine; others stay as they are.

    Machines meet at the address of torchrun's store, which all of them have reached.
    """
    place = read_place()
    if place.size == 1 or not command.startswith("semilla run "):
        return command
    words = ["torchrun"]
    num_machines = int(os.environ.get("GROUP_WORLD_SIZE", place.size // place.local_size))
    if num_machines > 1:
        endpoint = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        words += ["--nnodes", str(num_machines), "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint]
    words += ["--nproc-per-node", str(place.local_size)]
    restarts = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")
    if restarts != "0":
        words += ["--max-restarts", restarts]
    return f"{shlex.join([*words, '-m'])} {command}"
