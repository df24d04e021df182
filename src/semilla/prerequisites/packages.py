"""Checks that Python packages are installed, new enough, and can be imported without a crash."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DependencyError, OutOfMemoryError, says_out_of_memory
from semilla.installation import find_extra, list_missing, suggest_installation
from semilla.prerequisites import probe
from semilla.prerequisites.check import Check, advise, fail_check, pass_check
from semilla.system import interrupts
from semilla.system.endings import name_ending
from semilla.system.platforms import describe_platform, is_supported

PACKAGES = ("numpy", "jinja2", "sentencepiece", "onnx", "onnxruntime", "py3langid", "urllib3", "torch")
"""What ``semilla run`` imports. The slowest is last, so that its crash hides none of the others."""
TIMEOUT_S, POLL_S = 120.0, 0.2


def require_packages(*modules: str, task: str) -> None:
    """Raise DependencyError if one of these modules is not installed; nothing is imported or touched.

    ``task`` says what needs them.
    """
    missing = list_missing(modules)
    if missing:
        are = "packages that are" if len(missing) > 1 else "a package that is"
        raise DependencyError(
            f"{task} needs {are} not installed: {', '.join(missing)}",
            next_command=suggest_installation(find_extra(missing[-1])),
            kept="everything; nothing was touched",
        )


class PackageProbe:
    """A child process that imports the packages while the other checks run.

    ``torch_mb`` is the memory that importing torch took; None before ``list_checks``, and when the import failed.
    """

    torch_mb: float | None = None

    def __init__(self, config: PipelineConfiguration) -> None:
        self.device = config.device
        # -P: a file in the working directory must not be imported in place of the package of that name.
        self.packages = list_packages(config)
        command = [sys.executable, "-P", str(Path(probe.__file__)), *self.packages]
        self.child = subprocess.Popen(  # noqa: S603 - our own file, no shell
            [*command, *([] if self.device == "cpu" else ["--devices"])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            # mlflow would report that it was imported.
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )

    def list_checks(self) -> list[Check]:
        """Wait for the child and return one check per package."""
        reports, ending = self._collect()
        interrupts.check()  # Ctrl-C also kills the child, which then says nothing about the packages
        self.torch_mb = reports.get("torch", {}).get("memory_mb")
        checks = [_judge_package(name, reports.get(name), ending=ending) for name in self.packages]
        if self.device == "cpu":
            return checks
        return [*checks, _judge_device(self.device, reports.get("devices", {}).get("found", {}))]

    def stop(self) -> None:
        """Kill the child if it is still running."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()

    def _collect(self) -> tuple[dict[str, Any], str]:
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            try:
                output, _ = self.child.communicate(timeout=POLL_S)
                ending = _describe_ending(self.child.returncode)
                break
            except subprocess.TimeoutExpired:
                interrupts.check()
            if time.monotonic() > deadline_s:
                self.child.kill()
                output, _ = self.child.communicate()
                ending = f"took more than {TIMEOUT_S:.0f} s"
                break
        lines = [line.removeprefix(probe.MARK) for line in output.splitlines() if line.startswith(probe.MARK)]
        return {report["name"]: report for report in map(json.loads, lines)}, ending


def list_packages(config: PipelineConfiguration) -> tuple[str, ...]:
    """List the packages that a run with these settings imports."""
    return (*(() if config.tracker == "none" else (config.tracker,)), *PACKAGES)


def check_python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return pass_check("python", found=found, needed="3.11 or newer")


def check_platform() -> Check:
    """Name the system, and advise against one that Semilla was not built for. Never fails."""
    found = describe_platform()
    advice = None if is_supported() else f"this system is {found}: parts of Semilla may fail here"
    return advise("platform", advice, found=found, needed="Linux, macOS or Windows")


def find_minimum(package: str) -> str | None:
    """Read the oldest accepted version from Semilla's own metadata; None if Semilla is not installed."""
    try:
        requirements = importlib.metadata.requires("semilla") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for requirement in requirements:
        match = re.match(rf"{re.escape(package)}(?![\w.-])[^;]*?(?:>=|==|~=)\s*([\d.]+)", requirement)
        if match:
            return match[1]
    return None


def is_older(version: str, minimum: str) -> bool:
    """Compare release numbers and ignore what follows them (``+cpu``, ``rc1``)."""
    return _read_release(version) < _read_release(minimum)


def _read_release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(number) for number in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _judge_package(name: str, report: dict[str, Any] | None, *, ending: str) -> Check:
    minimum = find_minimum(name)
    needed = f"{minimum} or newer" if minimum else "any version"
    if report is None:
        found, cause = "crashed", f"importing {name} {ending}"
    elif report.get("missing"):
        found, cause = "missing", f"the package {name} is not installed"
    elif says_out_of_memory(report.get("error", "")):
        memory = OutOfMemoryError(f"memory ran out while {name} was imported: {report['error']}")
        return fail_check(name, memory, found="out of memory", needed=needed)
    elif "error" in report:
        found, cause = "broken", f"the package {name} cannot be imported: {report['error']}"
    elif minimum and is_older(report["version"], minimum):
        found, cause = report["version"], f"{name} {report['version']} is too old, {minimum} is needed"
    else:
        return pass_check(name, found=report["version"], needed=needed)
    command = suggest_installation("train" if name in PACKAGES else name)
    return fail_check(name, DependencyError(cause, next_command=command), found=found, needed=needed)


def _judge_device(wanted: str, found: dict[str, str]) -> Check:
    """``found`` describes the devices that torch can use, the best first."""
    device = next(iter(found), wanted) if wanted == "auto" else wanted
    if device in found:
        return pass_check("device", found=f"{device}: {found[device]}", needed=wanted)
    error = DependencyError(
        f"--device {wanted} cannot be used here: torch finds {', '.join(found) or 'no device'}; "
        "--device auto takes the best that is there"
    )
    return fail_check("device", error, found=", ".join(found) or "none", needed=wanted)


def _describe_ending(code: int) -> str:
    ending = name_ending(code)
    return f"crashed Python with {ending}" if ending else f"ended Python with code {code}"
