"""A large text is cleaned in several processes: corpus, manifest and messages are the same for any number."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from killed_workers import kill_worker

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus import own_files
from semilla.corpus.formats import pieces, recoding
from semilla.corpus.language import load_identifier
from semilla.errors import InvalidCorpusError, KilledError
from semilla.events import Event
from semilla.pipeline.phases import corpus_download

WORDS = "río casa verde lámpara nadie carta — «sí» the river, old house letter; came from far 🦊".split()


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files over 4,000 bytes are large, pieces have 3,000, and 1,000 bytes are a large text."""
    monkeypatch.setattr(pieces, "LARGE_FILE_BYTES", 4000)
    monkeypatch.setattr(recoding, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 3000)
    monkeypatch.setattr(own_files, "LARGE_FILE_BYTES", 1000)
    monkeypatch.setattr(corpus_download, "LARGE_BYTES", 1000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts that are cut, rows, wrapped lines, repetitions, personal data, and files that give no text."""
    folder = tmp_path / "textos"
    folder.mkdir()
    draw = random.Random(3)
    paragraphs = [" ".join(draw.choices(WORDS, k=40)) + "." for _ in range(60)]
    paragraphs[41], paragraphs[50] = paragraphs[3].upper(), paragraphs[7].replace("casa", "caza", 1)
    (folder / "a.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    rows = [*paragraphs[20:40], "Escribe a ana@example.org o llama al +34 612 345 678.", paragraphs[20], " "]
    (folder / "b.jsonl").write_text(
        "".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8"
    )
    (folder / "c.txt").write_bytes(b"\x89PNG" + bytes(900))
    (folder / "d.txt").write_text("\n\n".join(paragraphs[40:]), encoding="utf-8")
    (folder / "e.txt").write_text(" \n\n" * 20, encoding="utf-8")
    wrapped = "\n".join(" ".join(draw.choices(WORDS, k=11)) for _ in range(120))
    (folder / "f.txt").write_text(f"Título\n\n{wrapped}\n\nfin\ufeff\xa0de todo\n", encoding="utf-8")
    (folder / "g.md").write_text("# Nota\n\n" + "\n\n".join(paragraphs[10:12]), encoding="utf-8")
    (folder / "h.pdf").write_bytes(b"%PDF-1.4 broken")
    return folder


def configure(source: Path, output: Path, **settings: Any) -> PipelineConfiguration:
    output.mkdir(exist_ok=True)
    values = {"corpus_source": str(source), "output_directory": str(output), **settings}
    return PipelineConfiguration.model_validate(
        values | {"training_hyperparameters": {"max_sequence_length": 64}}
    )


def clean(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *, num_processes: int, **settings: Any
) -> tuple[dict[str, bytes], list[str]]:
    """Make the corpus; return its files, and what was said but for the names of files."""
    monkeypatch.setattr(own_files, "count_cores", lambda: num_processes)
    said: list[Event] = []
    corpus_download.run(configure(source, output, **settings), progress=said.append)
    files = {path.name: path.read_bytes() for path in sorted(output.iterdir())}
    return files, [repr(event).replace(str(output), "") for event in said]


@pytest.mark.parametrize("dedupe", [False, True])
def test_the_corpus_is_the_same_for_any_number_of_processes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, dedupe: bool
) -> None:
    """One process, two, and three: the corpus, the manifest, and every event in its order."""
    one, two, three = (
        clean(folder, tmp_path / str(count), monkeypatch, num_processes=count, dedupe=dedupe)
        for count in (1, 2, 3)
    )
    assert one == two == three
    assert load_identifier.cache_info().currsize == 0  # its memory was given back
    files, said = one
    manifest = json.loads(files["corpus_manifest.json"])
    assert len(manifest["documents"]) > 6
    left_out = {Path(left["path"]).name for left in manifest["left_out"]}
    assert left_out >= {"c.txt", "e.txt", "h.pdf"}
    told = " ".join(said)
    assert all(part in told for part in ("1 e-mail addresses and 1 telephone numbers", "come again", "c.txt"))


def test_errors_are_the_same_for_any_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text in an unknown encoding, after texts that are still being cleaned; and a folder without text."""
    folder = tmp_path / "textos"
    folder.mkdir()
    (folder / "a.txt").write_text("\n\n".join(" ".join(WORDS) * 9 for _ in range(9)), encoding="utf-8")
    (folder / "b.txt").write_bytes("Él durmió.\n\n".encode("latin-1") * 200)
    empty = tmp_path / "nada"
    empty.mkdir()
    for number in range(4):
        (empty / f"{number}.txt").write_text(" \n" * 600, encoding="utf-8")
    for source in (folder, empty):
        found = []
        for count in (1, 3):
            with pytest.raises(InvalidCorpusError) as caught:
                clean(source, tmp_path / f"{source.name}{count}", monkeypatch, num_processes=count)
            found.append((str(caught.value), caught.value.next_command))
        assert found[0][0] == found[1][0]


def test_a_killed_process_ends_the_cleaning_and_the_next_one_is_complete(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL of a process that has cleaned a piece and waits for its next: said, and no corpus is left."""
    whole, _ = clean(folder, tmp_path / "whole", monkeypatch, num_processes=1)
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        kill_worker(5, patch)
        with pytest.raises(KilledError, match="a process of the run was killed by SIGKILL"):
            clean(folder, output, monkeypatch, num_processes=2)
    assert list(output.iterdir()) == []
    files, _ = clean(folder, output, monkeypatch, num_processes=2)
    assert files == whole
