"""People's own texts: what every kind of file becomes, and what is said about it."""

from __future__ import annotations

import json
import random
import shlex
import textwrap
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_makers import (
    WORDS,
    book,
    make_chinese,
    make_paragraph,
    make_prose,
    make_sentence,
    prepare,
)

from semilla.corpus.cleaning.clean import CleanText, clean_file
from semilla.corpus.cleaning.markup import find_markup
from semilla.corpus.remarks import Remarks
from semilla.errors import InvalidCorpusError
from semilla.events import Event, Note, Warned


def clean(text: str) -> CleanText:
    return clean_file(text.encode(), name="text.txt")


def count_visible(text: str) -> int:
    return len("".join(text.split()))


# ---- contents and line numbers


@pytest.mark.parametrize("step", [4, 5, 10])
def test_line_numbers_go_and_verses_stay(step: int) -> None:
    """A verse with its number at the margin loses the number, which is counted, and stays."""
    verses = [f"  Verse of the old song the river sang to {word}," for word in WORDS * 5]
    numbered = [
        f"{verse:<60}{row}" if row % step == 0 else verse for row, verse in enumerate(verses, start=1)
    ]
    result = clean(book("\n".join(numbered)))
    assert result.text.split("\n")[:-1] == [verse.strip() for verse in verses]
    assert result.removed["line_numbers"] == sum(len(str(row)) for row in range(step, len(verses) + 1, step))


def test_line_numbers_at_the_left_go() -> None:
    """Numbers at the left margin go as well, also across the notes of an editor between the verses."""
    verses = [f"Verse of the old song the river sang to {word}," for word in WORDS * 3]
    lines = []
    for row, verse in enumerate(verses, start=1):
        lines.append(f"{row if row % 5 == 0 else '':>8} {verse}")
        if row % 12 == 0:
            lines += ["", "{A note that stands beside the verses,", "and goes on.}", ""]
    result = clean(book("\n".join(lines)))
    assert [line for line in result.text.split("\n") if line.startswith("Verse")] == verses
    assert result.removed["line_numbers"] == sum(len(str(row)) for row in range(5, len(verses) + 1, 5))


@pytest.mark.parametrize("margin", ["{number:>8} {text}", "{text:<60}{number}"])
def test_line_numbers_of_a_long_epic_go(margin: str) -> None:
    """An epic has more than 9,999 verses."""
    verses = [f"Verse of the old song the river sang to {word}," for word in WORDS * 2]
    lines = [
        margin.format(number=row if row % 5 == 0 else "", text=verse)
        for row, verse in enumerate(verses, start=9_983)
    ]
    assert clean(book("\n".join(lines))).text.split("\n")[:-1] == verses


def test_the_only_number_of_a_short_poem_goes() -> None:
    """Where every tenth verse of a book has a number, a sonnet has one alone: it counts from the first verse."""
    verses = [f"Verse of the old song the river sang to {word}," for word in WORDS]
    poem = [f"{verse:<60}10" if row == 10 else verse for row, verse in enumerate(verses[:14], start=1)]
    long_poem = [
        f"{verse:<60}{row}" if row % 10 == 0 else verse for row, verse in enumerate(verses * 3, start=1)
    ]
    text = "\n\n".join(["\n".join(long_poem), *("\n".join(["A SONNET", "", *poem]) for _ in range(3))])
    result = clean(book(text))
    assert result.text.count("10") == 0
    assert result.text.count(verses[9]) == len(long_poem) // len(WORDS) + 3
    table = "\n".join(f"lamps of {word:<51}{row}" for row, word in enumerate(WORDS[:12], start=1))
    assert clean(book(f"{text}\n\n{table}")).text.count("10") == 1


def test_a_number_between_two_steps_goes() -> None:
    """Where two speakers share a verse, an edition numbers its two lines too."""
    verses = [f"Verse of the old song the river sang to {word}," for word in WORDS * 2]
    numbered = [
        f"{verse:<60}{row}" if row % 10 == 0 or row == 12 else verse
        for row, verse in enumerate(verses, start=1)
    ]
    assert clean(book("\n".join(numbered))).text.split("\n")[:-1] == verses


@pytest.mark.parametrize("step", [1, 5])
def test_numbers_before_the_lines_of_a_list_stay(step: int) -> None:
    """A number that begins every line does not count lines: it stays."""
    lines = [f"{step * row} apples for {word}" for row, word in enumerate(WORDS, start=1)]
    assert clean(book("\n".join(lines))).text.split("\n")[:-1] == lines


@pytest.mark.parametrize("margin", ["{number:<6}{text}", "{text:<40}{number}"])
def test_numbers_of_a_table_stay(margin: str) -> None:
    """A layout of bytes or a list of stations has numbers that grow with its lines, by one or two: they stay."""
    rows = [
        margin.format(number=1 + row // 2 * 2, text=f"CARD{row} sequence {WORDS[row]}") for row in range(12)
    ]
    kept = clean(book("\n".join([*rows, "", make_prose(random.Random(15))]))).text.split("\n")
    assert kept[: len(rows)] == [" ".join(row.split()) for row in rows]


def test_rows_of_a_table_stay() -> None:
    """Rows that end in a number stay, also when the numbers increase."""
    rows = [f"Town of {word:<40}{1800 + 7 * place}" for place, word in enumerate(WORDS)]
    prose = make_prose(random.Random(1))
    kept = clean(book(f"{prose}\n{prose}\n" + "\n".join(rows) + f"\n\n{prose}\n{prose}")).text.split("\n")
    assert [" ".join(row.split()) for row in rows] == [line for line in kept if line.startswith("Town of")]


@pytest.mark.parametrize("heading", ["CONTENTS", "ÍNDICE", "                         PAGE"])
@pytest.mark.parametrize("place", ["front", "back"])
def test_contents_go(heading: str, place: str) -> None:
    """A table of contents goes from the front or back: headed, dense, with increasing numbers."""
    entries = [f"{word.capitalize():<50}{9 * row + 3}" for row, word in enumerate(WORDS[:12])]
    contents, prose = "\n".join([heading, "", *entries]), make_prose(random.Random(2))
    result = clean(book(f"{contents}\n\n{prose}" if place == "front" else f"{prose}\n\n{contents}"))
    assert not any(line.split()[-1].isdecimal() for line in result.text.splitlines())
    assert result.removed["contents"] >= sum(map(count_visible, entries))
    assert result.examples["contents"]


# ---- lines that were wrapped, and lines that were not


RNG = random.Random(7)
RECORDS = {
    "sequences": [RNG.choice(["ACGT" * 17, "ACGTTGCA" * 8 + "ACG"]) for _ in range(60)],
    "formulas": ["".join(RNG.choice("CNOcn1=()") for _ in range(RNG.randint(40, 62))) for _ in range(60)],
    "grouped sequences": [" ".join("".join(RNG.choices("acgt", k=10)) for _ in range(6)) for _ in range(60)],
    "xml": [
        f'<item id="{n}"><name>the old house number {n}</name><value>{n}</value></item>' for n in range(60)
    ],
    "sentences": [make_sentence(RNG, low=11, high=12) for _ in range(60)],
    "chinese verse": ["".join(RNG.choices("河边的老房子", k=7)) + p for p in "，。" * 30],  # noqa: RUF001
    "capital verse": [" ".join(RNG.choices(WORDS, k=12)).capitalize()[:62].strip() for _ in range(60)],
    "csv": [
        f"{RNG.choice(WORDS)} {n}, old house, {n * 37 % 1000}, north of the river, {n}" for n in range(60)
    ],
    "log": [
        f"2024-01-{n % 28 + 1:02} 10:{n:02}:11 INFO the server has started worker number {n}"
        for n in range(60)
    ],
    "arithmetic": [f"{n}+{n * 7}={n * 8}" for n in range(60)],
}


@pytest.mark.parametrize("kind", RECORDS)
def test_records_stay_one_a_line(kind: str) -> None:
    """Lines that are not wrapped prose stay as they are, alone and beside wrapped prose."""
    lines = RECORDS[kind]
    assert clean("\n".join(lines)).text.split("\n")[:-1] == lines
    prose = make_prose(random.Random(3))
    kept = clean(f"{prose}\n" + "\n".join(lines) + f"\n\n{prose}").text.split("\n")
    assert [line for line in kept if line in set(lines)] == lines


@pytest.mark.parametrize(
    "line",
    [
        "silently the old river carried green lamps down and",
        "Down the old river green lamps came all night and",
    ],
)
@pytest.mark.parametrize("is_book", [True, False])
def test_short_verses_in_wrapped_prose_stay(line: str, is_book: bool) -> None:
    """Four verses without punctuation stay four lines in a text that was wrapped wider."""
    prose = make_prose(random.Random(4))
    text = f"{prose}\n" + "\n".join([f"    {line}"] * 4) + f"\n\n{prose}"
    kept = clean(book(text) if is_book else text).text.split("\n")
    assert [one.strip() for one in kept].count(line) == 4


@pytest.mark.parametrize("is_book", [True, False])
def test_chinese_verse_of_equal_lines_stays(is_book: bool) -> None:
    """Verses that end in a comma or a stop, with a comma inside, stay lines, whatever their length."""
    rng = random.Random(7)
    verses = [
        f"{''.join(rng.choices('河边的老房子', k=12))}，{''.join(rng.choices('灯火夜船', k=11))}{stop}"  # noqa: RUF001
        for stop in "，，，。" * 6  # noqa: RUF001
    ]
    text = "\n\n".join("\n".join(verses[i : i + 6]) for i in range(0, 24, 6))
    kept = clean(book(text) if is_book else text).text.split("\n")
    assert [line for line in kept if line] == verses


@pytest.mark.parametrize("is_book", [True, False])
def test_a_chinese_speaker_in_brackets_begins_a_line(is_book: bool) -> None:
    """A heading is not full because the speech below it has no space that ends its first word."""
    prose = "\n".join(["河边的老房子里有一盏灯，灯下坐着一个人，他"] * 8 + ["在等船。"])  # noqa: RUF001
    speech = "(旦)河边的灯火已经亮了，船还没有来到，谁在等。"  # noqa: RUF001
    text = f"{prose}\n\n【歌】　河边的灯\n{speech}\n\n{prose}"
    lines = clean(book(text) if is_book else text).text.split("\n")
    assert speech in lines


def test_two_wrapped_paragraphs_in_a_thousand_poems_say_nothing_of_the_poems() -> None:
    """Long verses stay lines beside a few paragraphs that were wrapped at their width."""
    rng = random.Random(9)
    verse = "The old river carries the green lamps of the night down to the salt of the sea"
    poems = "\n\n".join(["\n".join([verse, "and nobody slept", "until it came home"])] * 300)
    prose = make_paragraph(rng, width=78)
    kept = clean(f"{prose}\n\n{poems}\n\n{prose}").text.split("\n")
    assert kept.count(verse) == 300


@pytest.mark.parametrize("is_book", [True, False])
def test_numbered_verses_of_scripture_are_paragraphs(is_book: bool) -> None:
    """Verses that begin with a number are one line each, though they were wrapped and some end without a stop."""
    rng = random.Random(8)
    verses = []
    for number in range(1, 40):
        verse = f"{number}. {' '.join(make_paragraph(rng, width=70).split())}"
        verses.append(verse.replace("river", "River").rstrip(".") if number % 2 else verse)
    text = "\n".join(textwrap.fill(verse, 70) for verse in verses)
    cleaned = clean(book(text) if is_book else text).text
    assert cleaned.rstrip("\n").split("\n") == verses


@pytest.mark.parametrize("width", [45, 60, 79, 110])
def test_wrapped_paragraphs_are_joined(width: int) -> None:
    """Paragraphs wrapped at any usual width become one line each, and the blank lines between them stay."""
    prose = make_prose(random.Random(5), width=width)
    expected = [" ".join(paragraph.split()) for paragraph in prose.split("\n\n")]
    assert clean(prose).text.rstrip("\n").split("\n\n") == expected


def test_half_wrapped_handbook() -> None:
    """In a handbook, wrapped paragraphs are joined; lists, code, headings and blank lines stay."""
    rng = random.Random(6)
    kept = "Heading\n=======\n\n- one thing\n- another thing\n\n    def read(path):\n        return path\n"
    paragraphs = [make_paragraph(rng, width=76) for _ in range(8)]
    result = clean("\n\n".join(f"{kept}\n{paragraph}" for paragraph in paragraphs))
    assert result.text == "\n\n".join(f"{kept}\n{' '.join(one.split())}" for one in paragraphs) + "\n"
    assert result.replaced["line_breaks"] == sum(one.count("\n") for one in paragraphs)


@pytest.mark.parametrize("width", [20, 36, 40])
def test_chinese_is_joined_without_spaces(width: int) -> None:
    """Chinese paragraphs wrapped at a number of characters become one line without a space in it."""
    rng = random.Random(8)
    paragraphs = [make_chinese(rng) + "。" for _ in range(20)]
    wrapped = ["\n".join(one[i : i + width] for i in range(0, len(one), width)) for one in paragraphs]
    assert clean("\n\n".join(wrapped)).text.rstrip("\n").split("\n\n") == paragraphs


def test_a_divided_word_is_joined() -> None:
    """A hyphen at the end of a line goes if the text has the word without it, and stays otherwise."""
    text = (
        f"{make_prose(random.Random(9), width=60)}\nThis is an example.\n\n"
        "He said that nobody at the river could give a better exam-\n"
        "ple, or see one that was so old in the winter and so well-\n"
        "known, than the lamp that her brother had seen before.\n"
    )
    result = clean(text)
    assert "a better example, or see one that was so old in the winter and so well-known, than" in result.text
    assert result.removed["hyphens"] == 1


def test_code_keeps_its_layout() -> None:
    """Tabs, indentation and runs of spaces stay, and so do two blank lines."""
    code = "\n\n\n".join(
        f"def read_{n}(path):\n    for line in open(path):\n\t\tif line:   # all\n\t\t\treturn line.split()"
        for n in range(30)
    )
    assert clean(code).text == f"{code}\n"


# ---- books and what is around them


def test_own_text_around_books_stays() -> None:
    """A text before, between and after books is kept without the rules for books; headers and markers go."""
    rng = random.Random(10)
    own = [
        f"# Notes {n}\n\n    my_file_{n} = read(--all) [12]\n\nI found it on Project Gutenberg."
        for n in range(3)
    ]
    prose = [make_prose(rng), make_prose(rng)]
    result = clean(f"{own[0]}\n\n{book(prose[0])}\n{own[1]}\n\n{book(prose[1])}\n\n{own[2]}\n")
    for text in own:
        assert text in result.text
    assert "EBOOK" not in result.text
    assert "EBook" not in result.text
    assert result.own_characters >= sum(map(len, own))
    books = [" ".join(one.split()) for text in prose for one in text.split("\n\n")]
    assert [line for line in result.text.split("\n") if line in books] == books


def test_notes_that_mention_the_project_stay() -> None:
    """A text that names the project, its site or its licence is left alone."""
    text = (
        "# Notes\n\nI found most of these on Project Gutenberg.\n\n    my_file_1 = read_book(first_line)\n\n"
        "Run tool --all [1] then; see www.gutenberg.org for _more_.\n"
    )
    result = clean(text)
    assert result.text == text
    assert result.removed == {}
    assert result.warnings == ()


# ---- what is said


def test_what_a_folder_passes_over_is_named(tmp_path: Path) -> None:
    """Files of unknown formats, hidden ones and links to folders are named and counted."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for name in ("texts/a.txt", "texts/b.xyz", "texts/c.png", "texts/d", "texts/.hidden", "elsewhere/f.txt"):
        (tmp_path / name).write_text("Some text.\n", encoding="utf-8")
    (tmp_path / "texts/linked").symlink_to("../elsewhere")
    documents, events = prepare(tmp_path / "texts")
    assert len(documents) == 1
    (note,) = [event.text for event in events if isinstance(event, Note)]
    for named in ("3 unknown format (b.xyz, c.png, d)", "1 hidden (.hidden)", "1 link (linked)"):
        assert named in note


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("cp1250", "Šťastný dům stál u řeky, déšť šel a loď plula.\n"),
        ("cp1251", "Старый дом за рекой стоял пустой и тёмный.\n"),
        ("koi8-r", "Старый дом за рекой стоял пустой и тёмный.\n"),
        ("cp1253", "Το παλιό σπίτι δίπλα στο ποτάμι ήταν άδειο και σκοτεινό.\n"),  # noqa: RUF001
        ("cp1254", "Nehrin kıyısındaki eski ev boştu, rüzgâr ağaçlarla konuşuyordu.\n"),  # noqa: RUF001
        ("iso8859-2", "Zażółć gęślą jaźń, mówił wiatr do śpiącej rzeki.\n"),
        ("cp866", "Старый дом за рекой стоял пустой и тёмный.\n"),
        ("cp932", "古い家は川のそばに立っていた。風が水と話していた。\n"),
        ("euc_jp", "古い家は川のそばに立っていた。風が水と話していた。\n"),
        ("gb18030", "河边的老房子空荡荡的，风在和水说话。\n"),  # noqa: RUF001
        ("big5", "河邊的老房子空蕩蕩的，風在和水說話。\n"),  # noqa: RUF001
        ("cp949", "강가의 낡은 집은 비어 있었고 바람이 물과 이야기하고 있었다.\n"),
    ],
)
def test_the_command_of_an_unknown_encoding_works(tmp_path: Path, encoding: str, line: str) -> None:
    """The command that the error prints reads the text, with every character as it was written."""
    path = tmp_path / "text.txt"
    path.write_bytes((line * 60).encode(encoding))
    with pytest.raises(InvalidCorpusError) as caught:
        prepare(path)
    command = shlex.split(caught.value.next_command or "")
    assert command[:2] == ["semilla", "run"]
    given = dict(word.removeprefix("--").split("=", 1) for word in command[2:])
    documents, _ = prepare(path, corpus_encoding=given["corpus-encoding"])
    assert documents[0].text.replace("\n", "") == line.strip() * 60


def test_large_removals_are_told_with_an_example(tmp_path: Path) -> None:
    """If cleaning leaves out more than a hundredth of a text, the run says how much of what, with an example."""
    path = tmp_path / "book.txt"
    picture = "[Illustration: The old house at the river]\n\n"
    path.write_text(book(make_prose(random.Random(11)) + f"\n{picture * 20}"), encoding="utf-8")
    documents, events = prepare(path)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert "characters of pictures: [Illustration: The old house at the river]" in note
    assert documents[0].removed["pictures"] == 20 * count_visible(picture)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[32mverde\x1b[m y azul\n" * 20, r"characters of terminal codes: \x1b[32m"),
        ("ma\u00adña\u00adna y año\n" * 20, r"characters of control characters: \xad"),
        ("man\u0303ana y an\u0303o\n" * 20, r"characters of combining marks: n\u0303"),
        (book("- Sí -- dijo -- no.\n\n" * 20), "characters of double dashes: --"),
        (book("_Sí_, _no_.\n\n" * 20), "characters of emphasis marks: _"),
    ],
)
def test_every_kind_of_removal_has_an_example(tmp_path: Path, text: str, told: str) -> None:
    """What nobody can see is shown by its codes."""
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    _, events = prepare(path)
    assert any(told in event.text for event in events if isinstance(event, Note))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("".join(json.dumps({"text": word * 9}) + "\n" for word in WORDS), "JSON records"),
        (json.dumps([{"name": word, "line": word * 3} for word in WORDS], indent=2), "JSON"),
        (" ".join(json.dumps(f"niño número {word} años")[1:-1] for word in WORDS), "escapes"),
        ("".join(f"<p class='a'>{word * 9}</p>\n" for word in WORDS), "tags"),
        ("".join(f"ma&ntilde;ana y a&ntilde;o {word}\n" for word in WORDS), "entities"),
        ("".join(f"\\emph{{{word}}} and \\textbf{{{word}}}\n" for word in WORDS), "TeX"),
    ],
)
def test_markup_is_told(tmp_path: Path, text: str, kind: str) -> None:
    """A text that consists of markup is trained on, and the run says that the markup is learned as text."""
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    _, events = prepare(path)
    (warning,) = [event.text for event in events if isinstance(event, Warned)]
    assert kind in warning
    assert "will be learned as text" in warning


def test_plain_text_has_no_markup() -> None:
    """Prose, code and sums are not taken for markup."""
    code = "".join(f"int f{n}(int a) {{\n    return a[{n}] < {n};\n}}\n" for n in range(30))
    for text in (make_prose(random.Random(12)), code, "\n".join(RECORDS["arithmetic"])):
        assert find_markup(text) is None


# ---- nothing is lost uncounted


def make_blocks(rng: random.Random) -> Iterator[str]:
    """Make one block of every kind, without characters that other ones stand for (all but dashes and accents)."""
    yield make_paragraph(rng)
    yield make_paragraph(rng, width=rng.choice([40, 50, 90]))
    yield make_paragraph(rng, sentences=40).replace(" ", "\u00ad ", 9)
    yield textwrap.indent(make_paragraph(rng), " " * rng.choice([2, 4, 8]))
    yield "\n".join(f"    {make_sentence(rng, low=4, high=6)}" for _ in range(4))
    for records in RECORDS.values():
        yield "\n".join(records[: rng.randint(3, 9)])
    yield "\n".join(f"{word:<40}{5 * n + 5}" for n, word in enumerate(WORDS[:6]))
    yield "\n".join(f"{2 * n:<6}CARD{n} {word}" for n, word in enumerate(WORDS[:6]))
    yield "CONTENTS\n\n" + "\n".join(f"{word:<40}{9 * n}" for n, word in enumerate(WORDS[:6]))
    yield "\n".join(f"{word} {'. ' * 20} {9 * n}" for n, word in enumerate(WORDS[:6]))
    yield "\n".join(
        f"Verse {word:<50}{n if n % 5 == 0 else ''}".rstrip() for n, word in enumerate(WORDS[:22])
    )
    yield "\n".join(f"{n if n % 5 == 0 else '':>4} Verse {word}," for n, word in enumerate(WORDS[:22]))
    yield "\n".join(f"{word.upper()}. {make_sentence(rng)}" for word in WORDS[:5])
    yield "\n".join(
        f"{one:<36}  {two}".rstrip()
        for one, two in zip(*(textwrap.wrap(make_paragraph(rng), 34) for _ in range(2)), strict=False)
    )
    yield f"ABATE, v.t. {make_sentence(rng)}\nABBEY, n. {make_sentence(rng)}\n  _See_ CHURCH."
    yield f"{'Buenos Aires, 3 de mayo':>60}\n\nDear brother,\n\n{make_paragraph(rng)}\n\n{'Yours, Ana':>60}"
    yield f"- {make_sentence(rng)}\n- {make_sentence(rng)}\n  1. {make_sentence(rng)}"
    yield "[Illustration: A lamp]"
    yield "{12}"
    yield "[Pg 7]"
    yield "* * * * *"
    yield "This text belongs to Project\nGutenberg and its volunteers."
    yield "Produced by Ana and the Online Distributed Proofreading Team"
    yield "[Transcriber's note: the spelling of the original was kept.]"
    yield f"_{make_sentence(rng)}_ M^{{rs.}} Long,[3] /* {make_sentence(rng)} */"
    yield "Then -- or never--she said ----."
    yield "def read(path):\n\treturn   path  # all"
    yield "| a  | b |\n|----|---|\n| 12 | x |"
    yield make_chinese(rng)
    yield "\n".join(textwrap.wrap(make_chinese(rng, clauses=30), rng.choice([20, 36])))
    yield "He was of an exam-\nple, which is an example."
    yield "La man\u0303ana del can\u0303o\u0301n."
    yield "\x1b[1;32mA green lamp\x1b[m, and N\bNA\bAM\bME\bE"
    yield f"*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n{make_paragraph(rng)}"
    yield f"{make_paragraph(rng)}\n\n*** END OF THE PROJECT GUTENBERG EBOOK X ***"


def make_document(rng: random.Random) -> tuple[str, bool]:
    """Assemble a text of random blocks, and tell whether all of it is somebody's own."""
    blocks = list(make_blocks(rng))
    body = rng.choice(["\n\n", "\n", "\n\n\n\n\n"]).join(rng.choices(blocks, k=rng.randint(1, 60))) + "\n"
    shape = rng.choice(["own", "book", "around"])
    if shape == "own":
        return body, "START OF" not in body and "END OF" not in body
    return book(body) if shape == "book" else f"{body}\n\n{book(body)}\n\n{body}\n\n{book(body)}", False


def check_account(seed: int) -> None:
    """Check that what a text loses is what was counted and said, kind by kind."""
    text, is_own = make_document(random.Random(seed))
    try:
        result = clean(text)
    except InvalidCorpusError:
        return  # nothing but boilerplate
    counted = sum(count for kind, count in result.removed.items() if kind != "white_space")
    assert count_visible(text) - count_visible(result.text) == counted
    assert len(text) - len(result.text) == counted + result.removed.get("white_space", 0)
    # A long dash stands for two short ones, and an accent stands with its letter.
    kept = unicodedata.normalize("NFD", result.text.replace("—", "-"))
    remaining = iter(unicodedata.normalize("NFD", text))
    assert all(one in remaining for one in kept if not one.isspace())
    if is_own:
        assert set(result.removed) <= {
            "combining_marks", "control_characters", "hyphens", "terminal_codes", "white_space",
        }  # fmt: skip
    check_told(result)


def check_told(result: CleanText) -> None:
    """Check that a run tells of a text that lost more than a hundredth, with an example of what it lost most."""
    remarks, events = Remarks(), list[Event]()
    remarks.add(result, name="text.txt")
    remarks.tell(events.append)
    lost = {
        kind: count
        for kind, count in result.removed.items()
        if kind not in {"header_and_licence", "white_space"}
    }
    told = [event.text for event in events if isinstance(event, Note) and "left out" in event.text]
    told = [note for note in told if note.startswith("Cleaning")]
    assert bool(told) == (sum(lost.values()) > result.decoded_characters / 100)
    if told:
        largest = max(lost, key=lost.__getitem__)
        assert f"{lost[largest]:,} characters of {largest.replace('_', ' ')}: " in told[0]
        assert result.examples[largest] in told[0]


ACCOUNT_EXAMPLES = [
    40,
    pytest.param(2_000, marks=pytest.mark.slow(reason="cleans two thousand texts")),
]


@pytest.mark.parametrize("num_examples", ACCOUNT_EXAMPLES)
def test_every_character_is_kept_or_counted(num_examples: int) -> None:
    """Of a document of blocks of every kind, each character is in the corpus, in order, or counted by its reason."""
    check = given(st.integers(0, 2**32))(check_account)
    settings(max_examples=num_examples)(check)()


# ---- what real texts brought up


def test_terminal_codes_go_and_are_counted() -> None:
    """Colours, window titles and overstruck letters of a terminal are no sign of a binary file; they are removed."""
    poem = "\x1b[32m《感遇》\x1b[m\n\x1b]0;title\x07兰叶春葳蕤，桂华秋皎洁。\n"  # noqa: RUF001
    result = clean(poem * 20)
    assert result.text == "《感遇》\n兰叶春葳蕤，桂华秋皎洁。\n" * 20  # noqa: RUF001
    assert result.removed["terminal_codes"] == 20 * len("\x1b[32m\x1b[m\x1b]0;title\x07")
    page = clean("N\bNA\bAM\bME\bE\n       _\bf_\bi_\bl_\be of a man page\n" * 20)
    assert page.text == "NAME\n       file of a man page\n" * 20


def cut_at_column(text: str, column: int) -> list[str]:
    """Cut a text at a column, also inside words; a syllable takes two columns."""
    lines, width = [""], 0
    for one in text:
        width += 1 if one.isascii() else 2
        if width > column:
            lines, width = [*lines, ""], 1 if one.isascii() else 2
        lines[-1] += one
    return [line.strip() for line in lines]


def test_korean_cut_inside_words_keeps_its_lines() -> None:
    """Korean wrapped inside words keeps its lines, since no one can tell where a space belongs; else it is joined."""
    rng = random.Random(13)
    syllables = [chr(code) for code in range(0xAC00, 0xAD00)]
    paragraphs = []
    for _ in range(12):
        words = ["".join(rng.choices(syllables, k=rng.randint(2, 5))) for _ in range(70)]
        paragraphs.append(" ".join(word + "," * (n % 9 == 8) for n, word in enumerate(words)) + ".")
    cut = [cut_at_column(one, 68) for one in paragraphs]
    kept = clean("\n\n".join("\n".join(lines) for lines in cut)).text
    assert kept.split() == " ".join(line for lines in cut for line in lines).split()
    assert kept.count("\n") > 60
    wrapped = "\n\n".join("\n".join(textwrap.wrap(one, 36)) for one in paragraphs)
    assert clean(wrapped).text.rstrip("\n").split("\n\n") == paragraphs


def test_chinese_punctuation_is_joined_to_a_foreign_word() -> None:
    """No space is put between a word in Latin letters and the Chinese punctuation that begins the next line."""
    rng = random.Random(14)
    blocks = [
        f"{make_chinese(rng, clauses=2)[:30]}Debian\n，{make_chinese(rng, clauses=3)[:31]}\n{make_chinese(rng)[:32]}。"  # noqa: RUF001
        for _ in range(30)
    ]
    joined = clean("\n\n".join(blocks)).text
    assert "Debian，" in joined  # noqa: RUF001
    assert "Debian ，" not in joined  # noqa: RUF001


CHAT = {
    "12/0{}/2023, 10:15 - Ana Pérez: hola, qué tal el día": "a chat",
    "[12.0{}.23, 10:15:01] Ana: hola, qué tal": "a chat",
    "[10:0{}] <ana> hello there, friends": "a chat",
    "Ana, [01.0{}.2024 12:00]\nhola": "a chat",
    "Ana  10:0{} AM\nhola": "a chat",
    "ana {},34,Madrid": "a table",
    '{},"Hello, my friend, and so on",pos': "a table",
    "hello {}\thola": "a table",
    "ana;{};Madrid": "a table",
    "| ana | {} | Madrid |": "a table",
}


@pytest.mark.parametrize("line", CHAT)
def test_tables_and_chats_are_told(line: str) -> None:
    """Rows of a table, and messages with times and names, are learned as they are, and the run says so."""
    found = find_markup("".join(f"{line.format(n)}\n" for n in range(1, 10)))
    assert found is not None
    assert CHAT[line] in found[0]


@pytest.mark.parametrize(
    "line",
    [
        "He said, on day {}, that the river, which was old, went down.",
        "HAMLET: to be or not to be {}",
        "\tcc -o a{} a.c",
        "the river goes down;\nand no man {} sees;",
        "{}:1 In the beginning: and so on",
    ],
)
def test_lists_drama_and_verse_are_no_tables(line: str) -> None:
    """Commas, colons, tabs and numbers of other texts are not taken for those of a table or a chat."""
    assert find_markup("".join(f"{line.format(n)}\n" for n in range(1, 10))) is None
