"""Writes the page: one HTML file with the model, its forward pass in JavaScript and its model card.

``tokenizer.js``, ``network.js`` and ``sampling.js`` compute what ``semilla.runtime`` computes. The other scripts show
it, one file per view. The page contains the scripts unchanged, so its source can be read. Its policy allows only these
scripts and this style sheet, by their hashes, and no request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markdown_it import MarkdownIt
from markupsafe import Markup

from semilla import __version__
from semilla.escape import dump_json, escape_controls
from semilla.export.bundle import suggest_settings
from semilla.export.int8_graph import build_int8_graph
from semilla.export.model_card import write_card
from semilla.export.trained_model import RunFacts, TrainedModel
from semilla.export.vocabulary import Vocabulary
from semilla.export.web.epochs import MOST_BITS, EpochModels, encode, fit_epoch_models
from semilla.export.web.network import Pack, pack_network
from semilla.pages import hash_content, open_templates
from semilla.records import names
from semilla.runtime.network import count_chunk_tokens

SCRIPTS = ("tokenizer.js", "network.js", "sampling.js", "page.js", "talk.js", "inside.js", "learn.js")
"""In the order in which the page runs them."""
LANGUAGES = (("en", "English"), ("es", "Español"))
"""The languages of the page's own texts."""
LARGEST_PAGE = 4_000_000
"""Bytes of a page with the models of kept epochs."""
EPOCH_ELEMENTS = 1000
"""Bytes for the elements and remarks that come with the model of an epoch, without its weights."""
USE = f"Open `{names.PAGE}` in a browser. It is one file and loads nothing else."
POLICY = "default-src 'none'; script-src {scripts}; style-src {style}; base-uri 'none'; form-action 'none'"


def render_page(trained: TrainedModel, facts: RunFacts) -> str:
    """Return the page of a trained model. Every text from outside is escaped."""
    pack = pack_model(trained)
    page = _render(trained, facts, pack, EpochModels())
    copies = pack_epoch_models(facts, pack, trained.model)
    if not copies:
        return page
    room_bytes = LARGEST_PAGE - EPOCH_ELEMENTS * len(copies) - len(page.encode())
    return _render(trained, facts, pack, fit_epoch_models(copies, room_bytes=room_bytes))


def _render(trained: TrainedModel, facts: RunFacts, pack: Pack, copies: EpochModels) -> str:
    style, texts = _read("style.css"), read_texts()
    content = {
        **describe_model(trained, facts, pack),
        "kept_epochs": [*copies.arrays],
        "kept_bits": copies.bits,
        "best_epoch": find_best_epoch(facts),
        "texts": texts,
    }
    values = {
        "parameters": f"{count_parameters(trained):,}",
        "texts": ", ".join(entry.title for entry in facts.manifest.documents),
        "version": __version__,
        "model_version": trained.version,
    }
    scripts = [(name, _read(name)) for name in SCRIPTS]
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            model_version=trained.version,
            policy=POLICY.format(
                # The hash covers everything between the tags, so the line break before the script too.
                scripts=" ".join(hash_content(f"\n{script}") for _, script in scripts),
                style=hash_content(style),
            ),
            style=Markup(style),  # noqa: S704 - ours
            scripts=[(name, Markup(script)) for name, script in scripts],  # noqa: S704 - ours
            interface_languages=LANGUAGES,
            texts={key: _fill(text, values) for key, text in texts["en"].items()},
            epochs=list(list_epochs(facts)),
            copies=copies,
            is_rounded=copies.bits < MOST_BITS,
            left_out=", ".join(map(str, copies.left_out)),
            card=Markup(render_card(write_card(trained, facts, use=USE))),  # noqa: S704 - rendered without raw HTML
            model=Markup(dump_json(content)),  # noqa: S704 - it has no "<"
            arrays=[("", *encode(pack)), *((f"-{epoch}", *one) for epoch, one in copies.arrays.items())],
        )
    )


def pack_model(trained: TrainedModel) -> Pack:
    """The int8 network, and the scores of the vocabulary."""
    pack = pack_network(build_int8_graph(trained.weights, model=trained.model), trained.model)
    pack.add_vector(
        "piece_scores", np.array([piece.score for piece in trained.vocabulary.pieces], np.float32)
    )
    return pack


def pack_epoch_models(facts: RunFacts, whole: Pack, model: Mapping[str, Any]) -> dict[int, Pack]:
    """The networks of the kept epochs, laid out like ``whole``; one that is laid out otherwise is left out."""
    packs = {number: pack_network(graph, model) for number, graph in facts.epoch_models.items()}
    return {
        number: pack
        for number, pack in packs.items()
        if pack.matrices == whole.matrices and pack.vectors.items() <= whole.vectors.items()
    }


def find_best_epoch(facts: RunFacts) -> int:
    """The epoch that the model itself is of."""
    best = facts.metrics.final_metrics
    return best.best_epoch if best else len(facts.metrics.epoch_history)


def describe_model(trained: TrainedModel, facts: RunFacts, pack: Pack) -> dict[str, Any]:
    """Everything that the scripts need beside the arrays."""
    settings = asdict(suggest_settings(trained.start_id))
    assert not settings.pop("stop"), "the page knows no stop texts"
    return {
        "version": __version__,
        "model_version": trained.version,
        "titles": [entry.title for entry in facts.manifest.documents],
        "num_parameters": count_parameters(trained),
        "shape": {**trained.model, "chunk_tokens": count_chunk_tokens(trained.model)},
        "vocabulary": describe_vocabulary(trained.vocabulary),
        "matrices": pack.matrices,
        "vectors": pack.vectors,
        "start_ids": [trained.start_id],
        "settings": settings,
        "openings": facts.openings,
        "losses": [[epoch.train_loss, epoch.validation_loss] for epoch in facts.metrics.epoch_history],
    }


def describe_vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    """The pieces; one digit a piece for its kind."""
    return {
        "type": vocabulary.model_type,
        "pieces": [piece.text for piece in vocabulary.pieces],
        "kinds": "".join(str(int(piece.kind)) for piece in vocabulary.pieces),
    }


def count_parameters(trained: TrainedModel) -> int:
    return sum(weight.size for weight in trained.weights.values())


def list_epochs(facts: RunFacts) -> Iterator[dict[str, Any]]:
    """The losses and the samples of every epoch."""
    for epoch in facts.metrics.epoch_history:
        yield {
            "number": epoch.epoch_number,
            "loss": round(epoch.validation_loss, 3),
            "train": round(epoch.train_loss, 3),
            "samples": epoch.list_samples(),
        }


def render_card(card: str) -> str:
    """The model card as HTML, below the headings of the page. Raw HTML in it stays text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    body = re.sub(r"\A---\n.*?\n---\n", "", escape_controls(card), flags=re.DOTALL)
    tokens = markdown.parse(body)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{int(token.tag[1]) + 2}"
    html = str(markdown.renderer.render(tokens, markdown.options, {}))
    html = re.sub(r"<thead>\s*<tr>\s*(<th></th>\s*)+</tr>\s*</thead>", "", html)
    frame = '<div class="scroll" tabindex="0" role="group" aria-label="Table">'
    return html.replace("<table>", f"{frame}<table>").replace("</table>", "</table></div>")


def read_texts() -> Mapping[str, Mapping[str, str]]:
    """The page's own texts, by language and key."""
    texts: Mapping[str, Mapping[str, str]] = json.loads(_read("texts.json"))
    return texts


def _fill(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda match: values.get(match[1], match[0]), text)


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = open_templates("semilla.export", "web")
    environment.filters["tojson_attribute"] = lambda epoch: dump_json(
        {"epoch": epoch["number"], "loss": epoch["loss"], "train": epoch["train"]}
    )
    return environment
