"""Texts as people have them, of random sentences, and what becomes of a file."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.documents import PreparedDocument, prepare_documents
from semilla.events import Event

WORDS = (
    "the river old house and a green lamp went down slowly where no man had seen it before while her brother "
    "looked at every letter that came from far away in winter they spoke of bread salt wind"
).split()
HEAD = (
    "The Project Gutenberg EBook of {0}, by Nobody\n\nTitle: {0}\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK {0} ***\n\n"
)
FOOT = "\n\n*** END OF THIS PROJECT GUTENBERG EBOOK {0} ***\n"


def make_sentence(rng: random.Random, *, low: int = 9, high: int = 16) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.randint(low, high))]
    words[len(words) // 2] += ","
    return " ".join(words).capitalize() + "."


def make_paragraph(rng: random.Random, *, width: int = 70, sentences: int = 6) -> str:
    return "\n".join(textwrap.wrap(" ".join(make_sentence(rng) for _ in range(sentences)), width))


def make_prose(rng: random.Random, *, width: int = 70, paragraphs: int = 12) -> str:
    return "\n\n".join(make_paragraph(rng, width=width) for _ in range(paragraphs)) + "\n"


def make_chinese(rng: random.Random, *, clauses: int = 12) -> str:
    characters = [chr(code) for code in range(0x4E00, 0x4F00)]
    return "".join(
        "".join(rng.choices(characters, k=rng.randint(6, 18))) + rng.choice("，。")  # noqa: RUF001
        for _ in range(clauses)
    )


def book(body: str, *, title: str = "BOOK") -> str:
    return HEAD.format(title) + body + FOOT.format(title)


def prepare(path: Path, *, corpus_encoding: str = "auto") -> tuple[list[PreparedDocument], list[Event]]:
    events: list[Event] = []
    config = PipelineConfiguration(corpus_source=str(path), corpus_encoding=corpus_encoding)
    documents = [
        one for one in prepare_documents(config, progress=events.append) if isinstance(one, PreparedDocument)
    ]
    return documents, events
