"""Time from the start of phase 2 to the manifest, for a folder of many small files.

    .venv/bin/python benchmarks/many_files.py [--files 10000] [--repetitions 3]

The files are stories as plain text, Markdown, JSON and CSV in equal parts, 500 in a folder. Each repetition is a
process of its own. Seconds by the clock depend on what else the machine does, so the processor's seconds and the load
are recorded too. The results are printed and written to ``benchmarks/results/many-files.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.events import silent
from semilla.pipeline.phases import corpus_download
from semilla.stories import generate_corpus

RESULTS = Path(__file__).parent / "results" / "many-files.json"
FILES_PER_FOLDER = 500
TARGET_S = 20.0


def write_files(root: Path, count: int) -> None:
    """Write stories, each to a file of its own; no two are the same."""
    documents = generate_corpus(seed=3, size_bytes=max(1 << 20, count * 700))
    stories = list(dict.fromkeys(story for document in documents for story in document.stories))
    for number, story in enumerate(stories[:count]):
        folder = root / f"{number // FILES_PER_FOLDER:03}"
        folder.mkdir(exist_ok=True)
        path = folder / f"{number}.{('txt', 'md', 'json', 'csv')[number % 4]}"
        with path.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".json":
                json.dump({"text": story}, file)
            elif path.suffix == ".csv":
                csv.writer(file).writerows([["text"], [story]])
            else:
                file.write(story)


def measure(source: Path) -> dict[str, Any]:
    """Run phase 2 once in this process."""
    with tempfile.TemporaryDirectory() as folder:
        config = PipelineConfiguration(corpus_source=str(source), output_directory=folder)
        start_s = time.perf_counter()
        corpus_download.read_inputs(config, {})
        record = corpus_download.run(config, progress=silent)
        elapsed_s = time.perf_counter() - start_s
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "elapsed_s": round(elapsed_s, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": used.ru_maxrss // 1024,
        "load": os.getloadavg()[0],
        "documents": record.details["documents"],
        "bytes": record.details["bytes"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.child)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), arguments.files)
        repetitions = [
            json.loads(subprocess.check_output([sys.executable, __file__, "--child", folder]))
            for _ in range(arguments.repetitions)
        ]
    results = {
        "machine": describe_machine(),
        "files": arguments.files,
        "target_s": TARGET_S,
        "repetitions": repetitions,
    }
    text = json.dumps(results, indent=2) + "\n"
    print(text)
    RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
