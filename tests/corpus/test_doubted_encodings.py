"""A text whose encoding was declared or given wrongly is told with a line as another encoding reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_makers import prepare

from semilla.events import Warned

LINES = {
    "cp1251": "Старый дом у реки стоял пустой и тёмный, ветер говорил с водой.",  # noqa: RUF001
    "cp1250": "Šťastný dům stál u řeky, déšť šel a loď plula.",
    "cp1253": "Το παιδί πήγε στη θάλασσα και είδε ένα καράβι.",  # noqa: RUF001
    "cp1252": "La niña soñó con el mar y el camión; ¿qué más? Ángel volvió.",
    "latin-1": "L'été où la forêt s'éveille près du château, ça suffît.",
    "koi8-r": "Старый дом у реки стоял пустой и тёмный, ветер говорил с водой.",  # noqa: RUF001
    "cp932": "老人は川へ行き、小さな船を見ました。",
}


def list_warnings(path: Path, *, corpus_encoding: str = "auto") -> list[str]:
    documents, events = prepare(path, corpus_encoding=corpus_encoding)
    said = [event.text for event in events if isinstance(event, Warned)]
    return said + [warning for document in documents for warning in document.warnings]


@pytest.mark.parametrize(
    ("given", "actual"), [("cp1250", "cp1251"), ("cp1251", "cp1250"), ("cp1251", "cp1253")]
)
def test_a_file_of_another_encoding_than_the_given_one_is_told(
    tmp_path: Path, given: str, actual: str
) -> None:
    """In a folder of two encodings, --corpus-encoding fits one of them."""
    (tmp_path / "good.txt").write_bytes(f"{LINES[given]}\n".encode(given) * 20)
    (tmp_path / "other.txt").write_bytes(f"{LINES[actual]}\n".encode(actual) * 20)
    (warning,) = list_warnings(tmp_path, corpus_encoding=given)
    assert "other.txt was read as" in warning
    assert f"in {actual} it reads: {LINES[actual][:40]}" in warning


@pytest.mark.parametrize("head", ["", "<head><meta charset=iso-8859-1></head>"])
def test_a_page_that_declares_another_encoding_or_none_is_told(tmp_path: Path, head: str) -> None:
    """Browsers take it for cp1252."""
    path = tmp_path / "page.html"
    path.write_bytes(f"<html>{head}<body><p>{LINES['cp1251'] * 9}</p></body></html>".encode("cp1251"))
    (warning,) = list_warnings(path)
    assert "in cp1251 it reads: Старый дом" in warning


@pytest.mark.parametrize("encoding", LINES)
def test_the_right_encoding_is_not_doubted(tmp_path: Path, encoding: str) -> None:
    """In any language."""
    path = tmp_path / "text.txt"
    path.write_bytes(f"{LINES[encoding]}\n".encode(encoding) * 20)
    assert list_warnings(path, corpus_encoding=encoding) == []
