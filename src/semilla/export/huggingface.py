"""A folder that Hugging Face's transformers loads: LlamaForCausalLM and a fast tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tokenizers
from safetensors.numpy import load_file, save

from semilla.export.bundle import suggest_settings
from semilla.export.parity import (
    Comparison,
    Parity,
    compare_ids,
    compare_logits,
    compare_texts,
    compare_weights,
    list_lines,
)
from semilla.export.tokenizer_json import describe_tokenizer
from semilla.export.trained_model import Ids, Logits, TrainedModel
from semilla.export.vocabulary import Vocabulary
from semilla.records.files import write_bytes, write_json
from semilla.system.temporary import import_compiler
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, UNKNOWN_ID

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"

NOT_LOADED = (
    "transformers is not installed, so only the content of the files was checked, not loading or logits "
    "(pip install 'transformers>=5', then export again)"
)
USE = """```python
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
# Every text starts with this token.
ids = [model.generation_config.bos_token_id, *tokenizer("Once upon a time")["input_ids"]]
print(tokenizer.decode(model.generate(torch.tensor([ids]))[0], skip_special_tokens=True))
```"""


def write(folder: Path, trained: TrainedModel) -> None:
    """Write configuration, weights and tokenizer; IncompatibleError if the format cannot express the tokenizer."""
    tokenizer = describe_tokenizer(trained.vocabulary)
    write_json(folder / TOKENIZER, tokenizer)
    write_json(folder / "tokenizer_config.json", describe_tokenizer_class(trained))
    write_json(folder / "config.json", describe_configuration(trained))
    write_json(folder / "generation_config.json", describe_generation(trained.start_id))
    write_bytes(folder / WEIGHTS, save(dict(trained.weights), metadata={"format": "pt"}))


def check(folder: Path, trained: TrainedModel) -> Parity:
    """Load the folder with the packages that are installed and compare; ValidationFailureError on a difference."""
    weights = compare_weights(load_file(folder / WEIGHTS), trained, program=_name_program("safetensors"))
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.encode_special_tokens = True  # as split_special_tokens does in transformers
    program, lines = _name_program("tokenizers"), list_lines(trained)
    comparisons = [
        weights,
        compare_ids(lambda line: tokenizer.encode(line).ids, trained, program=program, lines=lines),
        compare_texts(tokenizer.decode, trained, program=program, lines=lines),
    ]
    if find_spec("transformers") is None:
        return Parity(tuple(comparisons), (NOT_LOADED,))
    return Parity((*comparisons, *compare_loaded(folder, trained, lines=lines)))


def compare_loaded(
    folder: Path, trained: TrainedModel, *, lines: Sequence[str], **options: Any
) -> tuple[Comparison, ...]:
    """Load the folder with transformers, as a user would. ``options`` go to ``compare_logits``."""
    import_compiler()
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415 - takes seconds to import, and is optional

    quiet: Any = transformers.utils.logging
    quiet.disable_progress_bar()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)

    @torch.inference_mode()
    def score(ids: Ids) -> Logits:
        logits: Logits = network(torch.from_numpy(ids)[None]).logits[0].numpy()
        return logits

    program = _name_program("transformers")
    return (
        compare_ids(
            lambda line: tokenizer(line, verbose=False)["input_ids"], trained, program=program, lines=lines
        ),
        compare_texts(tokenizer.decode, trained, program=program, lines=lines),
        compare_logits(score, trained, program=program, **options),
    )


def _name_program(package: str) -> str:
    return f"{package} {version(package)}"


def describe_configuration(trained: TrainedModel) -> dict[str, Any]:
    model = trained.model
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "model_version": trained.version,
        **model,
        "num_key_value_heads": model["num_attention_heads"],
        "head_dim": model["hidden_size"] // model["num_attention_heads"],
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": BEGIN_ID,
        "eos_token_id": END_ID,
        "dtype": "float32",
    }


def describe_generation(start_id: int) -> dict[str, Any]:
    """The sampling of ``semilla generate``: its defaults, its start token, and the tokens it never samples."""
    settings = suggest_settings(start_id)
    return {
        "bos_token_id": start_id,
        "eos_token_id": END_ID,
        "pad_token_id": END_ID,
        "suppress_tokens": [UNKNOWN_ID, BEGIN_ID],
        "do_sample": True,
        "max_new_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "repetition_penalty": settings.repetition_penalty,
    }


def describe_tokenizer_class(trained: TrainedModel) -> dict[str, Any]:
    vocabulary: Vocabulary = trained.vocabulary
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": trained.model["max_position_embeddings"],
        "unk_token": vocabulary.pieces[UNKNOWN_ID].text,
        "bos_token": vocabulary.pieces[BEGIN_ID].text,
        "eos_token": vocabulary.pieces[END_ID].text,
        "pad_token": vocabulary.pieces[END_ID].text,
        "clean_up_tokenization_spaces": False,
        # "<s>" in a text is text, not the control token.
        "split_special_tokens": True,
    }
