"""``semilla generate``: generate text with a finished model."""

from __future__ import annotations

import argparse
import os
import re
import time
from typing import TYPE_CHECKING, Any

from semilla.errors import InvalidConfigError
from semilla.runtime.bundle import RANGES, GenerationSettings
from semilla.system.paths import read_path
from semilla.terminal.console import is_interactive, print_json
from semilla.terminal.standard_input import is_piped, read_standard_input

if TYPE_CHECKING:
    from semilla.runtime.session import TextStream

HELP = "Generate text with a finished model. Torch is not needed."

LARGEST_PROMPT_BYTES = 2**20
"""Far more than any context; a longer prompt is a mistake."""

DEFAULTS = GenerationSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prompt",
        nargs="?",
        metavar="PROMPT",
        help="text to continue; - or a pipe reads it from standard input (default: start a new paragraph)",
    )
    parser.add_argument(
        "--model",
        type=read_path,
        default="./data/",
        metavar="DIR",
        help="a bundle, or a run's output directory (default: ./data/)",
    )
    for name, (_, _, allowed) in RANGES.items():
        default = getattr(DEFAULTS, name)
        text = f"{allowed} (default: the model's own, usually {default})"
        metavar = "N" if isinstance(default, int) else "X"
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), metavar=metavar, help=text)
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="the same seed gives the same text on the same kind of processor (default: random)",
    )
    parser.add_argument(
        "--stop",
        action="append",
        type=read_stop,
        metavar="TEXT",
        help=r"stop before this text, in which \n is a line break; may be given more than once",
    )
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="ask for one prompt after another, on a terminal; /help lists what else can be typed",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print prompt, text, tokens, how it ended, seed and timings as JSON",
    )


def run(arguments: argparse.Namespace) -> int:
    changes: dict[str, Any] = {name: getattr(arguments, name) for name in (*RANGES, "stop")}
    DEFAULTS.change(**changes)  # reports mistakes before anything is loaded
    if arguments.interactive:
        check_interactive(arguments)
    prompt = "" if arguments.interactive else read_prompt(arguments.prompt)
    start_s = time.perf_counter()
    # NumPy's BLAS is not used here, but would start a thread and reserve memory for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from semilla.runtime.session import load  # noqa: PLC0415 - not needed for --help and mistakes

    model = load(arguments.model)
    load_s = time.perf_counter() - start_s
    if arguments.interactive:
        from semilla.terminal.conversation import Conversation  # noqa: PLC0415 - not needed for one text

        Conversation(model, seed=arguments.seed, changes=changes).hold()
        return 0
    if not arguments.json:
        prompt = model.open_word(prompt)
    stream = model.stream(prompt, seed=arguments.seed, **changes)
    if arguments.json:
        report = describe_text(stream, prompt=prompt, load_s=load_s)
        print_json({"model_version": model.bundle.version, **report})
    else:
        from semilla.terminal.generated_text import show_text  # noqa: PLC0415 - as above

        show_text(stream, prompt=prompt)
    return 0


def check_interactive(arguments: argparse.Namespace) -> None:
    if arguments.prompt is not None or arguments.json:
        raise InvalidConfigError(
            "--interactive asks for prompts and prints text; leave out PROMPT and --json"
        )
    if not is_interactive():
        raise InvalidConfigError(
            "--interactive needs a terminal; leave it out to read one prompt from a pipe"
        )


def read_stop(text: str) -> str:
    r"""Read a stop text, in which ``\n`` and ``\t`` are a line break and a tab, and ``\\`` is a backslash."""
    meanings = {"n": "\n", "t": "\t", "\\": "\\"}
    return re.sub(r"\\([nt\\])", lambda match: meanings[match[1]], text)


def describe_text(stream: TextStream, *, prompt: str, load_s: float) -> dict[str, Any]:
    """Generate the whole text. Timings are in seconds since the model was loaded."""
    start_s = time.perf_counter()
    pieces = [next(stream, "")]
    first_piece_s = time.perf_counter() - start_s
    pieces += stream
    total_s = time.perf_counter() - start_s
    return {
        "prompt": prompt,
        "text": "".join(pieces),
        "tokens": len(stream.token_ids),
        "ended": stream.ended,
        "seed": stream.seed,
        "timings": {
            "load_s": round(load_s, 4),
            "first_piece_s": round(first_piece_s, 4),
            "total_s": round(total_s, 4),
            "tokens_per_sec": round(len(stream.token_ids) / total_s, 1),
        },
    }


def read_prompt(argument: str | None) -> str:
    """Return the prompt: the argument, or standard input without its last line break."""
    if argument not in (None, "-"):
        return argument or ""
    if argument is None and not is_piped():
        return ""
    return read_standard_input("prompt", limit=LARGEST_PROMPT_BYTES)
