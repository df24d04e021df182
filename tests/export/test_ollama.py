"""The folder for Ollama: the checked GGUF file, and a Modelfile with template, settings and stop text."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import make_model

from semilla.errors import IncompatibleError, ValidationFailureError
from semilla.export import ollama
from semilla.export.bundle import suggest_settings
from semilla.export.trained_model import TrainedModel


def test_the_modelfile_passes_the_prompt_on_and_keeps_the_settings(
    tmp_path: Path, trained: TrainedModel
) -> None:
    """No role, no system message, no second begin token; the settings are those of ``semilla generate``."""
    ollama.write(tmp_path, trained, quantization="f16")
    lines = (tmp_path / "Modelfile").read_text(encoding="utf-8").splitlines()
    settings = suggest_settings(trained.start_id)
    assert lines == [
        "FROM ./model-f16.gguf",
        'TEMPLATE """{{ .Prompt }}"""',
        f"PARAMETER temperature {settings.temperature:g}",
        f"PARAMETER top_k {settings.top_k}",
        f"PARAMETER top_p {settings.top_p:g}",
        f"PARAMETER repeat_penalty {settings.repetition_penalty:g}",
        "PARAMETER repeat_last_n 64",
        "PARAMETER num_ctx 64",
        f"PARAMETER num_predict {settings.max_tokens}",
        'PARAMETER stop "</s>"',
    ]
    parity = ollama.check(tmp_path, trained, quantization="f16")
    assert parity.comparisons[-1].compared == 10


def test_a_changed_modelfile_does_not_pass(tmp_path: Path, trained: TrainedModel) -> None:
    """Ollama's own context length would be longer than the model's."""
    ollama.write(tmp_path, trained, quantization="f16")
    path = tmp_path / "Modelfile"
    path.write_text(path.read_text(encoding="utf-8").replace("num_ctx 64", "num_ctx 4096"), encoding="utf-8")
    with pytest.raises(ValidationFailureError, match="different value of num_ctx"):
        ollama.check(tmp_path, trained, quantization="f16")


def test_tokenizers_that_llama_cpp_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="a word tokenizer cannot be exported to GGUF"):
        ollama.write(tmp_path, make_model(model_type="word"), quantization="f16")
    assert list(tmp_path.iterdir()) == []
