"""``semilla export --to hub`` pushes the checked folder in one commit, and tells nobody the token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from export.hub_stand_in import COMMIT, HubStandIn, Repository
from servers import find_closed_port

from semilla import cli

TOKEN = "hf_secretOfTheTest"
NAME = "ana/small-stories"
SENT = {
    "README.md", "config.json", "export.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""huggingface_hub's own use of its HTTP library."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """The stand-in, as the environment of a user who has a token. Large files go over plain HTTP."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with HubStandIn(token=TOKEN) as opened:
        monkeypatch.setenv("HF_ENDPOINT", opened.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield opened


def push(directory: Path, *words: str) -> int:
    return cli.main(["export", str(directory), "--to", "hub", "--repo", NAME, *words])


def test_every_file_of_the_folder_arrives(
    own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte, in one commit of a public repository. The card loads the model by the repository's name."""
    assert push(own_run) == 0
    folder, repository = own_run / "exports" / "hub", hub.repositories[NAME]
    assert repository.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(repository.files) == SENT
    assert not repository.is_private
    assert len(repository.messages) == 1
    assert f'from_pretrained("{NAME}")' in repository.files["README.md"].decode()
    assert f"{hub.url}/{NAME}/commit/{COMMIT}" in capsys.readouterr().out
    assert push(own_run) == 0  # a repository that exists gets another commit
    assert len(repository.messages) == 2


def test_the_token_is_nowhere(own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in the output, nor in a file of the run or the repository; also when the server repeats it."""
    assert push(own_run, "--json") == 0
    hub.failures = {"/api/models": 422}
    assert push(own_run) == 74
    shown = capsys.readouterr()
    assert "***" in shown.err
    assert TOKEN not in shown.out + shown.err
    files = [path.read_bytes() for path in own_run.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in content for content in [*files, *hub.repositories[NAME].files.values()])


def test_a_dry_run_lists_the_files_and_sends_nothing(
    own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no token, and the server gets no request."""
    monkeypatch.delenv("HF_TOKEN")
    assert push(own_run, "--dry-run", "--private") == 0
    out = capsys.readouterr().out
    listed = out.partition("nothing was sent")[2]
    assert f"the private repository {NAME} would get" in listed
    for path in (own_run / "exports" / "hub").iterdir():
        assert f"{path.name}" in listed
        assert f"{path.stat().st_size:,} bytes" in listed
    assert hub.requests == []


def test_private_creates_a_private_repository(
    own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert push(own_run, "--private", "--json") == 0
    assert hub.repositories[NAME].is_private
    report = json.loads(capsys.readouterr().out)
    assert (report["repository"], report["private"]) == (NAME, True)


def test_private_never_publishes(own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """A repository that exists and is public is left as it is."""
    hub.repositories[NAME] = Repository(is_private=False)
    assert push(own_run, "--private") == 64
    assert "exists and is public, so nothing was sent" in capsys.readouterr().err
    assert hub.repositories[NAME].files == {}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_a_wrong_setting(
    own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    hub.failures = {"/api/repos/create": status}
    assert push(own_run) == 64
    assert f"the Hub refused the token in HF_TOKEN for {NAME} (HTTP {status})" in capsys.readouterr().err


def test_a_hub_that_is_not_there_is_a_network_error(
    own_run: Path, hub: HubStandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export is kept."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{find_closed_port()}")
    assert push(own_run) == 74
    err = capsys.readouterr().err
    assert "error[network] export: the Hub could not be reached" in err
    assert "kept: the export on this machine; nothing was published" in err
    assert (own_run / "exports" / "hub" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "hub"], "--repo OWNER/NAME"),
        (["--to", "hub", "--repo", "stories"], "write OWNER/NAME, such as my-name/stories"),
        (["--to", "hub", "--repo", "../x"], "--repo ../x"),
        (["--to", "hub", "--repo", NAME], "HF_TOKEN is not set"),
        (["--to", "onnx", "--private", "--dry-run"], "--private, --dry-run: only for --to hub"),
    ],
    ids=["no repository", "no owner", "no name", "no token", "other target"],
)
def test_wrong_options_are_refused_before_anything_is_written(
    own_run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert cli.main(["export", str(own_run), *words]) == 64
    assert message in capsys.readouterr().err
    assert not (own_run / "exports").exists()
