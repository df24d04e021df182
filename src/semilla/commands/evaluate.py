"""``semilla evaluate``: how well a finished model predicts a text of your own."""

from __future__ import annotations

import argparse
import math
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.commands import add_directory
from semilla.errors import InvalidConfigError
from semilla.system import interrupts
from semilla.system.paths import read_path
from semilla.terminal.console import print_json, print_text
from semilla.terminal.standard_input import read_standard_input, read_text_file
from semilla.terminal.tables import print_table

if TYPE_CHECKING:
    from semilla.runtime.scoring import TextScore

HELP = """Measure how well a finished model predicts a text: bits per byte, perplexity, tokens. Torch is not needed.
Bits per byte compare models of different vocabularies on the same text; perplexities do not. The text is taken as it
is, in composed Unicode (NFC): nothing is cleaned. A text that the model was trained on measures its memory."""

LARGEST_TEXT_BYTES = 2**26


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, "model", metavar="MODEL", meaning="a bundle, or the output directory of a run")
    parser.add_argument(
        "file", type=read_path, metavar="FILE", help="a text in UTF-8; - reads it from standard input"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    text = read_text(arguments.file)
    # NumPy's BLAS is not used here, but would start a thread and reserve memory for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from semilla.runtime.bundle import read_bundle  # noqa: PLC0415 - not needed for --help and mistakes
    from semilla.runtime.scoring import score_text  # noqa: PLC0415
    from semilla.runtime.session import Model  # noqa: PLC0415

    model = Model(read_bundle(arguments.model, command="info"))
    score = score_text(model, text, check=interrupts.check)
    figures = describe_score(score)
    if arguments.json:
        print_json({"model_version": model.bundle.version, "file": str(arguments.file), **figures})
        return 0
    print_score(score)
    return 0


def read_text(path: Path) -> str:
    """Read the text to score, in composed Unicode; raises InvalidConfigError for an empty one."""
    is_piped = str(path) == "-"
    text = (
        read_standard_input("text", limit=LARGEST_TEXT_BYTES)
        if is_piped
        else read_text_file(path, limit=LARGEST_TEXT_BYTES)
    )
    if not text:
        raise InvalidConfigError(f"{'standard input' if is_piped else path} is empty")
    return unicodedata.normalize("NFC", text)


def describe_score(score: TextScore) -> dict[str, Any]:
    """The figures by name. A perplexity beyond a float is None."""
    return {
        "size_bytes": score.size_bytes,
        "characters": score.num_characters,
        "tokens": score.num_tokens,
        "byte_tokens": score.num_byte_tokens,
        "bytes_per_token": round(score.size_bytes / score.num_tokens, 4),
        "loss": round(score.loss, 6),
        "perplexity": round(score.perplexity, 4) if math.isfinite(score.perplexity) else None,
        "bits_per_byte": round(score.bits_per_byte, 6),
    }


def print_score(score: TextScore) -> None:
    bytes_per_token = score.size_bytes / score.num_tokens
    rows = [
        ("bits per byte", f"{score.bits_per_byte:.3f}"),
        ("perplexity", f"{score.perplexity:,.2f} per token"),
        ("loss", f"{score.loss:.3f} nats per token"),
        ("tokens", f"{score.num_tokens:,}, with the end of the text; {bytes_per_token:.2f} bytes per token"),
        ("text", f"{score.size_bytes:,} bytes, {score.num_characters:,} characters"),
    ]
    print_table(rows)
    share = score.num_byte_tokens / score.num_tokens
    if share > 0.01:
        print_text(
            f"note: {share:.0%} of the tokens are single bytes of characters that the vocabulary lacks."
        )
