"""The tokenizer decodes text exactly, keeps its special ids, and reports the vocabulary size a text supports."""

from __future__ import annotations

import io
import random
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import make_many_characters

from semilla.errors import IntegrityError, InvalidCorpusError
from semilla.tokenizer import tokenizer as tok
from semilla.tokenizer import training

WORDS = """
    la niña mira el río y pregunta ¿qué hay allí? —¡Un pingüino! the cat sat near an old tree while rain fell slowly
    over mountains under bright stars canción corazón pequeño jardín árbol camión señora mañana dinner
""".split()


def make_text(seed: int = 0, lines: int = 600) -> str:
    draw = random.Random(seed)
    return "".join(" ".join(draw.choices(WORDS, k=draw.randint(4, 14))) + ".\n" for _ in range(lines))


def make_rich_text() -> str:
    draw = random.Random(1)
    words = ["".join(draw.choices("aeiouáéílmnñrstbcdp", k=6)) for _ in range(2000)]
    return "".join(" ".join(draw.choices(words, k=8)) + ".\n" for _ in range(1500))


@pytest.fixture(scope="module", params=["unigram", "bpe", "char", "word"])
def trained(request: pytest.FixtureRequest) -> tok.Tokenizer:
    result = training.train_tokenizer(
        [make_text()], vocab_size=1000, model_type=request.param, is_size_explicit=False
    )
    return tok.Tokenizer(result.model)


@given(
    text=st.text(
        alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00\u2581"), max_size=80
    )
)
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back_exactly(trained: tok.Tokenizer, text: str) -> None:
    """Every text decodes to itself, whether it is encoded in pieces or in bytes."""
    assert trained.decode(trained.encode(text)) == text


SCRAPS = [
    *WORDS, " ", "  ", "\n", "\n\n", "\t", "<s>", "</s>", "<unk>", "<0x41>", "\u2585", "\u0301", "\u200d", "\u202e",
    "🌱", "👩‍👩‍👧", "日本", "\ufb01", "\u00a0", "\ufeff", "\x7f", "\x1b[31m", "%s", "\\", "ÑANDÚ", "ß",
    "٣", "\U0001d518",
]  # fmt: skip


def test_ten_thousand_texts_come_back_exactly(trained: tok.Tokenizer) -> None:
    """Words, names of control pieces, marks and characters of every plane in any order, always the same ones (T7)."""
    draw, lost = random.Random(7), []
    for _ in range(10_000):
        odd = [chr(draw.choice([draw.randrange(1, 0xD800), draw.randrange(0xE000, 0x110000)])) for _ in "abc"]
        parts = draw.choices([*SCRAPS, *odd], k=draw.randint(0, 12))
        text = "".join(parts).replace(tok.SPACE_MARK, "")
        if trained.decode(trained.encode(text)) != text:
            lost.append(text)
    assert lost == []


def test_a_long_text_has_the_same_tokens_in_pieces(
    trained: tok.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of a hundred bytes: lines and words of any length, runs of spaces, bytes, and words at a cut."""
    draw = random.Random(7)
    texts = [make_text(3, lines=40), " " * 300, "日本" * 200, f"{'a' * 250} {'é' * 250}", "\n \n" * 90]
    texts += ["".join(draw.choices(SCRAPS, k=200)) for _ in range(50)]
    whole = [trained.encode(text).tolist() for text in texts]
    encoded: list[bytes] = []
    encode = trained.processor.encode

    def note(data: bytes) -> list[int]:
        encoded.append(data)
        found: list[int] = encode(data)
        return found

    monkeypatch.setattr(tok, "MAX_ENCODED_BYTES", 100)
    monkeypatch.setattr(trained.processor, "encode", note)
    assert [trained.encode(text).tolist() for text in texts] == whole
    assert len(encoded) > 3 * len(texts)
    assert max(map(len, encoded)) > 500  # a text without spaces is not cut


def test_a_text_is_not_cut_where_a_token_has_a_space_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Semilla trains no such vocabulary, but it can be given one."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(make_text(lines=900).splitlines()),
        model_writer=model,
        vocab_size=800,
        split_by_whitespace=False,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        byte_fallback=True,
        user_defined_symbols=["\n"],
        unk_id=0,
        bos_id=1,
        eos_id=2,
        minloglevel=2,
    )
    tokenizer = tok.Tokenizer(model.getvalue())
    joined = next(piece for piece, _ in tokenizer.list_pieces() if tok.SPACE_MARK in piece[1:-1])
    text = joined.replace(tok.SPACE_MARK, " ") * 90
    whole = tokenizer.encode(text).tolist()

    def encode_in_pieces() -> list[list[int]]:
        found = []
        for size in range(100, 120):
            monkeypatch.setattr(tok, "MAX_ENCODED_BYTES", size)
            found.append(tokenizer.encode(text).tolist())
        return found

    assert encode_in_pieces() == [whole] * 20
    monkeypatch.setitem(vars(tokenizer), "_is_cut_at_spaces", True)
    assert encode_in_pieces() != [whole] * 20


def test_special_ids_stand_where_the_code_says(trained: tok.Tokenizer) -> None:
    """Unknown, begin, end and line break have the ids that the constants say."""
    pieces = [piece for piece, _ in trained.list_pieces()[:4]]
    assert pieces == ["<unk>", "<s>", "</s>", "\n"]
    assert list(trained.encode("\n")) == [tok.NEWLINE_ID]


def test_control_tokens_written_as_text_stay_text(trained: tok.Tokenizer) -> None:
    """Text that looks like a control token never becomes one."""
    ids = trained.encode("<s></s><unk>")
    assert not set(ids) & {tok.UNKNOWN_ID, tok.BEGIN_ID, tok.END_ID}
    assert trained.decode(ids) == "<s></s><unk>"


@pytest.mark.parametrize("num_threads", [1, 2])
def test_training_ten_times_gives_the_same_bytes(num_threads: int) -> None:
    """Training is a pure function of the text and the options, in a new process each time (T8)."""
    models = {
        training.train_tokenizer(
            [make_text(lines=200)],
            vocab_size=1000,
            model_type="unigram",
            is_size_explicit=False,
            num_threads=num_threads,
        ).model
        for _ in range(10)
    }
    assert len(models) == 1


def test_a_vocabulary_asked_for_but_too_large_is_an_error_with_the_largest_possible() -> None:
    """The error names the largest value, and that value works."""
    with pytest.raises(training.VocabularySizeError, match="tokenizer_vocab_size = 8000") as caught:
        training.train_tokenizer(
            [make_rich_text()], vocab_size=8000, model_type="unigram", is_size_explicit=True
        )
    largest = caught.value.nearest
    again = training.train_tokenizer(
        [make_rich_text()], vocab_size=largest, model_type="unigram", is_size_explicit=True
    )
    assert again.vocab_size == largest


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_too_small_for_the_characters_is_an_error_with_the_least_possible(
    model_type: str,
) -> None:
    """The error names the least value, and that value works (T2)."""
    text = make_many_characters(1500)
    with pytest.raises(
        training.VocabularySizeError, match=r"tokenizer_vocab_size = 1000: .* at least"
    ) as caught:
        training.train_tokenizer([text], vocab_size=1000, model_type=model_type, is_size_explicit=True)
    smallest = caught.value.nearest
    again = training.train_tokenizer(
        [text], vocab_size=smallest, model_type=model_type, is_size_explicit=True
    )
    assert again.vocab_size == smallest


def test_more_characters_than_any_vocabulary_holds_says_so() -> None:
    """The error suggests no size that a configuration cannot ask for (T2)."""
    refusal = b"Vocabulary size is smaller than required_chars. 32000 vs 40000. Increase vocab_size"
    outcome = subprocess.CompletedProcess([], 1, b"", refusal)
    with pytest.raises(InvalidCorpusError, match="needs 40000 pieces") as caught:
        training._check_characters(outcome, 32_000)
    assert type(caught.value) is InvalidCorpusError


def test_a_text_too_poor_for_any_choice_says_so() -> None:
    """The error suggests no size below the smallest that a configuration can ask for."""
    with pytest.raises(InvalidCorpusError, match="give it more text"):
        training.train_tokenizer([make_text()], vocab_size=1500, model_type="unigram", is_size_explicit=True)


def test_a_default_vocabulary_too_large_is_lowered_and_says_so() -> None:
    """A default size is adapted to the text."""
    result = training.train_tokenizer(
        [make_text()], vocab_size=8000, model_type="bpe", is_size_explicit=False
    )
    assert result.vocab_size < 8000
    assert result.warning is not None
    assert str(result.vocab_size) in result.warning


def test_a_text_of_one_repeated_character_is_refused() -> None:
    """There is nothing to learn from it, and the error says so."""
    with pytest.raises(InvalidCorpusError):
        training.train_tokenizer(["a" * 5000], vocab_size=1000, model_type="unigram", is_size_explicit=False)


def test_sentences_are_short_enough_for_sentencepiece_and_lose_nothing() -> None:
    """Long lines are cut rather than dropped."""
    text = make_text(lines=50) + "ñ" * 9000 + "\nfin"
    sentences = list(training.split_sentences(text))
    assert "".join(sentences) == text
    assert max(len(sentence.encode()) for sentence in sentences) <= training.LARGEST_SENTENCE_BYTES


@pytest.mark.parametrize("share", [0.1, 0.37, 0.5, 1.0])
def test_a_share_of_the_sentences_is_evenly_spread(share: float) -> None:
    """Every run of a hundred sentences gives its share, give or take one."""
    sentences = [str(number) for number in range(1000)]
    taken = [int(one) for one in training.take_share(sentences, share)]
    assert len(set(taken)) == len(taken) == pytest.approx(1000 * share, abs=1)
    for start in range(0, 1000, 100):
        assert sum(start <= one < start + 100 for one in taken) == pytest.approx(100 * share, abs=1)


def test_damaged_models_are_refused() -> None:
    """Bytes that are not a model raise an integrity error, and crash nothing."""
    for bad in (b"", b"not a model", b"\x80\x04"):
        with pytest.raises(IntegrityError):
            tok.Tokenizer(bad)


@pytest.mark.timeout(120)
def test_more_text_than_a_pipe_holds_reaches_the_trainer() -> None:
    """A text of many pipe buffers is trained on, however long the child takes to start reading."""
    text = make_text(lines=20_000)
    assert len(text) > 2**19
    result = training.train_tokenizer([text], vocab_size=1000, model_type="char", is_size_explicit=False)
    assert tok.Tokenizer(result.model).vocab_size == result.vocab_size
