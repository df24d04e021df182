"""``semilla plan``: what ``run --minutes`` would choose for a text, and what to expect of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.configuration.flags import add_sources, load_arguments
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.errors import SemillaError
from semilla.events import silent
from semilla.formatting import format_duration
from semilla.installation import EXTRAS, write_command
from semilla.prerequisites.packages import require_packages
from semilla.system.temporary import open_trial_folder
from semilla.terminal.console import print_json, print_text
from semilla.terminal.tables import print_table

if TYPE_CHECKING:
    from semilla.planning.plan import Plan
    from semilla.planning.text_facts import TextFacts

HELP = """Show what run --minutes would choose for your text and this machine: shape, vocabulary and training, with
the bits per byte, time and memory to expect; also for half and four times the minutes, and with the settings as they
are. Settings that you give stay as given, and nothing is kept. The speed is measured, and a small network is trained on
the text for some seconds, so let nothing else run."""

MINUTES = 5.0
OVERNIGHT_MINUTES = "480"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    add_overnight(parser)
    parser.add_argument("--json", action="store_true", help="print the plans as JSON")


def add_overnight(parser: argparse.ArgumentParser) -> None:
    """Add ``--overnight``, eight hours of ``--minutes``."""
    parser.add_argument(
        "--overnight",
        dest="minutes",
        action="store_const",
        const=OVERNIGHT_MINUTES,
        default=None,
        help=f"the same as --minutes {OVERNIGHT_MINUTES}",
    )


def run(arguments: argparse.Namespace) -> int:
    config = load_arguments(arguments).config
    require_packages(*EXTRAS["train"], task="measuring this machine's speed")
    minutes = config.minutes or MINUTES
    facts, speed = read_facts(config, seconds=60 * minutes)
    plans = make_plans(config, facts, minutes=minutes, speed=speed)
    if arguments.json:
        print_json({name: describe(plan) for name, plan in plans.items()})
        return 0
    size_mb = (facts.train_bytes + facts.held_out_bytes) / 1e6
    print_text(f"{size_mb:.2f} MB of text, of which {facts.train_bytes / 1e6:.2f} MB are for training\n")
    print_table(list(list_rows(plans)), headings=("", *plans))
    command = to_command(config, minutes=minutes)
    print_text(f"\n  next: {write_command(command)}")
    return 0


def read_facts(config: PipelineConfiguration, *, seconds: float) -> tuple[TextFacts, float]:
    """Measure the text and this machine's speed.

    The text is got and cleaned as the run will, in a folder for the moment, and trained on for a moment.
    """
    from semilla.corpus.manifest import read_documents  # noqa: PLC0415 - not needed to refuse a wrong flag
    from semilla.pipeline.dial import get_to_know, measure_speed  # noqa: PLC0415 - as above
    from semilla.pipeline.main_job import refuse_missing_source  # noqa: PLC0415 - as above
    from semilla.pipeline.phases import corpus_download  # noqa: PLC0415 - as above

    refuse_missing_source(config)
    with open_trial_folder() as folder:
        try:
            corpus_download.run(config.model_copy(update={"output_directory": folder}), progress=silent)
        except SemillaError as error:
            if error.next_command:
                error.next_command = error.next_command.replace(folder, config.output_directory)
            raise
        speed = measure_speed(config)
        return get_to_know(config, read_documents(Path(folder)), seconds=seconds, speed=speed), speed


def make_plans(
    config: PipelineConfiguration, facts: TextFacts, *, minutes: float, speed: float
) -> dict[str, Plan]:
    """The plans for half the minutes, the minutes and four times as many, and what the settings bring as they are."""
    from semilla.pipeline.dial import list_explicit, suit_settings  # noqa: PLC0415 - as above
    from semilla.planning.plan import describe_plan, make_plan  # noqa: PLC0415 - as above

    explicit = list_explicit(config)
    plans = {
        format_duration(60 * one): make_plan(config, facts, seconds=60 * one, speed=speed, explicit=explicit)
        for one in (minutes / 2, minutes, 4 * minutes)
    }
    return {**plans, "without --minutes": describe_plan(suit_settings(config, facts), facts, speed=speed)}


def describe(plan: Plan) -> dict[str, Any]:
    """A plan as JSON: its settings, and what is expected with an interval that nine in ten stay within."""
    from semilla.planning.plan import PLANNED  # noqa: PLC0415 - as above

    flat = plan.config.flatten()
    return {
        "settings": {name: flat[name] for name in PLANNED},
        "bits_per_byte": [plan.bits, *plan.bits_range],
        "seconds": [plan.seconds, *plan.seconds_range],
        "memory_mb": [plan.memory_mb, *plan.memory_range],
    }


def list_rows(plans: dict[str, Plan]) -> Iterator[tuple[str, ...]]:
    """The rows of the table: what is chosen, then what is expected."""
    from semilla.planning.plan import PLANNED  # noqa: PLC0415 - as above

    for name in PLANNED:
        yield name, *(f"{plan.config.flatten()[name]:,g}" for plan in plans.values())
    yield "bits per byte", *(spread(plan.bits, plan.bits_range, ".2f") for plan in plans.values())
    yield (
        "time",
        *(
            f"{format_duration(plan.seconds)} ({' to '.join(map(format_duration, plan.seconds_range))})"
            for plan in plans.values()
        ),
    )
    yield "memory, MB", *(spread(plan.memory_mb, plan.memory_range, ",.0f") for plan in plans.values())


def spread(value: float, ends: tuple[float, float], form: str) -> str:
    """A figure and its interval."""
    return f"{value:{form}} ({ends[0]:{form}} to {ends[1]:{form}})"
