"""The examples of docs/serve.md work as they are pasted; only the port is that of the test's server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Served, serve

from semilla.runtime.session import Model

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("documented")
    shutil.copytree(models_dir / "river", folder / "data")
    with serve(folder) as served:
        yield served


def run_example(language: str, program: list[str], served: Served) -> str:
    (example,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    assert "127.0.0.1:8000" in example
    code = example.replace("127.0.0.1:8000", served.host)
    done = subprocess.run([*program, code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_the_example_with_openai_prints_a_text(data: Served, model: Model) -> None:
    """The one that ``semilla generate`` writes for the same seed."""
    assert (
        run_example("python", [sys.executable, "-P", "-c"], data)
        == model.generate("Once upon a time", seed=1) + "\n"
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_example_with_curl_prints_an_answer(data: Served, model: Model) -> None:
    answer = json.loads(run_example("sh", ["sh", "-c"], data))
    assert answer["choices"][0]["text"] == model.generate("Once upon a time", seed=1)
