"""What the shipped model costs, compared with other programs that run the same weights, interleaved in one run.

    python benchmarks/device/run.py RUN_DIRECTORY [--gguf FILE]... [--llama-python PYTHON] [--output FILE]

Contestants alternate, so other work on the machine affects all of them. Every repetition is in the result. A contestant
whose packages or compiler are missing is left out, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from contestants import read_weights
from machine_facts import describe_machine

from semilla.runtime.budgets import measure_in_child
from semilla.runtime.bundle import MODEL, TOKENIZER, read_bundle
from semilla.runtime.limits import find_limit

HERE = Path(__file__).parent
NUM_STARTS = 20
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GOALS = {
    "peak_mb": (80, "<="),
    "rss_mb": (70, "<="),
    "first_byte_s": (0.35, "<="),
    "latency_p95_us": (1000, "<="),
    "limit_mb": (128, "<="),
    "files_mb": (2.5, "<="),
    "times_transformers": (25, ">="),
    "times_llama_cpp": (1, ">="),
    "times_one_text": (3, ">="),
}
"""Goals at the default shape, tied (3.0 MB untied). Ratios are of tokens per CPU second; the last, of eight texts
together to one, is of tokens per second on all cores.
"""


class Contestant:
    """A contestant's process, which generates on request."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name, self.rates = name, {"tokens_per_sec": [], "tokens_per_cpu_sec": []}
        path = [str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "PYTHONPATH": os.pathsep.join(path)},
        )

    def generate(self, num_tokens: int, *, is_counted: bool) -> None:
        """Have it generate; a process that is not there any more has no rate."""
        try:
            self.process.stdin.write(f"{num_tokens}\n")
            self.process.stdin.flush()
            count, *seconds = map(float, self.process.stdout.readline().split())
        except (OSError, ValueError):
            return
        for rates, one in zip(self.rates.values(), seconds, strict=True):
            if is_counted:
                rates.append(round(count / one, 1))

    def close(self) -> str:
        """End the process; its last line of error output, if any."""
        _, errors = self.process.communicate()
        return (errors.strip().splitlines() or [""])[-1]


def compile_plain_loop(run_dir: Path, folder: Path) -> list[str]:
    """Build the C program and write the weights in its layout; raises OSError without a compiler."""
    model, weights = read_bundle(run_dir).model, read_weights(run_dir)
    program, file = folder / "plain_loop", folder / "weights"
    source = str(HERE / "plain_loop.c")
    subprocess.run(
        ["cc", "-O3", "-march=native", "-ffast-math", source, "-lm", "-o", str(program)], check=True
    )
    names = ["model.embed_tokens"]
    for layer in range(model["num_hidden_layers"]):
        parts = [f"self_attn.{n}_proj" for n in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")]
        parts += ["input_layernorm", "post_attention_layernorm"]
        names += [f"model.layers.{layer}.{part}" for part in parts]
    file.write_bytes(b"".join(weights[f"{name}.weight"].tobytes() for name in [*names, "model.norm"]))
    keys = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    shape = [str(model[key]) for key in (*keys, "max_position_embeddings")]
    return [str(program), str(file), *shape]


def list_commands(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    script = str(HERE / "contestants.py")
    run_dir = str(arguments.run_dir)
    commands = {
        name: [sys.executable, script, name, run_dir]
        for name in ("semilla", "semilla_8", "transformers", "numpy")
    }
    for gguf in arguments.gguf:
        commands[f"llama_cpp {Path(gguf).stem}"] = [arguments.llama_python, script, "llama_cpp", gguf]
    try:
        commands["plain_c_float32"] = compile_plain_loop(arguments.run_dir, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"without the plain loop: {error}", file=sys.stderr)
    return commands


def race(commands: dict[str, list[str]], *, rounds: int, num_tokens: int) -> dict[str, Any]:
    """Rates of all contestants, alternating, per second and per CPU second; the first round is a warm-up.

    On a shared machine a slow contestant is interrupted more often in a round than a fast one. CPU seconds leave that
    out.
    """
    contestants = [Contestant(name, command) for name, command in commands.items()]
    for number in range(rounds + 1):
        for one in contestants:
            one.generate(num_tokens, is_counted=number > 0)
    results: dict[str, Any] = {"tokens_per_sec": {}, "tokens_per_cpu_sec": {}}
    for one in contestants:
        error = one.close()
        for kind, rates in one.rates.items():
            results[kind][one.name] = (
                {"median": statistics.median(rates), "repetitions": rates} if rates else {"left_out": error}
            )
    return results


def measure_starts(run_dir: Path) -> list[float]:
    """Seconds from the start of `semilla generate` to its first byte on standard output."""
    command = [
        str(Path(sys.executable).parent / "semilla"),
        "generate",
        "--model",
        str(run_dir),
        "--seed",
        "1",
    ]
    times = []
    for _ in range(NUM_STARTS + 1):
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            process.stdout.read(1)
            times.append(round(time.perf_counter() - start_s, 4))
            process.stdout.read()
    return times[1:]  # the first start filled the file cache


def measure_command(run_dir: Path) -> dict[str, float]:
    """Resident and peak MiB of `semilla generate`, as the kernel reports them shortly before it ends."""
    command = [str(Path(sys.executable).parent / "semilla"), "generate", "--model", str(run_dir)]
    found: dict[str, float] = {}
    with subprocess.Popen(
        [*command, "--max-tokens", "2000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
            sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
            if sizes:
                found = {"rss_mb": int(sizes["VmRSS"]) / 1024, "peak_mb": int(sizes["VmHWM"]) / 1024}
            time.sleep(0.002)
    return {name: round(value, 1) for name, value in found.items()}


def measure_all(arguments: argparse.Namespace) -> dict[str, Any]:
    bundle = read_bundle(arguments.run_dir)
    result = describe_machine()
    result["model"] = dict(bundle.model)
    sizes = {name: (bundle.directory / name).stat().st_size for name in (MODEL, TOKENIZER)}
    result["file_bytes"] = sizes
    with tempfile.TemporaryDirectory() as folder:
        commands = list_commands(arguments, Path(folder))
        result |= race(commands, rounds=arguments.rounds, num_tokens=arguments.tokens)
    starts = measure_starts(arguments.run_dir)
    result["first_byte_s"] = {"median": statistics.median(starts), "repetitions": starts}
    result["command_memory"] = measure_command(arguments.run_dir)
    result["budgets"] = measure_in_child(bundle.directory)
    result["memory_limit"] = find_limit(bundle.directory)
    result["load_after"] = os.getloadavg()
    result["goals"] = judge(result)
    return result


def judge(result: dict[str, Any]) -> dict[str, Any]:
    """Each goal with its figure, and whether it is reached; None where nothing was measured."""
    rates = {name: entry.get("median") for name, entry in result["tokens_per_cpu_sec"].items()}
    llama = [
        rate for name, rate in rates.items() if name.startswith("llama_cpp") and rate and "Q8" in name.upper()
    ]
    figures = {
        **result["command_memory"],
        "first_byte_s": result["first_byte_s"]["median"],
        "latency_p95_us": result["budgets"]["latency_p95_us"],
        "limit_mb": result["memory_limit"]["limit_mb"],
        "files_mb": round(sum(result["file_bytes"].values()) / 2**20, 3),
        "times_transformers": divide(rates["semilla"], rates.get("transformers")),
        "times_llama_cpp": divide(rates["semilla"], max(llama, default=None)),
        "times_one_text": divide(
            *(result["tokens_per_sec"][name]["median"] for name in ("semilla_8", "semilla"))
        ),
    }
    return {
        name: {
            "value": value,
            "goal": f"{sign} {goal}",
            "reached": None if value is None else (value <= goal if sign == "<=" else value >= goal),
        }
        for name, (goal, sign) in GOALS.items()
        for value in [figures[name]]
    }


def divide(rate: float, other: float | None) -> float | None:
    return round(rate / other, 2) if other else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=Path, help="output directory of a finished run")
    parser.add_argument(
        "--gguf", action="append", default=[], help="a model in GGUF for llama.cpp; repeatable"
    )
    parser.add_argument("--llama-python", default=sys.executable, help="interpreter that has llama_cpp")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--tokens", type=int, default=1000, help="tokens a contestant generates each round")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    result = measure_all(arguments)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, entry in result["tokens_per_sec"].items():
        cpu = result["tokens_per_cpu_sec"][name].get("median")
        print(
            f"{name:24} {entry.get('median', 'left out: ' + entry.get('left_out', ''))} tokens/s, {cpu} a CPU second"
        )
    for name, goal in result["goals"].items():
        print(f"{name:24} {goal['value']} (goal {goal['goal']}): {goal['reached']}")


if __name__ == "__main__":
    main()
