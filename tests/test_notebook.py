"""The notebook runs from its first cell to its last."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "first_model.ipynb"
CONTENT = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in CONTENT["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs() -> None:
    """A reader's own run fills them."""
    assert (CONTENT["nbformat"], CONTENT["metadata"]["kernelspec"]["name"]) == (4, "python3")
    cells = [cell for cell in CONTENT["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.slow(reason="trains and validates a model")
def test_every_cell_runs(tmp_path: Path) -> None:
    """With one epoch instead of eight, which changes only how well the model writes."""
    program = "\n".join(CODE)
    assert '"num_epochs": 8' in program
    done = subprocess.run(
        [sys.executable, "-c", program.replace('"num_epochs": 8', '"num_epochs": 1')],
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "complete - version 1.0.0" in done.stdout
    assert "part 8:" in done.stdout
    assert done.stdout.count("--- temperature") == 3
    assert "▁dog" in done.stdout or "▁d" in done.stdout
    assert (tmp_path / "first-model" / "report.html").is_file()
