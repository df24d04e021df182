"""Check every locked package against the advisory database, except for advisories with a reason and an expiry date.

Usage: audit_packages.py PIP_AUDIT. The exit code is 0 when every package was checked and nothing is open, 1 when an
advisory is open or an exception has expired, and 2 when the service could not be reached. Then nothing was verified,
which is neither a pass nor a finding.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXCEPTIONS = ROOT / "audit-exceptions.toml"
TIMEOUT_S = 600


def list_requirements() -> list[str]:
    """Return every locked package as ``name==version``, and torch from its own file."""
    texts = [(ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-torch.txt")]
    return re.findall(r"^([\w.-]+==[\w.+!-]+)", "\n".join(texts), re.MULTILINE)


def read_exceptions(text: str, *, today: date) -> tuple[dict[str, str], list[str]]:
    """Return reasons by advisory id, and a sentence for each exception that has expired or lacks a field."""
    reasons, faults = {}, []
    for entry in tomllib.loads(text).get("exception", []):
        if not {"id", "package", "reason", "expires"} <= entry.keys() or not isinstance(
            entry["expires"], date
        ):
            faults.append(f"an exception needs id, package, reason and a date in expires: {entry}")
        elif entry["expires"] < today:
            faults.append(
                f"the exception for {entry['id']} ({entry['package']}) expired on {entry['expires']}"
            )
        else:
            reasons[entry["id"]] = entry["reason"]
    return reasons, faults


def find_open(report: Mapping[str, Any], reasons: Mapping[str, str]) -> list[str]:
    """Return a sentence for each advisory that no exception covers by its id or an alias."""
    return [
        f"{package['name']} {package['version']}: {advisory['id']}, fixed in {advisory['fix_versions'] or 'no version'}"
        for package in report["dependencies"]
        for advisory in package.get("vulns", [])
        if not {advisory["id"], *advisory.get("aliases", [])} & reasons.keys()
    ]


def ask(pip_audit: str, requirements: list[str]) -> Mapping[str, Any] | str:
    """Return the service's report, or the reason why there is none. pip-audit exits with 1 in both cases."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(requirements) + "\n")
        file.flush()
        options = [
            "--requirement",
            file.name,
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
            "--aliases",
            "on",
        ]
        command = [pip_audit, *options, "--progress-spinner", "off"]
        try:
            outcome = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    try:
        report = json.loads(outcome.stdout)
        asked = {package["name"] for package in report["dependencies"] if "vulns" in package}
    except (ValueError, KeyError, TypeError):
        return (outcome.stderr.strip().splitlines() or ["no answer"])[-1]
    missing = [one for one in requirements if re.split("==", one)[0] not in asked]
    return f"no answer about {len(missing)} packages, {missing[0]} among them" if missing else report


def main() -> int:
    requirements = list_requirements()
    reasons, faults = read_exceptions(EXCEPTIONS.read_text("utf-8"), today=datetime.now(UTC).date())
    report = ask(sys.argv[1], requirements)
    if isinstance(report, str):
        print(f"NOTHING WAS VERIFIED: the advisory service could not be reached ({report[:300]})")
        return 2
    problems = faults + find_open(report, reasons)
    print("\n".join(problems) or f"{len(requirements)} packages, no open advisory, {len(reasons)} exceptions")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
