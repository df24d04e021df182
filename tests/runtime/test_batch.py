"""Texts generated together: each is the text of its seed, in every bit, whatever is generated beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from default_bundle import describe_default
from tiny_bundle import draw_weights, write_tiny_bundle

from semilla.errors import IntegrityError, InvalidConfigError
from semilla.export.int8_graph import build_int8_graph
from semilla.runtime import batch
from semilla.runtime.bundle import DESCRIPTION, MODEL, hash_description, read_bundle, sha256
from semilla.runtime.context import GREEDY, Arrays, Context
from semilla.runtime.network import Network
from semilla.runtime.session import Model, load

PROMPTS = ["", "Once upon", "Había una vez una niña " * 4, "Once upon", "¿Qué "] * 4
"""The third is longer than the context of 32."""


def generate_all(model: Model, prompts: Sequence[str], *, num_threads: int = 1, **changes: Any) -> list[str]:
    streams = model.stream_all(prompts, seeds=range(len(prompts)), num_threads=num_threads, **changes)
    return ["".join(stream) for stream in streams]


def generate_each(model: Model, prompts: Sequence[str], **changes: Any) -> list[str]:
    return [model.generate(prompt, seed=seed, **changes) for seed, prompt in enumerate(prompts)]


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("settings", [{}, {"temperature": 2.0, "top_k": 0}, {"temperature": 0.0}])
def test_each_is_the_text_of_its_seed(model: Model, settings: dict[str, Any], num_threads: int) -> None:
    """With prompts of any length, texts longer than the context, and more texts than a batch has places."""
    together = generate_all(model, PROMPTS, num_threads=num_threads, max_tokens=80, **settings)
    assert together == generate_each(model, PROMPTS, max_tokens=80, **settings)


def test_texts_that_end_make_room(model: Model) -> None:
    """Texts of many lengths, ended by themselves, by a stop text or by the limit, with all that is known of each."""
    changes: dict[str, Any] = {"max_tokens": 60, "stop": ("e", "a"), "temperature": 1.5}
    alone = [model.stream(prompt, seed=seed, **changes) for seed, prompt in enumerate(PROMPTS)]
    beside = list(model.stream_all(PROMPTS, seeds=range(len(PROMPTS)), **changes))
    assert ["".join(stream) for stream in beside] == ["".join(stream) for stream in alone]
    for one, other in zip(beside, alone, strict=True):
        assert (one.token_ids, one.ended, one.seed) == (other.token_ids, other.ended, other.seed)
        assert one.num_prompt_tokens == other.num_prompt_tokens
    assert len({len(stream.token_ids) for stream in beside}) > 5


def test_streams_can_be_read_in_any_order(model: Model) -> None:
    """The last one first, and then the others in turn."""
    streams = list(model.stream_all(["Once"] * 5, seeds=range(5), max_tokens=40))
    texts = ["".join(stream) for stream in reversed(streams)]
    assert texts[::-1] == generate_each(model, ["Once"] * 5, max_tokens=40)


def test_a_pass_serves_all_texts(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph runs once a token, not once a token and text; a common prompt is read once."""
    num_runs, run = 0, Network.run

    def count(network: Network, binding: Any) -> None:
        nonlocal num_runs
        num_runs += 1
        run(network, binding)

    monkeypatch.setattr(Network, "run", count)
    streams = list(model.stream_all(["Once upon"] * 8, seeds=range(8), max_tokens=12))
    for stream in streams:
        "".join(stream)
    assert num_runs == 1 + max(len(stream.token_ids) + (stream.ended == "itself") for stream in streams)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_memory_is_bounded(model: Model, monkeypatch: pytest.MonkeyPatch, num_threads: int) -> None:
    """Batches have as many places as their KV caches may take, and one at least."""
    places: list[int] = []

    def note(*_: object, largest: int) -> object:
        places.append(largest)
        return SimpleNamespace(advance=None)

    monkeypatch.setattr(batch, "Batch", note)
    cache_bytes = 2 * 2 * 32 * 4 * 16 * 4  # two layers, keys and values, 32 tokens, four heads padded to 16
    for cache_bytes_allowed in (0, 6 * cache_bytes, 2**40):
        monkeypatch.setattr(batch, "CACHE_BYTES", cache_bytes_allowed)
        model.stream_all([""] * 50, seeds=range(50), num_threads=num_threads)
    assert places == [one for one in (1, 6 // num_threads, 16) for _ in range(num_threads)]


def test_products_of_the_default_shape_have_the_same_bits_in_a_batch(tmp_path: Path) -> None:
    """Scores of a row alone and beside others, for every number of rows up to 16."""
    model = describe_default()
    bundle = read_bundle(write_tiny_bundle(tmp_path / "bundle"))
    (bundle.directory / MODEL).write_bytes(build_int8_graph(draw_weights(model), model=model))
    object.__setattr__(bundle, "model", model)
    network = Network(bundle)
    settings = GREEDY.change(top_k=40, temperature=1.0)
    first_ids = np.random.default_rng(0).integers(3, 8000, (16, 1))
    alone = []
    for ids in first_ids:
        context = Context(Arrays(network, settings))
        context.read(ids)
        alone.append(context._arrays.best[0])
    for num_texts in range(1, 17):
        arrays = Arrays(network, settings, num_texts=num_texts)
        arrays.ids[:] = first_ids[:num_texts]
        arrays.total[0] = 1
        network.run(arrays.bind(first_ids[:num_texts]))
        assert np.array_equal(arrays.best, alone[:num_texts])


def test_mistakes_are_those_of_one_text(model: Model) -> None:
    """Before anything is generated."""
    with pytest.raises(InvalidConfigError, match="temperature"):
        model.stream_all([""], seeds=[0], temperature=11)
    with pytest.raises(InvalidConfigError, match="seed"):
        model.stream_all(["", ""], seeds=[0, -1])


def test_damage_is_noticed_in_a_batch(model: Model) -> None:
    """Also when only one of the texts is affected."""
    streams = list(model.stream_all(["Once", "Había"], seeds=[0, 1]))
    one = batch.Batch(model._network, model.bundle.settings, streams, largest=2)
    one.advance()
    for cache in one._arrays.caches.values():
        cache[1] = np.nan
    with pytest.raises(IntegrityError, match="NaN or infinity"):
        one.advance()


def write_old_bundle(directory: Path) -> Path:
    """A bundle of version 2, whose graph reads one text at a time."""
    write_tiny_bundle(directory)
    graph = onnx.load(directory / MODEL)
    for value in (*graph.graph.input, *graph.graph.output):
        shape = value.type.tensor_type.shape
        for size in shape.dim:
            if size.dim_param == "B":
                size.dim_value = 1
        if value.name == "uniform":
            del shape.dim[1:]
    onnx.save(graph, directory / MODEL)
    description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
    content = (directory / MODEL).read_bytes()
    description["files"][MODEL] = {"sha256": sha256(content), "size_bytes": len(content)}
    description["bundle_version"] = 2
    description["sha256"] = hash_description(description)
    (directory / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    return directory


def test_bundles_of_an_earlier_semilla_still_work(model: Model, tmp_path: Path) -> None:
    """One text after the other, or one in each thread, with the same result."""
    old = load(write_old_bundle(tmp_path / "bundle"))
    expected = generate_each(model, PROMPTS, max_tokens=40)
    assert generate_each(old, PROMPTS, max_tokens=40) == expected
    for num_threads in (1, 2):
        assert generate_all(old, PROMPTS, num_threads=num_threads, max_tokens=40) == expected
