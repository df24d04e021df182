"""Which device trains. No test here has a GPU: what torch would find is put in its place."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DependencyError, InvalidConfigError
from semilla.training import devices
from semilla.training.devices import can_compile, choose_device, choose_precision, find_devices
from semilla.training.environment import choose_environment
from semilla.training.memory import suggest_batch_size

CHOSEN: list[int] = []


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch):
    """Say which devices there are, and which rank this is."""

    def put(*, cuda: int = 0, mps: bool = False, **rank: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "GPU X")
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (30 << 30, 40 << 30))
        monkeypatch.setattr(torch.cuda, "set_device", CHOSEN.append)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 20 << 30)
        found = {"rank": 0, "size": 1, "local_rank": 0, "local_size": 1, **rank}
        monkeypatch.setattr(devices, "read_place", lambda: SimpleNamespace(**found))
        CHOSEN.clear()

    return put


def choose(device: str) -> str:
    return choose_device(PipelineConfiguration(device=device)).device


@pytest.mark.parametrize(
    ("there", "chosen"),
    [({}, "cpu"), ({"mps": True}, "mps"), ({"cuda": 1}, "cuda"), ({"cuda": 1, "mps": True}, "cuda")],
)
def test_auto_takes_the_best_that_is_there(place, there, chosen):
    place(**there)
    assert choose("auto") == chosen
    assert choose("cpu") == "cpu"


def test_a_gpu_is_named_with_its_memory(place):
    place(cuda=1, mps=True)
    found = find_devices()
    assert list(found) == ["cuda", "mps", "cpu"]
    assert found["cuda"] == "GPU X, 30 of 40 GiB free"
    assert found["mps"].endswith(", up to 20 GiB")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_what_is(place, device):
    place()
    with pytest.raises(
        DependencyError, match=f"--device {device} cannot be used here: torch finds cpu only"
    ) as caught:
        choose(device)
    assert caught.value.next_command == "semilla run"


def test_each_rank_takes_a_gpu_of_its_own(place):
    place(cuda=2, size=2, local_size=2, rank=1, local_rank=1)
    assert choose("cuda") == "cuda"
    assert CHOSEN == [1]
    place(cuda=1, size=2, local_size=2)
    with pytest.raises(InvalidConfigError, match="more than the GPUs here, 1"):
        choose("cuda")
    place(mps=True, size=2, local_size=2)
    with pytest.raises(InvalidConfigError, match="mps"):
        choose("auto")


def test_the_environment_names_the_gpu_and_its_precision(place, monkeypatch):
    """bfloat16 only where the GPU has units for it; a resumed run keeps what was chosen."""
    place(cuda=1)
    settings = PipelineConfiguration().training_hyperparameters
    for has_units, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda *, including_emulation, has=has_units: has
        )
        environment = choose_environment(settings, device="cuda")
        assert (environment.device, environment.precision) == ("cuda (GPU X)", precision)
    assert (
        choose_environment(settings, device="cuda", earlier={"precision": "bfloat16"}).precision == "bfloat16"
    )
    assert choose_precision("mps") == "float32"
    assert choose_environment(settings, device="cpu").device == "cpu"


def test_only_cuda_compiles_and_only_with_triton_and_a_c_compiler(monkeypatch):
    monkeypatch.setattr(devices, "find_spec", lambda name: object())
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/cc" if name == "cc" else None)
    assert [can_compile(device) for device in ("cuda", "mps", "cpu")] == [True, False, False]
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    assert not can_compile("cuda")
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/cc")
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert not can_compile("cuda")


def test_less_than_a_micro_batch_is_suggested_when_a_gpu_has_too_little_memory():
    """A batch of several micro-batches needs no more memory than one of them."""
    config = PipelineConfiguration(device="cuda")  # 128 tokens in a sequence
    assert suggest_batch_size(config.change(batch_size=1000)) == 64
    assert suggest_batch_size(config.change(batch_size=32)) == 16
    assert suggest_batch_size(config.change(batch_size=1)) is None
