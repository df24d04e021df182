"""What people run into, as collected from issue trackers, is answered by the troubleshooting chapter."""

from __future__ import annotations

import re

import pytest

from semilla.guide import find_chapters
from semilla.guide.chapters import make_anchor
from semilla.guide.documentation import load_documentation

ROWS = [
    [cell.strip() for cell in line.removeprefix("| ").removesuffix(" |").split(" | ")]
    for line in (find_chapters() / "problems.md").read_text(encoding="utf-8").splitlines()
    if "https://" in line
]
"""Problem, where it was reported, and the answer."""
ADDRESSES = {
    make_anchor(f"{entry.topic}: {entry.symptom}"): entry.topic
    for entry in load_documentation().troubleshooting_guide
}
REPORT = re.compile(
    r"\[[\w.-]+ (?P<number>\d+)\]\(https://github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/(?P<id>\d+)\)"
)


def find_answers() -> list[str]:
    """The topics that rows are answered by, one for each answered row."""
    found = [re.fullmatch(r"\[(\w+)\]\(08-troubleshooting\.md#([\w-]+)\)", row[2]) for row in ROWS]
    return [match[1] for match in found if match and ADDRESSES.get(match[2]) == match[1]]


def test_at_least_forty_problems_were_collected():
    """They are distinct, and no report stands for two of them."""
    assert len({row[0] for row in ROWS}) == len(ROWS) >= 40
    reports = [match[0] for row in ROWS for match in REPORT.finditer(row[1])]
    assert len(reports) == len(set(reports))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_problem_says_where_it_was_reported_and_who_answers(row):
    """Each report is a link to an issue whose number its words repeat; an answer is an entry, or a reason why not."""
    reports = row[1].split(", ")
    assert all((match := REPORT.fullmatch(one)) and match["number"] == match["id"] for one in reports)
    anchor = re.fullmatch(r"\[\w+\]\(08-troubleshooting\.md#([\w-]+)\)", row[2])
    assert (anchor and anchor[1] in ADDRESSES) or row[2].startswith("Not here: ")


def test_most_problems_are_answered():
    """At least 85 of 100 lead to an entry (each of which names a sign, a cause that can be checked, and an action)."""
    assert len(find_answers()) >= 0.85 * len(ROWS)
