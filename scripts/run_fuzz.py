"""Judge thousands of hostile cases in child processes, which may crash; tests/fuzzing.py has the cases."""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzzing import HANG_S, TARGETS, Verdict, judge


def run_child(target: str, first: int, last: int) -> None:
    """Judge cases in this process and report each as it ends, so that a crash belongs to the next one."""
    judge(target, first)  # what is imported and made once counts for no case
    for number in range(first, last):
        print(json.dumps(asdict(judge(target, number))), file=sys.__stdout__, flush=True)


def run_target(target: str, first: int, last: int) -> list[Verdict]:
    """Judge cases in child processes; one that dies or hangs costs only its own case."""
    verdicts: list[Verdict] = []
    while first < last:
        command = [sys.executable, __file__, "--child", target, str(first), str(last)]
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
            try:
                for line in read_lines(child):
                    verdicts.append(Verdict(**json.loads(line)))
                    first = verdicts[-1].number + 1
                errors.seek(0)
                ending = (
                    f"the process ended with {child.wait()}: {errors.read()[-400:].decode(errors='replace')}"
                )
            except TimeoutError:
                ending = "the process hung"
            finally:
                child.kill()
                child.wait()
        if first < last:
            verdicts.append(Verdict(target, first, -1, None, 0.0, 0.0, ending))
            first += 1
    return verdicts


def read_lines(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what a child writes. Raises TimeoutError when it is silent for long; a busy machine only slows it down."""
    assert child.stdout is not None
    gathered = b""
    while True:
        if not select.select([child.stdout], [], [], 2 * HANG_S)[0]:
            raise TimeoutError
        piece = os.read(child.stdout.fileno(), 1 << 16)
        *lines, gathered = (gathered + piece).split(b"\n")
        yield from lines
        if not piece:
            return


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20_000, help="over all targets (default: 20000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each target")
    parser.add_argument("--target", choices=sorted(TARGETS), help="only this one")
    parser.add_argument("--replay", metavar="TARGET:NUMBER", help="repeat one case")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments.child[0], int(arguments.child[1]), int(arguments.child[2]))
        return 0
    if arguments.replay:
        target, _, number = arguments.replay.partition(":")
        verdict = judge(target, int(number))
        print(verdict)
        return int(verdict.problem is not None)
    return report(arguments)


def report(arguments: argparse.Namespace) -> int:
    """Run every target and print a line for each, and every case that did not end as it must."""
    targets = [arguments.target] if arguments.target else list(TARGETS)
    share, num_failed = -(-arguments.cases // len(targets)), 0
    print(f"{share * len(targets)} cases: {share} a target from number {arguments.first}", flush=True)
    for target in targets:
        start_s = time.monotonic()
        verdicts: list[Verdict] = []
        for first in range(arguments.first, arguments.first + share, 1000):
            verdicts += run_target(target, first, min(first + 1000, arguments.first + share))
        failed = [verdict for verdict in verdicts if verdict.problem]
        num_failed += len(failed)
        kinds = Counter(verdict.category or "accepted" for verdict in verdicts)
        times_s = sorted(verdict.elapsed_s for verdict in verdicts)
        most_s = max(verdict.processor_s for verdict in verdicts)
        outcomes = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        print(
            f"{target}: {len(verdicts)} cases in {time.monotonic() - start_s:.0f} s, "
            f"median {times_s[len(times_s) // 2]:.3f} s, "
            f"slowest {times_s[-1]:.2f} s, {most_s:.2f} s of processor time; {outcomes}; {len(failed)} failed",
            flush=True,
        )
        for verdict in failed:
            print(f"  {verdict.target}:{verdict.number} {verdict.problem}", flush=True)
    return int(num_failed > 0)


if __name__ == "__main__":
    for variable in list(os.environ):
        if variable.upper().startswith("SEMILLA_") or variable.lower().endswith("_proxy"):
            del os.environ[variable]
    sys.exit(main())
