"""The devices that can train: the processor, an NVIDIA GPU (``cuda``), Apple's GPU (``mps``)."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.errors import DependencyError, InvalidConfigError
from semilla.system.processor import read_processor_name
from semilla.system.ranks import read_place

GIB = 2**30


def find_devices() -> dict[str, str]:
    """The devices that torch can use here, the best first, and what each is; a GPU with its memory."""
    found = {}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        found["cuda"] = f"{torch.cuda.get_device_name()}, {free / GIB:.0f} of {total / GIB:.0f} GiB free"
    if torch.backends.mps.is_available():
        found["mps"] = (
            f"the GPU of {read_processor_name()}, up to {torch.mps.recommended_max_memory() / GIB:.0f} GiB"
        )
    return {**found, "cpu": read_processor_name()}


def choose_device(config: PipelineConfiguration) -> PipelineConfiguration:
    """``config`` with the device to train on in place of ``auto``: cuda, else mps, else cpu.

    Raises DependencyError when torch cannot use the device, InvalidConfigError when ranks cannot share it.
    """
    if config.device == "cpu":
        return config
    found = find_devices()
    device = next(iter(found)) if config.device == "auto" else config.device
    place = read_place()
    if device not in found:
        raise DependencyError(
            f"--device {device} cannot be used here: torch finds {', '.join(found)} only",
            next_command=to_command(config, device="cpu"),
        )
    if device == "mps" and place.size > 1:
        raise InvalidConfigError(
            "torchrun cannot train with --device mps: start one process, or use --device cpu"
        )
    if device == "cuda":
        if place.local_size > torch.cuda.device_count():
            raise InvalidConfigError(
                f"--nproc-per-node {place.local_size} is more than the GPUs here, {torch.cuda.device_count()}: "
                "each rank needs its own"
            )
        torch.cuda.set_device(place.local_rank)
    return config.model_copy(update={"device": device})


def name_device(device: str) -> str:
    """The device as environments record it: a GPU with its model, on which the bits of a training depend."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device


def choose_precision(device: str) -> str:
    """Number format of matrix products on a GPU: bfloat16 on NVIDIA GPUs that have units for it, else float32."""
    has_units = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_units else "float32"


def can_compile(device: str) -> bool:
    """Whether torch can compile for the device. For CUDA it needs Triton, and that needs a C compiler."""
    has_compiler = any(map(shutil.which, ("cc", "gcc", "clang")))
    return device == "cuda" and has_compiler and find_spec("triton") is not None
