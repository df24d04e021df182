"""Make a large text, and measure what a run does with it before training: processor seconds and peak memory.

    python benchmarks/large_text.py make BOOKS 100 text.txt
    python benchmarks/large_text.py measure text.txt RUN

BOOKS is a folder of texts, of which paragraphs are drawn; every seventh word is replaced. The memory of all
processes is read every tenth of a second, on Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_documents
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.events import silent
from semilla.pipeline.phases import corpus_download, tokenizer_training
from semilla.records import names
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.data import build_data
from semilla.training.stored import open_store

POLL_S = 0.1
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
    """The peak of resident memory in MiB: of all processes together, and of the largest one."""

    def __init__(self) -> None:
        self.total_mb = self.largest_mb = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            sizes = list(filter(None, map(_read_resident_mb, _list_processes())))
            self.total_mb = max(self.total_mb, sum(sizes))
            self.largest_mb = max(self.largest_mb, *sizes, 0.0)
            time.sleep(POLL_S)


def _list_processes() -> list[int]:
    """List this process and everything that it started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            parents[int(entry.name)] = int(fields[1])
    found = [os.getpid()]
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


def measure(source: Path, output: Path) -> None:
    """Run the steps before training, and print a line for each."""
    output.mkdir(parents=True, exist_ok=True)
    config = PipelineConfiguration(corpus_source=str(source), output_directory=str(output))

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
        seconds = sum(os.times()[:4]) - began_s
        print(
            f"{name}: {seconds:.1f} processor s, {seconds / size_mb:.3f} s/MB, {watch.total_mb:,.0f} MB in all "
            f"processes, {watch.largest_mb:,.0f} MB in the largest"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("books", type=Path)
    maker.add_argument("size_mb", type=int)
    maker.add_argument("text", type=Path)
    measurer = commands.add_parser("measure")
    measurer.add_argument("text", type=Path)
    measurer.add_argument("output", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make_text(arguments.books, arguments.size_mb, arguments.text)
    else:
        measure(arguments.text, arguments.output)


if __name__ == "__main__":
    main()
