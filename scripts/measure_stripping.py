"""Print, for every file of a Gutenberg mirror, how many words cleaning keeps between the file's own markers.

Usage: measure_stripping.py FOLDER. Ends with 1 when a cleaned text names the trademark or loses more than 3 % of the
words between its markers (pictures aside); files without both markers are shown and not judged.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from semilla.corpus.cleaning.clean import clean_file
from semilla.errors import InvalidCorpusError

START = re.compile(r"\*\*\* ?START OF TH[^*]*\*\*\*", re.S)
END = re.compile(r"\n[ *]*END OF[^\n]*PROJECT GUTENBERG", re.I)
PICTURES = re.compile(r"\[(Illustration|Ilustraci)[^\]]*\]+")
LICENCE = re.compile(r"Project\s+Gutenberg|Gutenberg-tm|gutenberg\.(org|net)|FULL LICENSE|pgdp\.net", re.I)


def measure_file(path: Path) -> tuple[str, bool]:
    """One row of the table, and whether the file was cleaned as it should be."""
    data = path.read_bytes()
    try:
        clean = clean_file(data, name=path.name)
    except InvalidCorpusError:
        clean = clean_file(data, name=path.name, encoding="latin-1")  # what the error of that file advises
    raw = data.decode("utf-8-sig" if clean.encoding == "utf-8" else clean.encoding).replace("\r", "\n")
    start = START.search(raw)
    end = END.search(raw, start.end()) if start else None
    num_words, num_licence = len(clean.text.split()), len(LICENCE.findall(clean.text))
    row = f"| {path.name} | {clean.encoding} | {clean.markers} | {len(raw.split()):,} |"
    if start is None or end is None:
        return f"{row} | {num_words:,} | | {num_licence} |", num_licence == 0
    num_between = len(PICTURES.sub("", raw[start.end() : end.start()]).split())
    share = num_words / num_between
    return (
        f"{row} {num_between:,} | {num_words:,} | {share:.2%} | {num_licence} |",
        share > 0.97 and not num_licence,
    )


def main() -> int:
    folder = Path(sys.argv[1])
    rows = [measure_file(path) for path in sorted(folder.rglob("*.txt"), key=lambda path: path.name)]
    print("| file | encoding | markers | words | between markers | kept | share | mentions left |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(row for row, _ in rows))
    return int(not all(is_fine for _, is_fine in rows))


if __name__ == "__main__":
    sys.exit(main())
