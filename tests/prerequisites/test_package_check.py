"""Packages are imported in a child process that may crash."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DependencyError, OutOfMemoryError
from semilla.installation import suggest_installation
from semilla.prerequisites import packages
from semilla.prerequisites.packages import PACKAGES, PackageProbe, find_minimum, is_older


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put modules with a version on the child's path, and probe only them."""

    def place(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            info = tmp_path / f"{name}-0.0.9.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.9\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(packages, "PACKAGES", tuple(sources))

    return place


def probe(**changes):
    probe = PackageProbe(PipelineConfiguration(**changes))
    try:
        return {check.name: check for check in probe.list_checks()}
    finally:
        probe.stop()


def test_packages_are_imported_and_reported_with_their_version(install):
    """A package that can be imported passes, whatever it prints."""
    install(semilla_sound='print(\'{"name": "noise"}\')')
    check = probe()["semilla_sound"]
    assert check.ok
    assert check.found == "0.0.9"


@pytest.mark.parametrize(
    ("source", "found", "cause"),
    [
        ("raise ImportError('libx.so: undefined symbol')", "broken", "undefined symbol"),
        ("raise RuntimeError('¡ay!')", "broken", "RuntimeError: ¡ay!"),
        ("import semilla_other_missing_package", "broken", "semilla_other_missing_package"),
        ("import os; os.kill(os.getpid(), 11)", "crashed", "crashed Python with SIGSEGV"),
        ("import os; os._exit(3)", "crashed", "ended Python with code 3"),
    ],
)
def test_broken_packages_are_reported_with_their_error(install, source, found, cause):
    """A package that raises or crashes is reported with its error and the install command."""
    install(semilla_fine="", semilla_broken=source)
    checks = probe()
    assert checks["semilla_fine"].ok
    check = checks["semilla_broken"]
    assert (check.ok, check.required, check.found) == (False, True, found)
    assert isinstance(check.error, DependencyError)
    assert cause in check.error.message
    assert check.error.next_command == suggest_installation()


@pytest.mark.parametrize("source", ["raise ImportError('std::bad_alloc')", "raise MemoryError"])
def test_an_import_that_runs_out_of_memory_is_no_broken_package(install, source):
    """Installing it again would not help: the error is about memory."""
    install(semilla_large=source)
    check = probe()["semilla_large"]
    assert (check.ok, check.found) == (False, "out of memory")
    assert isinstance(check.error, OutOfMemoryError)


@pytest.mark.parametrize(
    ("source", "least_mb", "most_mb"),
    [("kept = b'x' * (200 << 20)", 200, 220), ("", 0, 20)],
    ids=["large", "small"],
)
def test_the_memory_of_torch_is_measured(install, source, least_mb, most_mb):
    """What importing it takes, without the packages before it."""
    install(semilla_large="kept = b'x' * (90 << 20)", torch=source)
    probe = PackageProbe(PipelineConfiguration())
    probe.list_checks()
    assert least_mb <= probe.torch_mb <= most_mb


def test_the_memory_of_a_broken_torch_is_unknown(install):
    install(torch="kept = b'x' * (20 << 20); raise ImportError")
    probe = PackageProbe(PipelineConfiguration())
    probe.list_checks()
    assert probe.torch_mb is None


def test_a_missing_package_is_reported(install, monkeypatch):
    """A package that is not installed is missing, not broken."""
    install()
    monkeypatch.setattr(packages, "PACKAGES", ("semilla_absent",))
    assert probe()["semilla_absent"].error.message == "the package semilla_absent is not installed"


def test_a_package_that_hangs_is_given_up(install, monkeypatch):
    """An import that does not end is killed after a timeout."""
    install(semilla_slow="import time; time.sleep(600)")
    monkeypatch.setattr(packages, "TIMEOUT_S", 1.0)
    assert "took more than 1 s" in probe()["semilla_slow"].error.message


def test_old_packages_are_reported_with_the_version_needed(install, monkeypatch):
    """A version below the metadata's minimum fails, and the error names both versions."""
    install(semilla_old="")
    monkeypatch.setattr(packages, "find_minimum", lambda package: "1.2")
    assert probe()["semilla_old"].error.message == "semilla_old 0.0.9 is too old, 1.2 is needed"


def test_files_in_the_working_directory_are_not_taken_for_packages(install, tmp_path, monkeypatch):
    """A module in the working directory does not shadow an installed package."""
    install(semilla_fine="")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "semilla_fine.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path / "here")
    assert probe()["semilla_fine"].ok


def place_devices(monkeypatch, **found: str) -> None:
    """The child reports these devices."""
    monkeypatch.setattr(packages, "PACKAGES", ())
    report = json.dumps({"name": "devices", "found": found})
    monkeypatch.setattr(PackageProbe, "_collect", lambda self: ({"devices": json.loads(report)}, ""))


def test_a_device_is_only_looked_for_when_one_is_requested(monkeypatch):
    """The child of ``--device cpu`` does not ask torch for GPUs."""
    monkeypatch.setattr(packages, "PACKAGES", ())
    assert "device" not in probe()
    check = probe(device="auto")["device"]
    assert check.ok
    assert check.found.startswith("cpu: ")


def test_auto_names_the_best_device_and_a_missing_one_fails(monkeypatch):
    place_devices(monkeypatch, mps="an Apple GPU", cpu="a processor")
    assert probe(device="auto")["device"].found == "mps: an Apple GPU"
    assert probe(device="mps")["device"].ok
    missing = probe(device="cuda")["device"]
    assert not missing.ok
    assert missing.error.message.startswith("--device cuda cannot be used here: torch finds mps, cpu")
    place_devices(monkeypatch)
    assert "torch finds no device" in probe(device="cuda")["device"].error.message


@pytest.mark.parametrize(
    ("version", "minimum", "older"),
    [
        ("2.13.0+cpu", "2.13.0", False),
        ("2.9.1", "2.13", True),
        ("2.13", "2.13.0", False),
        ("3.0.0rc1", "2.13", False),
        ("0.2.10", "0.2.9", False),
        ("1.26", "1.26.4", True),
    ],
)
def test_versions_compare_as_numbers(version, minimum, older):
    """Versions compare number by number, and suffixes are ignored."""
    assert is_older(version, minimum) is older


def test_minimums_come_from_the_package_metadata(monkeypatch):
    """Minimum versions are those of pyproject.toml; without metadata any version passes."""
    assert find_minimum("torch") == "2.13"
    assert all(find_minimum(name) for name in PACKAGES)
    assert find_minimum("semilla_absent") is None

    def refuse(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", refuse)
    assert find_minimum("torch") is None


def test_stopping_leaves_no_child(install):
    """Stopping a probe kills its child."""
    install(semilla_slow="import time; time.sleep(600)")
    probe = PackageProbe(PipelineConfiguration())
    probe.stop()
    assert probe.child.returncode is not None
    assert not Path(f"/proc/{probe.child.pid}").exists()
