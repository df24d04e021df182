"""Finds the smallest enforced memory limit that a model runs under.

    python -m semilla.runtime.limits BUNDLE

generates a text longer than the context: what is tried under each limit (``semilla.system.memory_limit``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semilla.runtime.child import run_child
from semilla.system.memory_limit import can_limit, open_group

LIMITS_MB = (128, 256, 512)
"""Tried in this order; the last is the budget of the specification."""
TIMEOUT_S = 600


def find_limit(bundle_path: Path, *, limits_mb: Sequence[int] = LIMITS_MB) -> dict[str, Any]:
    """``limit_mb``: the first of ``limits_mb`` that the model runs under, or None; ``limited_by``: what enforced it.

    Where the system enforces none, nothing is tried and ``limited_by`` is empty.
    """
    found: dict[str, Any] = {"limit_mb": None, "limited_by": ""}
    for limit_mb in limits_mb if can_limit() else ():
        with open_group(limit_mb) as (found["limited_by"], group):
            arguments = [str(limit_mb), str(group or "-"), "semilla.runtime.limits", str(bundle_path)]
            child = run_child("semilla.system.memory_limit", arguments, timeout_s=TIMEOUT_S)
        if child.returncode == 0:
            return {**found, "limit_mb": limit_mb}
    return found


def main(arguments: Sequence[str]) -> None:
    from semilla.runtime.session import load  # noqa: PLC0415 - loading the runtime is part of the trial

    model = load(Path(arguments[0]))
    model.generate(seed=0, max_tokens=model.bundle.model["max_position_embeddings"] + 50)


if __name__ == "__main__":
    main(sys.argv[1:])
