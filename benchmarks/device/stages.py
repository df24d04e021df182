"""Where a token's time goes: the layers, the output layer and sampling, cut out of the shipped graph.

    python benchmarks/device/stages.py RUN_DIRECTORY [--output FILE.json]

The whole graph and its three parts alternate, one call each, so a part finds the caches as the others leave them. Each
part includes a call of its own; the cost of an empty call is printed as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.utils import Extractor

sys.path.append(str(Path(__file__).parents[1]))
from machine_facts import describe_machine

from semilla.runtime.bundle import GenerationSettings, read_bundle
from semilla.runtime.context import make_sampling_inputs
from semilla.runtime.session import Model, load

NUM_TURNS = 3000
NUMBERS = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.INT32: np.int32}


def cut(model: onnx.ModelProto) -> dict[str, onnx.ModelProto]:
    """The whole graph, its parts, and a graph that only copies."""
    graph = model.graph
    output = next(node for node in graph.node if "logits" in node.output)
    rows, caches = output.input[0], [one.name for one in graph.output if one.name.startswith("present.")]
    width = next(one for one in output.attribute if one.name == "K").i
    # The extractor needs the shape of what passes between the parts.
    graph.value_info.append(helper.make_tensor_value_info(rows, TensorProto.FLOAT, [1, 1, width]))
    first, last = choose_inputs(graph)
    extract = Extractor(model).extract_model
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    nothing = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", value[:1], value[1:])
    return {
        "whole": extract([*first, *last], ["next_id", "best_scores", *caches]),
        "layers": extract(first, [rows, *caches]),
        "output layer": extract([rows], ["logits"]),
        "choice": extract(["logits", *last], ["next_id", "best_scores"]),
        "a call": helper.make_model(nothing, opset_imports=model.opset_import, ir_version=model.ir_version),
    }


def choose_inputs(graph: onnx.GraphProto) -> tuple[list[str], list[str]]:
    """Names of the inputs of the layers, and of those of sampling."""
    names = [one.name for one in graph.input]
    first = [name for name in names if name.startswith("past.") or name in {"input_ids", "last_position"}]
    first += [name for name in names if name in {"length", "scored"}]
    return first, [name for name in names if name not in first]


def open_part(part: onnx.ModelProto, *, position: int, vocab_size: int) -> Callable[[], None]:
    """Return a call of the part, as the runtime makes it, at a position of the context."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding, kept = session.io_binding(), []
    given = {
        **make_sampling_inputs(GenerationSettings(), vocab_size=vocab_size),
        "last_position": np.array([position], np.int32),
        "length": np.array(position + 1, np.int32),
        "scored": np.array([-1]),
        "uniform": np.array([[[0.5]]], np.float32),
    }
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for one in part.graph.input:
        kind = one.type.tensor_type
        shape = [size.dim_value or 1 for size in kind.shape.dim]
        drawn = random.standard_normal(shape).astype(NUMBERS[kind.elem_type])
        if one.name in {"seen", "input_ids"}:
            drawn = random.integers(4, vocab_size, shape)
        arrays[one.name] = onnxruntime.OrtValue.ortvalue_from_numpy(given.get(one.name, drawn))
        binding.bind_ortvalue_input(one.name, arrays[one.name])
    for one in part.graph.output:
        if one.name.startswith("present."):
            binding.bind_ortvalue_output(one.name, arrays[one.name.replace("present.", "past.")])
        else:
            binding.bind_output(one.name)
    kept += [session, arrays]

    def call(_kept: object = kept) -> None:
        session.run_with_iobinding(binding)

    return call


def measure(parts: dict[str, Callable[[], object]], *, num_turns: int) -> dict[str, list[float]]:
    """Microseconds of each call; the first hundred turns warm up."""
    times_us: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(num_turns + 100):
        for name, call in parts.items():
            start_ns = time.perf_counter_ns()
            call()
            if turn >= 100:
                times_us[name].append((time.perf_counter_ns() - start_ns) / 1000)
    return times_us


def measure_pieces(model: Model) -> list[float]:
    """Microseconds between the pieces of a streamed text: a call, and everything that Python adds."""
    times_us = []
    for seed in range(NUM_TURNS // 100):
        last_ns = time.perf_counter_ns()
        for _ in model.stream(seed=seed, max_tokens=100):
            now_ns = time.perf_counter_ns()
            times_us.append((now_ns - last_ns) / 1000)
            last_ns = now_ns
    return times_us


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.run_dir)
    position = bundle.model["max_position_embeddings"] // 2
    parts = {
        name: open_part(part, position=position, vocab_size=bundle.model["vocab_size"])
        for name, part in cut(onnx.load(bundle.model_path)).items()
    }
    times_us = {
        **measure(parts, num_turns=NUM_TURNS),
        "piece to piece": measure_pieces(load(arguments.run_dir)),
    }
    result: dict[str, Any] = {
        **describe_machine(),
        "model": dict(bundle.model),
        "position": position,
        "turns": NUM_TURNS,
    }
    for name, one in times_us.items():
        tenths = statistics.quantiles(one, n=20)
        result[name] = {"p5_us": round(tenths[0], 1), "median_us": round(statistics.median(one), 1)}
        print(f"{name:14} 5th percentile {tenths[0]:6.1f} µs, median {result[name]['median_us']:6.1f} µs")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
