"""``semilla tokenize``: the pieces of a text, and their ids."""

from __future__ import annotations

import argparse
import unicodedata

from semilla.commands import add_directory
from semilla.commands.generate import LARGEST_PROMPT_BYTES
from semilla.errors import InvalidConfigError, Mistake
from semilla.terminal.console import print_json, print_text
from semilla.terminal.standard_input import read_standard_input
from semilla.terminal.tables import print_table
from semilla.tokenizer.tokenizer import SPACE_MARK, Tokenizer

HELP = f"""Show the tokens of a text: pieces and ids. Torch is not needed.
{SPACE_MARK} stands for a space, and <0xC3> for one byte of a character that the vocabulary lacks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser, "model", metavar="MODEL", meaning="a bundle, or the output directory of a run")
    parser.add_argument("text", metavar="TEXT", help="the text; - reads it from standard input")
    parser.add_argument("--json", action="store_true", help="print pieces, ids and texts as JSON")


def run(arguments: argparse.Namespace) -> int:
    text = arguments.text
    if text == "-":
        text = read_standard_input("text", limit=LARGEST_PROMPT_BYTES)
    text = unicodedata.normalize("NFC", text)
    # Undecodable bytes on a command line arrive as surrogates.
    if any("\ud800" <= character <= "\udfff" for character in text):
        mistake = Mistake("TEXT", text, "must be valid Unicode text")
        raise InvalidConfigError("the text cannot be read:", mistakes=[mistake])
    from semilla.runtime.bundle import read_bundle  # noqa: PLC0415 - not needed for --help and mistakes
    from semilla.tokenizer.tokenizer import read_tokenizer  # noqa: PLC0415

    tokenizer = read_tokenizer(read_bundle(arguments.model, command="info").tokenizer_path)
    rows = list_tokens(tokenizer, text)
    if arguments.json:
        tokens = [{"piece": piece, "id": token} for piece, token in rows]
        print_json({"text": text, "tokens": tokens, "bytes_per_token": measure_density(text, rows)})
        return 0
    print_table([(token, show_piece(piece)) for piece, token in rows], headings=("id", "piece"))
    print_text(f"{len(rows)} tokens, {measure_density(text, rows):.2f} bytes per token")
    return 0


def list_tokens(tokenizer: Tokenizer, text: str) -> list[tuple[str, int]]:
    """The piece and the id of each token. Pieces are SentencePiece's own, with its mark for a space."""
    processor = tokenizer.processor
    return [(processor.IdToPiece(token), token) for token in tokenizer.encode(text).tolist()]


def measure_density(text: str, rows: list[tuple[str, int]]) -> float:
    return round(len(text.encode()) / max(1, len(rows)), 4)


def show_piece(piece: str) -> str:
    """A piece on one line, visible even where it is nothing but white space."""
    return piece.replace("\n", "\\n").replace("\t", "\\t")
