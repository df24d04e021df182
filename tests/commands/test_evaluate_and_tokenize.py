"""``semilla evaluate`` and ``semilla tokenize``: figures and tokens of your own text, from the bundle alone."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import draw_weights, write_tiny_bundle

from semilla import cli
from semilla.evaluation.losses import measure_loss
from semilla.runtime.scoring import TextScore, cut_windows, score_text
from semilla.runtime.session import load
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID
from semilla.training.data import HeldOutText, cut_held_out

TEXT = "¿Qué haces aquí? —preguntó la niña—. Once upon a time there was a little seed 🌱.\n" * 3


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "bundle")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_json(capsys: pytest.CaptureFixture[str], *words: object):
    assert cli.main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_text_is_scored_as_a_held_out_document(bundle_dir: Path) -> None:
    """Bits per byte are computed from the same windows as in the validation, so the two can be compared."""
    model = load(bundle_dir)
    tokens = np.concatenate([model.tokenizer.encode(TEXT), [END_ID]])
    held_out = HeldOutText("es", tokens, len(TEXT.encode()))
    loss = measure_loss(model, cut_held_out(held_out, length=model.capacity))
    score = score_text(model, TEXT)
    assert score.loss == pytest.approx(loss, rel=1e-9)
    assert score.num_tokens == len(tokens)
    assert score.bits_per_byte == pytest.approx(
        loss * len(tokens) / math.log(2) / len(TEXT.encode()), rel=1e-9
    )
    assert score.perplexity == pytest.approx(math.exp(loss), rel=1e-9)


@pytest.mark.parametrize("num_tokens", [1, 4, 5, 8, 9])
def test_windows_predict_every_token_once(num_tokens: int) -> None:
    """Each token is a target once, and its input is the token before it; the first follows the begin token."""
    tokens = np.arange(10, 10 + num_tokens)
    windows = list(cut_windows(tokens, length=4))
    assert np.concatenate([targets for _, targets in windows]).tolist() == tokens.tolist()
    assert np.concatenate([inputs for inputs, _ in windows]).tolist() == [BEGIN_ID, *tokens[:-1].tolist()]
    assert max(len(inputs) for inputs, _ in windows) <= 4


def test_a_model_that_knows_nothing_guesses_evenly(tmp_path: Path) -> None:
    """If all logits are equal, the perplexity is the size of the vocabulary."""
    from tiny_bundle import describe_model, train_tiny_tokenizer

    from semilla.export.bundle import write_bundle

    model = describe_model()
    weights = {name: weight * (weight.ndim == 1) for name, weight in draw_weights(model).items()}
    write_bundle(
        tmp_path / "even",
        weights=weights,
        model=model,
        tokenizer_model=train_tiny_tokenizer(),
        generation={},
        provenance={},
    )
    score = score_text(load(tmp_path / "even"), TEXT)
    assert score.perplexity == pytest.approx(model["vocab_size"], rel=1e-4)


def test_a_perplexity_beyond_a_float_is_no_crash() -> None:
    """JSON has no infinity, so it is null there."""
    from semilla.commands.evaluate import describe_score

    score = TextScore(size_bytes=1, num_characters=1, num_tokens=1, num_byte_tokens=0, nats=1000.0)
    assert score.perplexity == math.inf
    assert describe_score(score)["perplexity"] is None


def test_the_figures_of_a_file(place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs as JSON, for people as a table with the same figures."""
    (place / "mío.txt").write_text(TEXT, encoding="utf-8")
    figures = read_json(capsys, "evaluate", bundle_dir, "mío.txt")
    score = score_text(load(bundle_dir), TEXT)
    assert figures["bits_per_byte"] == pytest.approx(score.bits_per_byte, abs=1e-6)
    assert (figures["size_bytes"], figures["characters"]) == (len(TEXT.encode()), len(TEXT))
    assert figures["tokens"] == score.num_tokens
    assert cli.main(["evaluate", str(bundle_dir), "mío.txt"]) == 0
    out = capsys.readouterr().out
    assert f"bits per byte  {score.bits_per_byte:.3f}\n" in out
    assert f"{score.num_tokens:,}, with the end of the text" in out


@pytest.mark.parametrize(
    "data",
    [
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.replace("ñ", "n\u0303").encode(),
    ],
    ids=["CRLF", "CR", "byte order mark", "decomposed"],
)
def test_the_form_of_a_file_does_not_matter(
    place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    """Line breaks, byte order marks and decomposed accents are brought to the form of training texts."""
    (place / "plain.txt").write_bytes(TEXT.encode())
    (place / "other.txt").write_bytes(data)
    plain = read_json(capsys, "evaluate", bundle_dir, "plain.txt")
    assert {**read_json(capsys, "evaluate", bundle_dir, "other.txt"), "file": "plain.txt"} == plain


def test_the_text_may_be_piped_and_the_model_left_out(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-`` is standard input; without MODEL the model is that of ./data."""
    write_tiny_bundle(place / "data")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Once upon a time\n")))
    figures = read_json(capsys, "evaluate", "-")
    assert (figures["file"], figures["characters"]) == ("-", len("Once upon a time"))
    assert read_json(capsys, "tokenize", "Once")["text"] == "Once"


@pytest.mark.parametrize(
    ("data", "cause"), [(b"ni\xf1a", "must be UTF-8 text"), (b"", "is empty"), (None, "is a folder")]
)
def test_what_cannot_be_scored_is_refused(
    place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, cause: str
) -> None:
    """Another encoding, an empty file and a folder are 64, before the model is loaded."""
    if data is None:
        (place / "text").mkdir()
    else:
        (place / "text").write_bytes(data)
    assert cli.main(["evaluate", str(bundle_dir), "text"]) == 64
    output = capsys.readouterr()
    assert cause in output.err.splitlines()[0]
    assert output.out == ""


def test_a_file_too_large_is_refused(
    place: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit keeps a mistyped name from filling the memory."""
    monkeypatch.setattr("semilla.commands.evaluate.LARGEST_TEXT_BYTES", 4)
    (place / "text").write_bytes(b"12345")
    assert cli.main(["evaluate", str(bundle_dir), "text"]) == 64
    assert "text is larger than 4 bytes" in capsys.readouterr().err


def test_tokens_are_those_of_the_tokenizer(bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pieces and ids in order; the pieces spell the text, and a character outside the vocabulary is bytes."""
    text = "Había una vez\nni\u00f1as 日"
    tokens = read_json(capsys, "tokenize", bundle_dir, text)["tokens"]
    tokenizer = load(bundle_dir).tokenizer
    assert [token["id"] for token in tokens] == tokenizer.encode(text).tolist()
    assert tokenizer.decode([token["id"] for token in tokens]) == text
    assert [token["piece"] for token in tokens][-3:] == ["<0xE6>", "<0x97>", "<0xA5>"]
    assert cli.main(["tokenize", str(bundle_dir), text]) == 0
    heading, *rows, total = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "piece"]
    assert [int(row.split()[0]) for row in rows] == [token["id"] for token in tokens]
    assert rows[[token["piece"] for token in tokens].index("\n")].split()[1] == r"\n"
    assert total == f"{len(tokens)} tokens, {len(text.encode()) / len(tokens):.2f} bytes per token"


def test_an_empty_text_has_no_tokens(bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And no division by zero."""
    assert read_json(capsys, "tokenize", bundle_dir, "") == {"text": "", "tokens": [], "bytes_per_token": 0.0}


def test_undecodable_words_are_refused(bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8 arrive as surrogates."""
    assert cli.main(["tokenize", str(bundle_dir), "a\udcff"]) == 64
    assert "must be valid Unicode text" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "list", "evaluate", "tokenize"])
def test_no_torch_is_needed(place: Path, command: str) -> None:
    """These commands belong to the core installation."""
    write_tiny_bundle(place / "data")
    (place / "text.txt").write_text(TEXT, encoding="utf-8")
    words = {"evaluate": ["text.txt"], "tokenize": ["Once"]}.get(command, [])
    argv = [command, *words]
    code = f"import sys; from semilla.cli import main; main({argv!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    assert not {"torch", "onnx", "starlette"} & set(done.stderr.split())
