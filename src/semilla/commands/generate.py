"""``semilla generate``: generate text with a finished model."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.commands import DEFAULT_DIRECTORY
from semilla.errors import InvalidConfigError, Mistake
from semilla.escape import escape_controls
from semilla.formatting import quote
from semilla.runtime.bundle import RANGES, GenerationSettings
from semilla.system.paths import read_path
from semilla.system.processor import count_cores
from semilla.terminal.console import is_interactive, print_json, print_text
from semilla.terminal.standard_input import is_piped, read_standard_input

if TYPE_CHECKING:
    from semilla.runtime.session import Model
    from semilla.runtime.streams import TextStream

HELP = "Generate text with a finished model. Torch is not needed."

LARGEST_PROMPT_BYTES = 2**20
"""Far more than any context; a longer prompt is a mistake."""

DEFAULTS = GenerationSettings()
LARGEST_NUM_TEXTS = 1000
SHORT_FLAGS = {"temperature": ("-t",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prompt",
        nargs="?",
        metavar="PROMPT",
        help="text to continue; - or a pipe reads it from standard input (default: start a new paragraph)",
    )
    parser.add_argument(
        "-m",
        "--model",
        type=read_path,
        default=DEFAULT_DIRECTORY,
        metavar="DIR",
        help=f"a bundle, or the output directory of a run (default: ./{DEFAULT_DIRECTORY})",
    )
    parser.add_argument(
        "-n",
        "--num-texts",
        type=int,
        metavar="N",
        help=f"number of texts, 1 to {LARGEST_NUM_TEXTS}, written together; each takes the next seed (default: 1)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=read_path,
        metavar="FILE",
        help="write the texts to a file instead of the screen; an existing file is an error",
    )
    parser.add_argument("--overwrite", action="store_true", help="let --output replace an existing file")
    for name, (_, _, allowed) in RANGES.items():
        default = getattr(DEFAULTS, name)
        text = f"{allowed} (default: the model's own, usually {default})"
        metavar = "N" if isinstance(default, int) else "X"
        flags = [*SHORT_FLAGS.get(name, ()), "--" + name.replace("_", "-")]
        parser.add_argument(*flags, type=type(default), metavar=metavar, help=text)
    parser.add_argument(
        "-s",
        "--seed",
        type=int,
        metavar="N",
        help="the same seed gives the same text on the same kind of processor (default: random)",
    )
    parser.add_argument(
        "--portable",
        action="store_true",
        help="compute in float32: the same seed gives the same text on other processors too, ten times slower",
    )
    parser.add_argument(
        "--stop",
        action="append",
        type=read_stop,
        metavar="TEXT",
        help=r"stop before this text, in which \n is a line break; may be given more than once",
    )
    parser.add_argument(
        "-i",
        "--interactive",
        action="store_true",
        help="ask for one prompt after another, on a terminal; /help lists what else can be typed",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print prompt, text, tokens, how it ended, seed and timings as JSON; with -n as a list",
    )


def run(arguments: argparse.Namespace) -> int:
    changes: dict[str, Any] = {name: getattr(arguments, name) for name in (*RANGES, "stop")}
    DEFAULTS.change(**changes)  # reports mistakes before anything is loaded
    check_number(arguments)
    if arguments.interactive:
        check_interactive(arguments)
    if arguments.output:
        check_output(arguments.output, overwrite=arguments.overwrite)
    prompt = "" if arguments.interactive else read_prompt(arguments.prompt)
    start_s = time.perf_counter()
    # NumPy's BLAS is not used here, but would start a thread and reserve memory for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from semilla.runtime.session import load  # noqa: PLC0415 - not needed for --help and mistakes

    model = load(arguments.model, portable=arguments.portable)
    loaded_s = time.perf_counter()
    if arguments.interactive:
        from semilla.terminal.conversation import Conversation  # noqa: PLC0415 - not needed for one text

        Conversation(model, seed=arguments.seed, changes=changes).hold()
        return 0
    if not arguments.json:
        prompt = model.open_word(prompt)
    streams = open_streams(model, prompt, arguments=arguments, changes=changes)
    if arguments.json or arguments.output:
        reports = [
            {
                "model_version": model.bundle.version,
                **describe_text(stream, prompt=prompt, load_s=loaded_s - start_s, loaded_s=loaded_s),
            }
            for stream in streams
        ]
        deliver(reports, arguments=arguments)
    else:
        from semilla.terminal.generated_text import show_text  # noqa: PLC0415 - as above

        for number, stream in enumerate(streams):
            if number:
                print_text("")
            show_text(stream, prompt=prompt)
    return 0


def open_streams(
    model: Model, prompt: str, *, arguments: argparse.Namespace, changes: dict[str, Any]
) -> Iterator[TextStream]:
    """Open the streams of all texts. The first has the given seed or a random one, each other the next."""
    first = model.stream(prompt, seed=arguments.seed, **changes)
    number = arguments.num_texts or 1
    if number == 1:
        return iter([first])
    seeds = [(first.seed + k) % 2**63 for k in range(number)]
    return model.stream_all([prompt] * number, seeds=seeds, num_threads=count_cores(), **changes)


def deliver(reports: Sequence[dict[str, Any]], *, arguments: argparse.Namespace) -> None:
    """Print the reports, or write them or their texts to the file of ``--output``, which is whole or absent."""
    content = reports[0] if arguments.num_texts is None else reports
    if not arguments.output:
        print_json(content)
        return
    from semilla.records.files import write_json, write_text  # noqa: PLC0415 - not needed to print

    is_replaced = arguments.output.exists()
    if arguments.json:
        write_json(arguments.output, content)
    else:
        texts = [escape_controls(report["prompt"] + report["text"], keeps_marks=True) for report in reports]
        write_text(arguments.output, "\n\n".join(texts) + "\n")
    seeds = ", ".join(str(report["seed"]) for report in reports)
    print_text(f"{'Replaced' if is_replaced else 'Wrote'} {arguments.output} (seed: {seeds})")


def check_number(arguments: argparse.Namespace) -> None:
    number = arguments.num_texts
    if number is not None and not 1 <= number <= LARGEST_NUM_TEXTS:
        nearest = max(1, min(number, LARGEST_NUM_TEXTS))
        mistake = Mistake("num_texts", number, f"must be 1 to {LARGEST_NUM_TEXTS}", nearest)
        raise InvalidConfigError("no such number of texts:", mistakes=[mistake])
    if arguments.overwrite and not arguments.output:
        raise InvalidConfigError("--overwrite is only for --output")


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise InvalidConfigError for a folder, and for an existing file unless it may be replaced."""
    if path.is_dir():
        raise InvalidConfigError(f"{path} is a folder; --output names a file")
    if not path.parent.is_dir():
        raise InvalidConfigError(
            f"there is no folder {path.parent}", next_command=f"ls -ld {quote(path.parent)}"
        )
    if os.path.lexists(path) and not overwrite:
        raise InvalidConfigError(f"{path} exists; choose another file, or replace it with --overwrite")


def check_interactive(arguments: argparse.Namespace) -> None:
    given = (arguments.json, arguments.output, arguments.num_texts)
    if arguments.prompt is not None or any(given):
        raise InvalidConfigError(
            "--interactive asks for prompts and prints text; leave out PROMPT, --json, --output and -n"
        )
    if not is_interactive():
        raise InvalidConfigError(
            "--interactive needs a terminal; leave it out to read one prompt from a pipe"
        )


def read_stop(text: str) -> str:
    r"""Read a stop text, in which ``\n`` and ``\t`` are a line break and a tab, and ``\\`` is a backslash."""
    meanings = {"n": "\n", "t": "\t", "\\": "\\"}
    return re.sub(r"\\([nt\\])", lambda match: meanings[match[1]], text)


def describe_text(stream: TextStream, *, prompt: str, load_s: float, loaded_s: float) -> dict[str, Any]:
    """Generate the whole text. Its timings count from when the model was loaded; texts written together share them."""
    pieces = [next(stream, "")]
    first_piece_s = time.perf_counter() - loaded_s
    pieces += stream
    total_s = time.perf_counter() - loaded_s
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
