"""Paths as people type them: a leading ``~`` is the home directory, also where the shell does not replace it."""

from __future__ import annotations

import os
from pathlib import Path

from semilla.errors import InvalidConfigError


def expand_home(text: str) -> str:
    """Replace a leading ``~`` or ``~name``; raises ValueError when there is no such home directory."""
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111 - Path would drop a trailing slash
    if expanded.startswith("~"):
        name = text.partition("/")[0]
        raise ValueError(f"there is no home directory {name}; write ./{name} for a folder of that name")
    return expanded


def read_path(text: str) -> Path:
    """Read a path from the command line; raises InvalidConfigError when it names no existing home directory."""
    try:
        return Path(expand_home(text))
    except ValueError as error:
        raise InvalidConfigError(str(error)) from error
