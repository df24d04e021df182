"""Write the generated parts of the lab log: its index, its tables, the figures and the defaults.

With --check, only report whether all of it is current. Each part is between ``<!-- generated: NAME -->`` and
``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lab_log import list_defaults, list_figures
from result_tables import TABLES
from story_tables import STORY_TABLES
from write_guide import draw_table, write_pages

FOLDER = Path(__file__).parents[1] / "docs" / "experiments"
VERDICTS = ("kept", "not kept", "mixed", "recorded")
ENTRY = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)-[a-z0-9-]+\.md")
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Entry(NamedTuple):
    """One experiment: its file, the date in its name, and the title and verdict of its first line."""

    path: Path
    date: str
    title: str
    verdict: str


def read_entry(path: Path) -> Entry:
    """Split the first line, ``# Title (verdict)``; a title with verdicts inside ends with ``: mixed``."""
    found = ENTRY.fullmatch(path.name)
    first = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    title, _, verdict = first.rpartition(": ") if first.endswith(": mixed") else first.rpartition(" (")
    verdict = verdict.removesuffix(")")
    if found is None or verdict not in VERDICTS:
        raise ValueError(
            f"{path.name} needs a date in its name and one of {', '.join(VERDICTS)} in its title"
        )
    return Entry(path, found["date"], title, verdict)


def list_entries() -> Iterator[Entry]:
    """Every experiment, the newest day first."""
    paths = sorted(FOLDER.glob("2*.md"), key=lambda path: path.name)
    return iter(sorted(map(read_entry, paths), key=lambda entry: entry.date, reverse=True))


def tabulate_entries() -> str:
    rows = ([one.date, f"[{one.title}]({one.path.name})", one.verdict] for one in list_entries())
    return draw_table(("date", "experiment", "verdict"), rows)


def tabulate_figures() -> str:
    headings = ("figure", "measured", "target", "command", "date", "commit")
    return draw_table(headings, (figure.list_cells() for figure in list_figures()))


GENERATED: dict[str, Callable[[], str]] = {
    **TABLES,
    **STORY_TABLES,
    "entries": tabulate_entries,
    "figures": tabulate_figures,
    "defaults": lambda: draw_table(("setting or constant", "value", "from"), list_defaults()),
}


def rewrite(text: str) -> str:
    """Put current tables into a page; raises KeyError for a mark that names no table."""
    return BLOCK.sub(lambda mark: f"{mark[1]}{GENERATED[mark[2]]()}\n{mark[3]}", text)


def main() -> int:
    return write_pages(sorted(FOLDER.glob("*.md")), rewrite)


if __name__ == "__main__":
    sys.exit(main())
