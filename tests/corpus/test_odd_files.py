"""Files as other programs write them: notes, saved pages, tracked changes, captions. What is not shown is no text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from format_files import make_zip

from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import ReadOptions
from semilla.corpus.formats.reading import FileText, LeftOut, read_file
from semilla.installation import list_missing

pytestmark = pytest.mark.skipif(
    bool(list_missing(["selectolax", "striprtf", "defusedxml"])), reason="needs the extra text"
)


@pytest.fixture(scope="module")
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader() as one:
        yield one


def read(text: str, name: str, reader: ConfinedReader) -> str:
    (found,) = read_file(text.encode(), ReadOptions(), name=name, reader=reader)
    assert isinstance(found, FileText), found
    return found.documents[0].text.strip("\n")


@pytest.mark.parametrize(
    ("name", "source", "text"),
    [
        ("note.md", '+++\ntitle = "Luna"\nlang = "es"\n+++\n\nTexto.\n', "Texto."),
        (
            "note.md",
            "La [[luna]] y [[El sol|el sol]], ![[foto.png]] y `[[code]]`.\n",
            "La luna y el sol,  y [[code]].",
        ),
        (
            "page.html",
            '<html><p>uno<p style="Display: none">dos<p style="color:red">tres</html>',
            "uno\n\ntres",
        ),
        ("page.html", '<html><div title="header"><p>uno</div><p>dos</html>', "dos"),
        (
            "a.rtf",
            r"{\rtf1 uno{\deleted\revauthdel1 dos {\b tres}}{\fs20\v cuatro}{\v0  cinco}\par}",
            "uno cinco",
        ),
        ("a.rtf", r"{\rtf1 {\vertalu seis} {\deletedx siete}\par}", "seis siete"),
    ],
)
def test_what_is_not_shown_is_left_out(name: str, source: str, text: str, reader: ConfinedReader) -> None:
    """Front matter of TOML, brackets of wiki links, hidden paragraphs, deleted and hidden groups."""
    assert read(source, name, reader) == text


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"


def write_run(text: str, properties: str = "") -> str:
    return f"<w:p><w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


def make_word(body: str, *, space: str = WORD) -> bytes:
    return make_zip(
        {"word/document.xml": f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'.encode()}
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (write_run("uno", "<w:vanish/>") + write_run("dos", '<w:vanish w:val="0"/>'), "dos"),
        (
            '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
            f"<w:sdtContent>{write_run('uno 3')}</w:sdtContent></w:sdt>"
            f"<w:sdt><w:sdtContent>{write_run('dos')}</w:sdtContent></w:sdt>",
            "dos",
        ),
        (
            f"<w:tbl><w:tr><w:tc>{write_run('uno')}</w:tc><w:tc>{write_run('dos')}<w:tbl><w:tr><w:tc>"
            f"{write_run('tres')}</w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl>",
            "uno\tdos tres",
        ),
    ],
)
def test_word_documents_have_each_word_once(body: str, text: str, reader: ConfinedReader) -> None:
    """Hidden text and contents go; a table in a cell is not read twice; the strict form of the format is read too."""
    for space in (WORD, STRICT):
        (found,) = read_file(make_word(body, space=space), ReadOptions(), name="a.docx", reader=reader)
        assert isinstance(found, FileText)
        assert found.documents[0].text == text


def test_a_table_in_a_cell_of_a_template_is_read_once(reader: ConfinedReader) -> None:
    """OpenDocument has templates under a type of their own."""
    inner = "<t:table><t:table-row><t:table-cell><x:p>dos</x:p></t:table-cell></t:table-row></t:table>"
    table = (
        f"<t:table><t:table-row><t:table-cell><x:p>uno</x:p>{inner}</t:table-cell></t:table-row></t:table>"
    )
    spaces = f'xmlns:o="{OFFICE}:office:1.0" xmlns:t="{OFFICE}:table:1.0" xmlns:x="{OFFICE}:text:1.0"'
    members = {
        "mimetype": b"application/vnd.oasis.opendocument.text-template",
        "META-INF/manifest.xml": b"<x/>",
        "content.xml": f"<o:document-content {spaces}><o:text>{table}</o:text></o:document-content>".encode(),
    }
    (found,) = read_file(make_zip(members), ReadOptions(), name="a.ott", reader=reader)
    assert isinstance(found, FileText)
    assert found.documents[0].text == "uno dos"


def make_cue(start: str, end: str, line: str) -> str:
    return f"00:00:{start} --> 00:00:{end}\n{line}\n"


def test_a_line_that_is_said_twice_stays(reader: ConfinedReader) -> None:
    """Cues with a gap between them are two; one that follows at once shows the same line still."""
    cues = [
        ("01,000", "02,000", "No."),
        ("02,200", "03,000", "No."),
        ("03,000", "04,000", "No."),
        ("05,000", "06,000", "Sí."),
    ]
    assert read("\n".join(make_cue(*cue) for cue in cues), "film.srt", reader) == "No.\nNo.\nSí."


def test_a_file_without_cues_is_no_subtitles(reader: ConfinedReader) -> None:
    """It is not called empty."""
    (found,) = read_file(b"A poem\nof two lines.\n", ReadOptions(), name="a.srt", reader=reader)
    assert isinstance(found, LeftOut)
    assert found.reason == "unreadable"
    assert "a.srt has no subtitles: no line has times" in found.error.message
