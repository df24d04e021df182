"""How exactly the exports of a run reproduce its trained model: every held-out line, a thousand contexts.

Also what int8 costs in the shipped bundle: its loss over about all held-out text, through the runtime.

    .venv/bin/python benchmarks/measure_exports.py RUN [--output FILE.json]

Measured are the largest absolute difference of a logit in float32, over all positions of each context (Hugging Face) or
at its last one (ONNX, whose graph returns only that), and the number of lines whose ids are not identical.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from held_out import compare_held_out
from machine_facts import describe_machine

from semilla.export import huggingface, onnx_folder
from semilla.export.parity import Comparison, compare_logits
from semilla.export.trained_model import TrainedModel, read_run
from semilla.runtime.session import load

NUM_CONTEXTS = 1000


def measure(trained: TrainedModel) -> list[Comparison]:
    """Export to both formats and compare; raises ValidationFailureError where they differ too much."""
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place) / name for name in ("huggingface", "onnx")}
        for folder in folders.values():
            folder.mkdir()
        huggingface.write(folders["huggingface"], trained)
        onnx_folder.write(folders["onnx"], trained)
        loaded = huggingface.compare_loaded(
            folders["huggingface"], trained, lines=trained.list_lines(), num_contexts=NUM_CONTEXTS
        )
        score = onnx_folder.open_scorer(str(folders["onnx"] / onnx_folder.MODEL))
        graph = compare_logits(score, trained, program=onnx_folder.PROGRAM, num_contexts=NUM_CONTEXTS)
        return [*loaded, graph]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    trained, facts = read_run(arguments.run)
    comparisons = measure(trained)
    for one in comparisons:
        print(f"{one.program}: {one.compared:,} {one.what}, largest difference {one.difference:.3g}")
    int8 = compare_held_out(trained, load(arguments.run).compute_logits)
    print(f"int8: {int8}")
    report = {
        **describe_machine(),
        "model": trained.model,
        "best_model_sha256": facts.model_sha256,
        "comparisons": [asdict(one) for one in comparisons],
        "int8": asdict(int8),
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
