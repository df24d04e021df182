"""Finds the name that was meant by a mistyped one: a command, a flag, a setting or a topic of the guide."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ENVIRONMENT_PREFIX = "SEMILLA_"
LEAST_SIMILARITY = 0.55
DASHES = "-\u2013\u2014"
"""What flags begin with, and what a word processor makes of it."""

_WORDS: dict[str, str] = {
    "run": "train fit learn start begin build make new create go pretrain finetune resume continue",
    "generate": "sample infer inference predict complete write chat talk ask prompt gen use text",
    "validate": "test verify measure benchmark",
    "evaluate": "eval perplexity score",
    "tokenize": "tokens encode tokenise tok",
    "list": "ls ll runs models dir",
    "info": "card describe inspect about",
    "report": "compare diff plot html show_report",
    "status": "state progress ps show log logs watch monitor",
    "plan": "estimate predict_time dial budget advise suggest recommend",
    "check": "doctor diagnose precheck requirements corpus dataset data texts sources files preview",
    "clean": "remove rm delete del clear reset purge uninstall",
    "export": "convert save gguf onnx huggingface deploy",
    "guide": "docs doc man manual tutorial learn_more explain documentation",
    "config": "settings configure configuration options init setup",
    "sweep": "grid search tune hyperparameters",
    "--help": "help h usage",
    "--version": "version v",
    "minutes": "time time_limit time_budget budget duration max_time hours",
    "num_epochs": "steps iterations iters max_steps passes",
    "corpus_source": "data dataset input text file corpus source folder book books url path train_data",
    "output_directory": "out save_dir outdir destination dest",
    "output_dir": "out model model_dir save_dir outdir destination dest dir directory name",
    "max_sequence_length": "context context_length context_size block_size seq_len sequence_length window",
    "d_model": "width hidden_size hidden embed embedding embedding_size dim n_embd",
    "dim_feedforward": "ffn ff feedforward intermediate_size",
    "num_layers": "depth n_layer n_layers",
    "num_heads": "n_head n_heads attention_heads",
    "num_threads": "workers cores cpus jobs j processes",
    "device": "gpu cuda mps",
    "no_resume": "force overwrite restart fresh",
    "resume": "continue",
    "corpus_languages": "lang",
    "max_tokens": "length num_tokens max_length max_new_tokens words",
    "num_texts": "count num_samples num_return_sequences samples",
    "seed": "random_seed random_state",
    "model": "m model_dir from checkpoint load output_dir",
    "yes": "y force f",
    "debug": "verbose v trace",
    "watch": "follow f tail live",
    "progress": "quiet q silent",
    "interactive": "i repl chat",
    "to": "format target",
    "format": "type",
}
ALIASES = [(alias, name) for name, words in _WORDS.items() for alias in words.split()]
"""What other programs call a thing -> our name for it."""


def suggest_name(unknown: str, names: Iterable[str]) -> str | None:
    """Return the name most likely meant.

    The first that applies: what other programs call it, its initials, a name with all these words, a name whose words
    begin with these, or a similar spelling.
    """
    given = reduce_name(unknown)
    by_key = {reduce_name(name): name for name in names}
    aliases: dict[str, str] = {}
    for alias, name in ALIASES:
        if (key := reduce_name(name)) in by_key:
            aliases.setdefault(alias, by_key[key])
    words = [word for word in given.split("_") if word]
    # A short alias resembles too much: rum is run, not rm.
    spelled = [*by_key, *(alias for alias in aliases if len(alias) > 3)]
    similar = get_close_matches(given, spelled, n=1, cutoff=LEAST_SIMILARITY)
    found = [
        *([aliases[given]] if given in aliases else []),
        *(by_key[key] for key in by_key if "".join(word[0] for word in key.split("_") if word) == given),
        *_list_containing(words, by_key, whole=True),
        *_list_containing(words, by_key, whole=False),
        *(by_key.get(key) or aliases[key] for key in similar),
    ]
    return found[0] if found else None


def hint_name(unknown: str, names: Iterable[str]) -> str:
    """Write the suggestion as the end of a message; empty when no name is near."""
    near = suggest_name(unknown, names)
    return f"; did you mean {near}?" if near else ""


def _list_containing(words: list[str], by_key: dict[str, str], *, whole: bool) -> list[str]:
    """List the names that have each of ``words`` as a word or, unless ``whole``, as the beginning of one."""
    if not words or (not whole and min(map(len, words)) < 2):
        return []
    fitting = [
        key
        for key in by_key
        if all(
            any(part == word or (not whole and part.startswith(word)) for part in key.split("_"))
            for word in words
        )
    ]
    return [by_key[key] for key in sorted(fitting, key=len)]


def reduce_name(name: str) -> str:
    """Convert a flag, variable or field name to the field's spelling."""
    return name.removeprefix(ENVIRONMENT_PREFIX).strip(DASHES).replace("-", "_").lower()
