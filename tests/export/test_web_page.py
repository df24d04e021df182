"""The page is one file that holds the model whole, in little space, and nothing that could act as markup."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from default_bundle import train_tokenizer_of_8000
from tiny_models import make_model
from web_pages import add_epoch_model

from semilla.configuration.schema import ModelArchitecture
from semilla.errors import ValidationFailureError
from semilla.export.int8_graph import build_int8_graph, dequantize
from semilla.export.trained_model import OPENINGS_PER_LANGUAGE, RunFacts, TrainedModel, read_run
from semilla.export.web import folder
from semilla.export.web import page as page_module
from semilla.export.web.epochs import FEWEST_BITS, MOST_BITS, encode, fit_epoch_models
from semilla.export.web.network import pack_network
from semilla.export.web.page import SCRIPTS, read_texts, render_card, render_page
from semilla.model.transformer import Transformer
from semilla.records.sample import Sample

WEB = Path(folder.__file__).parent


@pytest.fixture(scope="session")
def facts(run_dir: Path) -> RunFacts:
    return read_run(run_dir)[1]


@pytest.fixture(scope="session")
def page(trained: TrainedModel, facts: RunFacts) -> str:
    return render_page(trained, facts)


def test_openings_differ(facts: RunFacts) -> None:
    """Also where the stories of a text begin alike."""
    for openings in facts.openings.values():
        assert 1 <= len(openings) <= OPENINGS_PER_LANGUAGE
        assert len(set(openings)) == len(openings)


@pytest.mark.parametrize("num_heads", [4, 8], ids=["whole heads", "padded heads"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_packed_weights_are_those_of_the_bundle(num_heads: int, tied: bool) -> None:
    """Bytes times scales are the int8 weights of every matrix; a padded head only adds zeros."""
    trained = make_model(num_heads=num_heads, tie_embeddings=tied)
    pack = pack_network(build_int8_graph(trained.weights, model=trained.model), trained.model)
    codes, floats = (
        np.frombuffer(data, kind) for data, kind in zip(pack.join(), (np.int8, np.float32), strict=True)
    )

    def unpack(name: str) -> np.ndarray:
        place = pack.matrices[name]
        rows, columns = place["rows"], place["columns"]
        scales = floats[place["scales"] :][: rows * -(-columns // place["block"])].reshape(rows, -1)
        whole = codes[place["codes"] :][: rows * columns].reshape(rows, columns)
        return whole * np.repeat(scales, place["block"], axis=1)[:, :columns]

    weights, layer = trained.weights, "model.layers.1."
    assert np.array_equal(unpack("embedding"), dequantize(weights["model.embed_tokens.weight"]))
    assert np.array_equal(unpack("layers.1.down"), dequantize(weights[f"{layer}mlp.down_proj.weight"]))
    value = unpack("layers.1.qkv")[2 * len(unpack("layers.1.qkv")) // 3 :]
    expected = dequantize(weights[f"{layer}self_attn.v_proj.weight"])
    assert np.array_equal(value[value.any(axis=1)], expected)
    assert ("output" in pack.matrices) is not tied
    vector = pack.vectors["layers.1.mlp"]
    gain = weights[f"{layer}post_attention_layernorm.weight"]
    assert np.array_equal(floats[vector["at"] :][: vector["length"]], gain)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_page_of_the_default_shape_is_small(facts: RunFacts, trained: TrainedModel, tied: bool) -> None:
    """It has at most 4 MB, with an output matrix of its own too, and with models of kept epochs."""
    network = Transformer(ModelArchitecture(tie_embeddings=tied), vocab_size=8000, max_positions=128)
    for weight in network.parameters():
        torch.nn.init.normal_(weight)
    model = TrainedModel(network, train_tokenizer_of_8000(), trained.held_out)
    assert len(render_page(model, facts).encode()) <= 4_000_000
    graph = build_int8_graph(model.weights, model=model.model)
    kept = dataclasses.replace(facts, epoch_models=dict.fromkeys((1, 2, 5, 10), graph))
    page = render_page(model, kept)
    assert len(page.encode()) <= 4_000_000
    assert ("codes-1" in page) == tied


def test_an_export_that_lost_a_weight_is_refused(
    trained: TrainedModel, facts: RunFacts, tmp_path: Path
) -> None:
    """The page is read back: a changed weight or piece, or a missing element, is an error."""
    folder.write(tmp_path, trained, facts=facts)
    path = tmp_path / "model.html"
    whole = path.read_text(encoding="utf-8")
    folder.check(tmp_path, trained)
    codes = folder.read_element(whole, "codes")
    changed = base64.b64encode(b"\x01" + base64.b64decode(codes)[1:]).decode()
    for damaged in (
        whole.replace(codes, changed),
        whole.replace('"<0x41>"'.replace("<", "\\u003c"), '"A"'),
        whole.replace('id="floats"', 'id="other"'),
    ):
        assert damaged != whole
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(ValidationFailureError):
            folder.check(tmp_path, trained)


def test_nothing_from_outside_becomes_markup(facts: RunFacts, trained: TrainedModel) -> None:
    """A title and a sample with tags stay text, in the page, in its data and in the card."""
    attack = "</script><img src=x onerror=alert(1)>"
    manifest = facts.manifest.model_copy(deep=True)
    manifest.documents[0].title = attack
    metrics = facts.metrics.model_copy(deep=True)
    metrics.epoch_history[0].samples[0] = Sample(text=attack)
    page = render_page(trained, dataclasses.replace(facts, manifest=manifest, metrics=metrics))
    assert "<img" not in page
    assert page.count("&lt;img") >= 3
    assert page.count("</script>") == 3 + len(SCRIPTS)


def test_the_models_of_kept_epochs_are_in_the_page(facts: RunFacts) -> None:
    """With their own weights, and without a second vocabulary; one of another shape is left out."""
    kept = add_epoch_model(facts, make_model(seed=2))
    page = render_page(make_model(), kept)
    codes, floats = pack_network(kept.epoch_models[1], make_model().model).join()
    assert base64.b64decode(folder.read_element(page, "codes-1")) == codes
    assert base64.b64decode(folder.read_element(page, "floats-1")) == floats
    assert folder.read_element(page, "codes-1") != folder.read_element(page, "codes")
    other = render_page(make_model(), add_epoch_model(facts, make_model(d_model=128)))
    assert "codes-1" not in other
    assert "learn-form" not in other.split("<script")[0]


def test_kept_epochs_get_fewer_bits_and_then_fewer_models() -> None:
    """As many bits as there is room for; below FEWEST_BITS models are left out, but never the first before others."""
    trained = make_model()
    pack = pack_network(build_int8_graph(trained.weights, model=trained.model), trained.model)
    packs = dict.fromkeys((1, 2, 5, 10), pack)
    sizes = {bits: 4 * sum(map(len, encode(pack, bits=bits))) for bits in range(FEWEST_BITS, MOST_BITS + 1)}
    assert sorted(set(sizes.values())) == list(sizes.values())
    for bits, size in sizes.items():
        found = fit_epoch_models(packs, room_bytes=size)
        assert (found.bits, [*found.arrays], found.left_out) == (bits, [1, 2, 5, 10], ())
    for count, chosen in enumerate(([], [1], [1, 5], [1, 2, 5])):
        found = fit_epoch_models(packs, room_bytes=count * sizes[FEWEST_BITS] // 4)
        assert (found.bits, [*found.arrays]) == (FEWEST_BITS, chosen)
        assert sorted([*chosen, *found.left_out]) == [1, 2, 5, 10]
    assert [*fit_epoch_models(packs, room_bytes=-1).arrays] == []


@pytest.mark.parametrize("bits", range(FEWEST_BITS, MOST_BITS))
def test_fewer_bits_change_a_weight_by_half_a_step(bits: int) -> None:
    """The codes fit into the bits, and the gains stay as they are."""
    trained = make_model()
    pack = pack_network(build_int8_graph(trained.weights, model=trained.model), trained.model)
    rounded = pack.round_to(bits)
    scales = {place["scales"]: name for name, place in pack.matrices.items()}
    place, codes = 0, iter(zip(pack.codes, rounded.codes, strict=True))
    for before, after in zip(pack.floats, rounded.floats, strict=True):
        if place in scales:
            old, new = next(codes)
            assert abs(new).max() < 2 ** (bits - 1)
            change = np.abs(old * before.min() - new * after.min())
            assert change.max() <= 0.501 * after.min()
        else:
            assert np.array_equal(before, after)
        place += before.size


def test_a_page_with_kept_epochs_is_small_too(
    facts: RunFacts, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays below the limit, and says in both languages what that took."""
    kept = add_epoch_model(facts, make_model(seed=2))
    whole = render_page(make_model(), kept)
    assert "kept_rounded" not in whole.split('<script type="application')[0]
    for missing_bytes, remark in ((10_000, "kept_rounded"), (100_000, "kept_left_out")):
        limit = len(whole.encode()) - missing_bytes
        monkeypatch.setattr(page_module, "LARGEST_PAGE", limit)
        page = render_page(make_model(), kept)
        assert len(page.encode()) <= limit
        assert f'data-text="{remark}"' in page
    assert "those of epochs 1." in page
    assert "learn-form" not in page.split("<script")[0]


def test_markup_in_a_card_is_shown_as_text() -> None:
    """HTML stays text, a link to a script is no link, and headings begin below those of the page."""
    html = render_card("---\nlanguage: en\n---\n# One\n<b>bold</b> [x](javascript:alert(1))\n")
    assert "<h3>One</h3>" in html
    assert "&lt;b&gt;" in html
    assert "<a" not in html
    assert "language: en" not in html


def test_the_interface_is_the_same_in_every_language() -> None:
    """Each text exists in both languages, with the same values to fill in, and is used."""
    texts = read_texts()
    assert texts["en"].keys() == texts["es"].keys()
    used = "".join(
        path.read_text(encoding="utf-8") for path in WEB.iterdir() if path.suffix in {".js", ".jinja"}
    )
    for key, text in texts["en"].items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", texts["es"][key])), key
        assert re.search(rf"\b{key}\b", used), key


def test_the_page_names_no_address(page: str) -> None:
    """Outside of comments and of the card it has no link, and it loads nothing."""
    assert re.findall(r"<(?:link|img|iframe|object|embed|video|audio)\b", page) == []
    assert re.findall(r"<script[^>]*\bsrc=|@import|url\(", page) == []
