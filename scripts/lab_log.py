"""What the lab log says in one place: current figures, and where each default of the code comes from."""

from __future__ import annotations

import importlib
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from result_tables import compute_ratio, read_date, read_result, show_percent
from story_tables import show_coherence

from semilla.configuration.schema import PipelineConfiguration

RECORDED_RUN = Path(__file__).parents[1] / "docs" / "guide" / "recorded" / "first-run.json"


@dataclass(frozen=True)
class Figure:
    """A current figure: what it is, its value, the target, and where it was measured."""

    what: str
    value: str
    target: str
    command: str
    date: str
    commit: str
    entry: str

    def list_cells(self) -> list[str]:
        entry = f"[{self.date}]({self.entry}.md)" if self.entry else self.date
        return [self.what, self.value, self.target, f"`{self.command}`", entry, self.commit]


def list_figures() -> list[Figure]:
    """Every figure that is current, read from the recorded results where there is one."""
    return [*list_training_figures(), *list_device_figures(), *list_durability_figures()]


def list_training_figures() -> list[Figure]:
    losses = read_result("results/training-losses")["contenders"]["ours"]
    compared = read_result("results/training-losses-textbook")["contenders"]
    to_five = {name: one["seconds_to"]["5.0"] for name, one in compared.items()}
    speed = read_result("results/training-speed")["contenders"]
    later, full = speed["without short contexts"], speed["without sampled output"]
    seeds = read_result("results/training-seeds")
    first_run = json.loads(RECORDED_RUN.read_text(encoding="utf-8"))
    training = "benchmarks/training/run.py RUN"
    evening = (read_date("results/training-losses"), "54516ec")
    return [
        Figure("first run: validation loss", f"{first_run['figures']['best_validation_loss']:.3f}", "",
               "scripts/first-run", first_run["date"], "c3f02b4", ""),
        Figure("three books: best validation loss", f"{losses['best_loss']:.3f}", "4.20",
               f"{training} losses --until 0", *evening, "2026-11-29-three-books-20-epochs"),
        Figure("three books: steps of 20 epochs", f"{losses['curve'][-1]['seconds']:.0f} s", "300 s",
               f"{training} losses --until 0", *evening, "2026-11-29-three-books-20-epochs"),
        Figure("three books: whole job", "348 s", "", "semilla run", "2026-11-29", "3efe61f",
               "2026-11-29-three-books-20-epochs"),
        Figure("three books in float32: steps of 20 epochs", "496 s", "600 s",
               "semilla run --precision float32", "2026-11-29", "ab7bb73", "2026-11-29-three-books-20-epochs"),
        Figure("three books: training to a loss of 5.0", f"{losses['seconds_to']['5.0']:.1f} s", "20 s",
               f"{training} losses --until 0", *evening, "2026-11-29-time-to-a-loss"),
        Figure("the same, against the textbook loop", f"{to_five['textbook'] / to_five['ours']:.0f}x", "150x",
               f"{training} losses --contenders ours textbook --until 5.0",
               read_date("results/training-losses-textbook"), "887f59a", "2026-11-29-time-to-a-loss"),
        Figure("tokens a second, against the textbook loop: short contexts; after them",
               f"{speed['ours']['times_textbook']:.2f}x; {later['times_textbook']:.2f}x", "8x",
               f"{training} speed", read_date("results/training-speed"), "66cb34a", "2026-11-29-training-speed"),
        Figure("tokens a second, against Trainer: short contexts; after them",
               f"{speed['ours']['times_trainer']:.2f}x; {later['times_trainer']:.2f}x", "6x",
               f"{training} speed", read_date("results/training-speed"), "66cb34a", "2026-11-29-training-speed"),
        Figure("full softmax: share of the machine's bfloat16 limit",
               show_percent(full["dense_share_of_limit"], 0), "60 %", f"{training} speed",
               read_date("results/training-speed"), "66cb34a", "2026-11-29-training-speed"),
        Figure("ten seeds: standard deviation of the loss",
               show_percent(seeds["standard_deviation"] / seeds["mean"], 2), "1 %; limit 5 %",
               f"{training} seeds", read_date("results/training-seeds"), "9fdfcdd", "2026-11-29-ten-seeds"),
        Figure("first run: stories without a contradiction, en; es",
               show_coherence("results/stories-first-run"), "50 %",
               "benchmarks/stories.py RUN", "2026-12-01", "786ea83", "2026-12-01-whole-stories-in-windows"),
        Figure("stories, 20 epochs: without a contradiction, en; es",
               show_coherence("results/stories-default"), "85 %",
               "benchmarks/stories.py RUN", "2026-12-01", "786ea83", "2026-12-01-whole-stories-in-windows"),
        Figure("the same: validation loss", "0.300", "", "semilla run --corpus-source sample",
               "2026-12-01", "786ea83", "2026-12-01-whole-stories-in-windows"),
        Figure("the same: minimal pairs right, en; es", "99.8 %; 98.1 %", "97 %", "semilla run --corpus-source sample",
               "2026-12-01", "786ea83", "2026-12-01-whole-stories-in-windows"),
    ]  # fmt: skip


def list_device_figures() -> list[Figure]:
    device = read_result("device/results")
    by_cpu = device["tokens_per_cpu_sec"]
    when = (read_date("device/results"), "887f59a", "2026-11-29-shipped-model")
    command = "benchmarks/device/run.py RUN"
    size_mb = sum(device["file_bytes"].values()) / 2**20
    memory_mb = device["command_memory"]
    figures = {
        "shipped model: file and tokenizer": (f"{size_mb:.2f} MB", "2.5 MB"),
        "`semilla generate`: peak; resident memory":
            (f"{memory_mb['peak_mb']}; {memory_mb['rss_mb']} MB", "80; 70 MB"),
        "start to the first byte": (f"{device['first_byte_s']['median']:.3f} s", "0.35 s"),
        "next token, p95": (f"{device['budgets']['latency_p95_us']:.0f} µs", "1,000 µs"),
        "enforced memory limit it runs in": (f"{device['memory_limit']['limit_mb']} MB", "128 MB"),
        "tokens a second, against `transformers`":
            (f"{compute_ratio(by_cpu, 'semilla', 'transformers'):.1f}x", "25x"),
        "tokens a second, against llama.cpp Q8_0":
            (f"{compute_ratio(by_cpu, 'semilla', 'llama_cpp model-q8_0'):.2f}x", ""),
    }  # fmt: skip
    int8 = read_result("results/exports")["int8"]["loss_change_percent"]
    q8_0 = next(one for one in read_result("results/llama-cpp")["results"] if one["quantization"] == "q8_0")
    page = read_result("results/web-page")
    same = "; ".join(f"{one['identical']} of {one['prompts']}" for one in page["greedy"].values())
    about = ("benchmarks/web_page.py RUN", read_date("results/web-page"), "ace0d9a", "2026-11-30-web-page")
    return [
        *(Figure(what, value, target, command, *when) for what, (value, target) in figures.items()),
        Figure("page of the default shape", f"{page['page_bytes'] / 1e6:.1f} MB", "4 MB", *about),
        Figure("page: tokens a second of processor time", f"{page['tokens_per_cpu_sec']:.0f}", "150", *about),
        Figure("page: greedy texts identical to the runtime's, en; es", same, "100 of 100", *about),
        Figure("int8 bundle: loss against float32", f"{int8:+.3f} %", "", "benchmarks/measure_exports.py RUN",
               read_date("results/exports"), "46bc225", "2026-11-28-exports"),
        Figure("GGUF q8_0 in llama.cpp: loss against float32",
               f"{q8_0['held_out']['loss_change_percent']:+.4f} %", "", "scripts/check-llama-cpp RUN",
               read_date("results/llama-cpp"), "3efe61f", "2026-11-28-exports"),
    ]  # fmt: skip


def list_durability_figures() -> list[Figure]:
    safety = read_result("results/safety")["share_of_training"]
    many = read_result("results/many-files")
    turns = read_result("results/watching")["turns"]
    watching = f"{turns['mean_percent']:.2f} % (standard error {turns['standard_error_percent']:.2f})"
    when = ("2026-11-28", "a13f8cf", "2026-11-28-durability")
    return [
        Figure(f"{many['files']:,} small files, seconds to the manifest",
               f"{statistics.median(one['elapsed_s'] for one in many['repetitions']):.1f}", f"{many['target_s']:.0f}",
               "benchmarks/many_files.py", read_date("results/many-files"), "0a812dd", "2026-11-30-many-small-files"),
        Figure("SIGKILL at random instants, ended bit-identical", "1,037 of 1,037", "all",
               "scripts/torture kills", *when),
        Figure("interruptions of one run, bit-identical", "500 of 500", "all",
               "scripts/torture interruptions", *when),
        Figure("power cuts after which every announced checkpoint verifies", "500 of 500", "all",
               "scripts/torture powercuts", *when),
        Figure("bit flips and truncations accepted", "0 of 100,000", "0", "scripts/torture damage", *when),
        Figure("cost of checkpoints every 5 s; every 30 s",
               "; ".join(show_percent(one, 2) for one in safety.values()), "", "benchmarks/safety.py", *when),
        Figure("cost of watching a run, CPU time", watching, "", "benchmarks/watching.py",
               read_date("results/watching"), "1f02c7c", "2026-11-28-watching-a-run"),
        Figure("hostile inputs that failed a check", "0 of 20,006", "0", "scripts/fuzz",
               "2026-11-28", "8e034cd", "2026-11-28-hostile-input"),
        Figure("fuzzed files of every format that failed a check", "0 of 20,000", "0", "scripts/fuzz --target formats",
               "2026-12-01", "ff767ac", "2026-12-01-fuzzed-formats"),
        Figure("files of every format: fewest words kept", "99.89 %", "99.5 %",
               "scripts/make_format_samples.py DIRECTORY", "2026-12-01", "ff767ac", "2026-12-01-fuzzed-formats"),
        Figure("books: most words lost by stripping", "0.77 %", "", "scripts/measure_stripping.py",
               "2026-11-25", "6d7798b", "2026-11-25-stripping"),
        Figure("guide: blocks that ran as printed", "49 of 49", "all", "scripts/walk-guide",
               "2026-11-28", "a13940e", "2026-11-28-guide"),
    ]  # fmt: skip


# ---- defaults

SETTINGS = {
    "learning_rate": "2026-11-28-linear-decay-and-lower-rates",
    "optimizer": "2026-11-29-ablation",
    "warmup_fraction": "2026-11-29-short-contexts-and-skipped-layers",
    "weight_decay": "2026-11-29-weight-decay-of-embeddings",
    "dropout": "2026-11-22-multipliers-and-dropout",
    "repetition_fraction": "2026-11-30-repetition-warm-up",
    "early_stopping": "2026-12-01-early-stopping",
    "short_context_fraction": "2026-11-29-short-contexts-and-skipped-layers",
    "sampled_output_fraction": "2026-11-22-sampled-softmax",
    "tie_embeddings": "2026-11-22-tied-embeddings",
    "checkpoint_seconds": "2026-11-28-durability",
    "tokenizer_vocab_size": "2026-11-30-few-pieces-for-a-small-text",
}
"""Settings whose default was measured, and the entry that says how."""

UNTRIED = (
    "num_layers",
    "d_model",
    "num_heads",
    "dim_feedforward",
    "batch_size",
    "num_epochs",
    "max_sequence_length",
    "max_gradient_norm",
    "tokenizer_model_type",
)
"""Settings whose default was chosen beforehand; no other value was tried."""

CONSTANTS = {
    "semilla.configuration.schema.SAMPLE_SETTINGS": "2026-12-01-stories-at-three-times-the-rate",
    "semilla.planning.plan.WEIGHT_DECAY": "2026-12-01-three-times-the-weight-decay",
    "semilla.training.data.BACKWARD_SHARE": "2026-12-01-whole-stories-in-windows",
    "semilla.training.schedule.compute_dropout": "2026-11-25-stories-20-epochs",
    "semilla.training.schedule.compute_learning_rate": "2026-11-28-linear-decay-and-lower-rates",
    "semilla.training.schedule.FIRST_MOMENTUM": "2026-11-29-momentum-warm-up-and-embedding-scale",
    "semilla.training.schedule.MOMENTUM": "2026-11-29-momentum-warm-up-and-embedding-scale",
    "semilla.training.schedule.MOMENTUM_STEPS": "2026-11-29-momentum-warm-up-and-embedding-scale",
    "semilla.training.optimizer.MULTIPLIERS": "2026-11-28-linear-decay-and-lower-rates",
    "semilla.training.optimizer.DECAY_MULTIPLIERS": "2026-11-29-weight-decay-of-embeddings",
    "semilla.training.optimizer.ADAM_BETAS": "2026-11-28-linear-decay-and-lower-rates",
    "semilla.training.muon.POLYNOMIALS": "2026-11-29-muon-iterations",
    "semilla.training.micro_batches.GROUP_TARGETS": "2026-11-29-448-negative-samples",
    "semilla.training.sampled_softmax.SAMPLE_SIZE": "2026-11-29-448-negative-samples",
    "semilla.training.sampled_softmax.MAX_SAMPLE_SHARE": "2026-11-29-448-negative-samples",
    "semilla.training.micro_batches.CHUNK_ROWS": "2026-11-22-loss-chunk-size",
    "semilla.training.memory.BASE_MB": "2026-11-29-training-memory",
    "semilla.training.memory.TORCH_MB": "2026-12-01-size-of-torch",
    "semilla.model.transformer.EMBEDDING_DEVIATION": "2026-11-30-names-in-a-first-run",
    "semilla.model.shape.QUERY_ROWS": "2026-11-29-attention-blocks-and-gradients-in-place",
    "semilla.tokenizer.size.BYTES_PER_PIECE": "2026-11-30-few-pieces-for-a-small-text",
    "semilla.system.allocator.HUGE_HEAP": "2026-11-29-attention-blocks-and-gradients-in-place",
    "semilla.evaluation.pair_selection.LEAST_COVERAGE": "2026-11-29-pairs-of-a-small-text",
    "semilla.terminal.live_progress.REFRESH_PER_SECOND": "2026-11-28-watching-a-run",
    "semilla.records.heartbeat.BEAT_S": "2026-11-28-watching-a-run",
}
"""Constants that were measured, by their dotted names. A function stands for the curve that it computes."""


def list_defaults() -> list[list[str]]:
    """Rows of the table of defaults: name, value, entry."""
    flat = PipelineConfiguration().flatten()
    rows = [[f"`{name}`", f"`{str(flat[name]).lower()}`", link(entry)] for name, entry in SETTINGS.items()]
    rows += [[f"`{name}`", show_value(name), link(entry)] for name, entry in CONSTANTS.items()]
    rows += [[f"`{name}`", f"`{flat[name]}`", "not varied"] for name in UNTRIED]
    return rows


def link(entry: str) -> str:
    return f"[{entry[11:]}]({entry}.md)"


def show_value(name: str) -> str:
    """The value of a constant."""
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    return "a curve" if callable(value) else f"`{show_plainly(value)}`"


def show_plainly(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one:g}" for name, one in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
