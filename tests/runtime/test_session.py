"""Text from a model: whole characters, reproducible, and longer than the context."""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.errors import IntegrityError, InvalidConfigError, OutOfMemoryError
from semilla.runtime import network
from semilla.runtime.context import Context
from semilla.runtime.pieces import PieceDecoder
from semilla.runtime.session import Model, load
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, NEWLINE_ID, UNKNOWN_ID

TEXT = "¿Qué? —¡Pingüino 🌱👩‍🌾, 日本! The end.\n\tFin"


def decode(model: Model, text: str, *, stop: tuple[str, ...] = ()) -> list[str]:
    """The pieces that a stream yields when the model generates exactly ``text``."""
    decoder = PieceDecoder(model.tokenizer, stop=stop)
    pieces = []
    for token in model.tokenizer.encode(text):
        pieces.append(decoder.push(int(token)))
        if decoder.is_stopped:
            return pieces
    return [*pieces, decoder.finish()]


def test_the_same_seed_gives_the_same_text(model: Model) -> None:
    """Text is a function of model, prompt, settings and seed; other seeds give other texts."""
    texts = [model.generate("Había una vez", seed=seed, max_tokens=40) for seed in (7, 7, 8)]
    assert texts[0] == texts[1] != texts[2]


def test_a_stream_tells_the_seed_it_drew(model: Model) -> None:
    """A text generated without a seed can be generated again."""
    stream, other = model.stream(max_tokens=30), model.stream(max_tokens=30)
    assert stream.seed != other.seed
    assert "".join(stream) == model.generate(seed=stream.seed, max_tokens=30)


def test_streams_do_not_disturb_each_other(model: Model) -> None:
    """Two streams read alternately give the same texts as when read one after the other."""
    pairs = zip_longest(
        model.stream("Once", seed=1, max_tokens=40), model.stream("¿Qué", seed=2, max_tokens=40), fillvalue=""
    )
    first, second = map("".join, zip(*pairs, strict=True))
    assert first == model.generate("Once", seed=1, max_tokens=40)
    assert second == model.generate("¿Qué", seed=2, max_tokens=40)


def test_the_prompt_is_read_behind_a_line_start_and_composed(model: Model) -> None:
    """A prompt begins like a line of the corpus, and an n with a separate tilde is an ñ."""
    expected = [NEWLINE_ID, *model.tokenizer.encode("niña")]
    assert model.encode(unicodedata.normalize("NFD", "niña")).tolist() == expected
    assert model.encode("").tolist() == [NEWLINE_ID]


def test_max_tokens_is_the_most_there_is(model: Model) -> None:
    """A text has at most that many tokens, and fewer when it ends earlier."""
    streams = [model.stream(seed=seed, max_tokens=25) for seed in range(10)]
    assert all("".join(stream) for stream in streams)
    assert max(len(stream.token_ids) for stream in streams) == 25


def test_unknown_and_begin_are_never_generated(model: Model) -> None:
    """Not in a thousand tokens drawn almost evenly from the whole vocabulary."""
    drawn: list[int] = []
    for seed in range(1000):
        stream = model.stream(seed=seed, max_tokens=200, temperature=10, top_k=0, top_p=1)
        list(stream)
        drawn += stream.token_ids
        if len(drawn) >= 1000:
            break
    assert len(set(drawn)) > 100
    assert not {UNKNOWN_ID, BEGIN_ID, END_ID} & set(drawn)


def test_the_end_token_ends_the_text(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end token stops the generation and leaves no trace in it."""
    tokens = iter([*map(int, model.tokenizer.encode("Fin")), END_ID, NEWLINE_ID])
    monkeypatch.setattr(Context, "next_id", property(lambda _: next(tokens)))
    stream = model.stream()
    assert "".join(stream) == "Fin"
    assert stream.ended == "itself"


def test_how_a_text_ended_is_known(model: Model) -> None:
    """At the limit of tokens, or at a stop text; while it is being generated, it has not ended."""
    stream = model.stream(seed=1, max_tokens=3)
    assert stream.ended is None
    text = "".join(stream)
    assert stream.ended == "limit"
    stopped = model.stream(seed=1, max_tokens=3, stop=(text[-1],))
    list(stopped)
    assert stopped.ended == "stop"


@pytest.mark.parametrize("length", [31, 32, 33, 100])
def test_prompts_of_any_length_are_continued(model: Model, length: int) -> None:
    """A prompt as long as the context, or longer, is no error."""
    prompt = "\n" * (length - 1)
    assert len(model.encode(prompt)) == length
    streams = [model.stream(prompt, seed=seed, max_tokens=5) for seed in range(5)]
    assert any("".join(stream) for stream in streams)
    assert max(len(stream.token_ids) for stream in streams) == 5


def test_beyond_the_context_the_later_half_is_read_again(model: Model) -> None:
    """The token after a full context is predicted from the last half of all tokens, in a fresh cache."""
    ids = np.random.default_rng(0).integers(3, model.tokenizer.vocab_size, 33)
    context, fresh = model.open_context(), model.open_context()
    context.read(ids[:32])
    assert context.capacity == len(context.token_ids) == 32
    context.read(ids[32:])
    assert context.token_ids.tolist() == ids[-16:].tolist()
    fresh.read(ids[-16:])
    chosen = []
    for one in (context, fresh):
        one.advance()
        chosen.append([*one.token_ids[16:], one.next_id])
    assert chosen[0] == chosen[1]


def test_advancing_in_a_full_context_slides(model: Model) -> None:
    """The chosen token is read after the later half, like a token of the prompt."""
    ids = np.random.default_rng(0).integers(3, model.tokenizer.vocab_size, 32)
    context = model.open_context()
    context.read(ids)
    chosen = context.next_id
    context.advance()
    assert context.token_ids.tolist() == [*ids[-15:], chosen]


@pytest.mark.parametrize("settings", [{}, {"temperature": 2.0}])
def test_a_text_is_the_same_read_at_once_or_token_by_token(model: Model, settings: dict[str, Any]) -> None:
    """Advancing chooses the same token as reading the whole text again."""
    changed = model.bundle.settings.change(**settings)
    context = model.open_context(changed)
    context.draw = lambda: 0.5
    context.read([3, 50, 60])
    for _ in range(20):
        fresh = model.open_context(changed)
        fresh.draw = lambda: 0.5
        fresh.read(context.token_ids)
        assert fresh.next_id == context.next_id
        context.advance()


def test_forgotten_tokens_do_not_matter(model: Model) -> None:
    """Forgetting tokens leaves the context as it was before them."""
    settings = model.bundle.settings.change(temperature=0, repetition_penalty=10)
    context = model.open_context(settings)
    context.read([3, 50, 60])
    once = context.next_id
    context.read([once, 70])
    context.forget(from_position=2)
    assert context.token_ids.tolist() == [3, 50]
    context.read([60])
    assert context.next_id == once


def test_long_prompts_are_read_in_parts_with_the_same_result(
    run_dir: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading five tokens at a time, to save memory, changes nothing but rounding."""
    ids = np.random.default_rng(0).integers(3, model.tokenizer.vocab_size, 32)
    monkeypatch.setattr(network, "SCORE_BYTES", 5 * 4 * 4 * 32)
    in_parts = load(run_dir)
    context = in_parts.open_context()
    assert [len(part) for part in context._append(ids)] == [5, 5, 5, 5, 5, 5, 2]
    assert np.allclose(in_parts.compute_logits(ids), model.compute_logits(ids), atol=1e-3)


def test_pieces_are_whole_characters(model: Model) -> None:
    """Characters spelled in bytes come out whole: each piece is text by itself, and all of it is the text."""
    assert any(model.tokenizer.processor.IsByte(int(token)) for token in model.tokenizer.encode(TEXT))
    pieces = decode(model, TEXT)
    assert "".join(pieces) == TEXT
    assert not any("\ufffd" in piece for piece in pieces)
    assert "🌱" in "".join(piece for piece in pieces if len(piece) == 1)


@given(
    text=st.text(
        alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00\u2581"), max_size=60
    )
)
def test_any_text_comes_out_as_it_went_in(model: Model, text: str) -> None:
    """Piece by piece, decoding gives back every text exactly."""
    assert "".join(decode(model, text)) == text


def test_half_a_character_at_the_end_is_dropped(model: Model) -> None:
    """When the tokens run out within a character, the text ends before it."""
    ids = [int(token) for token in model.tokenizer.encode("日")]
    assert len(ids) == 3
    decoder = PieceDecoder(model.tokenizer)
    assert [decoder.push(token) for token in ids[:2]] + [decoder.finish()] == ["", "", ""]


def test_bytes_that_are_no_character_are_replaced(model: Model) -> None:
    """A byte that cannot begin a character becomes the replacement character, and what follows is intact."""
    byte = model.tokenizer.processor.PieceToId("<0xFF>")
    decoder = PieceDecoder(model.tokenizer)
    text = "".join(decoder.push(token) for token in [byte, *map(int, model.tokenizer.encode("sol"))])
    assert text == "\ufffdsol"


@given(
    text=st.text(alphabet="abñ \n", max_size=30),
    stop=st.lists(st.text(alphabet="abñ\n", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_text_ends_before_its_first_stop(model: Model, text: str, stop: list[str]) -> None:
    """However tokens cut it, the text lacks exactly the stop text that is complete first, and what follows."""
    found = [(place + len(one), place) for one in stop if (place := text.find(one)) >= 0]
    expected = text[: min(found)[1]] if found else text
    assert "".join(decode(model, text, stop=tuple(stop))) == expected


def test_stop_texts_hold_back_no_more_than_they_must(model: Model) -> None:
    """Only text that may become the stop text is held back."""
    decoder = PieceDecoder(model.tokenizer, stop=("sol!",))
    ids = [int(model.tokenizer.processor.PieceToId(f"<0x{byte:02X}>")) for byte in b"a so sol?"]
    assert [decoder.push(token) for token in ids] == ["a", " ", "", "", "so ", "", "", "", "sol?"]


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 0}, {"seed": -1}, {"seed": 2**63}])
def test_settings_out_of_range_are_refused_at_once(model: Model, wrong: dict[str, Any]) -> None:
    """The error comes before the first token, and names the setting."""
    with pytest.raises(InvalidConfigError) as caught:
        model.stream(**wrong)
    assert [mistake.field for mistake in caught.value.mistakes] == list(wrong)


def test_a_prompt_that_is_no_text_is_refused(model: Model) -> None:
    """Undecodable bytes of a command line are a mistake, not a crash."""
    with pytest.raises(InvalidConfigError, match="valid Unicode"):
        model.generate("ni\udcf1a")


@pytest.mark.parametrize(
    ("message", "kind"), [("std::bad_alloc", OutOfMemoryError), ("bad node", IntegrityError)]
)
def test_failures_of_the_runtime_are_ours(
    model: Model, monkeypatch: pytest.MonkeyPatch, message: str, kind: type[Exception]
) -> None:
    """Out of memory and a model that cannot be run are different errors."""

    def fail(*_: object) -> None:
        raise RuntimeError(message)

    context = model.open_context()
    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", fail)
    with pytest.raises(kind):
        context.read([3])


def test_logits_that_are_not_finite_are_an_error(model: Model) -> None:
    """A damaged model is an error, not a text of nonsense."""
    context = model.open_context()
    context.read([3, 50])
    for cache in context._arrays.caches.values():
        cache[:] = np.nan
    with pytest.raises(IntegrityError, match="NaN or infinity"):
        context.advance()
