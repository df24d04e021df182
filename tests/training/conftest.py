"""The small network and text of ``small_data``, as fixtures."""

from __future__ import annotations

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.training.data import TrainingData

from .small_data import make_config, make_data


@pytest.fixture
def config() -> PipelineConfiguration:
    return make_config()


@pytest.fixture
def data(config: PipelineConfiguration) -> TrainingData:
    return make_data(config=config)
