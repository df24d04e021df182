"""The lab log is complete and current: verdicts, links, tables from recorded results, defaults from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab_log import CONSTANTS, SETTINGS, list_figures, show_value
from result_tables import show_rounding
from write_experiments import BLOCK, FOLDER, VERDICTS, list_entries, read_entry, rewrite

PAGES = sorted(FOLDER.glob("*.md"))
ENTRIES = list(list_entries())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_are_current(page: Path) -> None:
    """Writing a page again changes nothing; if it does, run scripts/docs."""
    text = page.read_text(encoding="utf-8")
    assert rewrite(text) == text
    assert text.count("<!-- generated:") == len(BLOCK.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_resolve(page: Path) -> None:
    """Every link that is not an address names a file in the repository."""
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_is_an_entry_or_the_index() -> None:
    """Each page has a date in its name and a verdict in its title, and the index lists it."""
    assert {page.name for page in PAGES} == {one.path.name for one in ENTRIES} | {"README.md", "defaults.md"}
    assert {one.verdict for one in ENTRIES} == set(VERDICTS)
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [one.path.name for one in ENTRIES if f"({one.path.name})" not in index] == []


def test_defaults_and_figures_lead_to_entries() -> None:
    """No default and no figure names an experiment that does not exist."""
    known = {one.path.stem for one in ENTRIES}
    assert {*SETTINGS.values(), *CONSTANTS.values()} <= known
    assert {figure.entry for figure in list_figures()} - {""} <= known


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("2026-11-29-x.md", "# A title without a verdict\n"),
        ("2026-11-29-x.md", "# A title (liked)\n"),
        ("x.md", "# A (kept)\n"),
    ],
)
def test_a_page_without_date_or_verdict_is_refused(tmp_path: Path, name: str, title: str) -> None:
    """Such a page would be missing from the index or listed wrongly."""
    page = tmp_path / name
    page.write_text(title, encoding="utf-8")
    with pytest.raises(ValueError, match="needs a date"):
        read_entry(page)


def test_a_default_that_moved_is_noticed() -> None:
    """A constant that was renamed is an error."""
    with pytest.raises(AttributeError):
        show_value("semilla.training.schedule.NOT_THERE")


def test_no_negative_zero() -> None:
    """A change that rounds to nothing has no minus sign."""
    assert show_rounding({"loss_change_percent": -2e-8, "same_likeliest_token": 1.0})[0] == "+0.0000 %"
