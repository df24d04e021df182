"""The model card: a README about the model, its training text, its quality, its limits and its licence."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath

import jinja2

from semilla import __version__
from semilla.corpus.manifest import CorpusManifest
from semilla.export.trained_model import RunFacts, TrainedModel

SOURCE_LICENCES = {
    "gutenberg": "The texts are books in the public domain in the United States; check the law of other countries.",
    "sample": "The texts are stories by Semilla's generator, whose material is in the public domain (CC0).",
}
OWN_TEXTS = (
    "The texts came from the person who trained the model, and only that person knows their terms of use."
)


def write_card(trained: TrainedModel, facts: RunFacts, *, use: str) -> str:
    """Write the card in Markdown, with the header that the Hugging Face Hub reads. ``use`` says how to load it."""
    epochs = facts.metrics.epoch_history
    return _open_template().render(
        trained=trained,
        model=trained.model,
        num_parameters=sum(weight.size for weight in trained.weights.values()),
        status=facts.status,
        results=facts.status.validation_results,
        manifest=facts.manifest,
        best=min(epochs, key=lambda epoch: epoch.validation_loss),
        num_epochs=len(epochs),
        use=use,
        licence=describe_licence(facts.manifest),
        semilla_version=__version__,
    )


def describe_licence(manifest: CorpusManifest) -> str:
    """Say what the licence of the texts is, and that Semilla claims no rights in the model."""
    texts = SOURCE_LICENCES.get(manifest.source.removesuffix("-large"), OWN_TEXTS)
    return f"{texts} Semilla itself is under the MIT licence and claims no rights in the models it trains."


@cache
def _open_template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semilla.export"),
        autoescape=False,  # noqa: S701 - Markdown; the filter ``cell`` escapes text from outside
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": _escape_cell, "source": _name_source}
    return environment.get_template("model_card.md.jinja")


def _name_source(source: str) -> str:
    """A URL as it is, but only the name of a local file: its folders are private."""
    return source if "://" in source else PurePath(source).name


def _escape_cell(text: str) -> str:
    """Keep a text from outside in its cell: one line, no cell border, no markup."""
    folded = " ".join(text.split())
    for character in "\\|<>[]`*_":
        folded = folded.replace(character, f"\\{character}")
    return folded
