"""A folder for ``ollama create``: the GGUF file, and a Modelfile that says how to use it.

Ollama knows chat models. This one continues a text, so the template passes the prompt on as it is, without roles or
system message. The GGUF file names the token that begins a text, and Ollama puts it there; a begin token in the
template would be a second one. Ollama's own context length is longer than the model's, so the Modelfile sets it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semilla.export import gguf
from semilla.export.bundle import suggest_settings
from semilla.export.parity import Parity, compare_fields
from semilla.export.trained_model import TrainedModel
from semilla.records.files import write_text
from semilla.tokenizer.tokenizer import END_ID

MODELFILE = "Modelfile"
PROGRAM = "Modelfile read back"
USE = """```sh
ollama create semilla -f Modelfile
ollama run semilla "Once upon a time"
```

The model continues a text. It is no chat model: it follows no instructions and remembers no earlier message."""
TEMPLATE = "{{ .Prompt }}"


def write(folder: Path, trained: TrainedModel, *, quantization: str) -> None:
    """Write the GGUF file and the Modelfile; IncompatibleError as for GGUF."""
    gguf.write(folder, trained, quantization=quantization)
    lines = [f"FROM ./{gguf.name_file(quantization)}", f'TEMPLATE """{TEMPLATE}"""']
    lines += [f"PARAMETER {name} {_write_value(value)}" for name, value in list_parameters(trained).items()]
    write_text(folder / MODELFILE, "\n".join(lines) + "\n")


def check(folder: Path, trained: TrainedModel, *, quantization: str) -> Parity:
    """Compare the GGUF file with the model, and read the Modelfile back."""
    found = gguf.check(folder, trained, quantization=quantization)
    expected = {"FROM": f"./{gguf.name_file(quantization)}", "TEMPLATE": TEMPLATE, **list_parameters(trained)}
    content = read_modelfile((folder / MODELFILE).read_text(encoding="utf-8"))
    fields = {name: _write_value(value) for name, value in expected.items()}
    return Parity((*found.comparisons, compare_fields(content, fields, program=PROGRAM)), found.notes)


def list_parameters(trained: TrainedModel) -> dict[str, Any]:
    """The settings of ``semilla generate`` under Ollama's names, the context length, and the text that stops."""
    settings, context = suggest_settings(trained.start_id), trained.model["max_position_embeddings"]
    return {
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "repeat_penalty": settings.repetition_penalty,
        # All tokens of the context, as in `semilla generate`. Not -1: llama.cpp's server refuses that.
        "repeat_last_n": context,
        "num_ctx": context,
        "num_predict": settings.max_tokens,
        "stop": f'"{trained.vocabulary.pieces[END_ID].text}"',
    }


def read_modelfile(text: str) -> dict[str, Any]:
    """The instructions of a Modelfile, and its parameters by their names. Each instruction is one line."""
    content = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "PARAMETER":
            name, _, value = value.partition(" ")
        content[name] = value.removeprefix('"""').removesuffix('"""') if name == "TEMPLATE" else value
    return content


def _write_value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
