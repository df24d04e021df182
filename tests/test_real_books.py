"""Real books through the command line: one language alone, French or Portuguese, and the three of the catalogue."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from servers import LoopbackServer

from semilla import cli
from semilla.corpus.catalogue import CATALOGUE
from semilla.corpus.manifest import read_documents
from semilla.errors import PHASES
from semilla.records import names

MIRROR = Path(__file__).parents[1].parent / "shared" / "gutenberg-mirror"
TINY = (
    "--num-layers 1 --d-model 64 --num-heads 2 --dim-feedforward 128 --max-sequence-length 64 "
    "--learning-rate 0.0005 --dropout 0 --num-threads 1 --precision float32"
).split()  # fmt: skip

pytestmark = pytest.mark.skipif(
    not MIRROR.is_dir(), reason="needs the real books in ../shared/gutenberg-mirror"
)


def read(directory: Path, name: str) -> Any:
    return json.loads((directory / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("number", "language", "sentence"),
    [
        (4650, "fr", "Cunégonde était, à la vérité, bien laide"),
        (55752, "pt", "Não houve lepra"),
    ],
    ids=["fr", "pt"],
)
def test_a_book_in_one_language_trains_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, language: str, sentence: str
) -> None:
    """From a file to a validated model, every phase done: nothing expects English, Spanish or two languages."""
    book = MIRROR / f"cache/epub/{number}/pg{number}.txt"
    words = [
        "run",
        "--output-dir",
        str(tmp_path),
        "--corpus-source",
        str(book),
        "--corpus-size-mb",
        "1",
        *TINY,
    ]
    options = "--num-epochs 2 --tokenizer-vocab-size 1000 --batch-size 8"
    assert cli.main([*words, *options.split()]) == 0
    assert "Once upon a time" not in capsys.readouterr().out
    status = read(tmp_path, names.STATUS)
    assert status["current_phase"] == "complete"
    assert status["completed_phases"] == list(PHASES)
    manifest = read(tmp_path, names.CORPUS_MANIFEST)
    assert manifest["languages"] == [language]
    assert [document["provenance"]["source"] for document in manifest["documents"]] == [str(book)]
    text = (tmp_path / names.CORPUS).read_text(encoding="utf-8")
    assert sentence in text
    results = status["validation_results"]
    verdicts = {finding["name"]: finding["passed"] for finding in results["findings"]}
    languages = {name: passed for name, passed in verdicts.items() if name.startswith("language.")}
    assert languages == {f"language.{language}": True}
    assert set(results["bits_per_byte"]) == {language, "all"}
    history = read(tmp_path, names.METRICS)["epoch_history"]
    assert [len(row["sample_outputs"]) for row in history] == [1, 1]
    validation_text = read_documents(tmp_path)[0].validation_text
    for sample in [*results["samples"], *(row["samples"][0] for row in history)]:
        assert sample["prompt"] in validation_text


def test_the_catalogue_trains_from_a_mirror(tmp_path: Path) -> None:
    """Three books come over HTTP, whole and known; each is cleaned, cut at its last tenth and trained on."""
    books = CATALOGUE["gutenberg"].books
    with LoopbackServer(folder=MIRROR) as server:
        words = ["run", "--output-dir", str(tmp_path), "--corpus-mirrors", server.url, *TINY]
        options = "--num-epochs 1 --tokenizer-vocab-size 2000 --batch-size 32"
        assert cli.main([*words, *options.split()]) == 0
        downloads = [head.split(b" ")[1].decode() for head in server.heads if head.startswith(b"GET ")]
        assert downloads == [f"/cache/epub/{book.book_id}/pg{book.book_id}.txt" for book in books]
        mirror = server.url
    manifest = read(tmp_path, names.CORPUS_MANIFEST)
    assert manifest["languages"] == ["es", "en"]
    assert manifest["corpus_drift"] is False
    for entry, book in zip(manifest["documents"], books, strict=True):
        assert (entry["title"], entry["language"]) == (book.title, book.language)
        assert entry["sha256"] == book.body_sha256
        assert (entry["provenance"]["mirror"], entry["provenance"]["attempts"]) == (mirror, 1)
        size_bytes = entry["end_byte"] - entry["start_byte"]
        assert (entry["end_byte"] - entry["cut_byte"]) / size_bytes == pytest.approx(0.1, abs=0.01)
    text = (tmp_path / names.COLLECTION_CORPUS).read_text(encoding="utf-8")
    assert "que vivía un hidalgo" in text
    assert not re.search(r"Project\s+Gutenberg", text, re.I)
    # Every held-out run of 50 characters is new: the cut shares nothing with what is trained on.
    for document in read_documents(tmp_path):
        joint = document.train_text[-49:] + document.validation_text[:49]
        assert all(joint[i : i + 50] not in document.train_text for i in range(len(joint) - 49))
    assert read(tmp_path, names.STATUS)["current_phase"] == "complete"
    assert len(read(tmp_path, names.METRICS)["epoch_history"][0]["sample_outputs"]) == 2
