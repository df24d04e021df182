"""Hugging Face folders of Llama models become models that Semilla can go on training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from safetensors.numpy import load_file, save_file
from small_runs import read, write_text

from semilla import cli
from semilla.configuration.schema import ModelArchitecture
from semilla.errors import IncompatibleError
from semilla.export.llama_folder import MAX_PIECES, convert_tokenizer, read_llama_folder
from semilla.model.transformer import Transformer
from semilla.tokenizer.tokenizer import NEWLINE_ID, Tokenizer

transformers: Any = pytest.importorskip("transformers")


def train_llama_tokenizer(folder: Path, *, vocab_size: int = 400) -> None:
    """A tokenizer like that of Llama 2: bytes, a space before every text, and no piece for a line break."""
    text = write_text(folder / "text.txt", num_lines=400)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small Llama with shared keys and values, as transformers saves it."""
    folder = tmp_path_factory.mktemp("llama")
    train_llama_tokenizer(folder)
    torch.manual_seed(0)
    configuration = transformers.LlamaConfig(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=48,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    transformers.LlamaForCausalLM(configuration).save_pretrained(folder)
    return folder


def test_logits_are_those_of_transformers(folder: Path) -> None:
    found = read_llama_folder(folder)
    _, rows = convert_tokenizer((folder / "tokenizer.model").read_bytes(), name="tokenizer")
    shape = ModelArchitecture(num_layers=2, d_model=64, num_heads=4, dim_feedforward=128)
    model = Transformer(shape, vocab_size=len(rows), max_positions=48)
    model.load_state_dict({name: torch.tensor(value) for name, value in found.weights.items()})
    ids = torch.from_numpy(np.random.default_rng(0).integers(4, len(rows), size=(2, 40)))
    with torch.inference_mode():
        ours = model.compute_logits(model(ids))
        network = transformers.LlamaForCausalLM.from_pretrained(folder)
        theirs = network(torch.from_numpy(rows)[ids]).logits[..., torch.from_numpy(rows)]
    assert theirs.abs().max() > 1
    assert (ours - theirs).abs().max() < 1e-4


def test_the_tokenizer_gets_a_line_break_and_no_space(folder: Path) -> None:
    found = read_llama_folder(folder)
    tokenizer = Tokenizer(found.tokenizer_model)
    text = "¿Dónde está?\n\nMira  dos espacios, 🌱"
    assert tokenizer.vocab_size == 401
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("a\nb").tolist().count(NEWLINE_ID) == 1
    embedding = found.weights["model.embed_tokens.weight"]
    kept = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    old = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert (embedding[NEWLINE_ID] == kept[old.PieceToId("<0x0A>")]).all()
    assert (embedding[4:] == kept[3:]).all()


def test_a_full_vocabulary_loses_its_last_piece() -> None:
    from sentencepiece import sentencepiece_model_pb2

    proto: Any = sentencepiece_model_pb2
    model = proto.ModelProto()
    kinds = proto.ModelProto.SentencePiece
    for piece, kind in (("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)):
        model.pieces.add(piece=piece, type=kind)
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", type=kinds.BYTE)
    for place in range(MAX_PIECES - 259):
        model.pieces.add(piece=f"p{place}", score=-place)
    model.trainer_spec.vocab_size = MAX_PIECES
    model.trainer_spec.byte_fallback = True
    converted, rows = convert_tokenizer(model.SerializeToString(), name="tokenizer")
    assert len(rows) == Tokenizer(converted).vocab_size == MAX_PIECES
    assert rows.tolist() == [0, 1, 2, 13, *range(3, MAX_PIECES - 1)]


def test_a_training_goes_on_from_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_text(tmp_path / "libro.txt", num_lines=600)
    words = ["run", "-o", str(tmp_path / "run"), "-i", str(source), "--start-from", str(folder)]
    small = ["--num-epochs", "1", "--num-threads", "1", "--batch-size", "8", "--precision", "float32"]
    assert cli.main([*words, *small, "--max-validation-loss", "20"]) in {0, 5}
    bits = read(tmp_path / "run")["phase_records"]["model_training"]["details"]["start"]["bits_per_byte"]
    assert bits["this_text"]["after"] < bits["this_text"]["before"]
    assert "may forget it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rope_theta": 500_000.0}, "rope_theta is 500000.0, must be 10000.0"),
        ({"hidden_act": "gelu"}, "hidden_act is gelu, must be silu"),
        ({"rms_norm_eps": 1e-6}, "rms_norm_eps is 1e-06"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"model_type": "gpt2"}, "model_type is gpt2"),
        ({"hidden_size": None}, "does not describe a Llama model"),
        ({"head_dim": 7}, "head_dim is 7"),
    ],
)
def test_another_architecture_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    for name in ("model.safetensors", "tokenizer.model"):
        (tmp_path / name).symlink_to(folder / name)
    content = json.loads((folder / "config.json").read_text())
    rope = content.pop("rope_parameters", {})
    (tmp_path / "config.json").write_text(json.dumps({**content, **rope, **change}))
    with pytest.raises(IncompatibleError, match="model") as caught:
        read_llama_folder(tmp_path)
    assert told in str(caught.value)


def test_missing_and_damaged_files_are_named(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.model"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(IncompatibleError, match=r"has no model\.safetensors"):
        read_llama_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(IncompatibleError, match="no safetensors file"):
        read_llama_folder(tmp_path)
    save_file({"model.norm.weight": np.ones(64, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(IncompatibleError, match="lacks the tensor"):
        read_llama_folder(tmp_path)
