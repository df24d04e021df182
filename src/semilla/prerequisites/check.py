"""The result of one check: what was found, what is needed, and the error or advice that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from semilla.errors import SemillaError


@dataclass
class Check:
    """A check that is ``required`` stops a run when it is not ok. Any other only gives its ``advice``."""

    name: str
    ok: bool
    required: bool
    found: str
    needed: str
    error: SemillaError | None = None
    advice: str | None = None

    @property
    def verdict(self) -> str:
        if self.ok:
            return "ok"
        return "failed" if self.required else "advice"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "verdict": self.verdict,
            "found": self.found,
            "needed": self.needed,
            "category": self.error.category if self.error else None,
            "message": self.error.message if self.error else self.advice,
        }


def pass_check(name: str, *, found: str, needed: str) -> Check:
    return Check(name, ok=True, required=True, found=found, needed=needed)


def fail_check(name: str, error: SemillaError, *, found: str, needed: str) -> Check:
    return Check(name, ok=False, required=True, found=found, needed=needed, error=error)


def advise(name: str, advice: str | None, *, found: str, needed: str) -> Check:
    """Make a check that never stops a run; it is ok when there is no advice."""
    return Check(name, ok=advice is None, required=False, found=found, needed=needed, advice=advice)
