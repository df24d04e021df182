"""A model is tested on sentences of known words that it never read, and the accuracy is counted correctly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import write_text

from semilla.configuration.schema import ModelArchitecture, PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents
from semilla.evaluation import minimal_pairs as grammar
from semilla.evaluation import pair_selection
from semilla.evaluation.minimal_pairs import (
    compute_wilson_interval,
    measure_grammar,
    prefer_right,
    score_sentences,
)
from semilla.evaluation.pair_selection import accept_new, measure_coverage
from semilla.events import silent
from semilla.model.transformer import Transformer, initialize_weights
from semilla.pipeline.phases import corpus_download
from semilla.stories import generate_corpus
from semilla.stories.minimal_pairs import MinimalPair
from semilla.stories.terms import LANGUAGES, Language
from semilla.tokenizer.tokenizer import NEWLINE_ID

PAIRS = [
    MinimalPair("es", "article", "La niña mira el río.", "El niña mira el río."),
    MinimalPair("es", "article", "El río brilla hoy.", "La río brilla hoy."),
    MinimalPair("es", "verb", "La niña brilla hoy.", "La niña brillan hoy."),
    MinimalPair("es", "verb", "La niña mira hoy.", "La niña hoy mira."),
]
TEXT = "el río mira hoy la niña brilla. El río brilla hoy. Nada más."
ASKED = [pair for pair in PAIRS if accept_new(TEXT)(pair)]


def score_length(sentences) -> np.ndarray:
    """Longer is likelier."""
    return np.array([float(len(sentence)) for sentence in sentences])


@pytest.fixture
def model() -> Transformer:
    architecture = ModelArchitecture(num_layers=1, d_model=64, num_heads=2, dim_feedforward=128)
    network = Transformer(architecture, vocab_size=50, max_positions=16)
    initialize_weights(network, generator=torch.Generator().manual_seed(1))
    return network.eval()


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (200, 200, 0.9812, 1.0), (95, 100, 0.8882, 0.9785)],
)
def test_wilson_interval(successes: int, trials: int, low: float, high: float) -> None:
    """The published values of the score interval."""
    assert compute_wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_only_known_words_and_new_sentences_are_asked() -> None:
    """A pair with an unknown word is left out, and so is a sentence that occurs in the text."""
    assert measure_coverage(PAIRS, TEXT) == 0.75
    assert [PAIRS[0], PAIRS[3]] == ASKED


def test_accuracy_is_the_share_of_right_preferences() -> None:
    """By phenomenon and over all pairs; a tie is not a preference."""
    scores = {"La niña mira el río.": -1.0, "El niña mira el río.": -2.0}
    results = measure_grammar(
        ASKED, lambda texts: np.array([scores.get(text, -3.0) for text in texts]), coverage=0.75
    )
    assert results.phenomena["article"].accuracy == 1
    assert results.phenomena["verb"].accuracy == 0
    assert results.accuracy == 0.5
    assert (results.low, results.high) == compute_wilson_interval(1, 2)


def test_scores_do_not_depend_on_the_batch(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one batch or in several, padded or not: the sum over a sentence's own tokens, given those before."""
    draw = np.random.default_rng(0)
    rows = [draw.integers(4, 50, length).tolist() for length in (3, 15, 7, 1, 7, 12)]
    together = score_sentences(model, rows)
    monkeypatch.setattr(grammar, "BATCH_TOKENS", 16)
    assert score_sentences(model, rows) == pytest.approx(together, rel=1e-4)
    for row, score in zip(rows, together, strict=True):
        ids = torch.tensor([[NEWLINE_ID, *row]])
        logits = model.compute_logits(model(ids[:, :-1])).double()
        expected = torch.log_softmax(logits, -1).gather(2, ids[:, 1:, None]).sum().item()
        assert score == pytest.approx(expected, rel=1e-4)


def test_a_sentence_longer_than_the_context_is_scored_up_to_there(model: Transformer) -> None:
    """Tokens beyond the context change nothing."""
    row = list(range(4, 34))
    long, cut = score_sentences(model, [row, row[:16]])
    assert long == pytest.approx(cut)


def test_an_untrained_network_prefers_nothing(model: Transformer) -> None:
    """On random rows of the same length it prefers either sentence about half of the time."""
    draw = np.random.default_rng(0)
    pairs = [MinimalPair("en", "x", str(i), str(i + 1000)) for i in range(400)]
    preferred = prefer_right(
        pairs, lambda texts: score_sentences(model, draw.integers(4, 50, (len(texts), 9)).tolist())
    )
    assert 0.4 < np.mean(preferred) < 0.6


def select(documents: list[Document]) -> list[pair_selection.Selection]:
    return [pair_selection.select_pairs(documents, language) for language in LANGUAGES]


def test_a_text_without_the_words_is_reported_and_not_measured(model: Transformer) -> None:
    """A language whose words are unknown gets a remark and no figure; other languages get neither."""
    documents = [
        Document("Emma", "en", "x", ("It is a truth universally acknowledged. " * 9,), ("Yes.",)),
        Document("Candide", "fr", "x", ("Il y avait en Westphalie un château. " * 9,), ("Oui.",)),
    ]
    results, remarks = grammar.assess_grammar(model, None, select(documents))  # type: ignore[arg-type]
    assert results == {}
    assert len(remarks) == 1
    assert "No minimal pairs in en" in remarks[0]


def test_a_phenomenon_with_too_few_pairs_is_named_and_not_measured(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text has the words of most pairs, but too few of one phenomenon."""
    numbers = [MinimalPair("es", "number", f"La niña {n}.", f"La niñas {n}.") for n in range(60)]
    gender = [MinimalPair("es", "gender", f"La niña {n}.", f"El niña {n}.") for n in range(50)]

    def make_pairs(language, *, seed, grade, per_phenomenon=60, accept=lambda pair: True, **_):
        pairs = [*numbers[:per_phenomenon], *gender[:per_phenomenon]]
        return [pair for pair in pairs if accept(pair)]

    monkeypatch.setattr(pair_selection, "make_pairs", make_pairs)
    monkeypatch.setattr(grammar, "make_score", lambda model, tokenizer: score_length)
    words = f"La niña, el niñas, {', '.join(map(str, range(60)))}."
    documents = [Document("Cuento", "es", "x", (words,), ("Sí.",))]
    results, remarks = grammar.assess_grammar(model, None, select(documents))  # type: ignore[arg-type]
    assert (results["es"].num_pairs, list(results["es"].phenomena), remarks) == (
        110,
        ["number", "gender"],
        [],
    )
    monkeypatch.setattr(pair_selection, "LEAST_PAIRS", 51)
    results, remarks = grammar.assess_grammar(model, None, select(documents))  # type: ignore[arg-type]
    assert list(results["es"].phenomena) == ["number"]
    assert remarks == ["Too few minimal pairs in es have only known words; 51 are needed: gender (50)."]


def test_another_process_selects_the_same_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process per language finds what is found here; the pairs that a selector sends are read back as they were."""
    text = write_text(tmp_path / "text.txt")
    (tmp_path / "run").mkdir()
    config = PipelineConfiguration(corpus_source=str(text), output_directory=str(tmp_path / "run"))
    corpus_download.run(config, progress=silent)
    documents = read_documents(tmp_path / "run")
    with pair_selection.select_meanwhile(tmp_path / "run", documents) as found:
        selections = list(found)
    assert selections[0].remark
    monkeypatch.setattr(pair_selection, "LARGE_BYTES", 1)
    with pair_selection.select_meanwhile(tmp_path / "run", documents) as found:
        assert list(found) == selections
    language, (first, second) = selections[0].language, documents[0].train_text.split()[:2]
    pairs = [MinimalPair(language, "order", f"{first} {second}", f"{second} {first}")] * 60
    monkeypatch.setattr(pair_selection, "make_pairs", lambda *_, **__: pairs)
    select_there = pair_selection.make_selector(str(tmp_path / "run"))
    selected = pair_selection.read_selection(select_there(language))
    assert selected == pair_selection.select_pairs(documents, language)
    assert selected.pairs == pairs


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_megabyte_of_stories_has_the_words_of_enough_pairs(language: Language) -> None:
    """The README's first run measures grammar: it knows the words of more than half of the pairs."""
    documents = {
        document.language: document.text for document in generate_corpus(seed=0, size_bytes=1_000_000)
    }
    probe = pair_selection.make_pairs(
        language, seed=pair_selection.SEED, grade=1, per_phenomenon=pair_selection.PROBE_PAIRS
    )
    assert measure_coverage(probe, documents[language]) >= pair_selection.GRADE_COVERAGE


def test_the_probability_of_a_sentence_is_the_product_of_its_tokens(model: Transformer) -> None:
    """With all weights zero every token has the same probability."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert score_sentences(model, [[5, 6, 7]])[0] == pytest.approx(-3 * math.log(50), rel=1e-5)
