"""Keeps the models that were asked for last in memory, and loads a model again after it was trained again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from semilla.runtime.bundle import DESCRIPTION
from semilla.runtime.session import Model, load
from semilla.server.errors import RequestError
from semilla.server.library import Library

MAX_LOADED = 4


class Models:
    """Loaded models by name. Threads may share it; a model is loaded once, however many ask for it."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[Path, int], Model] = OrderedDict()

    def choose(self, name: str | None) -> tuple[str, Model]:
        """The model that a request names, with its name; the only one may stay unnamed.

        Raises RequestError when there is no such model, and the errors of ``semilla.load`` when it is damaged.
        """
        models = self.library.look().models
        if name is None and len(models) == 1:
            name = next(iter(models))
        if name is None or name not in models:
            raise _refuse(name, list(models))
        return name, self._load(models[name])

    def _load(self, directory: Path) -> Model:
        with self._lock:
            key = directory, (directory / DESCRIPTION).stat().st_mtime_ns
            if key not in self._loaded:
                self._loaded[key] = load(directory)
            self._loaded.move_to_end(key)
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
            return self._loaded[key]


def _refuse(name: str | None, known: list[str]) -> RequestError:
    shown = ", ".join(known[:10]) or "none; train one with semilla run"
    what = "the request names no model" if name is None else f"there is no model {name[:100]!r}"
    return RequestError(404, f"{what}. Models here: {shown}", param="model", code="model_not_found")
