"""Data sets of the Hugging Face Hub: which files are read, at which commit, and what is said when they are refused."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from servers import LoopbackServer, Reply, find_closed_port, redirect, send, send_raw

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.data_set import DataFile, Listing, choose_files, read_address, read_listing
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.corpus.formats import reading
from semilla.corpus.manifest import CorpusManifest, read_manifest
from semilla.corpus.sources import resolve_source
from semilla.errors import DependencyError, InvalidCorpusError, NetworkError, SemillaError
from semilla.events import Event, Note
from semilla.pipeline.phases import corpus_download
from semilla.prerequisites.source import check_source

NAME, COMMIT, TOKEN = "ana/cuentos", "0123456789abcdef" * 2 + "01234567", "hf_secretOfTheTest"
LISTING = f"/api/datasets/{NAME}/revision/main?blobs=true"
POLICY = FetchPolicy(read_timeout_s=2.0, backoff_s=(0.0,), sleep=lambda seconds: None)
STORIES = [f"La niña número {n} soñó con el mar, y el gato {n * 7} le dijo: «¡Ven!». 🌱" for n in range(60)]


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def write_jsonl(stories: Sequence[str]) -> bytes:
    return "".join(f"{json.dumps({'id': n, 'cuento': one})}\n" for n, one in enumerate(stories)).encode()


def write_parquet(stories: Sequence[str]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": ["x" * 500] * len(stories), "cuento": stories}), file)
    return file.getvalue()


def describe(files: Mapping[str, bytes], **card: Any) -> dict[str, Any]:
    """The Hub's answer about a repository with these files."""
    siblings = [
        {
            "rfilename": path,
            "size": len(data),
            "blobId": "0" * 40,
            **({"lfs": {"sha256": hashlib.sha256(data).hexdigest()}} if path.endswith(".parquet") else {}),
        }
        for path, data in files.items()
    ]
    return {"id": NAME, "sha": COMMIT, "private": False, "siblings": siblings, "cardData": card or None}


def serve(
    files: Mapping[str, bytes], *, routes: Mapping[str, Reply] | None = None, **card: Any
) -> LoopbackServer:
    """A stand-in for the Hub: the list of one data set, and its files at one commit."""
    found = {locate(path): send(data, headers={"ETag": f'"{path}"'}) for path, data in files.items()}
    answer = send(json.dumps(describe(files, **card)).encode(), content_type="application/json")
    return LoopbackServer({LISTING: answer, **found, **(routes or {})})


def locate(path: str) -> str:
    return f"/datasets/{NAME}/resolve/{COMMIT}/{path}"


def make_corpus(
    folder: Path,
    server: LoopbackServer | str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    inside: str = "",
    **settings: Any,
) -> tuple[CorpusManifest, str, list[Event]]:
    """The manifest, the corpus and the events of phase 2 with this data set."""
    monkeypatch.setenv("HF_ENDPOINT", server if isinstance(server, str) else server.url)
    events: list[Event] = []
    config = PipelineConfiguration(
        corpus_source=f"hf://datasets/{NAME}{inside}",
        output_directory=str(folder),
        text_column="cuento",
        corpus_languages=("es",),
        training_hyperparameters={"max_sequence_length": 32},
        **settings,
    )
    corpus_download.run(config, progress=events.append, policy=POLICY)
    manifest = read_manifest(folder)
    return manifest, (folder / manifest.corpus_file).read_text(encoding="utf-8"), events


@pytest.mark.parametrize(("suffix", "write"), [("jsonl", write_jsonl), ("parquet", write_parquet)])
def test_the_rows_for_training_are_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, write: Any
) -> None:
    """Of every file for training, at one commit; the other splits are named, and nothing else is fetched."""
    files = {
        ".gitattributes": b"* lfs",
        "README.md": b"# Cuentos",
        f"data/train-00000-of-00002.{suffix}": write(STORIES[:30]),
        f"data/train-00001-of-00002.{suffix}": write(STORIES[30:]),
        f"data/test-00000-of-00001.{suffix}": write(["Para probar."]),
    }
    with serve(files, license="cc0-1.0") as server:
        manifest, corpus, events = make_corpus(tmp_path, server, monkeypatch)
        assert server.requests == [LISTING, *(locate(path) for path in files if "train" in path)]
        assert not any(b"authorization" in head.lower() for head in server.heads)
    assert corpus.split() == " ".join(STORIES).split()
    assert [entry.provenance.source for entry in manifest.documents] == [
        f"hf://datasets/{NAME}@{COMMIT}/{path}" for path in files if "train" in path
    ]
    assert [len(entry.document_bytes) for entry in manifest.documents] == [30, 30]
    assert {entry.provenance.licence for entry in manifest.documents} == {"cc0-1.0"}
    assert {one.path.partition(f"{NAME}/")[2]: one.reason for one in manifest.left_out} == {
        ".gitattributes": "hidden",
        "README.md": "not data",
        f"data/test-00000-of-00001.{suffix}": "other split",
    }
    size_mb = sum(len(data) for path, data in files.items() if "train" in path) / (1 << 20)
    first = next(event.text for event in events if isinstance(event, Note))
    assert first.startswith(
        f"hf://datasets/{NAME} is read at commit {COMMIT[:10]}: 2 files, {size_mb:.1f} MB, licence cc0-1.0; left out: "
    )


@pytest.mark.parametrize("inside", ["=3", "/train.jsonl=3", "@main=3"])
def test_a_data_set_has_a_weight_like_any_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """It is no part of the address."""
    with serve({"train.jsonl": write_jsonl(STORIES)}) as server:
        manifest, _, _ = make_corpus(tmp_path, server, monkeypatch, inside=inside)
        assert server.requests == [LISTING, locate("train.jsonl")]
    assert [(entry.weight, len(entry.document_bytes)) for entry in manifest.documents] == [(3, 60)]


def test_a_second_run_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list and the files are kept with the run, so the commit stays the same too."""
    with serve({"train.jsonl": write_jsonl(STORIES)}) as server:
        _, before, _ = make_corpus(tmp_path, server, monkeypatch)
        _, after, _ = make_corpus(tmp_path, server, monkeypatch)
        assert server.requests == [LISTING, locate("train.jsonl")]
    assert before == after


def test_a_cut_file_is_resumed_where_it_was_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request asks for the rest, and the hash of the whole is the Hub's."""
    data = write_parquet(STORIES)
    half = len(data) // 2
    head = f'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: {len(data)}\r\n\r\n'.encode()
    rest = send(
        data[half:],
        status="206 Partial Content",
        headers={"ETag": '"x"', "Content-Range": f"bytes {half}-{len(data) - 1}/{len(data)}"},
    )
    route: Any = {locate("train.parquet"): [send_raw(head + data[:half]), rest]}
    with serve({"train.parquet": data}, routes=route) as server:
        manifest, _, _ = make_corpus(tmp_path, server, monkeypatch)
        assert f"range: bytes={half}-".encode() in server.heads[2].lower()
    assert manifest.documents[0].provenance.file_sha256 == hashlib.sha256(data).hexdigest()


def test_a_file_that_is_not_the_listed_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves nothing behind that a later run would use."""
    route = {locate("train.parquet"): send(write_parquet(["Otro cuento."]))}
    with (
        serve({"train.parquet": write_parquet(STORIES)}, routes=route) as server,
        pytest.raises(NetworkError, match="another SHA-256"),
    ):
        make_corpus(tmp_path, server, monkeypatch)
    assert len(list((tmp_path / "downloads").iterdir())) == 2  # the list and its record


def test_the_token_goes_to_the_hub_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the server that it redirects to, nor into any file, message or address."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    data = write_jsonl(STORIES)
    with LoopbackServer({"/cdn?signature=abc": send(data)}) as other:
        route = {locate("train.jsonl"): redirect(f"{other.url}/cdn?signature=abc")}
        with serve({"train.jsonl": data}, routes=route) as server:
            _, _, events = make_corpus(tmp_path, server, monkeypatch)
            assert all(f"Authorization: Bearer {TOKEN}".encode() in head for head in server.heads)
        assert not any(b"authorization" in head.lower() for head in other.heads)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in files
    assert b"signature=abc" not in files
    assert TOKEN not in str(events)


@pytest.mark.parametrize(
    ("status", "words", "command"),
    [
        (
            "401 Unauthorized",
            "private or gated. For the latter, accept its conditions at",
            "read -rs HF_TOKEN",
        ),
        ("403 Forbidden", "put a token with read access into HF_TOKEN", "read -rs HF_TOKEN"),
        (
            "404 Not Found",
            f"has no hf://datasets/{NAME} (HTTP 404 Not Found)",
            "semilla run --corpus-source sample",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, words: str, command: str
) -> None:
    """One request, one error; it never repeats the server's words about the token."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with LoopbackServer({LISTING: send(f"bad {TOKEN}".encode(), status=status)}) as server:
        with pytest.raises(InvalidCorpusError) as caught:
            make_corpus(tmp_path, server, monkeypatch)
        assert len(server.requests) == 1
    assert words in caught.value.message
    assert (caught.value.next_command or "").startswith(command)
    assert TOKEN not in caught.value.message


def test_a_gated_file_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of a gated data set is public."""
    route = {locate("train.jsonl"): send(b"gated", status="401 Unauthorized")}
    with (
        serve({"train.jsonl": write_jsonl(STORIES)}, routes=route) as server,
        pytest.raises(InvalidCorpusError, match=r"refuses train\.jsonl .*gated"),
    ):
        make_corpus(tmp_path, server, monkeypatch)


def test_a_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the network, with what works without one; the check before a run only warns."""
    address = f"http://127.0.0.1:{find_closed_port()}"
    with pytest.raises(
        NetworkError, match=r"could not download hf://datasets/ana/cuentos: 127\.0\.0\.1"
    ) as caught:
        make_corpus(tmp_path, address, monkeypatch)
    assert caught.value.next_command == "semilla run --corpus-source sample"
    check = check_source(
        PipelineConfiguration(corpus_source=f"hf://datasets/{NAME}", output_directory=str(tmp_path))
    )
    assert not check.required
    assert "127.0.0.1 may not serve the text" in (check.advice or "")


@pytest.mark.parametrize(
    "answer", [b"[]", b"<html>", b'{"sha": "../../x", "siblings": []}', b'{"siblings": 5}']
)
def test_an_answer_that_is_no_list_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with (
        LoopbackServer({LISTING: send(answer)}) as server,
        pytest.raises(InvalidCorpusError, match="is not a list of files"),
    ):
        make_corpus(tmp_path, server, monkeypatch)


def test_a_missing_package_is_named_before_anything_large_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "list_missing", list)
    with serve({"train.parquet": write_parquet(STORIES)}) as server:
        with pytest.raises(DependencyError, match="pyarrow") as caught:
            make_corpus(tmp_path, server, monkeypatch)
        assert server.requests == [LISTING]
    assert "text" in (caught.value.next_command or "")


# ---- which files


def choose(address: str, files: Mapping[str, int], **card: Any) -> tuple[list[str], dict[str, str]]:
    """The paths that are read, and the reasons of the others."""
    siblings = [DataFile(rfilename=path, size=size) for path, size in files.items()]
    choice = choose_files(Listing(sha=COMMIT, siblings=siblings, cardData=card), read_address(address))
    left_out = {one.path.split(NAME)[1].split("/", 1)[1]: one.reason for one in choice.left_out}
    return [one.path for one in choice.files], left_out


CONFIGS = [
    {
        "config_name": "en",
        "data_files": [{"split": "train", "path": "en/train-*"}, {"split": "dev", "path": "en/dev*"}],
    },
    {
        "config_name": "es",
        "default": True,
        "data_files": [{"split": "train", "path": ["es/a*", "es/**/b.csv"]}],
    },
    {"config_name": "all", "data_files": "*.csv"},
]
CARD_FILES = {
    "en/train-0.csv": 1,
    "en/dev.csv": 1,
    "es/a.csv": 1,
    "es/x/y/b.csv": 1,
    "top.csv": 1,
    "rest/z.csv": 1,
}


@pytest.mark.parametrize(
    ("inside", "chosen"),
    [
        ("", ["es/a.csv", "es/x/y/b.csv"]),
        ("/en", ["en/train-0.csv"]),
        ("/en/dev", ["en/dev.csv"]),
        ("/all", ["top.csv"]),
        ("/rest/z.csv", ["rest/z.csv"]),
    ],
)
def test_the_card_lists_subsets_and_splits(inside: str, chosen: list[str]) -> None:
    """The default subset, or the one that is named."""
    assert choose(f"hf://datasets/{NAME}{inside}", CARD_FILES, configs=CONFIGS)[0] == chosen


def test_files_of_other_subsets_are_named() -> None:
    assert choose(f"hf://datasets/{NAME}", CARD_FILES, configs=CONFIGS)[1] == {
        "en/dev.csv": "other subset",
        "en/train-0.csv": "other subset",
        "rest/z.csv": "not data",
        "top.csv": "other subset",
    }


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ("data.csv", "data.csv"),
        ("my_train_file.csv test.csv validation1.csv", "my_train_file.csv"),
        ("train/a.csv train/b.csv dev/a.csv", "train/a.csv train/b.csv"),
        ("uno.csv dos.csv eval.csv", "dos.csv uno.csv"),
        ("uno.csv train.csv", "train.csv"),
        ("test.csv", "test.csv"),
        ("trainer.csv contest.csv", "contest.csv trainer.csv"),
        ("a.jsonl b.jsonl all.txt load.py README.md dataset_infos.json", "a.jsonl b.jsonl"),
    ],
)
def test_names_tell_the_split(files: str, chosen: str) -> None:
    """As the Hub documents it; what names no split is for training unless other files are."""
    assert choose(f"hf://datasets/{NAME}", dict.fromkeys(files.split(), 1))[0] == chosen.split()


@pytest.mark.parametrize(
    ("inside", "chosen"),
    [
        ("/test", "b/test.csv"),
        ("/validation", "b/valid.csv"),
        ("/b", "b/train.csv"),
        ("/b/*.csv", "b/test.csv b/train.csv b/valid.csv"),
        ("/b/valid.csv", "b/valid.csv"),
        ("@refs/convert/parquet/b", "b/train.csv"),
    ],
)
def test_a_split_a_folder_a_pattern_or_a_file_is_named(inside: str, chosen: str) -> None:
    files = dict.fromkeys(["b/train.csv", "b/test.csv", "b/valid.csv"], 1)
    assert choose(f"hf://datasets/{NAME}{inside}", files)[0] == chosen.split()


@pytest.mark.parametrize("name", ["train.parquet", "train.csv", "train.jsonl.zst", "train.md"])
def test_a_file_that_is_read_in_pieces_may_be_large(name: str) -> None:
    assert choose(f"hf://datasets/{NAME}", {name: 200 << 20}) == ([name], {})


@pytest.mark.parametrize(
    ("inside", "files", "words"),
    [
        (
            "/dev2",
            {"train.csv": 1, "test.csv": 1},
            r"there are test, train, such as hf://datasets/ana/cuentos/test",
        ),
        ("/a/b/c", {"train.csv": 1}, "has no file or folder a/b/c"),
        ("", {"a.png": 1, "b.py": 1}, "has no file that Semilla reads"),
        (
            "",
            {"train.json": 200 << 20},
            r"no file .* is small enough: .*train.json has 200.0 MB; a file of this format may have 128.0 MB",
        ),
        (
            "",
            {f"train-{n}.csv": 100 << 20 for n in range(11)},
            r"1,100.0 MB in 11 files, .* such as .*/train-0.csv",
        ),
    ],
    ids=["split", "path", "nothing", "file too large", "all too large"],
)
def test_what_cannot_be_chosen_is_said(inside: str, files: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidCorpusError, match=words):
        choose(f"hf://datasets/{NAME}{inside}", files)


def test_a_list_that_may_be_cut_is_refused() -> None:
    """The Hub does not list all files of a very large repository."""
    siblings = [{"rfilename": f"{n}.csv"} for n in range(50_000)]
    answer = json.dumps({"sha": COMMIT, "siblings": siblings}).encode()
    with pytest.raises(InvalidCorpusError, match="50,000 files or more"):
        read_listing(answer, read_address(f"hf://datasets/{NAME}"))


def test_addresses() -> None:
    """A name without owner needs a revision before a path."""
    assert resolve_source(f"hf://datasets/{NAME}").kind == "data set"
    assert str(read_address("hf://datasets/a/b@v1.0/x/y.csv")) == "hf://datasets/a/b@v1.0/x/y.csv"
    one = read_address("hf://datasets/cuentos@main/train.csv")
    assert (one.name, one.revision, one.inside) == ("cuentos", "main", "train.csv")


@pytest.mark.parametrize(
    "address", ["hf://datasets/", "hf://datasets/../x", "hf://datasets/a b", "hf://models/a/b"]
)
def test_an_address_that_names_nothing_is_refused_before_a_run(address: str, tmp_path: Path) -> None:
    check = check_source(PipelineConfiguration(corpus_source=address, output_directory=str(tmp_path)))
    assert not check.ok
    assert isinstance(check.error, SemillaError)
    assert "hf://datasets/" in check.error.message
