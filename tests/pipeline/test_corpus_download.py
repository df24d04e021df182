"""Phase 2 as the pipeline runs it: each kind of source, its artifacts and its inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import LoopbackServer, find_closed_port, send

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.corpus.manifest import read_documents, read_manifest
from semilla.errors import IntegrityError, InvalidCorpusError, NetworkError
from semilla.events import ArtifactWritten, Event, Note, Transferred, Warned
from semilla.pipeline.phases import PhaseRecord, corpus_download
from semilla.records import names
from semilla.records.files import verify_artifact

MIRROR = Path(__file__).parents[2].parent / "shared" / "gutenberg-mirror"
ENGLISH = "".join(
    f"The little girl went {number} times to the sea, and the “small” ball was lost.\n"
    for number in range(60)
)
SPANISH = "".join(
    f"El niño soñó {number} veces con la montaña: «¿Dónde está el pingüino? 🌱»\n" for number in range(60)
)
QUICK = FetchPolicy(connect_timeout_s=2.0, read_timeout_s=2.0, sleep=lambda seconds: None)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Run:
    """Runs the phase in its own directory and keeps its events."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "salida"
        self.output.mkdir()
        self.events: list[Event] = []

    def configure(self, source: object, **settings: Any) -> PipelineConfiguration:
        return PipelineConfiguration(corpus_source=str(source), output_directory=str(self.output), **settings)

    def __call__(self, source: object, **settings: Any) -> PhaseRecord:
        self.events.clear()
        config = self.configure(source, **settings)
        return corpus_download.run(config, progress=self.events.append, policy=QUICK)

    @property
    def reported(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note | Warned)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def library() -> Iterator[LoopbackServer]:
    """A mirror with the three books of the catalogue: one in the cache, one in the older tree, one in Latin-1."""
    wide = SPANISH.replace("🌱", "").encode("latin-1")
    routes = {
        "/cache/epub/1342/pg1342.txt": send(ENGLISH.encode()),
        "/1/11/11-0.txt": send(ENGLISH.replace("girl", "cat").encode()),
        "/2/0/0/2000/2000-8.txt": send(wide),
    }
    with LoopbackServer(routes) as server:
        yield server


def test_file(run: Run, tmp_path: Path) -> None:
    """A local file becomes a corpus with valid artifacts and detected languages."""
    path = tmp_path / "mis notas, con ñ 🌱.txt"
    path.write_text(SPANISH, encoding="utf-8")
    record = run(path)
    assert [artifact.path for artifact in record.artifacts] == [names.CORPUS, names.CORPUS_MANIFEST]
    for artifact in record.artifacts:
        verify_artifact(artifact, root=run.output)
    assert record.details["documents"] == 1
    assert record.details["language_shares"] == {"es": 1.0}
    assert record.details["bytes"] == len(SPANISH.encode())
    assert read_documents(run.output)[0].title == path.stem
    assert path.read_text(encoding="utf-8") == SPANISH


def test_folder(run: Run, tmp_path: Path) -> None:
    """Each text in a folder becomes a document, in order; a warning names an empty one."""
    for name, text in (("b.txt", ENGLISH), ("a.txt", SPANISH), ("leer.txt", "\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    record = run(tmp_path)
    documents = read_documents(run.output)
    assert [(document.title, document.language) for document in documents] == [("a", "es"), ("b", "en")]
    assert set(record.details["language_shares"]) == {"en", "es"}
    assert any("leer.txt is empty" in text for text in run.reported)


def test_bad_file_in_a_folder(run: Run, tmp_path: Path) -> None:
    """A text that cannot be decoded fails the phase by name; it is not dropped silently."""
    (tmp_path / "a.txt").write_text(SPANISH, encoding="utf-8")
    (tmp_path / "b.txt").write_bytes("¿mañana?".encode("cp1252"))
    with pytest.raises(InvalidCorpusError, match=r"b\.txt is not UTF-8"):
        run(tmp_path)
    assert not (run.output / names.CORPUS).exists()


def test_given_encoding(run: Run, tmp_path: Path) -> None:
    """The configured encoding is used for a file that declares none."""
    (tmp_path / "a.txt").write_bytes(SPANISH.replace("🌱", "").encode("cp1252"))
    run(tmp_path / "a.txt", corpus_encoding="cp1252")
    assert read_manifest(run.output).documents[0].provenance.encoding == "cp1252"


def test_sample(run: Run) -> None:
    """The sample is generated in both languages and the requested size, identically every time."""
    record = run("sample", corpus_size_mb=1, corpus_seed=7)
    assert set(record.details["language_shares"]) == {"en", "es"}
    assert record.details["bytes"] == pytest.approx(1 << 20, rel=0.05)
    assert run("sample", corpus_size_mb=1, corpus_seed=7, seed=8).artifacts == record.artifacts
    assert run("sample", corpus_size_mb=1, corpus_seed=8).artifacts != record.artifacts


def test_catalogue_name_wins_over_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named like a catalogue entry is not read, and a note says how to read it."""
    monkeypatch.chdir(tmp_path)
    Path("sample").write_text(SPANISH, encoding="utf-8")
    run("sample", corpus_size_mb=1)
    assert any("./sample" in text for text in run.reported)


def test_address(run: Run) -> None:
    """The text at a URL is downloaded and kept for the next run."""
    with LoopbackServer({"/nota.txt": send(SPANISH.encode())}) as server:
        for _ in range(2):
            run(f"{server.url}/nota.txt")
        assert server.requests == ["/nota.txt"]
    assert read_manifest(run.output).documents[0].provenance.source == f"{server.url}/nota.txt"


def test_catalogue_of_books(run: Run, library: LoopbackServer) -> None:
    """Books are found wherever the mirror has them; provenance and drift are recorded and reported."""
    record = run("gutenberg", corpus_mirrors=(library.url,))
    manifest = read_manifest(run.output)
    assert [document.provenance.book_id for document in manifest.documents] == [1342, 11, 2000]
    assert [document.provenance.encoding for document in manifest.documents] == ["utf-8", "utf-8", "latin-1"]
    assert [document.provenance.attempts for document in manifest.documents] == [1, 2, 3]
    assert {document.provenance.mirror for document in manifest.documents} == {library.url}
    assert manifest.languages == ["en", "es"]
    assert record.details["corpus_drift"]
    assert any("drift" in text for text in record.warnings)
    assert any(isinstance(event, Transferred) for event in run.events)


def test_every_file_is_announced(run: Run, library: LoopbackServer) -> None:
    """Every file is announced, downloads and their records included, so that clean can remove it."""
    run("gutenberg", corpus_mirrors=(library.url,))
    written = {event.path for event in run.events if isinstance(event, ArtifactWritten)}
    assert written == {path for path in run.output.rglob("*") if path.is_file()}


def test_one_book_missing(run: Run, library: LoopbackServer) -> None:
    """A missing book fails the phase; the other downloads are kept for the next attempt."""
    del library.routes["/2/0/0/2000/2000-8.txt"]
    with pytest.raises(NetworkError, match="book 2000"):
        run("gutenberg", corpus_mirrors=(library.url,))
    assert not (run.output / names.CORPUS).exists()
    library.routes["/cache/epub/2000/pg2000.txt"] = [send(SPANISH.encode())]
    library.requests.clear()
    run("gutenberg", corpus_mirrors=(library.url,))
    assert library.requests == ["/cache/epub/2000/pg2000.txt"]


def test_a_book_may_be_missing_where_that_is_allowed(run: Run, library: LoopbackServer) -> None:
    """The other books make the corpus; manifest, record and warning name the missing one and why (N26)."""
    del library.routes["/2/0/0/2000/2000-8.txt"]
    record = run("gutenberg", corpus_mirrors=(library.url,), allow_partial=True)
    manifest = read_manifest(run.output)
    assert [document.provenance.book_id for document in manifest.documents] == [1342, 11]
    (missing,) = manifest.missing_documents
    assert (missing.book_id, missing.title) == (2000, "Don Quijote")
    assert "404" in missing.reason
    assert record.details["missing_documents"] == ["Don Quijote"]
    assert any(text.startswith("Don Quijote is missing: ") for text in record.warnings)


def test_all_books_may_not_be_missing(run: Run) -> None:
    """A corpus without any book is a failed download, even with allow_partial (N26)."""
    with LoopbackServer() as server, pytest.raises(NetworkError, match="every book is missing"):
        run("gutenberg", corpus_mirrors=(server.url,), allow_partial=True)
    assert not (run.output / names.CORPUS).exists()


def test_drift_can_be_refused(run: Run, library: LoopbackServer) -> None:
    """With corpus_drift refuse, a changed book fails the phase; the downloads stay (N22)."""
    with pytest.raises(IntegrityError, match="corpus drift") as caught:
        run("gutenberg", corpus_mirrors=(library.url,), corpus_drift="refuse")
    assert caught.value.next_command == "semilla guide corpus_drift"
    assert not (run.output / names.CORPUS).exists()
    assert (run.output / "downloads" / "pg1342.txt").is_file()


def test_a_partial_corpus_is_not_reused_once_it_is_not_allowed(run: Run) -> None:
    """allow_partial and corpus_drift are inputs of the phase (N22, N26)."""
    plain = read_inputs(run, "gutenberg")
    assert read_inputs(run, "gutenberg", allow_partial=True) != plain
    assert read_inputs(run, "gutenberg", corpus_drift="refuse") != plain


def test_dead_mirror_then_a_good_one(run: Run, library: LoopbackServer) -> None:
    """A mirror that is down costs its four attempts once, not once per book."""
    dead = f"http://127.0.0.1:{find_closed_port()}"
    run("gutenberg", corpus_mirrors=(dead, library.url))
    documents = read_manifest(run.output).documents
    assert [document.provenance.attempts for document in documents] == [5, 2, 3]


def test_page_instead_of_a_book(run: Run) -> None:
    """An HTML page is never accepted as the text of a .txt address, whatever its content type."""
    page = send(b"<!DOCTYPE html><p>" + SPANISH.encode())
    with LoopbackServer(otherwise=page) as server, pytest.raises(NetworkError, match="HTML page"):
        run(f"{server.url}/libro.txt")
    assert [path for path in run.output.rglob("*") if path.is_file()] == []


def test_page_and_book_from_an_address(run: Run) -> None:
    """An address of a page, and one of an EPUB, are read as what they are."""
    page = f"<!DOCTYPE html><title>Sueños</title><nav>menu</nav><p>{SPANISH}".encode()
    book = (Path(__file__).parents[1] / "fixtures" / "formats" / "sample.epub").read_bytes()
    routes = {"/suenos": send(page, content_type="text/html"), "/b.epub": send(book)}
    with LoopbackServer(routes) as server:
        run(f"{server.url}/suenos")
        (entry,) = read_manifest(run.output).documents
        assert (entry.title, entry.provenance.format) == ("Sueños", "HTML")
        assert entry.provenance.source == f"{server.url}/suenos"
        run(f"{server.url}/b.epub")
        (entry,) = read_manifest(run.output).documents
        assert (entry.title, entry.provenance.format, entry.language) == ("The seed book", "EPUB", "en")


def test_every_file_is_read_or_named(run: Run, tmp_path: Path) -> None:
    """The manifest has a document or a reason for each file of a folder, and the run says how many were left out."""
    folder = tmp_path / "textos"
    for name, data in {
        "a.txt": ENGLISH.encode(),
        "b/igual.txt": ENGLISH.encode(),
        "c.md": SPANISH.encode(),
        "d.pdf": b"%PDF-1.7\nbroken",
        "e.html": b"",
        "f.png": b"\x89PNG",
        "g.txt": bytes(range(256)) * 9,
        ".h.txt": b"hidden",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "i.txt")
    (folder / "j.txt").symlink_to("nowhere")
    run(folder)
    manifest = read_manifest(run.output)
    read = {Path(entry.provenance.source).name for entry in manifest.documents}
    reasons = {Path(one.path).name: one.reason for one in manifest.left_out}
    assert read == {"a.txt", "c.md"}
    assert reasons == {
        "igual.txt": "duplicate",
        "d.pdf": "unreadable",
        "e.html": "empty",
        "f.png": "unknown format",
        "g.txt": "binary",
        ".h.txt": "hidden",
        "i.txt": "special file",
        "j.txt": "unreadable",
    }
    said = "\n".join(run.reported)
    assert all(
        word in said
        for word in ("igual", "d.pdf", "e.html is empty", "f.png", "g.txt is a binary file", ".h.txt")
    )


def test_layout_is_a_choice(run: Run, tmp_path: Path) -> None:
    """prose joins the lines of paragraphs, lines keeps them, verbatim keeps every character."""
    verse = "".join(f"the {n}. line of a verse \n\tgoes on cafe\u0301\f\n\n\n\n\n" for n in range(90))
    (tmp_path / "v.txt").write_text(verse, encoding="utf-8")
    expected = {
        "prose": "the 0. line of a verse goes on café",
        "lines": "the 0. line of a verse\n\tgoes on café",
        "verbatim": "the 0. line of a verse \n\tgoes on cafe\u0301\f\n\n\n\n\nthe 1.",
    }
    for layout, beginning in expected.items():
        run(tmp_path / "v.txt", layout=layout)
        (entry,) = read_manifest(run.output).documents
        assert entry.layout == layout
        assert (run.output / names.CORPUS).read_text(encoding="utf-8").startswith(beginning)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        ("hola ñ\n".encode() * 9, "too small"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_unusable_file(run: Run, tmp_path: Path, content: bytes, words: str) -> None:
    """An unusable file is an error that says what it is."""
    (tmp_path / "libro.txt").write_bytes(content)
    with pytest.raises(InvalidCorpusError, match=words):
        run(tmp_path / "libro.txt")


def test_file_too_small_for_the_sequence(run: Run, tmp_path: Path) -> None:
    """The minimum size depends on the sequence length, and the error names it."""
    (tmp_path / "libro.txt").write_text(SPANISH, encoding="utf-8")
    with pytest.raises(InvalidCorpusError, match="at least 20,480"):
        run(tmp_path / "libro.txt", training_hyperparameters={"max_sequence_length": 2048})


def test_pipe_does_not_block(run: Run, tmp_path: Path) -> None:
    """A named pipe is refused at once."""
    os.mkfifo(tmp_path / "tubo")
    with pytest.raises(InvalidCorpusError, match="not a regular file"):
        run(tmp_path / "tubo")


# ---- what the result depends on


def read_inputs(run: Run, source: object, **settings: Any) -> dict[str, Any]:
    inputs = corpus_download.read_inputs(run.configure(source, **settings), {})
    assert json.loads(json.dumps(inputs)) == inputs
    return inputs


def test_inputs_of_a_file(run: Run, tmp_path: Path) -> None:
    """Editing a local file changes the phase's inputs; settings of later phases do not."""
    path = tmp_path / "libro.txt"
    path.write_text(SPANISH, encoding="utf-8")
    first = read_inputs(run, path)
    assert read_inputs(run, path, seed=9, corpus_size_mb=50) == first
    assert read_inputs(run, path, corpus_encoding="cp1252") != first
    path.write_text(SPANISH + "¡Fin!\n", encoding="utf-8")
    assert read_inputs(run, path) != first
    path.unlink()
    assert read_inputs(run, path) != first


def test_inputs_of_the_catalogue(run: Run) -> None:
    """Books depend on the mirrors, without their passwords; the sample on its size and its own seed."""
    assert read_inputs(run, "gutenberg") == read_inputs(run, "gutenberg", seed=3)
    other = read_inputs(run, "gutenberg", corpus_mirrors=("http://ana:secreto@127.0.0.1:9",))
    assert other["mirrors"] == ["http://***@127.0.0.1:9"]
    assert read_inputs(run, "sample") == read_inputs(run, "sample", seed=3)
    assert read_inputs(run, "sample") != read_inputs(run, "sample", corpus_seed=3)
    assert read_inputs(run, "sample") != read_inputs(run, "sample", corpus_size_mb=4)
    assert "secreto" not in str(read_inputs(run, "http://ana:secreto@example.org/libro.txt"))


def test_adopting_a_corpus(run: Run, tmp_path: Path) -> None:
    """An existing corpus is adopted as recorded; a damaged or missing one is refused."""
    (tmp_path / "libro.txt").write_text(SPANISH, encoding="utf-8")
    record = run(tmp_path / "libro.txt")
    config = run.configure("nowhere")
    assert corpus_download.adopt(config) == record
    (run.output / names.CORPUS).write_text(ENGLISH, encoding="utf-8")
    with pytest.raises(IntegrityError):
        corpus_download.adopt(config)
    (run.output / names.CORPUS_MANIFEST).unlink()
    with pytest.raises(IntegrityError):
        corpus_download.adopt(config)


@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs the real books in ../shared/gutenberg-mirror")
def test_real_books(run: Run) -> None:
    """The default corpus matches the catalogue: about 3 MB in two languages."""
    with LoopbackServer(folder=MIRROR) as server:
        record = run("gutenberg", corpus_mirrors=(server.url,))
    assert not record.details["corpus_drift"]
    assert record.warnings == []
    assert record.details["bytes"] == pytest.approx(3 << 20, rel=0.05)
    assert record.details["language_shares"]["es"] == pytest.approx(0.71, abs=0.01)
    for document in read_documents(run.output):
        assert document.train_text.endswith("\n")
        assert len(document.validation_text) == pytest.approx(
            len(document.train_text + document.validation_text) / 10, rel=0.2
        )
