"""The dial ``--minutes``: once the text is known, the settings that the user left open are chosen for it.

A run goes on with the plan it began with, because the measured speed differs from time to time.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents
from semilla.errors import InvalidConfigError, KilledError
from semilla.events import Activity, Note
from semilla.formatting import format_duration
from semilla.pipeline.journal import Journal
from semilla.pipeline.phases import identify_corpus
from semilla.planning.cost import compare_speed
from semilla.planning.law import read_fitted
from semilla.planning.plan import PLANNED, Plan, describe_plan, make_plan
from semilla.planning.text_facts import TextFacts, measure_facts
from semilla.prerequisites.duration import rehearse_training
from semilla.records.run_plan import RunPlan
from semilla.system.ranks import read_place
from semilla.tokenizer.size import suit_vocabulary

CLEARLY_LESS = 0.97
"""Share of the bits per byte below which another choice is worth a line."""


def recall_plan(config: PipelineConfiguration, plan: RunPlan | None) -> PipelineConfiguration:
    """The settings of an earlier attempt's plan, if it was made for the same minutes and nothing else was set since."""
    if plan is None or not config.minutes or plan.minutes != config.minutes:
        return config
    flat = config.flatten()
    if any(flat[name] != plan.settings.get(name) for name in list_explicit(config)):
        return config
    return config.change(**plan.settings)


def take_plan(config: PipelineConfiguration, journal: Journal, *, used_s: float) -> PipelineConfiguration:
    """Choose what is open for the corpus that is there now; ``used_s`` of the minutes have passed already."""
    corpus = identify_corpus(journal.list_records()) or ""
    known = journal.status.plan
    if known and known.corpus == corpus and recall_plan(config, known) is not config:
        return config.change(**known.settings)
    began_s, seconds = time.monotonic(), 60 * config.minutes - used_s
    journal.tell(Activity(f"choosing settings for {format_duration(60 * config.minutes)}"))
    documents, speed = read_documents(journal.directory), measure_speed(config)
    # The pilot trains in this process alone, which takes at most so many times as long.
    facts = get_to_know(config, documents, seconds=seconds, speed=speed * read_place().size)
    seconds -= time.monotonic() - began_s
    plan = make_plan(config, facts, seconds=seconds, speed=speed, explicit=list_explicit(config))
    journal.status.plan = record_plan(plan, corpus=corpus)
    journal.tell(Note(describe(journal.status.plan)))
    return plan.config


def suggest_minutes(config: PipelineConfiguration, journal: Journal) -> str | None:
    """What the dial would have brought in the time that this finished run took; None if not clearly more.

    The run's own bits per byte and speed are known, so only the ratio of two plans is taken from the law, which knows
    nothing of the sample stories.
    """
    status = journal.status
    timings, bits = status.phase_timings, None
    if status.validation_results and status.phase_records["model_training"].outcome == "done":
        bits = status.validation_results.bits_per_byte.get("all")
    if config.minutes or config.start_from or config.corpus_source == "sample" or bits is None:
        return None
    facts = measure_facts(read_documents(journal.directory))
    as_is = suit_settings(config, facts)
    expected = describe_plan(as_is, facts, speed=1.0)
    speed = timings["model_training"] / expected.training_s
    took_s = sum(timings.values())
    try:
        plan = make_plan(config, facts, seconds=took_s, speed=speed, explicit=list_explicit(config))
    except InvalidConfigError:  # nothing fits the memory that is left
        return None
    ratio = plan.bits / expected.bits
    if ratio > CLEARLY_LESS or plan.seconds > took_s:
        return None
    one = plan.config.flatten()
    return (
        f"In this time, --minutes {math.ceil(took_s / 60)} would choose vocabulary {one['tokenizer_vocab_size']:,}, "
        f"layers {one['num_layers']}, width {one['d_model']} and epochs {one['num_epochs']} for this text, and reach "
        f"about {ratio * bits:.2f} bits per byte instead of {bits:.2f}."
    )


def get_to_know(
    config: PipelineConfiguration, documents: Sequence[Document], *, seconds: float, speed: float
) -> TextFacts:
    """Measure a text, and train on it for a moment if there are ``seconds`` enough."""
    from semilla.planning.pilot import try_text  # noqa: PLC0415 - torch, not needed to recall a plan

    pilot = try_text(config, documents, seconds=seconds, speed=speed)
    return replace(measure_facts(documents), pilot=pilot)


def suit_settings(config: PipelineConfiguration, facts: TextFacts) -> PipelineConfiguration:
    """The configuration without the dial, with the vocabulary that phase 3 would make of it."""
    config = config.change(minutes=0.0)
    size = suit_vocabulary(config, train_bytes=facts.train_bytes, num_characters=facts.num_kinds)
    return config.change(tokenizer_vocab_size=size)


def list_explicit(config: PipelineConfiguration) -> frozenset[str]:
    """The settings of a plan that the user set, or that an existing tokenizer decides."""
    given = config.list_given()
    if "tokenizer_training" in config.skip_phases or config.tokenizer_model_type in {"char", "word"}:
        given.add("tokenizer_vocab_size")
    return frozenset(given & set(PLANNED))


def measure_speed(config: PipelineConfiguration) -> float:
    """Time a few training steps in a separate process; without a measurement, the speed the cost was fitted on.

    Under torchrun all ranks make the steps together, in their own processes.
    """
    if read_place().size > 1:
        from semilla.pipeline.ranked_run import rehearse_ranks  # noqa: PLC0415 - only under torchrun

        return compare_speed(config, rehearse_ranks(config), read_fitted().speed)
    try:
        return compare_speed(config, rehearse_training(config), read_fitted().speed)
    except (KilledError, OSError, ValueError, KeyError, subprocess.SubprocessError):
        return 1.0


def record_plan(plan: Plan, *, corpus: str) -> RunPlan:
    """The plan as the status keeps it."""
    flat = plan.config.flatten()
    low, high = plan.bits_range
    return RunPlan(
        minutes=plan.config.minutes,
        corpus=corpus,
        settings={name: flat[name] for name in PLANNED},
        bits_per_byte=round(plan.bits, 4),
        bits_low=round(low, 4),
        bits_high=round(high, 4),
        seconds=round(plan.seconds, 1),
        memory_mb=round(plan.memory_mb, 1),
    )


def describe(plan: RunPlan) -> str:
    """The plan and what is expected of it, in two sentences."""
    one = plan.settings
    late = " This is the fastest there is." if plan.seconds > 60 * plan.minutes else ""
    return (
        f"Plan for {format_duration(60 * plan.minutes)}: vocabulary {one['tokenizer_vocab_size']:,}, "
        f"layers {one['num_layers']}, width {one['d_model']}, context {one['max_sequence_length']}, "
        f"batch size {one['batch_size']}, epochs {one['num_epochs']}, dropout {one['dropout']:g}, "
        f"learning rate {one['learning_rate']:g}. Expected: {plan.bits_per_byte:.2f} bits per byte "
        f"({plan.bits_low:.2f} to {plan.bits_high:.2f}) in {format_duration(plan.seconds)}.{late}"
    )
