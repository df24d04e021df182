"""The corpus file matches its manifest, and a mismatch is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from semilla.corpus.documents import PreparedDocument
from semilla.corpus.manifest import CorpusManifest, Provenance, read_documents, read_manifest, write_manifest
from semilla.corpus.writer import CorpusWriter
from semilla.errors import IncompatibleError, IntegrityError, InvalidCorpusError
from semilla.events import ArtifactWritten, Event, Warned
from semilla.guide.documentation import load_documentation
from semilla.records import names

ENGLISH = "".join(
    f"The little girl went {number} times to the sea, and the “small” ball was lost.\n"
    for number in range(60)
)
SPANISH = "".join(
    f"El niño soñó {number} veces con la montaña: «¿Dónde está el pingüino? 🌱»\n" for number in range(60)
)


def make_document(text: str, **changes: Any) -> PreparedDocument:
    values: dict[str, Any] = {"title": "Prueba", "provenance": Provenance(source="prueba.txt"), **changes}
    return PreparedDocument(text=text, **values)


def assemble(
    folder: Path, *documents: PreparedDocument, events: list[Event] | None = None, **changes: Any
) -> CorpusManifest:
    listener = (events if events is not None else []).append
    return CorpusWriter(folder, source="prueba", progress=listener, **changes).write(documents)


def list_topics(events: list[Event]) -> list[str]:
    """List the guide topics of the warnings, after checking that each is an entry of the guide."""
    topics = [event.topic for event in events if isinstance(event, Warned)]
    assert set(topics) <= {entry.topic for entry in load_documentation().troubleshooting_guide}
    return topics


def test_documents_come_back(tmp_path: Path) -> None:
    """Documents are read back as written, split in two, with their languages."""
    manifest = assemble(tmp_path, make_document(ENGLISH, title="Sea"), make_document(SPANISH, title="Sueño"))
    documents = read_documents(tmp_path)
    assert [document.train_text + document.validation_text for document in documents] == [ENGLISH, SPANISH]
    assert [document.language for document in documents] == ["en", "es"]
    assert [document.title for document in documents] == ["Sea", "Sueño"]
    assert (tmp_path / names.CORPUS).read_text(encoding="utf-8") == ENGLISH + SPANISH
    assert read_manifest(tmp_path) == manifest


def test_the_manifest_of_many_texts_is_read(tmp_path: Path) -> None:
    """It may be larger than any other record: that of 10,000 files is."""
    manifest = assemble(tmp_path, make_document(ENGLISH))
    entry = manifest.documents[0].model_copy(update={"warnings": ["x" * 1_000_000]})
    write_manifest(tmp_path, manifest.model_copy(update={"documents": [entry] * 10}))
    assert len(read_manifest(tmp_path).documents) == 10


def test_figures_add_up(tmp_path: Path) -> None:
    """Sizes, parts and shares in the manifest match the file."""
    manifest = assemble(tmp_path, make_document(ENGLISH), make_document(SPANISH))
    size = (tmp_path / names.CORPUS).stat().st_size
    assert manifest.corpus_bytes == manifest.train_bytes + manifest.validation_bytes == size
    assert manifest.corpus_characters == len(ENGLISH + SPANISH)
    assert manifest.languages == ["es", "en"]
    assert sum(share.bytes for share in manifest.language_shares.values()) == size
    assert manifest.language_shares["es"].bytes == len(SPANISH.encode())
    assert sum(share.share for share in manifest.language_shares.values()) == pytest.approx(1.0)
    assert manifest.validation_characters == sum(len(one.validation_text) for one in read_documents(tmp_path))


def test_both_files_are_announced(tmp_path: Path) -> None:
    """The corpus and the manifest are announced once they are written."""
    events: list[Event] = []
    assemble(tmp_path, make_document(SPANISH), events=events)
    written = [event.path.name for event in events if isinstance(event, ArtifactWritten)]
    assert written == [names.CORPUS, names.CORPUS_MANIFEST]


def test_document_in_two_languages(tmp_path: Path) -> None:
    """A document in two languages counts for both, so that both are sampled and checked later."""
    manifest = assemble(tmp_path, make_document(ENGLISH + SPANISH))
    assert sorted(manifest.languages) == ["en", "es"]
    assert manifest.language_shares["en"].share == pytest.approx(0.5, abs=0.1)


def test_given_languages(tmp_path: Path) -> None:
    """A single named language is trusted; of several, one that is hardly there gives a warning."""
    assert assemble(tmp_path, make_document(ENGLISH), languages=("pt",)).languages == ["pt"]
    events: list[Event] = []
    manifest = assemble(tmp_path, make_document(ENGLISH), languages=("en", "es"), events=events)
    assert manifest.languages == ["en"]
    assert any(
        "less than a twentieth of the corpus is in es" in event.text
        for event in events
        if isinstance(event, Warned)
    )
    assert list_topics(events) == ["language"]


def test_same_text_twice(tmp_path: Path) -> None:
    """A duplicate text is left out, because its end would be used for training and validation."""
    manifest = assemble(tmp_path, make_document(SPANISH), make_document(SPANISH, title="Otra vez"))
    assert len(manifest.documents) == 1
    assert "Otra vez: the same text" in manifest.warnings[0]


def test_overlapping_texts(tmp_path: Path) -> None:
    """A warning is given when the end of a text is in the training part of another."""
    manifest = assemble(tmp_path, make_document(SPANISH), make_document(SPANISH + ENGLISH))
    assert manifest.validation_overlap == pytest.approx(1 / 3, abs=0.05)
    assert any("validation loss will be too low" in warning for warning in manifest.warnings)


def test_drift(tmp_path: Path) -> None:
    """A text that differs from the catalogue's is recorded and reported, not refused."""
    events: list[Event] = []
    manifest = assemble(tmp_path, make_document(SPANISH, expected_sha256="0" * 64), events=events)
    assert manifest.corpus_drift
    assert manifest.documents[0].corpus_drift
    assert any("drift" in event.text for event in events if isinstance(event, Warned))
    assert list_topics(events) == ["corpus_drift"]
    again = make_document(SPANISH, expected_sha256=manifest.documents[0].sha256)
    assert not assemble(tmp_path, again).corpus_drift


@pytest.mark.parametrize(("expected_mb", "is_told"), [(3, True), (0.005, False), (0.001, True)])
def test_unexpected_size(tmp_path: Path, expected_mb: float, is_told: bool) -> None:
    """A corpus of twice or half the expected size gives a warning."""
    manifest = assemble(tmp_path, make_document(SPANISH), expected_bytes=int(expected_mb * (1 << 20)))
    assert any("corpus_size_mb" in warning for warning in manifest.warnings) is is_told


@pytest.mark.parametrize(
    ("length", "sequence_length", "minimum"), [(1900, 128, "2,000"), (6000, 1024, "10,240")]
)
def test_too_little_text(tmp_path: Path, length: int, sequence_length: int, minimum: str) -> None:
    """Too little text for training or validation is an error that names the minimum and leaves no file."""
    text = (SPANISH * 2)[:length].rstrip() + "\n"
    with pytest.raises(InvalidCorpusError, match=f"at least {minimum} are needed"):
        assemble(tmp_path, make_document(text), sequence_length=sequence_length)
    assert list(tmp_path.iterdir()) == []


def test_no_document_at_all(tmp_path: Path) -> None:
    """No text at all is too little text."""
    with pytest.raises(InvalidCorpusError, match="0 characters"):
        assemble(tmp_path)


def make_tales(count: int = 60) -> tuple[str, ...]:
    return tuple(
        f"Cuento {number}. Había una vez una niña que tenía {number} barcos y {number * 7} amigos.\n\n"
        for number in range(count)
    )


def test_documents_of_a_text_come_back(tmp_path: Path) -> None:
    """In order, whole, each in the training or the validation text; a tenth or more is held out."""
    tales = make_tales()
    manifest = assemble(tmp_path, make_document("".join(tales), parts=tales), make_document(ENGLISH))
    tale, book = read_documents(tmp_path)
    assert sorted(tale.train_texts + tale.validation_texts) == sorted(tales)
    assert [text for text in tales if text in tale.validation_texts] == list(tale.validation_texts)
    assert 0.1 <= len(tale.validation_text) / len("".join(tales)) < 0.2
    assert (book.train_text + book.validation_text, book.is_split) == (ENGLISH, True)
    assert manifest.train_bytes == len((tale.train_text + book.train_text).encode())
    assert manifest.documents[0].cut_byte is None
    assert manifest.documents[1].document_bytes == []


def test_a_few_documents_are_split_as_one_text(tmp_path: Path) -> None:
    """Too few to hold some out whole: the text keeps its last tenth."""
    tales = make_tales(10)
    assemble(tmp_path, make_document("".join(tales), parts=tales), make_document(SPANISH))
    document = read_documents(tmp_path)[0]
    assert document.is_split
    assert document.train_text + document.validation_text == "".join(tales)


def test_files_of_a_folder_are_held_out_whole(tmp_path: Path) -> None:
    """A file is in the training text or in the validation text."""
    tales = make_tales(200)
    assemble(tmp_path, *(make_document(tale) for tale in tales), languages=("es",))
    documents = read_documents(tmp_path)
    held_out = [one for one in documents if one.validation_texts]
    assert 20 <= len(held_out) <= 30
    assert all(one.train_texts == () for one in held_out)
    assert [one.train_text + one.validation_text for one in documents] == list(tales)


def test_the_corpus_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its texts are one document each, with a cut, and its model knows no end token."""
    assemble(tmp_path, make_document(SPANISH))
    path = tmp_path / names.CORPUS_MANIFEST
    values = json.loads(path.read_text(encoding="utf-8"))
    values["schema_version"] = 1
    for name in ("document_bytes", "held_out"):
        del values["documents"][0][name]
    path.write_text(json.dumps(values), encoding="utf-8")
    [document] = read_documents(tmp_path)
    assert not document.has_ends
    assert document.train_text + document.validation_text == SPANISH


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("document_bytes", [10]),
        ("document_bytes", [-5, 5]),
        ("held_out", [60]),
        ("held_out", [-1]),
        ("cut_byte", 20),
    ],
)
def test_damaged_boundaries(tmp_path: Path, place: str, value: object) -> None:
    """Documents that do not fill their text, or a held-out one that is not there, are an integrity error."""
    assemble(tmp_path, make_document("".join(make_tales()), parts=make_tales()))
    path = tmp_path / names.CORPUS_MANIFEST
    values = json.loads(path.read_text(encoding="utf-8"))
    values["documents"][0][place] = value
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(IntegrityError):
        read_documents(tmp_path)


# ---- damage


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_damaged_corpus(tmp_path: Path, damage: str) -> None:
    """A corpus that differs from its manifest in any byte is never read."""
    assemble(tmp_path, make_document(SPANISH))
    path = tmp_path / names.CORPUS
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(
            {"flip": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "grow": data + b"x"}[damage]
        )
    with pytest.raises(IntegrityError):
        read_documents(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("documents", 0, "cut_byte"), 10**9),
        (("documents", 0, "cut_byte"), -1),
        (("documents", 0, "start_byte"), 3),
        (("documents", 0, "end_byte"), 100),
        (("documents", 0, "sha256"), "0" * 64),
        (("documents",), []),
        (("documents",), "none"),
        (("corpus_sha256",), None),
        (("corpus_bytes",), 7),
    ],
)
def test_damaged_manifest(tmp_path: Path, place: tuple[Any, ...], value: object) -> None:
    """A manifest with wrong offsets, hashes or fields is an integrity error, never a wrong text."""
    assemble(tmp_path, make_document(SPANISH))
    path = tmp_path / names.CORPUS_MANIFEST
    values = target = json.loads(path.read_text(encoding="utf-8"))
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(IntegrityError):
        read_documents(tmp_path)


def test_cut_inside_a_character(tmp_path: Path) -> None:
    """An offset inside a character is an error even when every hash is right."""
    assemble(tmp_path, make_document("ñ" * 3000 + "\n"))
    path = tmp_path / names.CORPUS_MANIFEST
    values = json.loads(path.read_text(encoding="utf-8"))
    values["documents"][0]["cut_byte"] += 1
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(IntegrityError, match="inside a character"):
        read_documents(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"schema_version": 1}', "\x00"])
def test_file_that_is_not_a_manifest(tmp_path: Path, content: str) -> None:
    """A file that is not a manifest is an integrity error with its path."""
    (tmp_path / names.CORPUS_MANIFEST).write_text(content, encoding="utf-8")
    with pytest.raises(IntegrityError, match="corpus_manifest"):
        read_manifest(tmp_path)


def test_manifest_of_a_newer_format(tmp_path: Path) -> None:
    """A manifest in a newer format is incompatible, not damaged."""
    (tmp_path / names.CORPUS_MANIFEST).write_text('{"schema_version": 3}', encoding="utf-8")
    with pytest.raises(IncompatibleError, match="newer Semilla"):
        read_manifest(tmp_path)


def test_missing_manifest(tmp_path: Path) -> None:
    """A missing manifest is an error with the command that creates one."""
    with pytest.raises(IntegrityError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value.next_command).startswith("semilla run")
