"""Threads, precision and device, chosen once and recorded: training is bit-identical within one environment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from semilla.configuration.schema import TrainingHyperparameters
from semilla.system.processor import can_run_threads, read_processor_name
from semilla.system.ranks import read_place
from semilla.training.devices import choose_precision, name_device
from semilla.training.micro_batches import count_threads

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_NEEDED_GAIN = 1.3
"""Speed-up over float32 at which bfloat16 is worth its rounding."""
_PRODUCT_ROUNDS = 7


@dataclass(frozen=True)
class Environment:
    """What the exact bits of a training depend on, beside configuration and seed.

    The number of threads and of worker processes changes no more than how sums are rounded.
    """

    torch_version: str
    numpy_version: str
    """Batches, dropout and negative samples are drawn with NumPy, whose streams may change between versions."""
    cpu_capability: str
    processor: str
    """The libraries under torch choose their kernels by it."""
    num_threads: int
    precision: str
    device: str
    num_ranks: int = 1
    """Processes of torchrun that share each batch."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def choose_environment(
    settings: TrainingHyperparameters, *, device: str, earlier: dict[str, Any] | None = None
) -> Environment:
    """Choose threads and precision, and apply the threads to torch.

    A resumed run keeps the precision that ``auto`` chose in its ``earlier`` environment.
    """
    num_threads = count_threads(settings)
    torch.set_num_threads(num_threads if can_run_threads() else 1)
    precision: str = settings.precision
    if precision == "auto":
        precision = (earlier or {}).get("precision") or (
            measure_fastest_precision() if device == "cpu" else choose_precision(device)
        )
    return Environment(
        torch_version=str(torch.__version__),
        numpy_version=np.__version__,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        processor=read_processor_name(),
        num_threads=num_threads,
        precision=precision,
        device=name_device(device),
        num_ranks=read_place().size,
    )


def measure_fastest_precision() -> str:
    """Time a matrix product of the output layer's shape in both formats, alternately. Takes about 50 ms.

    Minimum times are compared, because other processes may be running.
    """
    dtypes = (torch.float32, torch.bfloat16)
    rounds = [[_time_product(dtype) for dtype in dtypes] for _ in range(_PRODUCT_ROUNDS)]
    float32_s, bfloat16_s = (min(times_s) for times_s in zip(*rounds, strict=True))
    return "bfloat16" if bfloat16_s * _NEEDED_GAIN < float32_s else "float32"


def _time_product(dtype: torch.dtype) -> float:
    left, right = torch.ones(512, 128, dtype=dtype), torch.ones(128, 4096, dtype=dtype)
    began_s = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - began_s
