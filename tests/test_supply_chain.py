"""The lock file pins every package with hashes, and an audit that could not reach the service does not pass (S15)."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_packages", ROOT / "scripts" / "audit_packages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_locked_package_has_one_version_and_hashes() -> None:
    """The lock contains no package without a hash, no index address, and no torch."""
    blocks = re.split(r"\n(?=[a-z])", LOCK)[1:]  # skip the header comment
    assert len(blocks) > 30
    for block in blocks:
        first, *rest = block.strip().splitlines()
        assert re.fullmatch(r"[\w.-]+==[\w.+!-]+ \\", first), first
        assert rest
        assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in rest)
    assert "://" not in LOCK
    assert "index" not in LOCK
    assert not re.search(r"^(torch|nvidia|triton)", LOCK, re.M)


def test_every_direct_dependency_is_locked() -> None:
    """After adding a package to pyproject.toml, run scripts/lock. The lock has what ``dev`` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (development,) = (re.findall(r"[\w-]+", one)[1:] for one in extras["dev"] if one.startswith("semilla["))
    assert set(extras) - {"dev", "train", *development} == {"mlflow", "scale", "trackio"}
    locked = ("train", "dev", *development)
    requirements = [*project["dependencies"], *(one for extra in locked for one in extras[extra])]
    names = {re.split(r"[\[<>=~ ;]", one)[0].lower().replace("_", "-") for one in requirements} - {
        "semilla",
        "torch",
    }
    assert names - set(re.findall(r"^([\w.-]+)==", LOCK, re.M)) == set()


def test_the_tests_run_with_a_torch_that_the_package_accepts() -> None:
    """The version for checkouts is inside the range of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (accepted,) = (one for one in project["optional-dependencies"]["train"] if one.startswith("torch"))
    (pinned,) = re.findall(r"^torch==(.+)$", (ROOT / "requirements-torch.txt").read_text("utf-8"), re.M)
    assert Requirement(accepted).specifier.contains(pinned)


REPORT = {
    "dependencies": [
        {
            "name": "a",
            "version": "1",
            "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}],
        },
        {"name": "b", "version": "1", "vulns": []},
    ]
}


def write_fake(path: Path, output: str, *, code: int = 0) -> str:
    path.write_text(f"#!{sys.executable}\nprint({output!r})\nraise SystemExit({code})\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_an_open_advisory_is_reported_unless_an_exception_covers_it(audit: ModuleType) -> None:
    """An exception may name the advisory's id or one of its aliases."""
    (line,) = audit.find_open(REPORT, {})
    assert line == "a 1: PYSEC-1, fixed in ['2']"
    assert audit.find_open(REPORT, {"CVE-1": "why"}) == []


@pytest.mark.parametrize(
    ("expires", "is_valid"), [("2026-01-02", True), ("2026-01-01", False), ('"soon"', False), ("1", False)]
)
def test_exceptions_expire(audit: ModuleType, expires: str, is_valid: bool) -> None:
    """An exception past its date is reported as a fault, and so is one without a date."""
    text = f'[[exception]]\nid = "CVE-1"\npackage = "a"\nreason = "why"\nexpires = {expires}\n'
    reasons, faults = audit.read_exceptions(text, today=date(2026, 1, 2))
    assert bool(reasons) is is_valid
    assert bool(faults) is not is_valid


@pytest.mark.parametrize(
    "output",
    ["", "no connection", "{}", json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]})],
    ids=["silence", "words", "empty", "skipped"],
)
def test_an_audit_without_an_answer_verifies_nothing(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str,
) -> None:
    """It says so and exits with 2, which is neither a pass nor a finding."""
    fake = write_fake(tmp_path / "pip-audit", output, code=1)
    monkeypatch.setattr(sys, "argv", ["audit", fake])
    assert audit.main() == 2
    assert capsys.readouterr().out.startswith("NOTHING WAS VERIFIED: ")


def test_an_audit_of_everything_passes(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It checks every locked package and torch. It exits with 0 when nothing is open and with 1 otherwise."""
    packages = [one.split("==") for one in audit.list_requirements()]
    clean = [{"name": name, "version": version, "vulns": []} for name, version in packages]
    assert ["torch", "2.13.0"] in packages
    for found, code in (([], 0), (REPORT["dependencies"][0]["vulns"], 1)):
        clean[0]["vulns"] = found
        fake = write_fake(tmp_path / "pip-audit", json.dumps({"dependencies": clean}), code=code)
        monkeypatch.setattr(sys, "argv", ["audit", fake])
        assert audit.main() == code
