"""A text that is larger than memory should be: sampled, and read from its file; the limits are lowered here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus import manifest
from semilla.corpus.manifest import StoredTexts, read_documents
from semilla.errors import IntegrityError
from semilla.events import Event, Note
from semilla.pipeline.phases import PhaseRecord, corpus_download, tokenizer_training
from semilla.stories import generate_corpus


def write_text(directory: Path) -> PipelineConfiguration:
    """A text of 120 kB in two files, as a corpus in ``directory``."""
    folder, output = directory / "textos", directory / "salida"
    folder.mkdir()
    output.mkdir()
    for document in generate_corpus(seed=1, size_bytes=120_000, grade=0):
        (folder / f"{document.language}.txt").write_text("\n\n".join(document.stories), encoding="utf-8")
    config = PipelineConfiguration(
        corpus_source=str(folder), output_directory=str(output), tokenizer_vocab_size=1000
    )
    corpus_download.run(config, progress=lambda _: None)
    return config


def learn_vocabulary(config: PipelineConfiguration) -> tuple[bytes, PhaseRecord, str]:
    """Run the phase; return the model, the record, and what was said."""
    said: list[Event] = []
    record = tokenizer_training.run(config, progress=said.append)
    model = (Path(config.output_directory) / record.artifacts[0].path).read_bytes()
    return model, record, " ".join(event.text for event in said if isinstance(event, Note))


def test_a_large_text_is_sampled_for_the_vocabulary_and_a_small_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is the same every time and said; at the limit, every sentence is learned from."""
    config = write_text(tmp_path)
    whole, record, said = learn_vocabulary(config)
    assert "sampled_bytes" not in record.details
    assert "spread evenly" not in said
    train_bytes = manifest.read_manifest(Path(config.output_directory)).train_bytes
    monkeypatch.setattr(tokenizer_training, "SAMPLED_BYTES", train_bytes)
    assert learn_vocabulary(config)[0] == whole
    monkeypatch.setattr(tokenizer_training, "SAMPLED_BYTES", train_bytes // 2)
    sampled, record, said = learn_vocabulary(config)
    assert sampled != whole
    assert record.details["sampled_bytes"] == train_bytes // 2
    assert "spread evenly over the training text" in said
    assert learn_vocabulary(config)[0] == sampled


def test_the_documents_of_a_large_text_stay_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the same texts, and the file may be replaced meanwhile; a changed file is refused."""
    config = write_text(tmp_path)
    output = Path(config.output_directory)
    small = read_documents(output)
    monkeypatch.setattr(manifest, "LARGE_BYTES", 1000)
    large = read_documents(output)
    path = output / "corpus.txt"
    copy = path.read_bytes()
    path.unlink()
    for one, other in zip(small, large, strict=True):
        assert isinstance(other.train_texts, StoredTexts)
        assert one.train_texts == tuple(other.train_texts)
        assert one.validation_text == other.validation_text
        assert list(other.train_texts[:1]) == list(one.train_texts[:1])
    path.write_bytes(copy[:-2] + b"x\n")
    with pytest.raises(IntegrityError, match="does not match its manifest"):
        read_documents(output)
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="does not match its manifest"):
        read_documents(output)


def test_a_cut_inside_a_character_of_a_large_text_is_refused() -> None:
    """As in a small one, but when the text is read."""
    data = "¡Sí!".encode()

    def read(start: int, end: int) -> bytes:
        return data[start:end]

    assert list(StoredTexts(read, [(0, len(data))], "uno")) == ["¡Sí!"]
    with pytest.raises(IntegrityError, match="inside a character"):
        StoredTexts(read, [(1, 3)], "uno")[0]


def test_a_large_text_is_encoded_before_torch_is_loaded(tmp_path: Path) -> None:
    """Both at a time would take more memory than a large text may; the training loads torch after that."""
    config = write_text(tmp_path)
    program = f"""
import sys
from semilla.configuration.schema import PipelineConfiguration
from semilla.events import ArtifactWritten
from semilla.pipeline import large_text
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import PhaseRecord, prerequisite_check
from semilla.training import stored
stored.LARGE_BYTES = large_text.LARGE_BYTES = 1000
def look(event):
    if isinstance(event, ArtifactWritten) and event.path.parent.name == "tokens":
        print(event.path.name, "torch" in sys.modules)
    if type(event).__name__ == "StepDone":
        print("step", "torch" in sys.modules)
        raise SystemExit
config = PipelineConfiguration.model_validate_json({config.model_dump_json()!r})
prerequisite_check.run = lambda *_, **__: PhaseRecord("prerequisite_check")  # it takes seconds
run_pipeline(config.model_copy(update={{"output_directory": {str(tmp_path / "run")!r}}}), listeners=[look])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, encoding="utf-8", timeout=300
    )
    told = done.stdout.split("\n")
    assert "train_00000.ds False" in told, done.stderr
    assert "held_out_00000.ds False" in told
    assert "step True" in told
