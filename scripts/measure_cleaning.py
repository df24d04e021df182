"""Print, for texts of any kind, how many words cleaning keeps and what it removes, as one's own text and inside a book.

Usage: measure_cleaning.py FILE... A file is named KIND.NAME.txt. Those without the markers of a book are cleaned a
second time between such markers, where more is removed. Ends with 1 when a word is lost for another reason than those
counted: joined lines, or a counted removal.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from semilla.corpus.cleaning.clean import CleanText, clean_text
from semilla.corpus.cleaning.gutenberg import has_end_marker
from semilla.corpus.formats.plain_text import UndecodableError, decode_text

HEAD, FOOT = (f"\n\n*** {place} OF THIS PROJECT GUTENBERG EBOOK X ***\n\n" for place in ("START", "END"))
VISIBLE = re.compile(r"\S|[\x1c-\x1f]")
"""Python counts the separators of records as white space, and cleaning as control characters."""
UNTOLD = {"header_and_licence", "white_space"}


def decode(path: Path) -> tuple[str, str]:
    """Decode a file in the encoding that it proves or declares, else in the one that its error proposes."""
    data = path.read_bytes()
    try:
        return decode_text(data, name=path.name)
    except UndecodableError as error:
        if error.guess is None:
            raise
        return decode_text(data, name=path.name, encoding=error.guess)


def describe(clean: CleanText) -> str:
    """Name what was removed, white space aside, the most first."""
    counts = [(count, kind) for kind, count in clean.removed.items() if kind not in UNTOLD]
    return (
        ", ".join(f"{count:,} {kind.replace('_', ' ')}" for count, kind in sorted(counts, reverse=True))
        or "-"
    )


def is_accounted(text: str, clean: CleanText) -> bool:
    """Return whether every visible character was kept or counted."""
    removed = sum(count for kind, count in clean.removed.items() if kind != "white_space")
    return len(VISIBLE.findall(text)) - len(VISIBLE.findall(clean.text)) == removed


def measure_file(path: Path) -> tuple[str, bool]:
    """Measure one row of the table, and whether nothing was lost uncounted."""
    kind, _, name = path.name.removesuffix(".txt").partition(".")
    text, encoding = decode(path)
    own = clean_text(text, name=path.name)
    book = own if has_end_marker(text) else clean_text(f"{HEAD}{text}{FOOT}", name=path.name)
    joined = sum(count for what, count in own.replaced.items() if what.startswith("line_breaks"))
    cells = [kind, name, encoding, f"{len(text.split()):,}", f"{len(own.text.split()):,}", f"{joined:,}"]
    cells += ["(a book)" if own is book else describe(own), describe(book)]
    return f"| {' | '.join(cells)} |", is_accounted(text, own)


def main() -> int:
    rows = [measure_file(Path(name)) for name in sorted(sys.argv[1:])]
    print("| kind | file | encoding | words | kept | lines joined | removed | removed inside a book |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(row for row, _ in rows))
    return int(not all(is_fine for _, is_fine in rows))


if __name__ == "__main__":
    sys.exit(main())
