"""A folder of short texts is learned as well as one file of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import read, run, write_text

from semilla.records import names

OPTIONS = "--num-epochs 3 --max-validation-loss 20".split()


def list_losses(directory: Path, source: Path) -> list[float]:
    """Train, and return the validation loss of every epoch."""
    assert run(directory, source, *OPTIONS) in {0, 5}
    return [row["validation_loss"] for row in read(directory, names.METRICS)["epoch_history"]]


@pytest.mark.slow(reason="trains and validates two models")
def test_a_text_a_file_is_learned_as_one_file_is(tmp_path: Path) -> None:
    """The loss falls from epoch to epoch for both, to about the same."""
    together = write_text(tmp_path / "together.txt")
    apart = tmp_path / "apart"
    apart.mkdir()
    for number, line in enumerate(together.read_text(encoding="utf-8").splitlines(keepends=True)):
        (apart / f"{number:04}.txt").write_text(line, encoding="utf-8")
    of_one, of_many = (list_losses(tmp_path / f"of-{source.stem}", source) for source in (together, apart))
    for losses in (of_one, of_many):
        assert losses == sorted(losses, reverse=True)
    assert abs(of_one[-1] - of_many[-1]) < 0.5
