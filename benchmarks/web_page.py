"""The page of a run in Chromium: its size, its speed, and how exactly it computes what the runtime computes.

    .venv/bin/python benchmarks/web_page.py RUN [--output FILE.json]

All held-out lines are tokenized, greedy continuations of 100 prompts a language are compared with the runtime's, and
tokens a second are measured with the default settings, also per second of processor time, which other work on the
machine changes less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psutil
from browser import Browser, find_chromium
from machine_facts import describe_machine
from web_pages import ask, continue_in_page, measure_parting

from semilla.corpus.manifest import read_documents
from semilla.corpus.prompts import find_prompts
from semilla.export.parity import PROBES
from semilla.export.trained_model import read_run
from semilla.export.web.page import render_page
from semilla.runtime.session import Model, load

PROMPTS_PER_LANGUAGE, SEARCHED_PROMPTS = 100, 2000
"""Prompts that differ, and those they are taken from: many stories begin alike."""
LENGTH = 60
SPEED_TOKENS = 500
REPETITIONS = 7

WRITE = """(length, seed) => {
    const start = performance.now();
    let count = 0;
    while (count < length) {
        const settings = {...MODEL.settings, max_tokens: length - count};
        for (const choice of generate(network, MODEL.start_ids, settings, BigInt(seed++))) count++;
    }
    return count / (performance.now() - start) * 1000 }"""


def measure(browser: Browser, model: Model, run: Path) -> dict[str, Any]:
    trained, _ = read_run(run)
    lines = [*trained.list_lines(), *PROBES]
    found = ask(browser, "(lines) => lines.map((line) => tokenizer.encode(line))", lines)
    expected = [model.tokenizer.encode(line).tolist() for line in lines]
    found_prompts = find_prompts(read_documents(run), model.tokenizer, per_language=SEARCHED_PROMPTS)
    prompts = {code: [*dict.fromkeys(texts)][:PROMPTS_PER_LANGUAGE] for code, texts in found_prompts.items()}
    speeds = [measure_speed(browser, seed=1000 * place) for place in range(REPETITIONS)]
    return {
        "lines": len(lines),
        "lines_with_other_ids": sum(one != other for one, other in zip(found, expected, strict=True)),
        "greedy": {language: compare_texts(browser, model, texts) for language, texts in prompts.items()},
        "tokens_per_sec": statistics.median(wall for wall, _ in speeds),
        "tokens_per_cpu_sec": statistics.median(cpu for _, cpu in speeds),
        "all_speeds": speeds,
    }


def measure_speed(browser: Browser, *, seed: int) -> tuple[float, float]:
    """Tokens per second, and per second of processor time of all the browser's processes."""
    before_s = count_cpu(browser)
    per_second = ask(browser, WRITE, SPEED_TOKENS, seed)
    return per_second, SPEED_TOKENS / (count_cpu(browser) - before_s)


def count_cpu(browser: Browser) -> float:
    """Seconds of processor time of all the browser's processes so far."""
    times = [one.cpu_times() for one in psutil.Process(browser.process_id).children(recursive=True)]
    return sum(one.user + one.system for one in times)


def compare_texts(browser: Browser, model: Model, prompts: list[str]) -> dict[str, Any]:
    found = [tokens for prompt in prompts for tokens in continue_in_page(browser, [prompt], LENGTH)]
    gaps = [measure_parting(model, *pair) for pair in zip(prompts, found, strict=True)]
    parted = [gap for gap in gaps if gap is not None]
    return {"prompts": len(prompts), "identical": len(prompts) - len(parted), "gaps_of_the_others": parted}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    program = find_chromium()
    if program is None:
        print("Chromium is not installed: scripts/install-browser", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place, Browser(program) as browser:
        page = Path(place) / "model.html"
        page.write_text(render_page(*read_run(arguments.run)), encoding="utf-8")
        browser.show(page)
        agent = browser.evaluate("navigator.userAgent")
        figures = {"page_bytes": page.stat().st_size, **measure(browser, load(arguments.run), arguments.run)}
        figures["requests"] = len(browser.requests) - 1
    report = {**describe_machine(), "browser": agent, "length": LENGTH, **figures}
    print(json.dumps(report, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
