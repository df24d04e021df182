"""What the server costs beside the runtime: the time to the first byte, and the tokens per second of several streams.

    python benchmarks/serving.py MODEL [--repetitions 5] [--output benchmarks/results/serving.json]

MODEL is a bundle or a run. The server runs as a command in a process of its own. Each repetition measures the runtime
and then the server, so that other load on the machine falls on both. ``first_ms`` is the median time to the first
piece of a text: in the runtime, and from the request to the first byte of the body. ``rate`` is tokens per second: of
STREAMS texts one after the other in the runtime, and of as many requests at a time. ``cpu_ms`` is processor time per
token, which other load affects less. The server's includes all its threads, so the quotient is the share of the rate
that is left when the server has one core for everything.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from machine_facts import describe_machine

from semilla.records import files
from semilla.runtime.session import Model, load

STREAMS, TOKENS, FIRSTS = 8, 200, 10
PROMPT = "Once upon a time"


@contextmanager
def start_server(model: Path) -> Iterator[tuple[int, psutil.Process]]:
    """The port and the process of a server for the model."""
    command = [sys.executable, "-P", "-m", "semilla", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found
            yield int(found[1]), psutil.Process(process.pid)
        finally:
            process.terminate()


def complete(port: int, *, seed: int, max_tokens: int) -> tuple[float, int]:
    """Seconds to the first byte of a stream, and the number of tokens in it."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    request = {"prompt": PROMPT, "seed": seed, "max_tokens": max_tokens, "stream": True}
    start_s = time.perf_counter()
    connection.request(
        "POST", "/v1/completions", json.dumps({**request, "stream_options": {"include_usage": True}})
    )
    answer = connection.getresponse()
    answer.read(1)
    first_s = time.perf_counter() - start_s
    found = re.search(rb'"completion_tokens":(\d+)', answer.read())
    connection.close()
    assert found
    return first_s, int(found[1])


def measure_first_ms(model: Model, port: int) -> dict[str, float]:
    runtime, server = [], []
    for seed in range(FIRSTS):
        start_s = time.perf_counter()
        next(model.stream(PROMPT, seed=seed))
        runtime.append(time.perf_counter() - start_s)
        server.append(complete(port, seed=seed, max_tokens=1)[0])
    return {"runtime": 1000 * statistics.median(runtime), "server": 1000 * statistics.median(server)}


def write_texts(model: Model) -> int:
    streams = [model.stream(PROMPT, seed=seed, max_tokens=TOKENS) for seed in range(STREAMS)]
    for stream in streams:
        "".join(stream)
    return sum(len(stream.token_ids) for stream in streams)


def request_texts(port: int) -> int:
    counts: list[int] = []

    def request(seed: int) -> None:
        counts.append(complete(port, seed=seed, max_tokens=TOKENS)[1])

    threads = [threading.Thread(target=request, args=(seed,)) for seed in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def measure_rate(process: psutil.Process, write: Callable[[], int]) -> dict[str, float]:
    """Tokens per second, and milliseconds of processor time of ``process`` per token."""
    before, start_s = process.cpu_times(), time.perf_counter()
    count = write()
    elapsed_s, after = time.perf_counter() - start_s, process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return {"rate": count / elapsed_s, "cpu_ms": 1000 * cpu_s / count}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    model = load(arguments.model)
    model.generate(PROMPT, max_tokens=50)
    rows: list[dict[str, Any]] = []
    with start_server(arguments.model) as (port, process):
        complete(port, seed=0, max_tokens=50)
        for _ in range(arguments.repetitions):
            row = {
                "first_ms": measure_first_ms(model, port),
                "runtime": measure_rate(psutil.Process(), lambda: write_texts(model)),
                "server": measure_rate(process, lambda: request_texts(port)),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    if arguments.output:
        machine = describe_machine()
        result = {"machine": machine, "streams": STREAMS, "tokens": TOKENS, "repetitions": rows}
        files.write_json(arguments.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
