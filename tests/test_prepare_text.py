"""The recipe for text of many files: what it leaves out and writes, and that the number of workers does not matter."""

from __future__ import annotations

import gzip
import html
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny_training import configure

from semilla.corpus.manifest import read_documents
from semilla.events import silent
from semilla.export.tokenizer_json import describe_tokenizer
from semilla.export.vocabulary import read_vocabulary
from semilla.pipeline.phases import corpus_download
from semilla.records import names
from semilla.stories.documents import generate_corpus
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, Tokenizer
from semilla.tokenizer.training import train_tokenizer

RECIPE = Path(__file__).parents[1] / "recipes" / "prepare_text.py"
NUM_FILES = 4
GERMAN = (
    "Die Kinder gingen mit der Großmutter in den Wald, und dort fanden sie unter den Bäumen viele Pilze. "
)

pytestmark = [
    pytest.mark.skipif(find_spec("datatrove") is None, reason="datatrove comes with the extra scale"),
    pytest.mark.slow(reason="eighty processes start, one for each task"),
]


def make_texts() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Texts to keep, texts to leave out, and near-duplicates of some of those to keep; by their names."""
    stories = [text for one in generate_corpus(seed=3, size_bytes=40_000, grade=3) for text in one.stories]
    kept = {
        f"story-{place}": "\n\n".join(stories[place : place + 2]) for place in range(0, len(stories) - 1, 2)
    }
    first, second = list(kept)[:2]
    left_out = {
        "short": "The cat sat with the dog and that was all.",
        "german": GERMAN * 2 + "Am Abend kochten sie daraus eine Suppe, die allen schmeckte. " * 2,
        "repeated": "The cat and the dog sat in the house.\n" * 20,
        "numbers": "The list of the numbers: " + " ".join(map(str, range(200))),
    }
    duplicates = {"copy": kept[first], "near": kept[second] + " The end."}
    return kept, left_out, duplicates


def write_source(folder: Path, texts: dict[str, str]) -> None:
    """Texts in turn into four files, one of them packed."""
    folder.mkdir()
    rows = [json.dumps({"text": text, "id": name}, ensure_ascii=False) for name, text in texts.items()]
    for place in range(NUM_FILES):
        content = "".join(f"{row}\n" for row in rows[place::NUM_FILES]).encode()
        if place:
            (folder / f"{place}.jsonl").write_bytes(content)
        else:
            (folder / "0.jsonl.gz").write_bytes(gzip.compress(content))


def prepare(source: Path, folder: Path, *options: str) -> None:
    command = [sys.executable, str(RECIPE), str(source), str(folder), "--languages", "en,es", *options]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]


def read_rows(folder: Path) -> list[dict[str, str]]:
    return [
        json.loads(line)
        for path in sorted((folder / "documents").iterdir())
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source, a tokenizer, and the output of four tasks, two at a time."""
    folder = tmp_path_factory.mktemp("prepare")
    kept, left_out, duplicates = make_texts()
    write_source(folder / "web", left_out | kept | duplicates)
    trained = train_tokenizer(kept.values(), vocab_size=600, model_type="unigram", is_size_explicit=False)
    (folder / "tokenizer.model").write_bytes(trained.model)
    described = describe_tokenizer(read_vocabulary(trained.model))
    (folder / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    prepare(folder / "web", folder / "two", "--workers", "2", "--tokenizer", str(folder / "tokenizer.json"))
    return folder


def test_every_bad_text_and_all_but_one_of_its_duplicates_are_left_out(prepared: Path) -> None:
    """Short, repeated, numeric and German text goes; of a text and its copy one is left, and all others are whole."""
    kept, _, duplicates = make_texts()
    first, second, *others = kept
    found = {row["id"]: row["text"] for row in read_rows(prepared / "two")}
    assert set(found) - {first, second, *duplicates} == set(others)
    assert len({first, "copy"} & set(found)) == 1
    assert len({second, "near"} & set(found)) == 1
    assert all(text == (kept | duplicates)[name] for name, text in found.items())


def test_the_output_does_not_depend_on_the_number_of_workers(prepared: Path) -> None:
    """Four tasks one after the other write the same documents and tokens, byte for byte."""
    one, two = prepared / "one", prepared / "two"
    prepare(prepared / "web", one, "--tokenizer", str(prepared / "tokenizer.json"))
    assert read_rows(one) == read_rows(two)
    files = sorted((two / "tokens").glob("*.ds*"))
    assert len(files) > NUM_FILES
    for path in files:
        assert (one / "tokens" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_tokens_are_those_that_semilla_trains_on(prepared: Path) -> None:
    """Every document has its ids from the begin token to the end token, and the index says where it ends."""
    tokenizer = Tokenizer((prepared / "tokenizer.model").read_bytes())
    expected = [
        [BEGIN_ID, *tokenizer.encode(row["text"]).tolist(), END_ID] for row in read_rows(prepared / "two")
    ]
    found = []
    for path in sorted((prepared / "two" / "tokens").glob("*.ds")):
        ends = np.fromfile(path.with_suffix(".ds.index"), "<u8").astype(np.int64)
        found += [ids.tolist() for ids in np.split(np.fromfile(path, "<u2"), ends[:-1])]
    assert found == expected


def test_a_run_reads_the_documents(prepared: Path) -> None:
    """``semilla run -i`` takes the folder; every text is in its corpus, whole."""
    directory = prepared / "run"
    directory.mkdir()
    (directory / names.LOCK).touch()
    config = configure(directory).model_copy(update={"corpus_source": str(prepared / "two" / "documents")})
    corpus_download.run(config, progress=silent)
    texts = "".join(
        text for one in read_documents(directory) for text in (*one.train_texts, *one.validation_texts)
    )
    assert [row["id"] for row in read_rows(prepared / "two") if row["text"] not in texts] == []


def write_crawl(folder: Path, texts: dict[str, str]) -> None:
    """One page for each text, in turn into four WARC files, two of them packed."""
    folder.mkdir()
    pages = list(texts.items())
    for place in range(NUM_FILES):
        is_packed = place < NUM_FILES // 2
        with (folder / f"{place}.warc{'.gz' if is_packed else ''}").open("wb") as file:
            for name, text in pages[place::NUM_FILES]:
                paragraphs = "".join(f"<p>{html.escape(one)}</p>" for one in text.split("\n") if one)
                page = (
                    f"<!DOCTYPE html><html><body><nav>Menu</nav><article>{paragraphs}</article></body></html>"
                )
                answer = f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{page}".encode()
                head = (
                    f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:{name}>\r\n"
                    f"WARC-Target-URI: http://example.com/{name}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
                    "Content-Type: application/http; msgtype=response\r\n"
                    f"Content-Length: {len(answer)}\r\n\r\n"
                )
                record = head.encode() + answer + b"\r\n\r\n"
                file.write(gzip.compress(record) if is_packed else record)


@pytest.mark.skipif(
    not all(map(find_spec, ("warcio", "cchardet", "magic", "trafilatura", "lxml_html_clean"))),
    reason="docs/scaling.md says which packages WARC files need",
)
def test_of_web_pages_the_text_is_left(tmp_path: Path) -> None:
    """Of the pages of a crawl, the prose is kept without the menu; one and two workers write the same bytes."""
    kept, left_out, _ = make_texts()
    write_crawl(tmp_path / "crawl", left_out | kept)
    for workers in ("1", "2"):
        prepare(tmp_path / "crawl", tmp_path / workers, "--workers", workers)
    found = {row["text"] for row in read_rows(tmp_path / "2")}
    expected = {text.replace("\n\n", "\n") for text in kept.values()}
    assert len(expected & found) > len(expected) / 2
    assert not any("Menu" in text or GERMAN[:20] in text for text in found)
    assert read_rows(tmp_path / "1") == read_rows(tmp_path / "2")
