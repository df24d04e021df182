"""The model's page in a browser beside the runtime's model: asks the page, and compares texts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from browser import Browser

from semilla.export.int8_graph import build_int8_graph
from semilla.export.trained_model import RunFacts, TrainedModel
from semilla.runtime.session import Model


def add_epoch_model(facts: RunFacts, first: TrainedModel) -> RunFacts:
    """Facts of a run of two epochs that kept ``first`` after the first; the second was the best."""
    metrics = facts.metrics.model_copy(deep=True)
    second = metrics.epoch_history[0].model_copy(deep=True)
    second.epoch_number = 2
    metrics.epoch_history = [metrics.epoch_history[0], second]
    assert metrics.final_metrics
    metrics.final_metrics.best_epoch = 2
    graph = build_int8_graph(first.weights, model=first.model)
    return dataclasses.replace(facts, metrics=metrics, epoch_models={1: graph})


def ask(browser: Browser, function: str, *values: Any) -> Any:
    """The value of a JavaScript function for values that are passed as JSON."""
    return browser.evaluate(f"({function})(...{json.dumps(values)})")


def continue_in_page(browser: Browser, prompts: Sequence[str], length: int) -> list[list[int]]:
    """The tokens of the page's greedy continuations."""
    settings = {"temperature": 0, "repetition_penalty": 1, "top_k": 0, "top_p": 1, "max_tokens": length}
    function = """(prompts, settings) => prompts.map((prompt) =>
        [...generate(network, encodePrompt(prompt), settings, 0n)].map((choice) => choice.id))"""
    found: list[list[int]] = ask(browser, function, prompts, settings)
    return found


def measure_parting(model: Model, prompt: str, found: Sequence[int]) -> float | None:
    """None if ``found`` are the tokens of the runtime's greedy continuation.

    Else how much better the runtime's best score is than its second best, where the two texts part.
    """
    stream = model.stream(prompt, temperature=0, repetition_penalty=1, max_tokens=len(found), seed=0)
    "".join(stream)
    pairs = enumerate(zip(found, stream.token_ids, strict=False))
    parted = next((place for place, (one, other) in pairs if one != other), None)
    if parted is None:
        return None
    context = model.open_context()
    for ids in (model.encode(prompt), *([token] for token in stream.token_ids[:parted])):
        context.read(ids)
    scores = np.sort(model.compute_logits(context.token_ids)[-1])
    return float(scores[-1] - scores[-2])
