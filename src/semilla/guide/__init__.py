"""The training guide as data, read from its Markdown chapters."""

from __future__ import annotations

from pathlib import Path


def find_chapters() -> Path:
    """Return the folder of the chapters: in the installed package, or ``docs/guide`` of a checkout."""
    shipped = Path(__file__).parent / "chapters"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "docs" / "guide"
