"""Run every block of the guide in order, in one empty folder, as a new user would, and print the results.

Arguments: the folder (default: a new one), then ids of chapters (default: all).
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from guide_reader import Reader

from semilla.guide.documentation import load_documentation


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="guide-"))
    chosen = sys.argv[2:]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, in an empty folder")
    complaints, num_blocks = [], 0
    for chapter in load_documentation().sections:
        if chosen and chapter.section_id not in chosen:
            continue
        start_s = time.monotonic()
        found = Reader(folder).follow(chapter)
        num_blocks += len(chapter.code_examples)
        ending = "all as expected" if not found else f"{len(found)} not as expected"
        spent_s = time.monotonic() - start_s
        print(
            f"{chapter.file_name}: {len(chapter.code_examples)} blocks, {ending} ({spent_s:.0f} s)",
            flush=True,
        )
        complaints += found
    print("\n\n".join(complaints) or f"{num_blocks} blocks, all as expected")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
