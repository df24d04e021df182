"""Documents and paragraphs that come again are said, and removed when that is asked for; so is personal data."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.documents import prepare_documents
from semilla.corpus.manifest import CorpusManifest, read_documents
from semilla.corpus.personal_data import count_personal_data
from semilla.corpus.writer import CorpusWriter
from semilla.events import Event, Note, Warned

WORDS = "río casa verde lámpara nadie carta invierno pan sal viento the river old house letter came from far".split()


def make_paragraph(seed: int, *, num_words: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join(f"{draw.choice(WORDS)}{draw.randrange(50)}" for _ in range(num_words)) + "."


def make_text(seed: int, *, num_paragraphs: int = 8) -> str:
    return "\n\n".join(make_paragraph(seed * 100 + number) for number in range(num_paragraphs)) + "\n"


class Corpus:
    """Makes a corpus of a folder; ``said`` is what the run said about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "texts"
        self.folder.mkdir()
        self.output = folder / "out"
        self.output.mkdir()
        self.said: list[str] = []

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def make(self, *, dedupe: bool = False) -> CorpusManifest:
        events: list[Event] = []
        config = PipelineConfiguration(
            corpus_source=str(self.folder), output_directory=str(self.output), dedupe=dedupe
        )
        writer = CorpusWriter(self.output, source=config.corpus_source, progress=events.append)
        manifest = writer.write(prepare_documents(config, progress=events.append))
        self.said = [event.text for event in events if isinstance(event, Note | Warned)]
        return manifest

    def read(self) -> str:
        return "".join(one.train_text + one.validation_text for one in read_documents(self.output))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def test_nearly_equal_documents_are_said_and_removed_on_demand(corpus: Corpus) -> None:
    """The first one stays. Without --dedupe both stay, and the run names the flag."""
    text = make_text(1)
    corpus.write("a.txt", text)
    corpus.write("b.txt", text.replace("río1", "mar1").replace("casa", "caza", 2))
    corpus.write("c.txt", make_text(2))
    assert len(corpus.make().documents) == 3
    (said,) = [one for one in corpus.said if "nearly the same" in one]
    assert said.startswith("1 documents are nearly the same as earlier ones (b and a)")
    assert "--dedupe" in said
    manifest = corpus.make(dedupe=True)
    assert [entry.title for entry in manifest.documents] == ["a", "c"]
    assert [(Path(one.path).name, one.reason) for one in manifest.left_out] == [("b.txt", "duplicate")]


def test_rows_that_come_again_are_removed(corpus: Corpus) -> None:
    """Of a table only the row goes, and its characters are counted."""
    rows = [make_paragraph(number) for number in range(30)]
    rows.insert(12, rows[3])
    corpus.write("rows.jsonl", "".join(json.dumps({"text": row}) + "\n" for row in rows))
    corpus.write("short.jsonl", '{"text": "yes"}\n' * 40 + json.dumps({"text": make_text(5)}) + "\n")
    corpus.make(dedupe=True)
    text = corpus.read()
    assert text.count(rows[3]) == 1
    assert text.count("yes") == 40
    assert all(row in text for row in rows)


def test_paragraphs_that_come_again_are_removed(corpus: Corpus) -> None:
    """Whatever their case and punctuation; short lines such as a refrain may repeat."""
    boilerplate = make_paragraph(99)
    for number in range(4):
        corpus.write(f"{number}.txt", f"La la la\n\n{make_text(number)}\n{boilerplate}\n\nLa la la\n")
    corpus.make()
    assert corpus.read().count(boilerplate) == 4
    assert any("3 paragraphs" in one and "--dedupe" in one for one in corpus.said)
    manifest = corpus.make(dedupe=True)
    text = corpus.read()
    assert text.count(boilerplate) == 1
    assert text.count("La la la") == 8
    assert sum(entry.removed.get("repeated_paragraphs", 0) for entry in manifest.documents) == 3 * (
        len(boilerplate) + 1
    )


def test_paragraphs_with_small_changes_are_removed(corpus: Corpus) -> None:
    """They are counted apart from those that come again word for word, and the first one stays."""
    notice = make_paragraph(77)
    changed = [notice.replace("río", "rio", 1), f"{notice} 2025", notice.replace("sal", "salt", 2)]
    assert len({notice, *changed}) == 4
    for number, paragraph in enumerate([notice, *changed, notice]):
        corpus.write(f"{number}.txt", f"{make_text(number)}\n{paragraph}\n")
    corpus.make()
    assert all(paragraph in corpus.read() for paragraph in changed)
    (said,) = [one for one in corpus.said if "come again" in one]
    assert said.startswith("4 paragraphs")
    assert "3 of them with small changes" in said
    manifest = corpus.make(dedupe=True)
    text = corpus.read()
    assert text.count(notice) == 1
    assert not any(paragraph in text.replace(notice, "") for paragraph in changed)
    removed = Counter[str]()
    for entry in manifest.documents:
        removed.update(entry.removed)
    assert removed["similar_paragraphs"] == sum(len(paragraph) + 1 for paragraph in changed)
    assert removed["repeated_paragraphs"] == len(notice) + 1
    assert all(make_text(number).strip() in text for number in range(5))


def test_texts_that_differ_are_not_taken_for_duplicates(corpus: Corpus) -> None:
    """Nothing is said, and nothing is removed."""
    for number in range(6):
        corpus.write(f"{number}.txt", make_text(number))
    before = len(corpus.make().documents), corpus.read()
    assert not any("same" in one or "come again" in one for one in corpus.said)
    assert (len(corpus.make(dedupe=True).documents), corpus.read()) == before


def test_personal_data_is_counted_with_a_warning(corpus: Corpus) -> None:
    """The file is named, and the text is kept."""
    corpus.write("a.txt", make_text(1) + "\nWrite to ana@example.org or call +34 612 345 678.\n")
    corpus.write("b.txt", make_text(2))
    corpus.make()
    (said,) = [one for one in corpus.said if "e-mail" in one]
    assert "1 e-mail addresses and 1 telephone numbers" in said
    assert "a.txt)" in said
    assert "ana@example.org" in corpus.read()


@pytest.mark.parametrize(("text", "count"), [
    ("ana@example.org, b.c+d@mail.example.co.uk.", 2),
    ("+34 612 345 678 or (555) 123-4567 or 555-123-4567; 612 34 56 78, 01 23 45 67 89", 5),
    ("@ana a@b 1999-2001 12/11/2020 1,234,567 3.14159265358 10:15:30 978-3-16-148410-0 192.168.100.1", 0),
    ("2020-01-02 123 456 789 1.618 033 988 749 0000 0001 0002 chapter 12 3 4", 0),
])  # fmt: skip
def test_what_counts_as_personal_data(text: str, count: int) -> None:
    """Dates, amounts, versions and book numbers do not."""
    assert sum(count_personal_data(text).values()) == count
