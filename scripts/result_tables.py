"""Tables of the lab log, each made from a file in ``benchmarks/results`` or ``benchmarks/device``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from write_guide import draw_table

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = {
    "hugging face trainer": "Trainer",
    "textbook": "textbook loop",
    "textbook with kept blocks": "textbook loop, freed memory kept",
    "without sampled output": "full softmax",
    "with an even sample": "negative samples drawn evenly",
    "with shared candidates": "one set of negative samples for a worker batch",
    "with uniform samples": "negative samples drawn evenly",
    "with shared samples": "one set of negative samples for a worker batch",
    "without helping" + " processes": "without worker processes",
}
"""What a table calls a contender, where that differs from its name in the record."""
BOOKS = {"84": "84, English", "4650": "4650, French", "55752": "55752, Portuguese"}
RUNTIMES = {
    "plain_c_float32": "plain C loop over float32 weights (`plain_loop.c`)",
    "semilla_8": "`semilla`, eight texts together",
    "semilla": "`semilla`",
    "llama_cpp model-q8_0": "llama.cpp, Q8_0",
    "llama_cpp model-f32": "llama.cpp, F32",
    "numpy": "NumPy, the same network and sampling (`numpy_engine.py`)",
    "transformers": "`transformers` 5.24.0, `generate`",
}
COSTS = {
    "corpus_size_mb": "text of {} MB",
    "max_sequence_length": "context of {} tokens",
    "d_model": "width {}",
    "tokenizer_vocab_size": "{:,} pieces",
}
WATCHED = {
    "draw the live display": "drawing the live display (100 columns)",
    "write the pulse": "writing the pulse",
    "follow a step": "following a step",
    "take a step's pulse": "taking a step's pulse",
    "a step's line of JSON": "a step's line of JSON",
    "a step's row for TensorBoard": "a step's row for TensorBoard",
}


def read_result(name: str) -> dict[str, Any]:
    """A recorded result by its name in ``benchmarks``, without ``.json``."""
    content: dict[str, Any] = json.loads((BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def read_date(name: str) -> str:
    """The day on which a result was recorded."""
    result = read_result(name)
    return str(result.get("machine", result)["date"])[:10]


def show_percent(share: float, digits: int = 1) -> str:
    """A share in percent, with the space that the log's prose has."""
    return f"{100 * share:.{digits}f} %"


def list_contenders(name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Contenders of a training benchmark, by the names of the tables."""
    return ((NAMES.get(one, one), figures) for one, figures in read_result(name)["contenders"].items())


def tabulate_losses() -> str:
    """Seconds of training until each loss, of the comparison and of the full run."""
    rows = []
    for what, name in (
        ("compared", "results/training-losses-textbook"),
        ("full run", "results/training-losses"),
    ):
        for contender, figures in list_contenders(name):
            seconds = [f"{one:,.1f} s" if one else "" for one in figures["seconds_to"].values()]
            end = ["", ""]
            if what == "full run":
                end = [f"{figures['best_loss']:.3f}", f"{figures['curve'][-1]['seconds']:.0f} s"]
            rows.append([f"{contender}, {what}", *seconds, *end])
    return draw_table(("", "5.5 after", "5.0 after", "4.7 after", "best loss", "steps of 20 epochs"), rows)


def tabulate_quality() -> str:
    """The best loss of ours and of Trainer on each book."""
    rows = []
    for number, book in BOOKS.items():
        contenders = dict(list_contenders(f"results/training-quality-{number}"))
        trainer = contenders["Trainer"]
        rows.append(
            [
                book,
                f"{contenders['ours']['best_loss']:.3f}",
                f"{trainer['best_loss']:.3f} ({trainer['epochs']} epochs)",
            ]
        )
    return draw_table(("book", "Semilla, best loss", "Trainer, best loss"), rows)


def tabulate_seeds() -> str:
    """The loss from each seed, and their mean and standard deviation."""
    result = read_result("results/training-seeds")
    rows = [[name, f"{one['loss']:.3f}"] for name, one in result["contenders"].items()]
    share = result["standard_deviation"] / result["mean"]
    rows.append(["mean", f"{result['mean']:.3f}"])
    rows.append(
        ["standard deviation", f"{result['standard_deviation']:.3f} ({show_percent(share, 2)} of the mean)"]
    )
    return draw_table(("", "loss"), rows)


def tabulate_speed(name: str) -> str:
    """Tokens a second of each contender, and the ratios to the textbook loop and to Trainer."""
    rows = (
        [
            contender,
            f"{one['tokens_per_s']:,.0f}",
            f"{one['times_textbook']:.2f}",
            f"{one['times_trainer']:.2f}",
            f"{one['peak_mb']:,.0f}",
        ]
        for contender, one in list_contenders(name)
    )
    headings = ("", "tokens a second", "times the textbook loop", "times Trainer", "peak memory, MiB")
    return draw_table(headings, rows)


def tabulate_ablation(name: str) -> str:
    """Seconds and loss after two epochs without each improvement."""
    rows = ([one, f"{found['seconds']:.1f}", f"{found['loss']:.3f}"] for one, found in list_contenders(name))
    return draw_table(("", "seconds of steps", "loss"), rows)


def tabulate_costs() -> str:
    """Minutes and memory over one size at a time."""
    rows = [
        [
            COSTS[name].format(row["value"]),
            f"{row['minutes']:.2f}",
            f"{row['predicted_minutes']:.2f}",
            f"{row['peak_mb']:,.0f}",
            f"{row['estimated_mb']:,.0f}",
        ]
        for name, curve in read_result("results/training-costs")["curves"].items()
        for row in curve
    ]
    return draw_table(("", "minutes", "by the operations", "MB", "estimate"), rows)


def tabulate_device_speed() -> str:
    """Tokens a second of every program that runs the shipped model."""
    result = read_result("device/results")
    rows = []
    for name, label in RUNTIMES.items():
        if name not in result["tokens_per_cpu_sec"]:
            continue
        by_cpu = result["tokens_per_cpu_sec"][name]
        low, high = min(by_cpu["repetitions"]), max(by_cpu["repetitions"])
        wall = result["tokens_per_sec"][name]["median"]
        rows.append([label, f"{by_cpu['median']:,.0f}", f"{low:,.0f} to {high:,.0f}", f"{wall:,.0f}"])
    return draw_table(("", "per CPU second", "range", "per second"), rows)


def tabulate_grammar() -> str:
    """Minimal pairs right in each language, with Wilson's 95 % interval."""
    rows = []
    for language, found in read_result("results/language-sample-20-epochs")["minimal_pairs"].items():
        shares = (found[judge] for judge in ("trained", "bigram", "untrained"))
        cells = [
            f"{show_percent(one['accuracy'])} ({100 * one['low']:.1f} to {100 * one['high']:.1f})"
            for one in shares
        ]
        rows.append([f"{language}, {found['num_pairs']:,} pairs", *cells])
    return draw_table(("", "trained, 20 epochs", "bigram model", "untrained network"), rows)


def tabulate_phenomena() -> str:
    """Minimal pairs right by phenomenon."""
    rows = []
    for language, found in read_result("results/language-sample-20-epochs")["minimal_pairs"].items():
        for phenomenon in found["trained"]["phenomena"]:
            judges = (found[judge]["phenomena"][phenomenon] for judge in ("trained", "bigram", "untrained"))
            rows.append([language, phenomenon, *(f"{100 * read_share(one):.0f}" for one in judges)])
    return draw_table(("", "phenomenon", "trained", "bigram", "untrained"), rows)


def read_share(figure: Any) -> float:
    """A share that is recorded alone or with its interval."""
    return float(figure["accuracy"] if isinstance(figure, dict) else figure)


def tabulate_rounding() -> str:
    """What each number format costs in loss."""
    rows = [
        [f"GGUF {one['quantization']}", "llama.cpp", *show_rounding(one["held_out"])]
        for one in read_result("results/llama-cpp")["results"]
    ]
    int8 = read_result("results/exports")["int8"]
    rows.append(["int8, the shipped bundle", "`semilla`", *show_rounding(int8)])
    return draw_table(("weights", "run by", "loss", "same most likely token"), rows)


def show_rounding(figures: Mapping[str, Any]) -> list[str]:
    change = round(figures["loss_change_percent"], 4) + 0.0  # no negative zero
    return [f"{change:+.4f} %", show_percent(figures["same_likeliest_token"], 2)]


def tabulate_watching() -> str:
    """CPU time of everything that watches a run."""
    calls = read_result("results/watching")["calls"]
    rows = (
        [label, f"{calls[name]['cpu_ms']:.3g} ms", f"{calls[name]['percent_of_a_core']:.2g} %"]
        for name, label in WATCHED.items()
    )
    return draw_table(("what", "CPU time each", "share of one core"), rows)


def compute_ratio(figures: Mapping[str, Any], one: str, other: str) -> float:
    """The ratio of two medians."""
    return float(figures[one]["median"] / figures[other]["median"])


def tabulate_law() -> str:
    """How far the runs of each text are from a law that was fitted without them."""
    rows = [
        [
            one["text"],
            f"{one['train_bytes'] / 1000:,.0f} KB",
            one["runs"],
            f"{one['best']:.3f}",
            show_signed(math.expm1(one["unseen"])),
            f"{100 * one['spread']:.1f} %",
        ]
        for one in read_result("results/quality-law")["texts"]
    ]
    return draw_table(
        (
            "text",
            "for training",
            "runs",
            "best bits per byte",
            "predicted, mean error",
            "spread of the errors",
        ),
        rows,
    )


def tabulate_law_held_out() -> str:
    """What a plan and the defaults brought for texts that took no part in the fit."""
    rows = []
    for one in json.loads((BENCHMARKS / "results" / "quality-held-out.json").read_text(encoding="utf-8")):
        plan, defaults = one["plan"], one["defaults"]
        asked = plan["asked"]
        measured, best_default = plan["bits_per_byte"][-1], min(defaults["bits_per_byte"])
        rows.append(
            [
                f"{one['text']} ({one['train_bytes'] / 1000:,.0f} KB)",
                f"{asked['vocabulary']:,} pieces, {asked['num_layers']} x {asked['d_model']}, "
                f"{asked['num_epochs']} epochs, dropout {asked['dropout']:g}",
                f"{best_default:.3f}",
                f"{measured:.3f} ({show_signed(measured / best_default - 1)})",
                f"{plan['expected_bits']:.3f} ({show_signed(plan['expected_bits'] / measured - 1)})",
                f"{defaults['processor_s']:.0f} s, {plan['processor_s']:.0f} s",
            ]
        )
    headings = (
        "text", "plan", "defaults, best epoch", "plan, last epoch", "expected of the plan (error)",
        "processor time of defaults, plan",
    )  # fmt: skip
    return draw_table(headings, rows)


def show_signed(share: float) -> str:
    """A signed share in percent."""
    return f"{100 * share:+.1f} %"


TABLES: dict[str, Callable[[], str]] = {
    "training_losses": tabulate_losses,
    "training_quality": tabulate_quality,
    "training_seeds": tabulate_seeds,
    "training_speed": lambda: tabulate_speed("results/training-speed"),
    "training_speed_amx": lambda: tabulate_speed("results/training-speed-amx"),
    "training_ablation": lambda: tabulate_ablation("results/training-ablation"),
    "training_ablation_candidates": lambda: tabulate_ablation("results/training-ablation-candidates"),
    "training_costs": tabulate_costs,
    "device_speed": tabulate_device_speed,
    "grammar": tabulate_grammar,
    "grammar_phenomena": tabulate_phenomena,
    "rounding": tabulate_rounding,
    "watching": tabulate_watching,
    "law": tabulate_law,
    "law_held_out": tabulate_law_held_out,
}
"""What a page of the lab log can ask for by name."""
