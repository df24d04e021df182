"""The page as an export: written to a folder, read back and compared."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from semilla.errors import ValidationFailureError
from semilla.export.parity import Comparison, Parity
from semilla.export.trained_model import RunFacts, TrainedModel
from semilla.export.web.page import describe_vocabulary, pack_model, render_page
from semilla.records import names
from semilla.records.files import write_text

NOT_OPENED = (
    "the page was not opened in a browser; Semilla's own tests compare its forward pass with the runtime"
)


def write(folder: Path, trained: TrainedModel, *, facts: RunFacts) -> None:
    write_text(folder / names.PAGE, render_page(trained, facts))


def check(folder: Path, trained: TrainedModel) -> Parity:
    """Read the page back; ValidationFailureError unless its weights and its vocabulary are the model's."""
    page = (folder / names.PAGE).read_text(encoding="utf-8")
    model: dict[str, Any] = json.loads(read_element(page, "model"))
    codes, floats = (base64.b64decode(read_element(page, name)) for name in ("codes", "floats"))
    pack = pack_model(trained)
    if (codes, floats) != pack.join() or (model["matrices"], model["vectors"]) != (
        pack.matrices,
        pack.vectors,
    ):
        raise _refuse("the weights in the page are not those of the model")
    if model["vocabulary"] != describe_vocabulary(trained.vocabulary):
        raise _refuse("the vocabulary in the page is not that of the model")
    return Parity(
        (
            Comparison("int8 weights", names.PAGE, len(codes), 0, 0),
            Comparison("pieces of the vocabulary", names.PAGE, len(model["vocabulary"]["pieces"]), 0, 0),
        ),
        (NOT_OPENED,),
    )


def read_element(page: str, name: str) -> str:
    """The content of a script element with data; ValidationFailureError when there is none."""
    found = re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', page, re.DOTALL)
    if not found:
        raise _refuse(f"the page has no element {name}")
    return found[1]


def _refuse(message: str) -> ValidationFailureError:
    return ValidationFailureError(message, kept="the trained model; nothing was exported")
