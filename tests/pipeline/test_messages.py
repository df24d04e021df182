"""What a failed run says: that the model did not learn, and only what is still there is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import ValidationFailureError
from semilla.evaluation.gates import judge
from semilla.events import Event, Note, silent
from semilla.pipeline.journal import Journal
from semilla.pipeline.main_job import decide_resume
from semilla.pipeline.phases.validation import LEARNING, _report_misses
from semilla.records import names
from semilla.records.files import describe_artifact
from semilla.records.log import ErrorTail
from semilla.records.status import PhaseEntry, PipelineStatus, write_status


@pytest.mark.parametrize(("figure", "said"), [(LEARNING, True), ("validation_loss", False)])
def test_a_model_that_did_not_learn_is_told_so(figure: str, said: bool) -> None:
    """The gate on token frequencies is named in plain words."""
    value = 0.0 if figure == LEARNING else 9.0
    with pytest.raises(ValidationFailureError) as caught:
        _report_misses(judge({figure: value}), strict=False, progress=silent)
    assert caught.value.message.startswith("the model did not learn: missed gate") is said


def test_what_is_gone_is_not_called_kept(tmp_path: Path) -> None:
    """Results whose files were removed, or whose folder was, are not named."""
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / names.CORPUS).write_text("semilla")
    journal = Journal(directory, tail=ErrorTail(), listeners=())
    artifact = describe_artifact(directory / names.CORPUS, root=directory)
    journal.status.completed_phases = ["prerequisite_check", "corpus_download"]
    journal.status.phase_records["corpus_download"] = PhaseEntry(artifacts=[artifact])
    assert journal._describe_kept() == f"the results of corpus_download in {directory}"
    (directory / names.CORPUS).unlink()
    assert journal._describe_kept() == "nothing: the results are gone"
    directory.rmdir()
    assert journal._describe_kept() == f"nothing: {directory} is gone"


@pytest.mark.parametrize(
    ("name", "resume", "said"),
    [
        ("dta", True, " holds nothing to resume; a new run starts; did you mean {}?"),
        ("dta", None, None),
        ("data", True, None),
    ],
)
def test_resuming_a_mistyped_directory_is_told(
    tmp_path: Path, name: str, resume: bool | None, said: str | None
) -> None:
    """The run starts all the same: after a failure in the first phase, --resume may find nothing."""
    for directory in (tmp_path / "data", tmp_path / "dta"):
        directory.mkdir()
    write_status(tmp_path / "data", PipelineStatus())
    told: list[Event] = []
    journal = Journal(tmp_path / name, tail=ErrorTail(), listeners=(told.append,))
    decide_resume(PipelineConfiguration(), journal, resume=resume, ask=None)
    texts = [event.text for event in told if isinstance(event, Note)]
    assert texts == ([f"{tmp_path / name}{said.format(tmp_path / 'data')}"] if said else [])
