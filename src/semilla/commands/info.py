"""``semilla info``: the card of a finished model, in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semilla.commands import add_directory
from semilla.errors import SemillaError
from semilla.formatting import format_size, quote
from semilla.installation import write_command
from semilla.model.shape import count_llama_parameters
from semilla.records.nearby import is_run
from semilla.records.results import ValidationResults
from semilla.records.status import read_status
from semilla.runtime.bundle import MODEL, RANGES, TOKENIZER, Bundle, read_bundle
from semilla.terminal.console import fold_lines, print_json, print_text
from semilla.terminal.summary import list_figures, list_openings, print_findings
from semilla.terminal.tables import print_table

HELP = """Show what a finished model is: its network, its texts, how good it is, its limits and its licence.
The files of the bundle are verified. Torch is not needed."""

LIMITS = (
    "It is a very small model. It imitates its texts, and repeats the views and prejudices in them.",
    "It knows no facts, follows no instructions and answers no questions.",
)
NAMED_DOCUMENTS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, meaning="a bundle, or the output directory of a run")
    parser.add_argument("--json", action="store_true", help="print the card as JSON")


def run(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    bundle = read_bundle(directory, command="info")
    results = find_results(directory, bundle)
    if arguments.json:
        print_json(describe_bundle(bundle, results))
    else:
        print_card(bundle, results, directory=directory)
    return 0


def find_results(directory: Path, bundle: Bundle) -> ValidationResults | None:
    """What the validation of the run measured; None for a bundle alone, or when the run has another model by now."""
    home = next((place for place in (directory, bundle.directory.parent) if is_run(place)), None)
    if home is None:
        return None
    try:
        status = read_status(home)
    except SemillaError:
        return None
    return status.validation_results if status and status.model_version == bundle.version else None


def count_parameters(model: Any) -> int:
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "tie_word_embeddings")
    return count_llama_parameters(**{name: model[name] for name in names})


def describe_bundle(bundle: Bundle, results: ValidationResults | None) -> dict[str, Any]:
    return {
        "directory": str(bundle.directory),
        "model_version": bundle.version,
        "parameters": count_parameters(bundle.model),
        "size_bytes": measure_size(bundle),
        "model": dict(bundle.model),
        "generation": bundle.settings.list_changes() | {"start_token_ids": list(bundle.start_token_ids)},
        "languages": list(bundle.languages),
        "licence": bundle.licence,
        "provenance": dict(bundle.provenance),
        "validation_results": results.model_dump(mode="json") if results else None,
    }


def measure_size(bundle: Bundle) -> int:
    return sum((bundle.directory / name).stat().st_size for name in (MODEL, TOKENIZER))


def print_card(bundle: Bundle, results: ValidationResults | None, *, directory: Path) -> None:
    version = f", version {bundle.version}" if bundle.version else ""
    print_text(f"{directory}: a small language model{version}\n")
    print_table(list(list_facts(bundle)), indent_columns=2)
    print_text("\nTrained on")
    print_table(list(list_documents(bundle.provenance)), indent_columns=2)
    if results:
        print_text("\nHow good it is")
        best_epoch = bundle.provenance.get("best_epoch")
        print_table(list(list_figures(results, best_epoch=best_epoch)), indent_columns=2)
        print_text("")
        print_findings(results)
    else:
        print_text("\nHow good it is: the bundle has no figures; its run has them.\n")
    print_text("Limits")
    print_table([(line,) for line in LIMITS], indent_columns=2)
    if bundle.licence:
        print_text("\nLicence")
        print_table([(bundle.licence,)], indent_columns=2)
    opening = next(iter(list_openings(results)), "Once upon a time")
    command = f"semilla generate {quote(opening)} --model {quote(directory)}"
    print_text(f"\nnext: {write_command(command)}")


def list_facts(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield the facts about the network, with their names."""
    model, settings = bundle.model, bundle.settings
    layers = model["num_hidden_layers"]
    yield (
        "architecture",
        f"Llama: {layers} layer{'s' * (layers != 1)} of width {model['hidden_size']}, "
        f"{model['num_attention_heads']} heads, feed-forward {model['intermediate_size']}",
    )
    yield "parameters", f"{count_parameters(model):,}"
    yield "vocabulary", f"{model['vocab_size']:,} pieces"
    yield "context", f"{model['max_position_embeddings']} tokens"
    yield "languages", ", ".join(bundle.languages) or "unknown"
    yield "size", format_size(measure_size(bundle))
    yield "generation", ", ".join(f"{name.replace('_', '-')} {getattr(settings, name):g}" for name in RANGES)


def list_documents(provenance: Any) -> Iterator[tuple[str, str, str]]:
    """Yield title, language and source of the first documents, and how many more there are."""
    documents = provenance.get("documents") or []
    for document in documents[:NAMED_DOCUMENTS]:
        cells = (str(document.get(name) or "") for name in ("title", "language", "source"))
        title, language, source = map(fold_lines, cells)
        yield title, language, source if source != title else ""
    total = int(provenance.get("num_documents") or len(documents))
    if not documents:
        yield "unknown", "", ""
    elif total > NAMED_DOCUMENTS:
        yield f"and {total - NAMED_DOCUMENTS:,} more", "", ""
