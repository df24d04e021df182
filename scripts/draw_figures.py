"""Draws the figures of the web edition: the report's line charts, shares of attention, and histograms, as inline SVG.

They show the recorded run, the run of the guide's first chapter (docs/guide/recorded/figures.json), and a recorded run
that overfits. scripts/build_web.py puts each below a block of the guide, in the language of the page. The terminal has
only the block, which is a diagram of characters or a calculation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from guide_figures import read_overfitted
from write_guide import FIGURES, read_recorded

from semilla.configuration.schema import PipelineConfiguration
from semilla.report.charts import Chart, Series, draw_chart
from semilla.training.schedule import compute_learning_rate

TEMPLATE = Path(__file__).parent / "web_theme" / "figure.html.jinja"
NUM_RATES = 60
"""About how many points the line of the learning rate has."""
LAYER, HEAD = 1, 1
"""The picture of attention shows this head, counted from 0."""
PLACES = {
    "attention": ("03-model-initialization.md", "(6.69, 3.31)\n            └"),
    "learning_rate": ("06-optimization.md", "0.02 ┤"),
    "losses": ("07-evaluation-and-checkpoints.md", "<!-- generated: overfitting -->"),
    "weights": ("10-device.md", "int8            0.098425197"),
}
"""The chapter of each figure, and text in the block that it follows, the same in both languages."""
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "step": "step",
        "epoch": "epoch",
        "training": "training",
        "validation": "validation",
        "rate": "learning rate",
        "best": "lowest",
        "inside": "Look inside a model: every layer and head, for a sentence of yours",
        "attention": "What each piece reads, in percent: head {head} of layer {layer} of chapter 1's run",
        "attention_text": "Each row is a piece of “{text}” and shows how much it reads of every piece so far. {most}",
        "attention_most": "“{query}” reads {share} % from “{key}”.",
        "learning_rate": "Learning rate of the recorded run",
        "learning_rate_text": "It rises to {peak} at step {warm} and falls in a straight line to {last} at step {end}.",
        "losses": "Losses of a run that overfits, in nats per token: {kilobytes:.0f} KB of text, {epochs} epochs",
        "losses_text": (
            "The training loss falls from {train_first:.2f} to {train_last:.2f}. The validation loss falls from "
            "{val_first:.2f} to {val_best:.2f} in epoch {best} and rises to {val_last:.2f} in epoch {epochs}."
        ),
        "weights": "Weights of a matrix of chapter 1's run, before and after rounding, in steps of int8",
        "weights_text": "In float32 weights lie between whole steps, too. In int8 each lies on a whole step.",
    },
    "es": {
        "step": "paso",
        "epoch": "época",
        "training": "entrenamiento",
        "validation": "validación",
        "rate": "tasa de aprendizaje",
        "best": "mínimo",
        "inside": "Mira dentro de un modelo: cada capa y cada cabeza, con una frase tuya",
        "attention": "Qué lee cada pieza, en tanto por ciento: cabeza {head}, capa {layer}, ejecución del capítulo 1",
        "attention_text": "Cada fila es una pieza de «{text}» y muestra cuánto lee de las piezas hasta ella. {most}",
        "attention_most": "«{query}» lee un {share} % de «{key}».",
        "learning_rate": "Tasa de aprendizaje de la ejecución registrada",
        "learning_rate_text": "Sube a {peak} en el paso {warm} y baja en línea recta a {last} en el paso {end}.",
        "losses": (
            "Pérdidas de una ejecución con sobreajuste, en nats por token: {kilobytes:.0f} KB de texto, {epochs} épocas"
        ),
        "losses_text": (
            "La pérdida de entrenamiento baja de {train_first:.2f} a {train_last:.2f}. La de validación baja de "
            "{val_first:.2f} a {val_best:.2f} en la época {best} y sube a {val_last:.2f} en la época {epochs}."
        ),
        "weights": "Pesos de una matriz de la ejecución del capítulo 1, sin redondear y redondeados, en pasos de int8",
        "weights_text": "En float32 hay pesos también entre los pasos enteros. En int8 todos están en un paso entero.",
    },
}
"""What the figures say in each language."""


def insert_figures(page: str, name: str, *, language: str, model_address: str = "") -> str:
    """Put the figures of a chapter below their blocks; ValueError if a block is not there.

    With the address of a model's page, the figure of attention links to it.
    """
    for figure, (chapter, text) in PLACES.items():
        if chapter == name:
            before, found, after = page.partition(text)
            rest, fence, after = after.partition("\n```\n")
            if not (found and fence):
                raise ValueError(f"{name} has no block with {text!r} for the figure {figure!r}")
            link = (
                f"\n[{WORDS[language]['inside']}]({model_address})\n"
                if figure == "attention" and model_address
                else ""
            )
            page = f"{before}{found}{rest}{fence}\n{draw(figure, language=language)}\n{link}\n{after}"
    return page


def draw(figure: str, *, language: str) -> str:
    """One figure as HTML, on one line without blank ones, as Markdown needs it."""
    html = DRAWN[figure](WORDS[language], figure)
    return "\n".join(line.strip() for line in html.splitlines() if line.strip())


def render(kind: str, **context: Any) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(kind=kind, **context)


def draw_losses(words: Mapping[str, str], key: str) -> str:
    run = read_overfitted()
    training, validation = run["train_loss"], run["validation_loss"]
    best = validation.index(min(validation)) + 1
    said = {
        "kilobytes": run["train_bytes"] / 1000,
        "epochs": len(training),
        "best": best,
        "train_first": training[0],
        "train_last": training[-1],
        "val_first": validation[0],
        "val_best": min(validation),
        "val_last": validation[-1],
    }
    series = [
        Series(words["training"], list(enumerate(training, 1))),
        Series(words["validation"], list(enumerate(validation, 1)), 1, best=best),
    ]
    return draw_lines(key, words, series, x_label=words["epoch"], said=said)


def draw_learning_rate(words: Mapping[str, str], key: str) -> str:
    rates = list_learning_rates()
    peak = max(rates)
    said = {"peak": f"{peak:g}", "warm": rates.index(peak), "last": f"{rates[-1]:.1g}", "end": len(rates) - 1}
    shown = sorted({0, rates.index(peak), *range(0, len(rates), len(rates) // NUM_RATES), len(rates) - 1})
    series = [Series(words["rate"], [(step, rates[step]) for step in shown])]
    return draw_lines(key, words, series, x_label=words["step"], said=said)


def list_learning_rates() -> list[float]:
    """The learning rate of each step of the recorded run, which is a function of its settings."""
    recorded = read_recorded()
    num_steps = recorded["figures"]["steps_per_epoch"] * recorded["figures"]["num_epochs"]
    settings = PipelineConfiguration(corpus_source="sample").training_hyperparameters
    base, warmup = settings.learning_rate, settings.warmup_fraction
    return [
        compute_learning_rate(step, total_steps=num_steps, base=base, warmup_fraction=warmup)
        for step in range(num_steps)
    ]


def draw_lines(
    key: str, words: Mapping[str, str], series: Sequence[Series], *, x_label: str, said: Mapping[str, Any]
) -> str:
    chart = draw_chart(key, words[key].format_map(said), series, x_label=x_label)
    assert isinstance(chart, Chart)
    chart = replace(chart, description=words[f"{key}_text"].format_map(said))
    return render("lines", chart=chart, best=words["best"])


def draw_attention(words: Mapping[str, str], key: str) -> str:
    recorded = read_figures()["attention"]
    shares = recorded["shares"][LAYER][HEAD]
    pieces = [piece.replace("▁", "") or "␣" for piece in recorded["pieces"]]
    pairs = [(shares[row][column], row, column) for row in range(len(shares)) for column in range(row)]
    share, row, column = max(pairs)
    most = words["attention_most"].format(query=pieces[row], share=round(100 * share), key=pieces[column])
    return render(
        "squares",
        key=key,
        title=words[key].format(layer=LAYER + 1, head=HEAD + 1),
        description=words["attention_text"].format(text=recorded["text"], most=most),
        pieces=pieces,
        shares=shares,
    )


def draw_weights(words: Mapping[str, str], key: str) -> str:
    recorded = read_figures()["weights"]
    return render(
        "bars",
        key=key,
        title=words[key],
        description=words["weights_text"],
        rows=[(name, recorded[name], max(recorded[name])) for name in ("float32", "int8")],
        steps=recorded["steps"],
    )


DRAWN: dict[str, Callable[[Mapping[str, str], str], str]] = {
    "attention": draw_attention,
    "learning_rate": draw_learning_rate,
    "losses": draw_losses,
    "weights": draw_weights,
}


def read_figures() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return content
