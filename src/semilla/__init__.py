"""Semilla trains a small language model on a laptop CPU.

    import semilla

    status = semilla.run(semilla.PipelineConfiguration(corpus_source="sample"))
    print(semilla.load("data").generate("Once upon a time"))

Names are imported on first use, so ``import semilla`` itself costs next to nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semilla.configuration.loading import load_configuration
    from semilla.configuration.schema import PipelineConfiguration
    from semilla.errors import SemillaError
    from semilla.pipeline.main_job import run_pipeline as run
    from semilla.runtime.session import load

__version__ = "0.1.0"

__all__ = ["PipelineConfiguration", "SemillaError", "__version__", "load", "load_configuration", "run"]

# ONNX Runtime reads this when it is imported, here or in a child process. Without it, it would write an identifier of
# the machine to the home directory and report its use to its vendor.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOMES = {
    "PipelineConfiguration": ("semilla.configuration.schema", "PipelineConfiguration"),
    "SemillaError": ("semilla.errors", "SemillaError"),
    "load": ("semilla.runtime.session", "load"),
    "load_configuration": ("semilla.configuration.loading", "load_configuration"),
    "run": ("semilla.pipeline.main_job", "run_pipeline"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'semilla' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
