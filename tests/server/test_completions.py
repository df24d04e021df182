"""Programs written for OpenAI's API get what the runtime writes, and errors they understand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from serving import Served

from semilla.runtime.session import Model
from semilla.server.completions import MAX_CHOICES
from semilla.server.generation import write_token

PROMPT = "¿Qué haces"


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as one:
        yield one


def test_models_are_listed_and_looked_up(client: openai.OpenAI) -> None:
    """By the names of their folders."""
    assert [model.id for model in client.models.list()] == ["river", "tree"]
    assert client.models.retrieve("tree").owned_by == "semilla"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("../river")


def test_a_completion_is_the_text_of_the_runtime(client: openai.OpenAI, model: Model) -> None:
    """For the same seed and settings; what the request leaves out is the model's own setting."""
    for changes in ({}, {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7}, {"temperature": 0}):
        expected = model.generate(PROMPT, seed=3, **{"max_tokens": 20, **changes})
        answer = client.completions.create(
            model="river", prompt=PROMPT, seed=3, **{"max_tokens": 20, **changes}
        )
        assert answer.choices[0].text == expected


def test_a_stream_adds_up_to_the_same_text(client: openai.OpenAI, model: Model) -> None:
    """Its last chunk before the usage says why it ended."""
    stream = client.completions.create(
        model="river",
        prompt=PROMPT,
        seed=5,
        max_tokens=30,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == model.generate(
        PROMPT, seed=5, max_tokens=30
    )
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (len(model.encode(PROMPT)), 30)


def test_several_texts_have_seeds_of_their_own(client: openai.OpenAI, model: Model) -> None:
    """Two prompts with two texts each: the second of a prompt has the next seed."""
    answer = client.completions.create(model="river", prompt=["She", "Había"], n=2, seed=7, max_tokens=9)
    found = {choice.index: choice.text for choice in answer.choices}
    expected = [
        model.generate(prompt, seed=seed, max_tokens=9) for prompt in ("She", "Había") for seed in (7, 8)
    ]
    assert found == dict(enumerate(expected))
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(model.encode("She")) + len(model.encode("Había"))


def test_a_stop_text_ends_the_text(client: openai.OpenAI, model: Model) -> None:
    """It is not part of the text, in a stream neither."""
    whole = model.generate(PROMPT, seed=1, max_tokens=40)
    stop = whole[10:13]
    expected = whole[: whole.index(stop)]
    arguments: dict[str, Any] = {
        "model": "river",
        "prompt": PROMPT,
        "seed": 1,
        "max_tokens": 40,
        "stop": [stop],
    }
    answer = client.completions.create(**arguments)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (expected, "stop")
    chunks = list(client.completions.create(stream=True, logprobs=1, **arguments))
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected


def test_logprobs_are_those_of_the_network(client: openai.OpenAI, model: Model) -> None:
    """Before temperature and penalty; the two tokens that are never chosen have no share."""
    stream = model.stream(PROMPT, seed=2, max_tokens=12)
    "".join(stream)
    ids = [*model.encode(PROMPT), *stream.token_ids]
    logits = model.compute_logits(ids[:-1]).astype(np.float64)[-12:]
    logits[:, :2] = -math.inf
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    answer = client.completions.create(model="river", prompt=PROMPT, seed=2, max_tokens=12, logprobs=3)
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.tokens == [write_token(model.tokenizer, token) for token in stream.token_ids]
    chosen = [row[token] for row, token in zip(expected, stream.token_ids, strict=True)]
    # Reading one token or several at a time rounds activations differently; one is 0.1 of a score.
    assert found.token_logprobs == pytest.approx(chosen, abs=0.3)
    assert found.top_logprobs is not None
    for top, row in zip(found.top_logprobs, expected, strict=True):
        assert list(top.values()) == pytest.approx(sorted(row, reverse=True)[:3], abs=0.3)
        assert list(top.values()) == sorted(top.values(), reverse=True)


def test_logprobs_of_a_stream_are_those_of_the_whole(client: openai.OpenAI) -> None:
    arguments: dict[str, Any] = {"model": "river", "prompt": "", "seed": 4, "max_tokens": 25, "logprobs": 0}
    whole = client.completions.create(**arguments).choices[0].logprobs
    parts = [chunk.choices[0].logprobs for chunk in client.completions.create(stream=True, **arguments)]
    assert whole is not None
    assert [one for part in parts if part for one in part.token_logprobs or []] == whole.token_logprobs
    assert [one for part in parts if part for one in part.text_offset or []] == whole.text_offset


def test_echo_puts_the_prompt_first(client: openai.OpenAI, model: Model) -> None:
    answer = client.completions.create(model="river", prompt="She", echo=True, seed=0, max_tokens=4)
    assert answer.choices[0].text == "She" + model.generate("She", seed=0, max_tokens=4)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("temperature", -1),
        ("temperature", "hot"),
        ("top_p", 1.5),
        ("n", 0),
        ("n", MAX_CHOICES + 1),
        ("max_tokens", 0),
        ("max_tokens", 2001),
        ("seed", -1),
        ("seed", 2**63),
        ("stop", [""]),
        ("stop", ["x" * 300]),
        ("logprobs", 6),
        ("prompt", [1, 2, 3]),
        ("prompt", []),
        ("prompt", "\ud800"),
        ("suffix", "end"),
        ("presence_penalty", 0.5),
        ("best_of", 4),
        ("logit_bias", {"50": 1}),
    ],
)
def test_a_wrong_parameter_is_named(served: Served, parameter: str, value: Any) -> None:
    """With status 400 and in the form of the API."""
    status, answer = served.ask_json("/v1/completions", {"model": "river", "prompt": "She", parameter: value})
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert (answer["error"]["type"], answer["error"]["param"]) == ("invalid_request_error", parameter)


def test_the_client_raises_its_own_errors(client: openai.OpenAI) -> None:
    """For a wrong parameter, for a model that is not there, and for a chat."""
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.completions.create(model="river", prompt="", temperature=-1)
    with pytest.raises(openai.NotFoundError, match="river, tree"):
        client.completions.create(model="other", prompt="")
    with pytest.raises(openai.BadRequestError, match="no chat model") as raised:
        client.chat.completions.create(model="river", messages=[{"role": "user", "content": "Hi"}])
    assert raised.value.code == "not_a_chat_model"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1", "/v1/models/none"])
def test_other_addresses_are_not_found(served: Served, path: str) -> None:
    status, answer = served.ask_json(path)
    assert status == 404
    assert answer["error"]["code"] in {"not_found", "model_not_found"}


def test_other_methods_are_refused_in_the_form_of_the_api(served: Served) -> None:
    status, answer = served.ask_json("/v1/models", method="DELETE")
    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")


def test_unknown_parameters_of_other_servers_are_ignored(served: Served) -> None:
    """As clients of llama.cpp send them; what is null counts as left out."""
    request = {
        "model": "river",
        "prompt": "She",
        "max_tokens": 2,
        "cache_prompt": True,
        "user": "x",
        "stop": None,
    }
    status, answer = served.ask_json("/v1/completions", request)
    assert status == 200
    assert answer["usage"]["completion_tokens"] <= 2


def test_front_ends_find_models_and_a_sign_of_life(served: Served) -> None:
    """Open WebUI lists models with a key that means nothing here; llama.cpp's clients ask /health first."""
    assert served.ask_json("/health") == (200, {"status": "ok"})
    status, answer = served.ask_json("/v1/models", headers={"Authorization": "Bearer sk-none"})
    assert status == 200
    assert [(model["object"], model["id"]) for model in answer["data"]] == [
        ("model", "river"),
        ("model", "tree"),
    ]


def test_a_stream_is_made_of_events(served: Served) -> None:
    """Each line is ``data: `` and JSON, and the last is ``[DONE]``; usage comes only when it is asked for."""
    request = {"model": "river", "prompt": "She", "max_tokens": 5, "stream": True}
    status, headers, body = served.ask("/v1/completions", request)
    assert status == 200
    assert headers.get_content_type() == "text/event-stream"
    events = body.decode().removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") for event in events)
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert not any("usage" in chunk for chunk in chunks)
