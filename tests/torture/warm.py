"""Child processes of a forked run without start-up time: the same module, in a fork that has already imported it.

A run starts three Python processes (the probe of packages, the tokenizer's training, the device's measurement), and
each spends one to three seconds on imports. While ``WarmPopen`` is installed, such a child is forked and then runs its
module directly instead of a new interpreter. What it does, reads and writes is the same; only the memory that it
measures is that of a process with more imports.
"""

from __future__ import annotations

import importlib
import os
import runpy
import subprocess
import sys
import traceback
import warnings
from typing import Any

ColdPopen = subprocess.Popen
"""Starts every program in a new process, also while ``WarmPopen`` is installed."""


class WarmPopen(subprocess.Popen[Any]):
    """``Popen`` that starts Python modules warm and any other program as usual."""

    def __init__(self, args: Any, **options: Any) -> None:
        words = list(args)
        if words[:2] == [sys.executable, "-P"]:
            options["preexec_fn"] = lambda: _become(words[2:])
        super().__init__(args, **options)


def start_children_warm() -> None:
    """Install ``WarmPopen`` for this process and those forked from it."""
    subprocess.Popen = WarmPopen  # type: ignore[misc]


def _become(words: list[str]) -> None:
    """Run a module or a script in this process, between ``fork`` and ``exec``, and end with its exit code."""
    # Popen waits until exec closes one of its pipes, which never happens here: close it with everything else.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    code = 1
    try:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as this process
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - lives as long as this process
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - lives as long as this process
        code = _run(words)
    except SystemExit as ending:
        code = _read_code(ending)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


MAINS = {
    "semilla.runtime.budgets": "main",
    "semilla.system.memory_limit": "main",
    "semilla.tokenizer.training": "_main",
}
"""The functions that modules run with ``-m`` call when they are the program."""


def _run(words: list[str]) -> int:
    warnings.simplefilter("ignore")
    if words[0] != "-m":
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return 0
    if (
        words[1] == "semilla.system.child"
    ):  # it ends with its parent; what it runs is named after the parent's number
        words = ["-m", *words[3:]]
    sys.argv = words[1:]
    main = getattr(importlib.import_module(words[1]), MAINS[words[1]])
    main(*([words[2:]] if main.__code__.co_argcount else []))
    return 0


def _read_code(ending: SystemExit) -> int:
    if isinstance(ending.code, str):
        sys.stderr.write(ending.code + "\n")
        return 1
    return int(ending.code or 0)
