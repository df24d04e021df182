"""Progress as plain lines, for logs, pipes and simple terminals: one per phase, epoch, warning and note."""

from __future__ import annotations

import sys

from semilla.events import EpochDone, Event, Note, PhaseFinished, Transferred, Warned
from semilla.formatting import describe_epoch, describe_phase, format_size
from semilla.terminal.console import abandon_output, fold_lines

STOPPING = "stopping: the progress is saved first; Ctrl-C again exits at once"


class PlainProgress:
    """A listener that writes lines without control codes to standard output."""

    def __call__(self, event: Event) -> None:
        line = describe_event(event)
        if line is None:
            return
        try:
            sys.stdout.write(fold_lines(line) + "\n")
            sys.stdout.flush()
        except OSError:
            # The reader is gone or the disk is full, but training goes on.
            abandon_output()


def describe_event(event: Event) -> str | None:
    """Describe an event in one line, or return None if plain output skips it."""
    match event:
        case PhaseFinished():
            return describe_phase(event)
        case EpochDone():
            return describe_epoch(event)
        case Warned(text, topic):
            return f"warning: {text} (semilla guide {topic})"
        case Note(text):
            return f"note: {text}"
        case Transferred(name, done, total) if done == total:
            return f"downloaded {name}: {format_size(done)}"
    return None
