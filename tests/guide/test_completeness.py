"""The guide is complete: chapters, topics, every setting, every figure, and enough diagrams and examples."""

from __future__ import annotations

import re

import pytest

from semilla.configuration.settings import list_settings
from semilla.guide import find_chapters
from semilla.guide.documentation import IDS, describe, load_documentation
from semilla.records.metrics import EpochMetrics, FinalMetrics, StoppedEpoch
from semilla.records.results import InferenceMetrics, ValidationResults

GUIDE = load_documentation()
RECORDS = (EpochMetrics, FinalMetrics, StoppedEpoch, InferenceMetrics, ValidationResults)
TOPICS = {
    "overview": "phase artifact corpus gate sample gutenberg",
    "tokenization": "piece vocabulary unigram bpe byte space",
    "model_initialization": "embedding attention head rotary norm parameter logit softmax",
    "data_preparation": "clean window batch epoch language document split",
    "training_loop": "step loss perplexity cross-entropy gradient dropout evaluation",
    "optimization": "muon adamw momentum warm-up linear decay clip",
    "evaluation_and_checkpoints": "bits overfitting minimal checkpoint resume sha-256",
    "troubleshooting": "symptom causes solutions related",
    "hyperparameters": "default allowed flag environment toml",
    "device": "int8 bundle budget memory latency onnx limit",
}
"""Words that a chapter must contain to cover its subject."""


def test_there_are_ten_chapters():
    """All chapters exist, in reading order."""
    assert tuple(section.section_id for section in GUIDE.sections) == IDS


def test_there_is_enough_of_each_kind():
    """It is long enough to explain and short enough to read, with diagrams, examples and tables."""
    counts = describe(GUIDE)
    assert 1500 <= counts["lines"] <= 2500
    assert counts["diagrams"] >= 15
    assert counts["code_examples"] >= 20
    assert counts["tables"] >= 5  # the settings are in docs/cli.md
    assert counts["entries"] >= 30


@pytest.mark.parametrize("section", GUIDE.sections, ids=lambda section: section.section_id)
def test_a_chapter_covers_its_topics(section):
    """Each chapter has a diagram and an example, and mentions what belongs to its subject."""
    assert section.diagrams
    assert section.code_examples
    text = section.content.lower()
    assert [word for word in TOPICS[section.section_id].split() if word not in text] == []


def test_every_setting_is_in_the_reference():
    """The chapter on hyperparameters names every setting; the command line reference has its default and its range."""
    text = GUIDE.by_id["hyperparameters"].content
    assert [name for name in list_settings() if f"`{name}`" not in text] == []
    reference = (find_chapters().parent / "cli.md").read_text(encoding="utf-8")
    assert [one.flag for one in list_settings().values() if one.flag not in reference] == []


def test_every_figure_is_explained():
    """Every field that a run records about training and validation is in a chapter, as code."""
    told = set(re.findall(r"`(\w+)`", " ".join(section.content for section in GUIDE.sections)))
    fields = {name for record in RECORDS for name in record.model_fields}
    assert fields - told - {"loss"} == set()  # of the step that stopped: the training loss


def test_every_term_is_taught_by_a_chapter():
    """The glossary has the terms of the chapters, and no others."""
    taught = {term for section in GUIDE.sections for term in section.teaches}
    assert set(GUIDE.glossary) == taught
