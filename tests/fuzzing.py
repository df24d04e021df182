"""Hostile input by seed for everything that is read, and the rules for how each case must end.

    scripts/fuzz --cases 20000              every target, in child processes
    scripts/fuzz --replay checkpoint:1234   one case again, in this process, with its traceback

A case is a target and a number; the same case is the same input on every machine.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
from forgery import forge_archive, read_entries
from format_bombs import BOMBS, PACKERS
from format_files import damage_inside, load_samples
from servers import LoopbackServer, send_raw, stall

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_toml
from semilla.corpus.cleaning.clean import clean_text
from semilla.corpus.fetching.downloads import Downloader
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import ReadOptions
from semilla.corpus.formats.reading import FileText, LeftOut, read_file
from semilla.corpus.manifest import read_documents
from semilla.errors import (
    CATEGORIES,
    EXIT_CODES,
    IntegrityError,
    ValidationFailureError,
    translate_error,
)
from semilla.escape import escape_controls
from semilla.events import silent
from semilla.pipeline.phases import corpus_download
from semilla.records import names
from semilla.records.metrics import EpochMetrics, TrainingMetrics
from semilla.records.status import PipelineStatus, write_status
from semilla.system.footprint import read_memory_mb
from semilla.terminal.console import print_error

LIMIT_S = 30.0
"""Processor time of a case, with that of its child; ten times what any takes."""
HANG_S = 600.0
"""By the clock, for a busy machine: what takes as long and no processor time waits for something."""
LIMIT_MB = 2048.0
"""By how much one case may raise the peak memory of its process. The confined child has a limit of its own."""
LIMIT_CHARACTERS = 1000
"""Of the line that says what is wrong."""
TEXT = "".join(f"La niña soñó {n} veces con el mar: “The cat is here!” 🌱\n" for n in range(60))
START, END = (f"*** {word} OF THE PROJECT GUTENBERG EBOOK X ***" for word in ("START", "END"))
PATIENCE = FetchPolicy(
    connect_timeout_s=1.0,
    read_timeout_s=0.2,
    head_timeout_s=0.5,
    deadline_s=1.0,
    rate_window_s=0.3,
    max_bytes=1 << 18,
    backoff_s=(0.0,),
    pause_s=0.0,
    sleep=lambda seconds: None,
)
SPLINTERS = [
    b"\0",
    b"\x1b[31m",
    b"\x1b]52;c;aGk=\x07",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\xc2\x85",
    b"\r",
    b"\n\n",
    b"%s%n",
    b"../../etc/passwd",
    b"<html>",
    b"<script>",
    b"'; --",
    b"\\ud800",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 40,
    b"[" * 2000,
    b"{" * 2000,
    b"\xf0\x9f\x8c\xb1" * 20,
    START.encode(),
    END.encode(),
    b"<s>",
    b"\xe2\x96\x81",
    b"\xcc\x81" * 400,
    b"x" * 5000,
    b"\x89PNG",
    b"PK\x03\x04",
]


@dataclass(frozen=True)
class Verdict:
    """How a case ended; ``problem`` is None if it ended as it must."""

    target: str
    number: int
    exit_code: int
    category: str | None
    elapsed_s: float
    processor_s: float
    problem: str | None


@dataclass(frozen=True)
class Cost:
    """What a case took: by the clock, of processors, and by how much the peak memory of this process rose."""

    elapsed_s: float
    processor_s: float
    grown_mb: float


def judge(target: str, number: int) -> Verdict:
    """Run one case in a folder of its own and check its outcome."""
    draw = random.Random(f"{target}:{number}")
    output, errors = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory(prefix="semilla-fuzz-") as name:
        folder = Path(name)
        start_s, processor_s, peak_mb = time.monotonic(), measure_processor_s(), read_memory_mb()[1]
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            exit_code = TARGETS[target](draw, folder)
        cost = Cost(
            elapsed_s=round(time.monotonic() - start_s, 3),
            processor_s=round(measure_processor_s() - processor_s, 3),
            grown_mb=read_memory_mb()[1] - peak_mb,
        )
        left = [path.name for path in folder.rglob(".semilla-*.tmp")]
    found = re.match(r"error\[(\w+)\] ", errors.getvalue())
    problem = find_problem(exit_code, output.getvalue(), errors.getvalue(), cost=cost, left=left)
    category = found[1] if found else None
    return Verdict(target, number, exit_code, category, cost.elapsed_s, cost.processor_s, problem)


def measure_processor_s() -> float:
    """Processor time of this process, of its children that ended, and of the confined child."""
    times = os.times()
    own_s = times.user + times.system + times.children_user + times.children_system
    child = open_reader()._child if open_reader.cache_info().currsize else None
    with contextlib.suppress(psutil.Error):
        own_s += sum(psutil.Process(child.pid).cpu_times()[:2]) if child else 0.0
    return own_s


def find_problem(exit_code: int, output: str, errors: str, *, cost: Cost, left: list[str]) -> str | None:
    """The first fault of an outcome: exit code, lines, category, escapes, time, memory or files left behind."""
    heads = [line for line in errors.splitlines() if not line.startswith("  ")]
    words = [re.split(r"[:\[]", line)[0] for line in heads]
    category = re.match(r"error\[(\w+)\]", errors)
    faults = {
        f"exit code {exit_code}: {errors[:500]}": exit_code not in EXIT_CODES or exit_code == 70,
        f"a traceback: {(output + errors)[-800:]}": "Traceback" in output + errors,
        f"not the four lines: {errors[:500]!r}": bool(exit_code)
        and words != ["error", "kept", "next", "help"],
        "no category": bool(exit_code) and (category is None or category[1] not in CATEGORIES),
        "control characters on the terminal": escape_controls(output + errors) != output + errors,
        f"one line has {len(errors.partition(chr(10))[0]):,} characters": len(errors.partition("\n")[0])
        > LIMIT_CHARACTERS,
        f"took {cost.processor_s:.1f} s of processor time": cost.processor_s > LIMIT_S,
        f"took {cost.elapsed_s:.1f} s": cost.elapsed_s > HANG_S,
        f"took {cost.grown_mb:.0f} MB": cost.grown_mb > LIMIT_MB,
        f"left behind: {left}": bool(left),
    }
    return next((text for text, is_fault in faults.items() if is_fault), None)


def end(action: Callable[[], object], *, phase: str | None = None) -> int:
    """Call library code and end as the command line would."""
    try:
        action()
    except Exception as problem:
        error = translate_error(problem)
        error.phase = error.phase or phase
        print_error(error, command="fuzz")
        return error.status
    return 0


@contextlib.contextmanager
def nothing_starts(folder: Path) -> Iterator[None]:
    """Make everything that a command starts fail its validation at once; standard input is empty."""

    def start(*arguments: object, **options: object) -> object:
        raise ValidationFailureError("started")

    with (
        contextlib.chdir(folder),
        mock.patch("semilla.pipeline.main_job.run_pipeline", start),
        mock.patch("semilla.pipeline.main_job.run_validation", start),
        mock.patch("semilla.pipeline.phases.prerequisite_check.check_all", start),
        mock.patch("semilla.commands.plan.read_facts", start),
        mock.patch("semilla.server.connections.open_socket", start),
        mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO())),
    ):
        yield


# ---- damage


def damage(draw: random.Random, data: bytes) -> bytes:
    """Change a few places: flip, cut, repeat, or insert what parsers stumble over."""
    for _ in range(draw.choice([1, 1, 2, 3, 8])):
        at = draw.randrange(len(data) + 1)
        to = min(len(data), at + draw.choice([1, 2, 8, 64, 512]))
        match draw.randrange(6):
            case 0 if data:
                at = draw.randrange(len(data))
                data = data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:to] + data[at:]
            case 3:
                data = data[:at] + draw.choice(SPLINTERS) + data[at:]
            case 4:
                data = data[:at] + draw.randbytes(draw.choice([1, 4, 40])) + data[to:]
            case _:
                data = data[:at] if draw.random() < 0.3 else data
    return data


def distort(draw: random.Random, value: Any) -> Any:
    """Change one place of a JSON value: another type, another size, a missing or an unknown name."""
    odd: list[Any] = [
        None,
        True,
        -1,
        0,
        1 << 70,
        1e308,
        "",
        "\x1b[31m\u202e",
        "../../x",
        "\ud800",
        [],
        {},
        [[[]]],
        "x" * 3000,
        {"a": {"b": []}},
    ]
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(sorted(value))
        match draw.randrange(8):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return {**value, draw.choice(["unknown", "__proto__", "\x1b[2J", ""]): draw.choice(odd)}
            case _:
                return {**value, key: distort(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.9:
        at = draw.randrange(len(value))
        return [*value[:at], distort(draw, value[at]), *value[at + draw.randrange(2) :]]
    return draw.choice(odd)


# ---- targets


def attack_http(draw: random.Random, folder: Path) -> int:
    """Headers and bodies of answers to a download."""
    body = TEXT.encode()
    head = [
        b"HTTP/1.1 "
        + draw.choice(
            [
                b"200 OK",
                b"200 OK",
                b"206 Part",
                b"302 Found",
                b"404 No",
                b"503 Busy",
                b"100 Go",
                b"999 \x1b[2J",
            ]
        ),
        b"Content-Type: " + draw.choice([b"text/plain", b"text/html", b"image/png; \x9b"]),
    ]
    head += draw.sample(
        [
            b"Content-Length: "
            + draw.choice([str(len(body)).encode(), b"-1", b"99999999999999999999", b"5, 5", b"0x10", b"12"]),
            b"Transfer-Encoding: " + draw.choice([b"chunked", b"gzip, chunked", b"identity"]),
            b"Content-Encoding: " + draw.choice([b"gzip", b"br", b"identity", b""]),
            b"Location: "
            + draw.choice(
                [
                    b"/book",
                    b"file:///etc/passwd",
                    b"//x",
                    b"http://[",
                    b"data:,x",
                    b"http://127.0.0.1:1/",
                    b"ftp://x/",
                ]
            ),
            b'ETag: "a"',
            b"Content-Range: bytes 0-9/10",
            b"X: " + b"y" * 70_000,
            b"Set-Cookie: a\x00b",
            b" folded",
            b": empty",
        ],
        k=draw.randrange(4),
    )
    if draw.random() < 0.2:
        body = b"".join(
            f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:99], body[99:], b"")
        )
    answer = b"\r\n".join(head) + b"\r\n\r\n" + body
    answer = damage(draw, answer) if draw.random() < 0.7 else answer
    reply = stall if draw.random() < 0.02 else send_raw(answer)
    with LoopbackServer({}, otherwise=reply) as server:
        downloader = Downloader(folder, Fetcher(PATIENCE))
        return end(lambda: downloader.download_page(f"{server.url}/book"), phase="corpus_download")


def attack_corpus(draw: random.Random, folder: Path) -> int:
    """Bytes of a text file."""
    text = TEXT.replace("\n", draw.choice(["\n", "\r\n", "\r", "\u2028", " "]))
    if draw.random() < 0.4:
        text = f"Title: Prueba\n{START}\n{text}\n{END}\nlicence"
    data = text.encode(draw.choice(["utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16", "cp1252"]), "replace")
    path = folder / draw.choice(["libro.txt", "a,b'\"%s.txt", "libro\n.txt", "\u202elibro.txt"])
    path.write_bytes(damage(draw, data))
    output = folder / "salida"
    output.mkdir()
    source = str(path if "\n" not in path.name else folder)
    config = PipelineConfiguration(
        corpus_source=source,
        output_directory=str(output),
        corpus_encoding=draw.choice(["auto", "auto", "latin-1"]),
        training_hyperparameters={"max_sequence_length": 32},
    )
    return end(lambda: corpus_download.run(config, progress=silent), phase="corpus_download")


TOML_VALUES = [
    *('"x"', '""', "-1", "0", "1", "2", "8", "64", "128", "0.5", "1e-4", "1e999", "nan", "5e-324", "true", "false"),
    *("[]", "{}", '["a", 1]', "[[[]]]", "1979-05-27", "0x10", "1_000", "128.0", "{a = 1}", '["es", "en"]', '"bpe"'),
    *('"\\u202e"', '"../x"', '"http://u:p@x/"', '["http://[::1"]', "\"con 'comillas' ñ 🌱\"", '"a\\u0000b"'),
    *('"latin-1"', '"corpus_download"', "9" * 30, f'"{"x" * 3000}"'),
]  # fmt: skip


def rewrite(draw: random.Random, lines: list[str]) -> list[str]:
    """Change one line of a configuration: another value, or a name misspelt, repeated, misplaced or unknown."""
    at = draw.randrange(len(lines))
    name, _, value = lines[at].partition(" = ")
    match draw.randrange(8):
        case 0:
            changed = [f"{name[:-2]}{name[-1:]} = {value}"]
        case 1:
            changed = [lines[at], lines[at]]
        case 2:
            return [*lines[:at], *lines[at + 1 :], lines[at]]
        case 3:
            changed = [
                lines[at],
                draw.choice(["[extra]", "[[extra]]", "unknown = 1", "[model_architecture.x]"]),
            ]
        case _:
            changed = [f"{name} = {draw.choice(TOML_VALUES)}"] if value else [lines[at]]
    return [*lines[:at], *changed, *lines[at + 1 :]]


def attack_toml(draw: random.Random, folder: Path) -> int:
    """A configuration file of random settings: valid, with one or two changed, or with damaged bytes."""
    lines = [
        line
        for line in to_toml(PipelineConfiguration()).splitlines()
        if "=" not in line or draw.random() < 0.6
    ]
    for _ in range(draw.choice([0, 0, 1, 1, 2])):
        lines = rewrite(draw, lines)
    data = "\n".join(lines).encode()
    path = folder / "run.toml"
    path.write_bytes(damage(draw, data) if draw.random() < 0.25 else data)
    words = draw.choice([["config", "show"], ["config", "show", "--json"], ["run"], ["check"]])
    with nothing_starts(folder):
        return cli.main([*words, "--config", str(path)])


@cache
def describe_run() -> dict[str, Any]:
    """The content of a finished run's records."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "libro.txt").write_text(TEXT, encoding="utf-8")
        config = PipelineConfiguration(
            corpus_source=str(folder / "libro.txt"),
            output_directory=name,
            training_hyperparameters={"max_sequence_length": 32},
        )
        corpus_download.run(config, progress=silent)
        epoch = EpochMetrics(
            epoch_number=1,
            train_loss=3.0,
            validation_loss=3.1,
            learning_rate=1e-3,
            elapsed_seconds=1,
            sample_outputs=["Había"],
            gradient_norm=1.0,
            tokens_per_second=9.0,
            bits_per_byte={"all": 1.5},
        )
        TrainingMetrics(run_id="r", epoch_history=[epoch]).write(folder / names.METRICS)
        status = PipelineStatus(
            artifacts_created=[names.CORPUS, "bundle/model.onnx"], run_state="interrupted"
        )
        write_status(folder, status)
        read = {
            one: json.loads((folder / one).read_text("utf-8"))
            for one in (names.STATUS, names.METRICS, names.CORPUS_MANIFEST)
        }
        return {**read, names.CORPUS: (folder / names.CORPUS).read_text("utf-8")}


def attack_json(draw: random.Random, folder: Path) -> int:
    """Status, metrics and manifest, changed in structure or in bytes, for every command that reads them."""
    content = dict(describe_run())
    (folder / names.CORPUS).write_text(content.pop(names.CORPUS), encoding="utf-8")
    victim = draw.choice(sorted(content))
    for name, value in content.items():
        is_distorted = name == victim and draw.random() < 0.7
        data = json.dumps(distort(draw, value) if is_distorted else value).encode()
        (folder / name).write_bytes(damage(draw, data) if name == victim and not is_distorted else data)
    if victim == names.CORPUS_MANIFEST:
        return end(lambda: read_documents(folder))
    words = [["status"], ["status", "--json"], ["clean", "--yes"], ["validate"]]
    command, *options = draw.choice(words)
    return cli.main([command, str(folder), *options])


def attack_argv(draw: random.Random, folder: Path) -> int:
    """Command lines; nothing that they would start is started."""
    parsers = {name: cli.build_parser(name) for name in cli.COMMANDS}
    command = draw.choice(sorted(parsers))
    flags = sorted({*parsers[command]._option_string_actions, "--unknown", "-x", "--"} - {"--debug"})
    values = [
        "",
        "abc",
        "0",
        "-1",
        "1e9",
        "1e999",
        "nan",
        "9" * 30,
        "x" * 300,
        "\x1b[31m",
        "ñ 🌱",
        "-",
        "a\nb",
        "\udcff",
        "../x",
        "http://u:p@x/",
    ]
    words = [draw.choice([*flags, *values]) for _ in range(draw.randrange(5))]
    words = [
        f"{word}={draw.choice(values)}" if word.startswith("--") and draw.random() < 0.3 else word
        for word in words
    ]
    words = [command] * (draw.random() < 0.95) + [
        word for word in words if word not in {"--watch", "--debug"}
    ]

    with nothing_starts(folder):
        return cli.main(words)


@cache
def write_checkpoint() -> tuple[bytes, Any]:
    """A small checkpoint whose optimizers have state, and its configuration."""
    import torch

    from semilla.training.checkpoints.checkpoint import Provenance, save_checkpoint
    from semilla.training.state import build_state

    torch.set_num_threads(1)
    config = PipelineConfiguration.model_validate(
        {"model_architecture": {"num_layers": 1, "d_model": 64, "num_heads": 2, "dim_feedforward": 128}}
    )
    state = build_state(config, vocab_size=64, precision="float32")
    for parameter in state.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in state.optimizers.values():
        optimizer.step()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "checkpoint_epoch_1.pt"
        save_checkpoint(
            path, state, config=config, provenance=Provenance(1, 64, "c", "t", {"num_threads": 1})
        )
        return path.read_bytes(), config


def attack_checkpoint(draw: random.Random, folder: Path) -> int:
    """Changed bytes of a checkpoint, or of its pickle or its numbers under a valid seal."""
    from semilla.training.checkpoints.checkpoint import find_checkpoints, restore_state
    from semilla.training.checkpoints.seal import load_weights
    from semilla.training.state import build_state

    data, config = write_checkpoint()
    if draw.random() < 0.2:
        data = damage(draw, data)
    else:
        entries = read_entries(data)
        victim = "archive/data.pkl" if draw.random() < 0.7 else draw.choice(sorted(entries))
        entries[victim] = damage(draw, entries[victim])
        data = forge_archive(entries)
    path = folder / "checkpoint_epoch_1.pt"
    path.write_bytes(data)

    def read() -> None:
        sound, skipped = find_checkpoints(folder)
        state = build_state(config, vocab_size=64, precision="float32")
        if not sound:
            load_weights(path, state.model)
            raise IntegrityError(str(skipped[0]))
        restore_state(state, sound[0])

    return end(read, phase="model_training")


def attack_tokenizer(draw: random.Random, folder: Path) -> int:
    """Changed bytes of a SentencePiece model with a valid hash, as in a bundle from a stranger."""
    from tiny_bundle import train_tiny_tokenizer

    from semilla.tokenizer.tokenizer import check_round_trip, read_tokenizer

    path = folder / "tokenizer.model"
    path.write_bytes(damage(draw, train_tiny_tokenizer()))
    return end(lambda: check_round_trip(read_tokenizer(path), TEXT[:200]))


@cache
def open_reader() -> ConfinedReader:
    """One child for all cases of this process."""
    reader = ConfinedReader(timeout_s=2 * LIMIT_S)
    atexit.register(reader.stop)
    return reader


def attack_formats(draw: random.Random, folder: Path) -> int:
    """A file of any format, damaged outside or inside, or a bomb or loop made for it; read in one child for all."""
    samples = load_samples()
    name = draw.choice(sorted(samples))
    match draw.randrange(100):
        case 0 | 1:
            data = draw.choice(BOMBS)(draw)
        case part if part < 60:
            data = damage_inside(draw, samples[name], damage)
        case _:
            data = damage(draw, samples[name])
    if draw.random() < 0.1:
        name = draw.choice(sorted(samples))
    if draw.random() < 0.1:
        data = draw.choice(PACKERS)(name, data)
        name += ".zip"

    def read() -> None:
        found = list(read_file(data, ReadOptions(), name=name, reader=open_reader()))
        for one in found:
            if isinstance(one, LeftOut):
                raise one.error
        for one in found:
            for document in one.documents if isinstance(one, FileText) else ():
                clean_text(document.text, name=name, layout=document.layout)

    code = end(read)
    written = [path.name for path in folder.iterdir()]
    assert written == [], f"wrote {written}"
    return code


TARGETS: dict[str, Callable[[random.Random, Path], int]] = {
    "http": attack_http,
    "corpus": attack_corpus,
    "toml": attack_toml,
    "json": attack_json,
    "argv": attack_argv,
    "checkpoint": attack_checkpoint,
    "tokenizer": attack_tokenizer,
    "formats": attack_formats,
}
