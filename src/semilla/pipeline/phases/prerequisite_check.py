"""Phase 1: find what would stop the run before anything is downloaded. It always runs and is never reused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import name_corpus
from semilla.corpus.manifest import LARGE_BYTES, CorpusManifest, read_manifest
from semilla.corpus.source_list import describe_sources
from semilla.corpus.sources import resolve_sources
from semilla.corpus.split import VALIDATION_SHARE
from semilla.corpus.writer import MIN_CORPUS_CHARACTERS
from semilla.errors import InvalidCorpusError, SemillaError
from semilla.events import Activity, Event, Note, Progress, Warned, silent
from semilla.formatting import format_duration
from semilla.pipeline.phases import PhaseRecord, corpus_download, tokenizer_training
from semilla.prerequisites.advice import check_corpus_size, check_learning_rate, check_shape, check_threads
from semilla.prerequisites.check import Check, advise, fail_check
from semilla.prerequisites.duration import check_duration
from semilla.prerequisites.memory import check_memory
from semilla.prerequisites.packages import PackageProbe, check_platform, check_python
from semilla.prerequisites.source import check_source
from semilla.prerequisites.storage import MIB, check_directory, check_disk, measure_source_bytes
from semilla.system import interrupts
from semilla.system.temporary import open_trial_folder
from semilla.tokenizer.training import SMALLEST_VOCAB_SIZE

_MAX_TRIED_BYTES = 1_000_000
VOCABULARY_S, PREPARATION_S_PER_MB = 30, 0.2
"""Processor seconds for the vocabulary, and for everything else before training
(docs/experiments/2026-12-01-large-text-at-12-mb-a-second.md)."""
ShowText = Callable[[CorpusManifest, str], None]
_TRIED = (
    ("text", f"at least {MIN_CORPUS_CHARACTERS:,} characters"),
    ("vocabulary", f"at least {SMALLEST_VOCAB_SIZE} pieces"),
)
"""What is tried of a local text, in this order."""
WARNING_TOPICS = {"corpus_source": "network", "platform": "dependency", "threads": "speed"}
"""Guide topics that differ from the name of their check."""


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the machine may change at any time, so this phase is never reused."""
    return {}


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Make every check; raises the error of the first failed one, with the other failures in its message.

    Checks that need no packages fail first, because importing packages takes seconds. What importing torch took then
    replaces the usual figure in the check of the memory.
    """
    progress(Activity("checking the machine and the text"))
    with probe_packages(config) as probe:
        checks = check_machine(config)
        raise_failed(checks)
        progress(Activity("importing packages"))
        packages = probe.list_checks()
        checks = [*use_measured_memory(checks, config, torch_mb=probe.torch_mb), *packages]
    interrupts.check()
    raise_failed(checks)
    advised = [check for check in checks if check.advice]
    for check in advised:
        progress(Warned(str(check.advice), WARNING_TOPICS.get(check.name, check.name)))
    return PhaseRecord(
        "prerequisite_check",
        details={check.name: check.found for check in checks},
        warnings=[str(check.advice) for check in advised],
    )


def check_all(config: PipelineConfiguration, *, show_text: ShowText | None = None) -> list[Check]:
    """Make every check even if some fail, and try a local text as the run will; ``show_text`` gets what it makes.

    Takes a few seconds, mostly to import torch in a child process, and one more for each 2 MB of text. What a text over
    32 MB takes is predicted.
    """
    with probe_packages(config) as probe:
        python, *others = check_machine(config)
        packages = probe.list_checks()
        others = use_measured_memory(others, config, torch_mb=probe.torch_mb)
    is_local = all(source.is_local for source in resolve_sources(config.corpus_source))
    source_bytes = measure_source_bytes(config)
    if not is_local or has_corpus(config):
        text, train_bytes = list[Check](), None
    elif source_bytes > LARGE_BYTES:
        text, train_bytes = [predict_text(source_bytes)], round((1 - VALIDATION_SHARE) * source_bytes)
        others = [check for check in others if check.name != "corpus_size"]
    else:
        text, train_bytes = try_text(config, show_text=show_text)
        others = [check for check in others if check.name != "corpus_size"]
    checks = [python, *packages, *others, *text]
    if all(check.ok for check in checks if check.required):
        checks.append(check_duration(config, train_bytes=train_bytes))
    return checks


def try_text(
    config: PipelineConfiguration, *, show_text: ShowText | None = None
) -> tuple[list[Check], int | None]:
    """Run the next two phases in a folder for the moment; return what they say, and the bytes for training.

    The vocabulary is tried for a small text only: a large one has enough pieces, and it would take minutes.
    """
    checks: list[Check] = []
    train_bytes = None
    try:
        with open_trial_folder() as folder:
            trial = config.model_copy(update={"output_directory": folder})
            try:
                check, train_bytes = _try_corpus(trial)
                checks.append(check)
                if show_text:
                    text = (Path(folder) / name_corpus(config.corpus_source)).read_text(encoding="utf-8")
                    show_text(read_manifest(Path(folder)), text)
                if train_bytes <= _MAX_TRIED_BYTES:
                    checks.append(_try_vocabulary(trial))
            except InvalidCorpusError as error:
                name, needed = _TRIED[len(checks)]
                if error.next_command:
                    error.next_command = error.next_command.replace(folder, config.output_directory)
                checks.append(fail_check(name, error, found="cannot be used", needed=needed))
    except (OSError, SemillaError) as error:  # a full disk, for example, which the run will not need
        name, needed = _TRIED[len(checks)]
        checks.append(advise(name, f"the text was not tried: {error}", found="not tried", needed=needed))
    return checks, train_bytes


def predict_text(source_bytes: int) -> Check:
    """Say how long a large text will take before training begins; it is not tried."""
    size_mb = source_bytes / MIB
    duration = format_duration(VOCABULARY_S + PREPARATION_S_PER_MB * size_mb)
    name, needed = _TRIED[0]
    found = f"{size_mb:,.0f} MB, not tried; cleaning and encoding take about {duration} of processor time"
    return advise(name, None, found=found, needed=needed)


def _try_corpus(trial: PipelineConfiguration) -> tuple[Check, int]:
    said: list[str] = []
    record = corpus_download.run(trial, progress=partial(_listen, said))
    details = record.details
    shares = ", ".join(f"{share:.0%} {language}" for language, share in details["language_shares"].items())
    found = f"{details['bytes']:,} bytes in {details['documents']:,} documents ({shares})"
    name, needed = _TRIED[0]
    return advise(name, "\n".join(said) or None, found=found, needed=needed), details["epoch_bytes"]


def _try_vocabulary(trial: PipelineConfiguration) -> Check:
    record = tokenizer_training.run(trial, progress=silent)
    name, needed = _TRIED[1]
    return advise(
        name,
        "\n".join(record.warnings) or None,
        found=f"{record.details['vocab_size']:,} pieces",
        needed=needed,
    )


def _listen(said: list[str], event: Event) -> None:
    if isinstance(event, Note | Warned):
        said.append(event.text)


@contextmanager
def probe_packages(config: PipelineConfiguration) -> Iterator[PackageProbe]:
    """Check the packages in a child process in the background, and stop it at the end."""
    probe = PackageProbe(config)
    try:
        yield probe
    finally:
        probe.stop()


def check_machine(config: PipelineConfiguration) -> list[Check]:
    return [
        check_python(),
        check_platform(),
        check_directory(config),
        check_disk(config),
        check_memory(config),
        check_source(config, reuses_corpus=has_corpus(config)),
        check_shape(config),
        check_corpus_size(config),
        check_learning_rate(config),
        check_threads(config),
    ]


def use_measured_memory(
    checks: list[Check], config: PipelineConfiguration, *, torch_mb: float | None
) -> list[Check]:
    """Repeat the check of the memory with what importing torch took, if that was measured."""
    if torch_mb is None:
        return checks
    return [check_memory(config, torch_mb=torch_mb) if check.name == "memory" else check for check in checks]


def raise_failed(checks: list[Check]) -> None:
    """Raise the error of the first failed check, with the other failures in its message."""
    errors = [check.error for check in checks if check.required and check.error]
    if not errors:
        return
    first = errors[0]
    first.phase = "prerequisite_check"
    first.message = "\n".join([first.message, *(f"also {error.category}: {error}" for error in errors[1:])])
    first.args = (first.message,)
    raise first


def has_corpus(config: PipelineConfiguration) -> bool:
    """Return whether a corpus from this source exists already, so that nothing will be downloaded."""
    try:
        return read_manifest(Path(config.output_directory)).source == describe_sources(config.corpus_source)
    except (SemillaError, OSError):
        return False
