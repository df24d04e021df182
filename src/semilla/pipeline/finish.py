"""The end of a run: its report, its page for a browser, and what earlier runs left that nothing describes any more."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import IncompatibleError
from semilla.events import Activity, ArtifactWritten, Note
from semilla.pipeline.dial import suggest_minutes
from semilla.pipeline.journal import Journal
from semilla.records import names
from semilla.records.files import write_text
from semilla.records.removal import remove_artifacts
from semilla.records.status import PipelineStatus


def finish_run(config: PipelineConfiguration, journal: Journal) -> None:
    """Write the report and the page of the finished run, then mark the run as complete."""
    remove_replaced(journal)
    if told := suggest_minutes(config, journal):
        journal.tell(Note(told))
    journal.tell(Activity("writing the report"))
    finished = journal.status.model_copy(deep=True)
    finished.finish()
    write_report(config, finished, journal)
    write_page(config, finished, journal)
    journal.finish()


def write_report(config: PipelineConfiguration, status: PipelineStatus, journal: Journal) -> None:
    """Write ``report.html``, unless the run ended before its first epoch."""
    from semilla.report.page import render_run  # noqa: PLC0415 - jinja2, needed only at the end
    from semilla.report.runs import read_run  # noqa: PLC0415

    path = journal.directory / names.REPORT
    run = read_run(journal.directory, config=config, status=status)
    if status.run_state == "complete" or run.epochs:
        write_text(path, render_run(run))
        journal.tell(ArtifactWritten(path))


def write_page(config: PipelineConfiguration, status: PipelineStatus, journal: Journal) -> None:
    """Write ``model.html``, the model for a browser, unless its tokenizer is one that only SentencePiece can run."""
    from semilla.export.trained_model import load_run  # noqa: PLC0415 - torch, needed only at the end
    from semilla.export.web.page import render_page  # noqa: PLC0415

    path = journal.directory / names.PAGE
    try:
        page = render_page(*load_run(journal.directory, config, status))
    except IncompatibleError as error:
        journal.tell(Note(f"There is no {names.PAGE}: {error.message}."))
        return
    write_text(path, page)
    journal.tell(ArtifactWritten(path))


def remove_page(journal: Journal) -> None:
    """Remove ``model.html`` before the bundle changes: a page must not show another model than the bundle."""
    path = journal.directory / names.PAGE
    if path.is_file():
        remove_artifacts([path], journal.tell)


def remove_replaced(journal: Journal) -> None:
    """Remove the text and the tokenizer of earlier runs here that had other names: no record describes them any more.

    A file of the user has never been an artifact of a run, so it stays.
    """
    used = {one.path for entry in journal.status.phase_records.values() for one in entry.artifacts}
    for name in list(journal.status.artifacts_created):
        path = journal.directory / name
        if name in used or not names.is_text_or_tokenizer(name) or not path.is_file():
            continue
        remove_artifacts([path], journal.tell)
        journal.tell(
            Note(f"{name} was removed: it belonged to an earlier run with another text or vocabulary.")
        )
