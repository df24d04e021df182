"""The processes that torchrun starts together: which one this is, and how many there are."""

from __future__ import annotations

import os
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
    """Write a ``semilla run`` as torchrun started this one; any other command stays as it is.

    Where the machines meet is not known here.
    """
    place = read_place()
    if place.size == 1 or not command.startswith("semilla run "):
        return command
    num_machines = place.size // place.local_size
    machines = f"--nnodes {num_machines} " if num_machines > 1 else ""
    return f"torchrun {machines}--nproc-per-node {place.local_size} -m {command}"
