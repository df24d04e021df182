"""The small network and text of ``small_data``, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.training.data import TrainingData

from .small_data import make_config, make_data


@pytest.fixture
def config() -> PipelineConfiguration:
    return make_config()


@pytest.fixture
def data(config: PipelineConfiguration) -> TrainingData:
    return make_data(config=config)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Give torch one thread, as products this small gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
