"""Tables and records as people have them: chats, tables without names, texts with commas. No text is lost unsaid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from text_makers import prepare

from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import Extracted, ReadOptions
from semilla.corpus.formats.reading import FileText, read_file
from semilla.events import Note


@pytest.fixture(scope="module")
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader() as one:
        yield one


def read_documents(text: str, name: str, reader: ConfinedReader) -> list[Extracted]:
    (found,) = read_file(text.encode(), ReadOptions(), name=name, reader=reader)
    assert isinstance(found, FileText), found
    return list(found.documents)


def read(text: str, name: str, reader: ConfinedReader) -> list[str]:
    return [document.text for document in read_documents(text, name, reader)]


TALK = [{"role": "user", "content": "How old is the moon?"}, {"role": "assistant", "content": "Very old."}]
SHARED = [{"from": "human", "value": "How old is the moon?"}, {"from": "gpt", "value": "Very old."}]
EXPORTED = {
    str(n): {
        "id": str(n),
        "message": {"author": {"role": one["role"]}, "content": {"parts": [one["content"]]}},
    }
    for n, one in enumerate(TALK)
}
LINES = "user: How old is the moon?\nassistant: Very old."
CONVERSATIONS: dict[str, tuple[Any, list[str]]] = {
    "messages": ([{"id": "c-1", "messages": TALK}] * 2, [LINES] * 2),
    "from and value": (
        [{"id": "c-1", "conversations": SHARED}],
        ["human: How old is the moon?\ngpt: Very old."],
    ),
    "an object of messages": ([{"title": "The moon", "mapping": EXPORTED}], [LINES]),
    "strings": (
        [{"id": 1, "dialog": ["How old is the moon?", "Very old."]}],
        ["How old is the moon?\nVery old."],
    ),
    "a chat beside its members": (
        {"participants": [{"name": "Ana"}], "messages": [{"sender_name": "Ana", "content": "hola, qué tal"}]},
        ["hola, qué tal"],
    ),
    "parts of a message": (
        {"messages": [{"text": ["mira esto: ", {"type": "link", "text": "x.org"}, " está bien"]}]},
        ["mira esto: x.org está bien"],
    ),
    "questions about a paragraph": (
        {
            "data": [
                {"title": "Moon", "paragraphs": [{"context": "The moon is far away.", "qas": [{"id": "1"}]}]}
            ]
        },
        ["The moon is far away."],
    ),
}


@pytest.mark.parametrize("kind", CONVERSATIONS)
def test_conversations_are_texts(kind: str, reader: ConfinedReader) -> None:
    """Messages are lines with their speakers, whatever the fields are called."""
    value, texts = CONVERSATIONS[kind]
    assert read(json.dumps(value), "chat.json", reader) == texts


@pytest.mark.parametrize(
    ("table", "texts"),
    [
        ("text\nHello, my friend\nFine, thanks\n", ["Hello, my friend", "Fine, thanks"]),
        ("id,text\n1,Hello, my friend\n2,Fine\n", ["Hello, my friend", "Fine"]),
        (
            "1,La niña soñó con el mar,a\n2,El gato se fue de casa,b\n",
            ["La niña soñó con el mar", "El gato se fue de casa"],
        ),
        (
            "Hello, my friend.\nWell, well, well, said he.\n",
            ["Hello, my friend.", "Well, well, well, said he."],
        ),
        ('id;text\n1;"Hola; mundo"\n', ["Hola; mundo"]),
        ("text\n\nuno\n", ["uno"]),
    ],
)
def test_no_cell_is_lost(table: str, texts: list[str], reader: ConfinedReader) -> None:
    """One column with commas, commas in the last column, a table without names, lines of text, quotes."""
    assert read(table, "rows.csv", reader) == texts


def test_rows_with_too_many_cells_are_told(reader: ConfinedReader) -> None:
    """A comma of the text without quotes moves what is behind it to the next column."""
    documents = read_documents("text,label\nHello, my friend,a\nHello,b\n", "rows.csv", reader)
    assert [document.note[:45] for document in documents] == [
        "1 of the first 3 rows of rows.csv have more c",
        "",
    ]


def test_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    """Once for each file, but not addresses and dates."""
    rows = [
        {
            "instruction": f"Give three tips for staying healthy, number {n}.",
            "output": f"Eat well, sleep well and walk every day for {n} hours, in any weather.",
            "url": f"https://example.org/tips/{n}/a-long-name-of-a-page",
        }
        for n in range(60)
    ]
    (tmp_path / "tips.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "tips.jsonl").write_text("\n".join(map(json.dumps, rows[:9])), encoding="utf-8")
    _, events = prepare(tmp_path)
    told = [event.text for event in events if isinstance(event, Note) and "not read" in event.text]
    assert [text.partition(" (")[0] for text in told] == [
        f"The text of {tmp_path / name} is its column output; not read: instruction"
        for name in ("tips.json", "tips.jsonl")
    ]


def test_lines_of_rolling_captions_come_once(reader: ConfinedReader) -> None:
    """Each cue shows the last line of the one before again."""
    cues = [
        ["hello my friends"],
        ["hello my friends", "today we cook"],
        ["today we cook", "a soup"],
        ["a soup"],
    ]
    blocks = ("\n".join([f"00:0{n}.000 --> 00:0{n + 1}.000", *cue]) for n, cue in enumerate(cues))
    assert read("WEBVTT\n\n" + "\n\n".join(blocks), "film.vtt", reader) == [
        "hello my friends\ntoday we cook\na soup"
    ]
