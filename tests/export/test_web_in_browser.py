"""In a real browser the page computes what the runtime computes, sends nothing, and is open to every reader."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from browser import AXE, DESKTOP, NARROW, PHONE, Browser, find_chromium
from runtime.test_choice import NUM_BANNED, pick
from tiny_models import make_model
from web_pages import add_epoch_model, ask, continue_in_page, measure_parting

from semilla.export.bundle import write_bundle
from semilla.export.parity import PROBES
from semilla.export.trained_model import RunFacts, TrainedModel, read_run
from semilla.export.web import page as page_module
from semilla.export.web.epochs import pack_bits
from semilla.export.web.network import pack_network
from semilla.export.web.page import render_page
from semilla.records.sample import Sample
from semilla.runtime.session import Model, load

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="Chromium is not installed: scripts/install-browser"
)
VIEWS = ("talk", "inside", "learn", "card")
TIE = 0.25
"""Scores closer than this are a tie: an activation that is rounded the other way moves a score by about 0.1. Two passes
of the runtime differ by as much."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None
    with Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def facts(run_dir: Path) -> RunFacts:
    return read_run(run_dir)[1]


@pytest.fixture(scope="module")
def page(trained: TrainedModel, facts: RunFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run, with a title that is too long for a phone."""
    manifest = facts.manifest.model_copy(deep=True)
    manifest.documents[0].title = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen"
    path = tmp_path_factory.mktemp("page ñ") / "model.html"
    path.write_text(render_page(trained, dataclasses.replace(facts, manifest=manifest)), encoding="utf-8")
    return path


@pytest.fixture
def open_model(
    browser: Browser, trained: TrainedModel, facts: RunFacts, tmp_path: Path
) -> Callable[[TrainedModel], Model]:
    """Show the page of a model, and return the runtime's model of the same weights."""

    def open_both(model: TrainedModel) -> Model:
        path = tmp_path / "model.html"
        path.write_text(render_page(model, facts), encoding="utf-8")
        browser.show(path)
        write_bundle(
            tmp_path / "bundle",
            weights=model.weights,
            model=model.model,
            tokenizer_model=model.tokenizer_model,
            generation={},
            start_id=model.start_id,
            provenance={},
        )
        return load(tmp_path / "bundle")

    return open_both


# ---- the same numbers


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char", "word"])
def test_texts_have_the_ids_of_sentencepiece(
    browser: Browser, trained: TrainedModel, open_model: Callable[[TrainedModel], Model], model_type: str
) -> None:
    """Every held-out line is compared, and texts that break tokenizers; decoding gives the text again."""
    model = open_model(make_model(model_type=model_type))
    lines = [*trained.list_lines(), *PROBES]
    found = ask(browser, "(lines) => lines.map((line) => tokenizer.encode(line))", lines)
    assert found == [model.tokenizer.encode(line).tolist() for line in lines]
    decode = """(all) => all.map((ids) => {
        const decoder = new PieceDecoder(tokenizer);
        return ids.map((id) => decoder.push(id)).join("") })"""
    assert ask(browser, decode, found) == lines


def test_of_two_ways_that_are_equally_good_the_first_is_taken(
    browser: Browser, trained: TrainedModel, open_model: Callable[[TrainedModel], Model]
) -> None:
    """SentencePiece compares sums of float32. In double precision the second way would look better here."""
    open_model(trained)
    cut = """(pieces, scores, text) => {
        const kinds = pieces.map(() => KIND.NORMAL).join("");
        return new Tokenizer({type: "unigram", pieces, kinds}, Float32Array.from(scores)).encode(text) }"""
    assert ask(browser, cut, ["x", "r", "rr"], [-5.1, -3.3, -4.7], "xrrr") == [0, 1, 2]


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"num_heads": 8},
        {"tie_embeddings": False},
        {"d_model": 320, "num_heads": 16},
    ],
    ids=["plain", "padded heads", "untied", "several blocks a row"],
)
def test_greedy_texts_are_those_of_the_runtime(
    browser: Browser, open_model: Callable[[TrainedModel], Model], shape: dict[str, Any]
) -> None:
    """Also beyond a full context. They may part only where the runtime's two best scores are a tie."""
    model = open_model(make_model(**shape))
    prompts = ["", "¿Qué haces", "Once upon a time", "El pingüino cruzó", "She laughed:"]
    for prompt, found in zip(prompts, continue_in_page(browser, prompts, 50), strict=True):
        gap = measure_parting(model, prompt, found)
        assert gap is None or gap < TIE, prompt


def test_scores_are_those_of_the_runtime(
    browser: Browser, open_model: Callable[[TrainedModel], Model]
) -> None:
    """Half of the positions agree to float32; the rest to the rounding of single activations."""
    model = open_model(make_model())
    ids = model.encode("El pingüino cruzó el río despacio, pensando")[:32].tolist()
    function = """(ids) => { const cache = network.makeCache();
        return ids.map((id, place) => [...network.score(network.read(id, place, cache))]) }"""
    differences = np.abs(np.array(ask(browser, function, ids)) - model.compute_logits(ids)).max(axis=1)
    assert np.median(differences) < 1e-4
    assert differences.max() < TIE


def test_the_same_seed_draws_the_numbers_of_python(browser: Browser, page: Path) -> None:
    """So a seed usually gives the text that ``semilla generate`` gives for it."""
    browser.show(page)
    for seed in (0, 1, 12345, 2**32, 2**63 - 1):
        random = Random(seed)
        function = """(seed) => {
            const random = new Random(BigInt(seed));
            return Array.from({length: 1000}, () => random.next()) }"""
        assert ask(browser, function, str(seed)) == [random.random() for _ in range(1000)]


def test_a_choice_is_that_of_the_runtime(browser: Browser, page: Path) -> None:
    """For the same scores, settings and random number, the page takes the same token."""
    browser.show(page)
    random = np.random.default_rng(0)
    cases, expected = [], []
    for temperature, top_k, top_p, penalty in product(
        (0, 0.3, 1, 3), (0, 1, 9), (0.1, 0.9, 1), (0.8, 1, 1.5)
    ):
        scores = (3 * random.standard_normal(60)).astype(np.float32)
        settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition_penalty": penalty}
        uniform = float(np.float32(random.random()))
        cases.append([[99, 99, *map(float, scores)], [2, 7, 7, 40], settings, uniform])
        expected.append(pick(scores, uniform=uniform, seen=(0, 5, 38), **settings) + NUM_BANNED)
    function = """(cases) => cases.map(([scores, seen, settings, uniform]) =>
        chooseToken(Float32Array.from(scores), seen, settings, uniform))"""
    assert ask(browser, function, cases) == expected
    assert len(set(expected)) > 20


def test_sampled_texts_are_those_of_the_runtime(
    browser: Browser, open_model: Callable[[TrainedModel], Model]
) -> None:
    """With the default settings, at least 18 of 20 short texts have the same tokens."""
    model = open_model(make_model())
    function = """(seeds) => seeds.map((seed) => {
        const settings = {...MODEL.settings, max_tokens: 8};
        return [...generate(network, encodePrompt("Había una"), settings, BigInt(seed))].map((one) => one.id) })"""
    equal = 0
    for seed, found in enumerate(ask(browser, function, list(range(20)))):
        stream = model.stream("Había una", max_tokens=8, seed=seed)
        "".join(stream)
        equal += found[: len(stream.token_ids)] == stream.token_ids
    assert equal >= 18


# ---- what a reader sees


def test_a_text_says_how_it_ended(browser: Browser, page: Path) -> None:
    """At its length, by itself at the end token, or with the setting that is out of range."""
    browser.show(page)
    status = "document.getElementById('talk-status').textContent"
    browser.evaluate("byId('max_tokens').value = 5; write()")
    assert browser.evaluate(status).startswith("Stopped at the chosen length of 5 pieces")
    assert browser.evaluate("talk.pieces.length") == 5
    assert "of 5" in browser.evaluate("byId('piece').getAttribute('aria-valuetext')")
    browser.evaluate(
        "network.score = () => Float32Array.from(tokenizer.pieces, (_, id) => (id === END_ID ? 9 : 0)); write()"
    )
    assert browser.evaluate(status).startswith("The text ended by itself after 0 pieces")
    browser.evaluate("byId('top_k').value = 'many'; write()")
    assert "must be a number from 0" in browser.evaluate(status)
    assert browser.evaluate("document.activeElement.id") == "top_k"


def test_inside_shows_pieces_layers_and_heads(browser: Browser, page: Path) -> None:
    """Each piece has a chip, each layer its guesses, each head a picture; attention adds up to 1."""
    browser.show(page)
    browser.evaluate("byId('sentence').value = '🌱 ñ'; readSentence()")
    counts = browser.evaluate(
        "[inside.ids.length, ...['pieces', 'stages', 'heads'].map((id) => byId(id).children.length)]"
    )
    assert counts == [counts[0], counts[0], 3, 4]
    sums = browser.evaluate("inside.attention.flat().map((shares) => shares.reduce((a, b) => a + b, 0))")
    assert np.allclose(sums, 1, atol=1e-5)


CONTINUE = """async (prompt) => {
    byId("learn-prompt").value = prompt;
    await continueAll();
    return [...byId("continuations").querySelectorAll("blockquote")].map((one) => one.textContent) }"""
WRITE = """(prompt) => {
    const settings = {...MODEL.settings, max_tokens: CONTINUED_TOKENS};
    const decoder = new PieceDecoder(tokenizer);
    const ids = [...generate(network, encodePrompt(prompt), settings, 1n)].map((one) => one.id);
    return prompt + ids.map((id) => (id === END_ID ? "" : decoder.push(id))).join("") +
        (ids.at(-1) === END_ID ? "" : "…") }"""


def test_each_kept_epoch_continues_the_beginning(browser: Browser, facts: RunFacts, tmp_path: Path) -> None:
    """As a page of its own would: first the model of the kept epoch, then the best one."""
    first, best = make_model(seed=2), make_model()
    path, prompt = tmp_path / "model.html", "Había una vez <b>un"
    expected = []
    for one in (first, best):
        path.write_text(render_page(one, facts), encoding="utf-8")
        browser.show(path)
        expected.append(ask(browser, WRITE, prompt))
    path.write_text(render_page(best, add_epoch_model(facts, first)), encoding="utf-8")
    browser.show(path)
    assert ask(browser, CONTINUE, prompt) == expected
    assert expected[0] != expected[1]
    assert browser.evaluate("byId('learn-status').textContent").startswith("2 models")
    browser.evaluate("byId('learn-another').click()")
    assert ask(browser, CONTINUE, prompt) != expected
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        browser.show(path, size=size, scheme=scheme)
        ask(
            browser,
            "(prompt) => { showView('learn'); byId('learn-prompt').value = prompt; return continueAll() }",
            prompt,
        )
        assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
        if AXE.is_file():
            assert browser.find_barriers(("minor", "moderate", "serious", "critical")) == []


@pytest.mark.parametrize("bits", [4, 5, 6, 7])
def test_models_of_fewer_bits_are_unpacked(browser: Browser, page: Path, bits: int) -> None:
    """Every number comes back, also those at the ends of the range."""
    browser.show(page)
    top = 2 ** (bits - 1) - 1
    codes = np.random.default_rng(0).integers(-top, top + 1, 8 * bits * 5).astype(np.int8)
    packed = pack_bits(codes, bits=bits)
    assert len(packed) == len(codes) * bits // 8
    function = "(bytes, bits) => [...unpackBits(Uint8Array.from(bytes), bits)]"
    assert ask(browser, function, list(packed), bits) == codes.tolist()


def test_a_kept_epoch_of_fewer_bits_is_the_rounded_model(
    browser: Browser, facts: RunFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_model(seed=2)
    kept = add_epoch_model(facts, first)
    size = len(render_page(make_model(), kept).encode())
    monkeypatch.setattr(page_module, "LARGEST_PAGE", size - 10_000)
    path = tmp_path / "model.html"
    path.write_text(render_page(make_model(), kept), encoding="utf-8")
    browser.show(path)
    bits = browser.evaluate("MODEL.kept_bits")
    pack = pack_network(kept.epoch_models[1], first.model).round_to(bits)
    place = pack.matrices["layers.1.down"]
    found = browser.evaluate("[...openModel('-1').network.matrices['layers.1.down'].codes]")
    codes = np.frombuffer(pack.join()[0], np.int8)[place["codes"] :][: place["rows"] * place["columns"]]
    assert found == codes.tolist()
    browser.evaluate("byId('interface').value = 'es'; byId('interface').dispatchEvent(new Event('change'))")
    remark = browser.evaluate("document.querySelector('[data-text=kept_rounded]').textContent")
    assert f"{bits} bits por peso" in remark


def test_views_change_with_the_keyboard_and_the_language(browser: Browser, page: Path) -> None:
    """The arrow keys move between the tabs; the interface speaks Spanish."""
    browser.show(page)
    press = (
        "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    )
    browser.evaluate("tabs[0].focus()")
    shown = "VIEWS.filter((name) => !byId(name).hidden)".replace("VIEWS", json.dumps(VIEWS))
    ask(browser, press, "ArrowRight")
    assert browser.evaluate(shown) == ["inside"]
    ask(browser, press, "End")
    assert browser.evaluate(shown) == ["card"]
    browser.evaluate("byId('interface').value = 'es'; byId('interface').dispatchEvent(new Event('change'))")
    assert browser.evaluate("[document.documentElement.lang, tabs[1].textContent]") == ["es", "Mirar dentro"]
    assert "{" not in browser.evaluate("document.querySelector('main').innerText")


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: scripts/install-browser")
@pytest.mark.parametrize(
    ("size", "scheme", "language"),
    [(DESKTOP, "light", "en"), (PHONE, "dark", "es")],
    ids=["desktop light", "phone dark"],
)
def test_nothing_is_in_a_readers_way(
    browser: Browser, page: Path, size: tuple[int, int], scheme: str, language: str
) -> None:
    """axe-core finds nothing, of any impact, in any view with a text written and a head chosen."""
    browser.show(page, size=size, scheme=scheme)
    browser.evaluate(
        f"language = '{language}'; showTexts(); byId('heads').querySelector('input').click(); write()"
    )
    for view in VIEWS:
        browser.evaluate(f"showView('{view}')")
        assert browser.find_barriers(("minor", "moderate", "serious", "critical")) == [], view


@pytest.mark.parametrize("size", [DESKTOP, PHONE, NARROW], ids=["desktop", "phone", "narrow"])
def test_no_screen_has_to_be_scrolled_sideways(browser: Browser, page: Path, size: tuple[int, int]) -> None:
    browser.show(page, size=size)
    browser.evaluate("byId('prompt').value = 'ñ'.repeat(300); write()")
    for view in VIEWS:
        browser.evaluate(f"showView('{view}')")
        assert browser.evaluate("document.documentElement.scrollWidth") <= size[0], view


def test_no_request_leaves_the_page(browser: Browser, page: Path) -> None:
    """The file itself is all that is requested, and the policy refuses every request that a script would make."""
    browser.requests.clear()
    browser.show(page)
    browser.evaluate("byId('max_tokens').value = 5; write()")
    assert browser.requests == [page.resolve().as_uri()]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for attempt in (
            "(url) => fetch(url).catch(() => 'refused')",
            """(url) => new Promise((tell) => {
                const image = new Image();
                image.onerror = () => tell('refused');
                image.src = url })""",
        ):
            assert ask(browser, attempt, address) == "refused"
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_script_in_the_texts_never_runs(
    browser: Browser, trained: TrainedModel, facts: RunFacts, tmp_path: Path
) -> None:
    """Neither in a title nor in a sample nor in what the reader types."""
    attack = "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>"
    manifest, metrics = facts.manifest.model_copy(deep=True), facts.metrics.model_copy(deep=True)
    manifest.documents[0].title = attack
    metrics.epoch_history[0].samples[0] = Sample(text=attack)
    path = tmp_path / "page.html"
    hostile = dataclasses.replace(facts, manifest=manifest, metrics=metrics)
    path.write_text(render_page(trained, hostile), encoding="utf-8")
    browser.show(path)
    ask(
        browser,
        "(text) => { byId('prompt').value = byId('sentence').value = text; readSentence(); return write() }",
        attack,
    )
    assert browser.evaluate("window.hurt === undefined && document.images.length === 0") is True
    assert attack in browser.evaluate("byId('text').textContent")
    assert attack in browser.evaluate("document.querySelector('.epochs').textContent")


def test_on_paper_every_view_and_every_epoch_is_there(browser: Browser, page: Path) -> None:
    """Dark on white, whatever the screen."""
    browser.show(page, scheme="dark", media="print")
    shown = "(names) => names.map((name) => byId(name).getBoundingClientRect().height > 0)"
    assert ask(browser, shown, VIEWS) == [True] * 4
    assert browser.evaluate(
        "[...document.querySelectorAll('.epochs > li')].every((one) => one.offsetHeight > 0)"
    )
    assert (
        browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    )
