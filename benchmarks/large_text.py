"""Make a large text, and measure what a run does with it: processor seconds, peak memory, and speed of training.

    python benchmarks/large_text.py make BOOKS 100 text.txt
    python benchmarks/large_text.py read FILE
    python benchmarks/large_text.py measure text.txt RUN
    python benchmarks/large_text.py run text.txt RUN
    python benchmarks/large_text.py train text.txt RUN [--steps 200] [--shapes 4x256 5x512] [--full] [--output FILE]

BOOKS is a folder of texts, of which paragraphs are drawn; every seventh word is replaced. The memory of all
processes is read every tenth of a second, on Linux.

``read`` reads a file of any format that is read in pieces, without cleaning it.

``run`` starts ``semilla run``, prints a line for each part of it, and ends it at the first step of
the training. Pages that processes share count once. ``measure`` makes the same steps in this process.

``train`` makes the first steps of networks of some shapes, layers x width, after the phases before training if RUN does
not have their results. For each it prints tokens per second, what the cost model of ``semilla plan`` predicts with the
speed of this machine measured on the default network before and after, and the memory of all processes after the steps.
``--full``: in float32, with the full softmax. Let nothing else run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import ReadOptions
from semilla.corpus.formats.large import read_large
from semilla.corpus.formats.reading import FileText
from semilla.corpus.manifest import read_documents
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.events import silent
from semilla.model.shape import count_parameters
from semilla.pipeline.phases import corpus_download, tokenizer_training
from semilla.pipeline.prepared_training import read_data
from semilla.planning.cost import compare_speed, estimate_step_s
from semilla.planning.law import describe_design, read_fitted
from semilla.prerequisites.duration import rehearse_training
from semilla.records import names
from semilla.system.allocator import keep_freed_blocks
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.data import build_data
from semilla.training.environment import choose_environment
from semilla.training.loop import train as train_steps
from semilla.training.parallel.workers import Workers
from semilla.training.state import build_state
from semilla.training.stored import open_store

POLL_S = 0.1
WARMUP_STEPS = 5
MIB = 1 << 20


def make_text(books: Path, size_mb: int, path: Path) -> None:
    """Write about ``size_mb`` of paragraphs, always the same for the same books."""
    draw = random.Random(7)
    paragraphs: list[str] = []
    for book in sorted(books.rglob("*.txt"))[:60]:
        text = book.read_bytes().decode("utf-8", "replace")
        paragraphs += [" ".join(one.split()) for one in re.split(r"\r?\n\r?\n", text) if len(one) > 200]
    words = sorted({word for one in paragraphs[:5000] for word in one.split() if word.isalpha()})
    with path.open("w", encoding="utf-8") as file:
        size_bytes = 0
        while size_bytes < size_mb * MIB:
            some = draw.choice(paragraphs).split(" ")
            some[::7] = [draw.choice(words) if word.isalpha() else word for word in some[::7]]
            text = " ".join(some) + "\n\n"
            file.write(text)
            size_bytes += len(text.encode())


class MemoryWatch:
    """Resident memory in MiB: of a process and its children together now, its peak, and that of the largest one."""

    def __init__(self, process: int | None = None, read_mb: Callable[[int], float] | None = None) -> None:
        self._process = process or os.getpid()
        self._read_mb = read_mb or _read_resident_mb
        self.total_mb = self.largest_mb = self.total_now_mb = 0.0
        self.own_s = 0.0
        """Processor seconds of the watch itself, which are many where the machine is busy."""
        self._is_over = False
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        self._is_over = True

    def _watch(self) -> None:
        while not self._is_over:
            sizes = list(filter(None, map(self._read_mb, _list_processes(self._process))))
            self.total_now_mb = sum(sizes)
            self.total_mb = max(self.total_mb, self.total_now_mb)
            self.largest_mb = max(self.largest_mb, *sizes, 0.0)
            self.own_s = time.thread_time()
            time.sleep(POLL_S)


def _list_processes(process: int) -> list[int]:
    """List a process and everything that it started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            parents[int(entry.name)] = int(fields[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _read_resident_mb(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    match = re.search(r"VmRSS:\s+(\d+)", status)
    return int(match[1]) / 1024 if match else 0.0


def _read_own_share_mb(process: int) -> float:
    """Resident memory, of shared pages the process's share (PSS)."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    match = re.search(r"\nPss:\s+(\d+)", rollup)
    return int(match[1]) / 1024 if match else 0.0


def measure(source: Path, output: Path, config: PipelineConfiguration) -> None:
    """Run the steps before training, and print a line for each."""
    output.mkdir(parents=True, exist_ok=True)

    def encode() -> None:
        tokenizer = read_tokenizer(find_tokenizer(config)[0])
        store = open_store(output, output / names.TOKENS, progress=silent)
        build_data(read_documents(output), tokenizer, config, store)

    steps: dict[str, Callable[[], object]] = {
        "clean and split": lambda: corpus_download.run(config, progress=silent),
        "vocabulary": lambda: tokenizer_training.run(config, progress=silent),
        "encode": encode,
    }
    size_mb = source.stat().st_size / MIB
    for name, step in steps.items():
        watch, began_s = MemoryWatch(), sum(os.times()[:4])
        step()
        seconds = sum(os.times()[:4]) - began_s - watch.own_s
        watch.stop()
        print(
            f"{name}: {seconds:.1f} processor s, {seconds / size_mb:.3f} s/MB, {watch.total_mb:,.0f} MB in all "
            f"processes, {watch.largest_mb:,.0f} MB in the largest"
        )


def run(text: Path, output: Path) -> None:
    """Start a run, and print what each part of it takes up to the first step."""
    words = [
        "--progress",
        "json",
        "--corpus-source",
        str(text),
        "--output-dir",
        str(output),
        "--num-epochs",
        "1",
    ]
    size_mb, began_s, part = text.stat().st_size / MIB, 0.0, ""
    with subprocess.Popen([sys.executable, "-m", "semilla", "run", *words], stdout=subprocess.PIPE) as child:
        watch = MemoryWatch(child.pid, _read_own_share_mb)
        for line in child.stdout or ():
            event = json.loads(line)
            following = part
            if event["event"] == "phase_started":  # a large text is encoded before the training is loaded
                following = "encode" if event["phase"] == "model_training" else event["phase"]
            elif str(event.get("text", "")).startswith("reading the text and building"):
                following = "before the first step"
            is_over = event["event"] in {"step_done", "run_stopped"}
            if following != part or is_over:
                seconds = _read_processor_s(child.pid)
                if part:
                    print(
                        f"{part}: {seconds - began_s:.1f} processor s, {(seconds - began_s) / size_mb:.3f} s/MB, "
                        f"{watch.total_mb:,.0f} MB in all processes, {watch.largest_mb:,.0f} MB in the largest",
                        flush=True,
                    )
                part, began_s, watch.total_mb, watch.largest_mb = following, seconds, 0.0, 0.0
            if is_over:
                child.terminate()
                break
        watch.stop()


def _read_processor_s(process: int) -> float:
    """Processor seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def read(path: Path) -> None:
    """Read a large file in pieces, and print what that takes."""
    watch, began_s = MemoryWatch(), sum(os.times()[:4])
    time.sleep(5 * POLL_S)
    before_mb = watch.total_mb
    num_pieces = num_documents = num_characters = 0
    with ConfinedReader() as reader, path.open("rb") as file:
        found = read_large(file, path, ReadOptions(), name=path.name, reader=reader)
        for piece in found or ():
            assert isinstance(piece, FileText), piece
            num_pieces += 1
            num_documents += len(piece.documents)
            num_characters += sum(len(document.text) for document in piece.documents)
    seconds = sum(os.times()[:4]) - began_s - watch.own_s
    watch.stop()
    print(
        f"{path.name}: {num_pieces:,} pieces, {num_documents:,} documents, {num_characters:,} characters, "
        f"{seconds:.1f} processor s, {watch.total_mb:,.0f} MB in all processes, {before_mb:,.0f} MB before"
    )


def train(arguments: argparse.Namespace, shape: str) -> dict[str, Any]:
    """Train a network of a shape for some steps, and compare its speed with the prediction."""
    output: Path = arguments.output_directory
    config = configure(arguments, shape)
    if not (output / names.CORPUS_MANIFEST).exists():
        measure(arguments.text, output, config)
    speeds = [measure_speed(config)]
    watch = MemoryWatch()
    keep_freed_blocks()
    tokenizer = read_tokenizer(find_tokenizer(config)[0])
    data, _ = read_data(config, read_documents(output), tokenizer, progress=silent)
    precision = choose_environment(config.training_hyperparameters, device="cpu").precision
    state = build_state(config, vocab_size=tokenizer.vocab_size, precision=precision)
    infos, memory_mb = [], []
    with (
        Workers(config) as workers,
        closing(train_steps(state, config=config, data=data, workers=workers)) as steps,
    ):
        for info in islice(steps, arguments.steps):
            infos.append(info)
            memory_mb.append(watch.total_now_mb)
    watch.stop()
    speeds.append(measure_speed(config))
    timed = infos[min(WARMUP_STEPS, len(infos) - 1) :]
    found = sum(info.num_tokens for info in timed) / sum(info.elapsed_s for info in timed)
    design = describe_design(config)
    expected_s = statistics.mean(speeds) * float(estimate_step_s(design, read_fitted().speed)[0])
    predicted = float(design.tokens_per_step[0]) / expected_s
    return {
        "text_mb": round(arguments.text.stat().st_size / MIB, 1),
        "shape": shape,
        "parameters": count_parameters(config, vocab_size=tokenizer.vocab_size),
        "precision": precision,
        "sampled_output_fraction": config.training_hyperparameters.sampled_output_fraction,
        "steps": len(infos),
        "tokens_per_s": found,
        "predicted_tokens_per_s": predicted,
        "ratio": found / predicted,
        "speeds": speeds,
        "memory_mb": {f"step {step}": memory_mb[step - 1] for step in list_shown(len(memory_mb))},
        "peak_mb": watch.total_mb,
        "load_average": os.getloadavg(),
    }


def measure_speed(config: PipelineConfiguration) -> float:
    """Seconds of this machine for a second of the cost model, by a rehearsal of the default network."""
    settings = config.training_hyperparameters.model_dump(include={"precision", "sampled_output_fraction"})
    default = PipelineConfiguration.model_validate({"training_hyperparameters": settings})
    return compare_speed(default, rehearse_training(default), read_fitted().speed)


def configure(arguments: argparse.Namespace, shape: str) -> PipelineConfiguration:
    """A network of a shape such as ``5x512``, with the settings of the arguments."""
    settings: dict[str, Any] = {"num_epochs": 1, "short_context_fraction": 0.0}
    if arguments.full:
        settings |= {"precision": "float32", "sampled_output_fraction": 0.0}
    layers, width = map(int, shape.split("x"))
    architecture = {
        "num_layers": layers,
        "d_model": width,
        "num_heads": width // 64,
        "dim_feedforward": 4 * width,
    }
    return PipelineConfiguration.model_validate(
        {
            "corpus_source": str(arguments.text), "output_directory": str(arguments.output_directory),
            "model_architecture": architecture, "training_hyperparameters": settings,
        }
    )  # fmt: skip


def list_shown(num_steps: int) -> list[int]:
    """The steps whose memory is shown: some at the beginning, then every quarter."""
    return sorted({1, min(10, num_steps), *(max(1, num_steps * part // 4) for part in (1, 2, 3, 4))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    reader = commands.add_parser("read")
    reader.add_argument("file", type=Path)
    maker = commands.add_parser("make")
    maker.add_argument("books", type=Path)
    maker.add_argument("size_mb", type=int)
    maker.add_argument("text", type=Path)
    measurer = commands.add_parser("measure")
    trainer = commands.add_parser("train")
    trainer.add_argument("--steps", type=int, default=200)
    trainer.add_argument("--shapes", nargs="+", default=["2x128", "4x256", "8x384", "5x512"])
    trainer.add_argument("--full", action="store_true")
    trainer.add_argument("--output", type=Path)
    runner = commands.add_parser("run")
    for one in (measurer, trainer, runner):
        one.add_argument("text", type=Path)
        one.add_argument("output_directory", metavar="run", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make_text(arguments.books, arguments.size_mb, arguments.text)
    elif arguments.command == "read":
        read(arguments.file)
    elif arguments.command == "run":
        run(arguments.text, arguments.output_directory)
    elif arguments.command == "measure":
        source, output = arguments.text, arguments.output_directory
        measure(
            source, output, PipelineConfiguration(corpus_source=str(source), output_directory=str(output))
        )
    else:
        trained = [train(arguments, shape) for shape in arguments.shapes]
        result = {"machine": describe_machine(), "shapes": trained}
        print(json.dumps(result, indent=2))
        if arguments.output:
            arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
