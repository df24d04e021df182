"""The model card: a README that says what a model is, what it learned from, how good it is and what it is not for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from semilla import __version__
from semilla.corpus.manifest import CorpusManifest, DocumentEntry
from semilla.export.trained import RunFacts, TrainedModel
from semilla.records.results import ValidationResults

SOURCE_LICENCES = {
    "gutenberg": "The texts are books in the public domain in the United States; elsewhere look up your own law.",
    "sample": "The texts are stories that Semilla's generator wrote; its material is in the public domain (CC0).",
}
OWN_TEXTS = (
    "The texts were given by whoever trained the model, who alone knows under which terms they may be used."
)


def write_card(trained: TrainedModel, facts: RunFacts, *, use: str) -> str:
    """Write the card in Markdown, with the header that the Hugging Face Hub reads; ``use`` tells how to load it."""
    title = f"A small language model trained with Semilla, {facts.status.start_time[:10]}"
    sections = [
        "\n".join(["---", *_list_header(facts.manifest), "---"]),
        f"# {title}",
        _describe(trained, facts),
        f"## Use\n\n{use}\n\n{NORMAL_FORM}",
        "## What it learned from\n\n" + "\n".join(_list_documents(facts.manifest)),
        "## How good it is\n\n" + "\n".join(_list_figures(facts)),
        "## Limits\n\n" + LIMITS,
        "## Licence\n\n" + describe_licence(facts.manifest),
    ]
    return "\n\n".join(sections) + "\n"


NORMAL_FORM = (
    "Text is not normalised on its way to tokens; the model has only seen Unicode in composed form (NFC)."
)

LIMITS = """- It is a very small model. It writes in the manner of its texts, for a sentence or two; it knows no facts,
  follows no instructions and answers no questions.
- It repeats what its texts say, with the views and prejudices of their authors and their time.
- Beyond the length it was trained on, which stands in the table above, its text falls apart.
- Its end-of-text token was never seen in training: generation ends where you end it."""


def _list_header(manifest: CorpusManifest) -> Iterator[str]:
    yield "language:"
    yield from (f"- {language}" for language in manifest.languages)
    yield from ("license: other", "license_name: see-below", "library_name: transformers")
    yield from ("pipeline_tag: text-generation", "tags:", "- semilla")


def _describe(trained: TrainedModel, facts: RunFacts) -> str:
    model = trained.model
    shape = f"{model['num_hidden_layers']} layers of width {model['hidden_size']}, {model['num_attention_heads']} heads"
    languages = ", ".join(
        f"{language} ({share.share:.0%})" for language, share in facts.manifest.language_shares.items()
    )
    rows = {
        "Version": trained.version,
        "Architecture": f"Llama: {shape}, feed-forward {model['intermediate_size']}",
        "Parameters": f"{sum(weight.size for weight in trained.weights.values()):,}",
        "Vocabulary": f"{model['vocab_size']:,} pieces, {trained.vocabulary.model_type}",
        "Context": f"{model['max_position_embeddings']} tokens",
        "Languages": languages,
        "Trained with": f"Semilla {__version__}, run {facts.status.pipeline_id}",
    }
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def _list_documents(manifest: CorpusManifest) -> Iterator[str]:
    yield f"{manifest.train_bytes:,} bytes of text; the last tenth of each document was held out."
    yield ""
    yield "| title | author | language | source | SHA-256 of the cleaned text |"
    yield "|---|---|---|---|---|"
    for document in manifest.documents:
        yield "| " + " | ".join(map(_escape, _list_cells(document))) + " |"


def _list_cells(document: DocumentEntry) -> list[str]:
    return [
        document.title,
        document.author or "",
        document.language,
        _name_source(document.provenance.source),
        document.sha256,
    ]


def _name_source(source: str) -> str:
    """An address as it is; of a local file only the name, for the folders around it are nobody's business."""
    return source if "://" in source else PurePath(source).name


def _list_figures(facts: RunFacts) -> Iterator[str]:
    history = facts.metrics.epoch_history
    best = min(history, key=lambda epoch: epoch.validation_loss)
    yield f"Epoch {best.epoch_number} of {len(history)} was the best on held-out text, and is this model."
    yield ""
    yield "| figure | value |"
    yield "|---|---|"
    yield f"| validation loss | {best.validation_loss:.3f} nats per token |"
    yield f"| training loss | {best.train_loss:.3f} nats per token |"
    for language, bits in best.bits_per_byte.items():
        yield f"| bits per byte, {language} | {bits:.3f} |"
    yield from _list_findings(facts.status.validation_results)


def _list_findings(results: ValidationResults | None) -> Iterator[str]:
    if results is None:
        yield "\nThe run's validation did not end, so nothing more is known."
        return
    for finding in results.findings:
        outcome = "passed" if finding.passed else "missed"
        yield f"| {finding.kind}: {finding} | {outcome} |"


def describe_licence(manifest: CorpusManifest) -> str:
    """Say in a sentence or two what the texts allow, and what Semilla claims of the model."""
    texts = SOURCE_LICENCES.get(manifest.source.removesuffix("-large"), OWN_TEXTS)
    return f"{texts} Semilla itself is under the MIT licence and claims no rights in what it trains."


def _escape(text: str) -> str:
    """Keep a text from outside in its cell: one line, no cell border, no markup."""
    folded = " ".join(text.split())
    for character in "\\|<>[]`*_":
        folded = folded.replace(character, f"\\{character}")
    return folded
