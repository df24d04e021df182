"""Writes an export: stages it, reads it back, compares it with the trained model, and only then gives it its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from semilla import __version__
from semilla.errors import InvalidConfigError
from semilla.export import DEFAULT_QUANTIZATION, QUANTIZED
from semilla.export.model_card import write_card
from semilla.export.parity import Parity
from semilla.export.trained_model import RunFacts, TrainedModel, read_run
from semilla.records import names
from semilla.records.files import write_text
from semilla.records.folders import check_replaceable, seal_folder, stage_folder
from semilla.records.links import refuse_links
from semilla.records.status import now
from semilla.system import interrupts

CARD = "README.md"
FORMATS = {"web": "int8"}
"""Number format of a target that has only one and is not float32."""


@dataclass(frozen=True)
class ExportReport:
    """Where an export is, and the content of its ``export.json``: hashes, figures of the parity check, notes."""

    folder: Path
    description: dict[str, Any]


@dataclass(frozen=True)
class Format:
    """How one format is used, written and checked."""

    use: str
    write: Callable[[Path, TrainedModel], None]
    check: Callable[[Path, TrainedModel], Parity]


def export_model(
    directory: Path,
    *,
    target: str,
    quantization: str | None = None,
    output: Path | None = None,
    repository: str = "",
) -> ExportReport:
    """Export the best model of the run in ``directory`` to a folder, by default in the run's ``exports``.

    ``repository`` is the name that the card of the target ``hub`` loads the model by.

    Raises what ``read_run`` raises, IncompatibleError when the target cannot hold such a model, ValidationFailureError
    when the export differs from the model, and InvalidConfigError when ``output`` holds anything but an
    unchanged export of the same kind.
    """
    if quantization is not None and target not in QUANTIZED:
        raise InvalidConfigError(
            "--quantization is only for --to gguf and --to ollama; the other exports have one number format"
        )
    is_quantized = target in QUANTIZED
    quantization = (quantization or DEFAULT_QUANTIZATION) if is_quantized else FORMATS.get(target, "f32")
    name = f"{target}-{quantization}" if is_quantized else target
    folder = (output or directory / names.EXPORTS / name).absolute()
    kind = {"target": target, "quantization": quantization}
    if output is None:
        refuse_links(directory)
    check_replaceable(folder, name=names.EXPORT_REPORT, **kind)
    with interrupts.catch_signals():
        trained, facts = read_run(directory)
        form = open_format(target, quantization=quantization, facts=facts, repository=repository)
        with stage_folder(folder) as staged:
            form.write(staged, trained)
            write_text(
                staged / CARD,
                write_card(trained, facts, use=form.use.replace("START_ID", str(trained.start_id))),
            )
            interrupts.check()
            parity = form.check(staged, trained)
            interrupts.check()
            description = {**kind, **describe_origin(trained, facts), **asdict(parity)}
            files = seal_folder(staged, name=names.EXPORT_REPORT, description=description)
    return ExportReport(folder, {**description, "files": [file.as_json() for file in files]})


def describe_origin(trained: TrainedModel, facts: RunFacts) -> dict[str, Any]:
    return {
        "semilla_version": __version__,
        "exported_at": now(),
        "model_version": trained.version,
        "run": {"pipeline_id": facts.status.pipeline_id, "best_model_sha256": facts.model_sha256},
    }


def open_format(target: str, *, quantization: str, facts: RunFacts, repository: str) -> Format:
    """Import what a target needs; ImportError when a package is missing."""
    match target:
        case "huggingface" | "hub":
            from semilla.export import huggingface  # noqa: PLC0415 - each target has its own packages

            use = huggingface.USE.replace('"."', f'"{repository or "."}"')
            return Format(use, huggingface.write, huggingface.check)
        case "gguf":
            from semilla.export import gguf  # noqa: PLC0415

            use = gguf.USE.replace("FILE.gguf", gguf.name_file(quantization))
            write = partial(gguf.write, quantization=quantization)
            return Format(use, write, partial(gguf.check, quantization=quantization))
        case "ollama":
            from semilla.export import ollama  # noqa: PLC0415

            write = partial(ollama.write, quantization=quantization)
            return Format(ollama.USE, write, partial(ollama.check, quantization=quantization))
        case "web":
            from semilla.export.web import folder, page  # noqa: PLC0415

            return Format(page.USE, partial(folder.write, facts=facts), folder.check)
    from semilla.export import onnx_folder  # noqa: PLC0415

    return Format(onnx_folder.USE, onnx_folder.write, onnx_folder.check)
