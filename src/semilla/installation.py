"""How this Semilla is installed and called, so that the commands in messages work where the reader is."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

EXTRAS = {
    "train": ("jinja2", "onnx", "py3langid", "torch", "urllib3"),
    "export": ("gguf", "safetensors", "tokenizers"),
    "hub": ("huggingface_hub",),
    "serve": ("jinja2", "starlette", "uvicorn"),
    "text": ("defusedxml", "ftfy", "pyarrow", "pypdfium2", "selectolax", "striprtf", "zstandard"),
}
"""Extra -> the modules it installs that the commands import."""


def name_program() -> str:
    """The word that starts this program in a shell: its name, or its path while PATH does not lead to it."""
    script = Path(sys.argv[0])
    if script.name != "semilla":  # python -m semilla, or a program that uses the library
        return "semilla"
    found = shutil.which("semilla")
    if found and script.exists() and script.samefile(found):
        return "semilla"
    return _shorten(script)


def write_command(command: str) -> str:
    """Write a command that begins with ``semilla`` as it can be pasted here."""
    return re.sub(r"^semilla(?= |$)", lambda _: name_program(), command)


def find_checkout() -> Path | None:
    """The checkout that this package is imported from; None for an installed package."""
    root = Path(__file__).parents[2]
    return root if (root / "scripts" / "install").is_file() and (root / "pyproject.toml").is_file() else None


def suggest_installation(extra: str = "train") -> str:
    """Write the command that installs an extra here. The extra ``export`` includes ``train``."""
    checkout = find_checkout()
    if checkout is None:
        pip = shutil.which("pip")
        is_ours = pip is not None and Path(pip).is_relative_to(sys.prefix)
        return f"{'pip' if is_ours else f'{shlex.quote(sys.executable)} -m pip'} install 'semilla[{extra}]'"
    script = _shorten(checkout / "scripts" / "install")
    return f"{script} {'train,export' if extra == 'export' else extra}"


def find_extra(module: str) -> str:
    """The extra that installs a module."""
    return next((extra for extra, modules in EXTRAS.items() if module in modules), "train")


def list_missing(modules: Iterable[str]) -> list[str]:
    """List the modules that are not installed. Nothing is imported."""
    return [module for module in modules if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _shorten(path: Path) -> str:
    """Quote a path for a shell, relative to the working directory if it is inside."""
    with suppress(OSError, ValueError):  # the working directory may be gone, and a path may be elsewhere
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))
