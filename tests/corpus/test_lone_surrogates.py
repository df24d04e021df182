"""Half characters, which several formats can write as escapes, become U+FFFD, and that is counted and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.documents import prepare_documents
from semilla.corpus.formats.extracted import LONE_SURROGATES
from semilla.corpus.manifest import CorpusManifest, read_documents
from semilla.corpus.writer import CorpusWriter
from semilla.events import Event, Warned
from semilla.installation import list_missing

BODY = "El niño soñó con la montaña, y la niña con el mar. " * 60
FILES = {
    "one.json": '{"title": "T\\udc00", "text": "a \\ud800 b \\ud83d\\ude00 ' + BODY + '"}',
    "rows.jsonl": '{"text": "x \\udfff\\ud800 y ' + BODY + '"}\n{"text": "' + BODY.upper() + '"}\n',
    "note.rtf": r"{\rtf1\ansi pair \u-10179?\u-8704? half \u-10240? end " + "a word. " * 300 + "}",
    "mail.eml": "Subject: =?utf-7?q?half_+2AA-?=\nContent-Type: text/plain; charset=utf-7\n\n"
    + "a word. " * 300
    + "+2AA- end\n",
}
NUM_LONE = {"one.json": 1, "rows.jsonl": 2, "note.rtf": 1, "mail.eml": 1}


def make_corpus(source: Path, output: Path, **settings: str) -> tuple[CorpusManifest, str, list[str]]:
    """The manifest, the text and the warnings of a corpus."""
    events: list[Event] = []
    output.mkdir()
    config = PipelineConfiguration.model_validate(
        {"corpus_source": str(source), "output_directory": str(output), **settings}
    )
    writer = CorpusWriter(output, source=str(source), progress=events.append)
    manifest = writer.write(prepare_documents(config, progress=events.append))
    documents = read_documents(output)
    text = "".join(one.train_text + one.validation_text for one in documents)
    return manifest, text, [event.text for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize("name", FILES)
def test_half_characters_become_u_fffd(name: str, tmp_path: Path) -> None:
    """The file is read, pairs are joined, and the manifest and a warning count the halves."""
    if name.endswith(".rtf") and list_missing(["striprtf"]):
        pytest.skip("needs the extra text")
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    manifest, text, warnings = make_corpus(path, tmp_path / "out")
    assert text.count("\ufffd") == NUM_LONE[name] == manifest.documents[0].replaced[LONE_SURROGATES]
    assert ("😀" in text) == (name in {"one.json", "note.rtf"})
    assert sum("lone surrogates" in one and one.endswith(f": {NUM_LONE[name]}") for one in warnings) == 1


def test_titles_with_half_characters_are_kept(tmp_path: Path) -> None:
    """The title in the manifest has U+FFFD, because JSON and the terminal cannot write the half."""
    path = tmp_path / "one.json"
    path.write_text(FILES["one.json"], encoding="utf-8")
    manifest, _, _ = make_corpus(path, tmp_path / "out")
    assert manifest.documents[0].title == "T\ufffd"


def test_columns_may_have_half_characters(tmp_path: Path) -> None:
    """A column with such a name is read as any other."""
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"\ud800": BODY}, {"\ud800": BODY.upper()}]), encoding="utf-8")
    _, text, warnings = make_corpus(path, tmp_path / "out")
    assert "montaña" in text
    assert not any("surrogates" in one for one in warnings)
