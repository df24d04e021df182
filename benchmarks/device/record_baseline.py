"""Record the size and the memory of the shipped model, which tests/runtime/test_baseline.py checks.

    python benchmarks/device/record_baseline.py

Run it after a change that is meant to cost more, or with other packages; the difference then shows in review.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from default_bundle import BASELINE, describe_surroundings, measure_figures, write_default_bundle


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        figures = measure_figures(write_default_bundle(Path(place) / "bundle"))
    baseline = {"surroundings": describe_surroundings(), "figures": figures}
    BASELINE.write_text(json.dumps(baseline, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(baseline, indent=1))


if __name__ == "__main__":
    main()
