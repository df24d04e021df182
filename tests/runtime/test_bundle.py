"""A bundle is only read when every byte is as it was written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import describe_model, draw_weights, train_tiny_tokenizer, write_tiny_bundle

from semilla.errors import IncompatibleError, IntegrityError, InvalidConfigError
from semilla.export.bundle import write_bundle
from semilla.records.files import hash_file
from semilla.runtime.bundle import Bundle, GenerationSettings, hash_description, read_bundle
from semilla.runtime.session import load
from semilla.tokenizer.tokenizer import NEWLINE_ID

FILES = ["bundle.json", "model.onnx", "tokenizer.model"]


@pytest.fixture
def bundle_dir(run_dir: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(run_dir / "bundle", tmp_path / "bundle"))


def rewrite_description(bundle_dir: Path, **changes: Any) -> None:
    """Change the description, and correct its hash."""
    description = {**json.loads((bundle_dir / "bundle.json").read_text()), **changes}
    description["sha256"] = hash_description(description)
    (bundle_dir / "bundle.json").write_text(json.dumps(description))


def describe_files(bundle_dir: Path) -> dict[str, Any]:
    return {
        name: {"sha256": hash_file(bundle_dir / name), "size_bytes": (bundle_dir / name).stat().st_size}
        for name in FILES[1:]
    }


def describe_files_unread(bundle_dir: Path, name: str) -> dict[str, Any]:
    """The files as described, ``name`` with the size it has now."""
    files = json.loads((bundle_dir / "bundle.json").read_text())["files"]
    files[name]["size_bytes"] = (bundle_dir / name).stat().st_size
    return dict(files)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Shape, settings, languages, licence and provenance are read back; the rest has its default."""
    bundle = read_bundle(write_tiny_bundle(tmp_path, generation={"temperature": 0.5, "stop": ["FIN"]}))
    assert bundle == Bundle(
        directory=tmp_path,
        model=describe_model(),
        settings=GenerationSettings(temperature=0.5, stop=("FIN",)),
        start_token_ids=(NEWLINE_ID,),
        languages=("en", "es"),
        licence="CC0-1.0",
        provenance={"documents": [{"title": "La niña y el río", "language": "es"}]},
    )


def test_a_bundle_holds_exactly_three_files(run_dir: Path) -> None:
    """Nothing else ships, and no file contains the path of its folder."""
    assert sorted(path.name for path in (run_dir / "bundle").iterdir()) == FILES
    assert str(run_dir) not in (run_dir / "bundle" / "bundle.json").read_text()


def test_a_bundle_may_be_moved(run_dir: Path, tmp_path: Path) -> None:
    """The run's directory, its bundle, and a copy elsewhere under a name with accents give the same text."""
    copy = Path(shutil.copytree(run_dir / "bundle", tmp_path / "niña 🌱"))
    texts = {
        load(path).generate("¿Qué", seed=1, max_tokens=20) for path in (run_dir, run_dir / "bundle", copy)
    }
    assert len(texts) == 1


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_noticed(bundle_dir: Path, name: str) -> None:
    """With any bit flipped the bundle is refused, or (white space between JSON fields) reads the same."""
    path = bundle_dir / name
    intact, expected = path.read_bytes(), read_bundle(bundle_dir)
    step = max(1, len(intact) // 150)
    refused = 0
    for place in range(0, len(intact), step):
        damaged = bytearray(intact)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert read_bundle(bundle_dir) == expected
        except (IntegrityError, IncompatibleError):
            refused += 1
    assert refused >= (0.6 if name == "bundle.json" else 1) * len(range(0, len(intact), step))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [None, 0, 0.5])
def test_a_missing_or_short_file_is_noticed(bundle_dir: Path, name: str, size: float | None) -> None:
    """An incomplete copy of a bundle is refused before anything in it is parsed."""
    path = bundle_dir / name
    data = path.read_bytes()
    path.unlink()
    if size is not None:
        path.write_bytes(data[: int(len(data) * size)])
    with pytest.raises(IntegrityError):
        load(bundle_dir)


def test_damage_names_the_file_and_the_way_on(bundle_dir: Path) -> None:
    """The error says which file it is, and that validating again writes a new bundle."""
    (bundle_dir / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(IntegrityError, match=r"model\.onnx") as caught:
        read_bundle(bundle_dir.parent)
    assert caught.value.next_command == f"semilla validate {bundle_dir.parent}"


def test_a_checkpoint_is_not_opened(tmp_path: Path) -> None:
    """A .pt file, even one that would run code when unpickled, is refused unread; the error names the bundle."""
    checkpoint = tmp_path / "best_model.pt"
    checkpoint.write_bytes(b"cbuiltins\nexit\n(I9\ntR.")
    with pytest.raises(IntegrityError, match="bundle") as caught:
        load(checkpoint)
    assert caught.value.next_command == f"semilla validate {tmp_path}"
    write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(IntegrityError) as caught:
        load(checkpoint)
    assert caught.value.next_command == f"semilla generate --model {tmp_path}"


def test_nothing_there_is_a_mistake_of_the_command(tmp_path: Path) -> None:
    """A folder that does not exist is a configuration error, one without a model an integrity error."""
    with pytest.raises(InvalidConfigError, match="no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(IntegrityError, match="no finished model"):
        load(tmp_path)


def test_a_bundle_of_the_future_is_refused(bundle_dir: Path) -> None:
    """A newer format asks for a newer Semilla."""
    rewrite_description(bundle_dir, bundle_version=4)
    with pytest.raises(IncompatibleError, match="version 4"):
        load(bundle_dir)


def test_a_bundle_of_the_past_is_refused_with_the_way_on(bundle_dir: Path) -> None:
    """The error for an old float32 bundle says how to write a new one: validate the run."""
    rewrite_description(bundle_dir, bundle_version=1)
    with pytest.raises(IncompatibleError, match="version 1, of an earlier Semilla") as caught:
        load(bundle_dir)
    assert caught.value.next_command == f"semilla validate {bundle_dir.parent}"


@pytest.mark.parametrize("name", FILES[1:])
def test_files_too_large_for_a_bundle_are_not_read(bundle_dir: Path, name: str) -> None:
    """A size beyond any model is refused before a byte of the file is hashed or loaded."""
    with (bundle_dir / name).open("r+b") as file:
        file.truncate(2**40)  # sparse: it takes no room
    files = describe_files_unread(bundle_dir, name)
    rewrite_description(bundle_dir, files=files)
    with pytest.raises(IntegrityError, match="no bundle has such a file"):
        load(bundle_dir)


def test_a_description_too_large_is_not_read(bundle_dir: Path) -> None:
    """64 MB hold the list of documents of any corpus."""
    with (bundle_dir / "bundle.json").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(IntegrityError, match="no bundle has such a file"):
        load(bundle_dir)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"max_position_embeddings": 10**15}},
        {"model": {"num_attention_heads": 0}},
        {"model": {"vocab_size": "many"}},
        {"model": []},
        {"generation": {"temperature": 0.8}},
        {"generation": {"temperature": -1, "start_token_ids": [3]}},
        {"generation": {"start_token_ids": [10**6]}},
        {"generation": {"start_token_ids": []}},
        {"files": {"model.onnx": {"path": "/etc/passwd"}}},
        {"languages": None},
    ],
)
def test_a_forged_description_is_an_integrity_error(bundle_dir: Path, changes: dict[str, Any]) -> None:
    """A description that makes no sense is refused even when its hash is right."""
    if changes.get("model"):
        changes = {"model": {**describe_model(), **changes["model"]}}
    rewrite_description(bundle_dir, **changes)
    with pytest.raises(IntegrityError):
        load(bundle_dir)


def test_files_of_different_models_are_incompatible(bundle_dir: Path, tmp_path: Path) -> None:
    """A network of another width is refused, even if its hash is right."""
    other = write_tiny_bundle(tmp_path / "other", hidden_size=128)
    shutil.copy(other / "model.onnx", bundle_dir / "model.onnx")
    rewrite_description(bundle_dir, files=describe_files(bundle_dir))
    with pytest.raises(IncompatibleError, match="another shape"):
        load(bundle_dir)


def test_garbage_with_the_right_hash_is_an_integrity_error(
    bundle_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that ONNX Runtime cannot parse is an error of ours, and the runtime logs nothing."""
    (bundle_dir / "model.onnx").write_bytes(b"\x08\x08garbage" * 50)
    rewrite_description(bundle_dir, files=describe_files(bundle_dir))
    with pytest.raises(IntegrityError, match=r"model\.onnx cannot be loaded"):
        load(bundle_dir)
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_of_another_vocabulary_is_not_bundled(tmp_path: Path) -> None:
    """Writing checks that tokenizer and model have the same number of tokens, and leaves nothing behind."""
    model = describe_model(vocab_size=999)
    with pytest.raises(IncompatibleError, match="999"):
        write_bundle(
            tmp_path / "bundle",
            weights=draw_weights(model),
            model=model,
            tokenizer_model=train_tiny_tokenizer(),
            generation={},
            provenance={},
        )
    assert list(tmp_path.iterdir()) == []


def test_generating_imports_only_the_core(run_dir: Path) -> None:
    """From loading to text, nothing of training, configuration or terminal is imported."""
    code = (
        "import sys, semilla; semilla.load(sys.argv[1]).generate('Había', max_tokens=3); "
        "banned = {'torch', 'pydantic', 'rich', 'onnx', 'urllib3', 'psutil', 'numpy.random'}; "
        "banned |= {'semilla.configuration.schema'}; "
        "print(sorted(banned & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, run_dir], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
