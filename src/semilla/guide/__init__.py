"""The training guide as data, read from its Markdown chapters."""

from __future__ import annotations

from pathlib import Path


def find_chapters() -> Path:
    """Return the folder of the chapters: in the installed package, or ``docs/guide`` of a checkout."""
    return find_folder("chapters", "docs/guide")


def find_folder(name: str, source: str) -> Path:
    """The folder ``name`` of the installed package, or else ``source`` in the checkout."""
    shipped = Path(__file__).parent / name
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / source
