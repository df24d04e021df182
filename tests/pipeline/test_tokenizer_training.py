"""Phase 3 when skipped: a tokenizer of unknown origin is used only if the user trusts it (T4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from forgery import encode_piece
from tiny_bundle import SENTENCES, train_tiny_tokenizer

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import IntegrityError
from semilla.events import silent
from semilla.pipeline.phases import corpus_download, tokenizer_training


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A directory with a corpus and a tokenizer copied from elsewhere."""
    text, output = tmp_path / "libro.txt", tmp_path / "salida"
    text.write_text(
        "".join(f"{n}: {sentence}" for n in range(40) for sentence in SENTENCES), encoding="utf-8"
    )
    output.mkdir()
    corpus_download.run(
        PipelineConfiguration(corpus_source=str(text), output_directory=str(output)), progress=silent
    )
    (output / "bilingual_8k.model").write_bytes(train_tiny_tokenizer())
    (output / "bilingual_8k.vocab").write_text("ñ\t0\n", encoding="utf-8")
    return output


def adopt(output: Path, *, trust_tokenizer: bool) -> object:
    config = PipelineConfiguration(output_directory=str(output), trust_tokenizer=trust_tokenizer)
    return tokenizer_training.adopt(config).details["vocab_size"]


def test_a_foreign_tokenizer_needs_to_be_trusted(output: Path) -> None:
    """Without --trust-tokenizer the error names the flag and the command to repeat the run with it."""
    with pytest.raises(IntegrityError, match="--trust-tokenizer") as caught:
        adopt(output, trust_tokenizer=False)
    assert caught.value.next_command is not None
    assert caught.value.next_command.endswith(" --trust-tokenizer")
    assert adopt(output, trust_tokenizer=True)


def test_a_trusted_tokenizer_is_still_checked(output: Path) -> None:
    """The checks stay: trust covers where a file comes from, not whether it crashes the parser."""
    path = output / "bilingual_8k.model"
    path.write_bytes(path.read_bytes() + encode_piece("a" * 200_000))
    with pytest.raises(IntegrityError, match="a piece has"):
        adopt(output, trust_tokenizer=True)
