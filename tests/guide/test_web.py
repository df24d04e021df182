"""The web edition is self-contained, has no broken links, and is readable on a desktop and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("zensical", reason="the web edition is built with the docs extra")

from browser import DESKTOP, PHONE, Browser, find_chromium
from build_web import build, find_faults

ROOT = Path(__file__).parents[2]
PAGES = [
    "01-overview",
    "07-evaluation-and-checkpoints",
    "09-hyperparameters",
    "problems",
    "es/03-model-initialization",
]
"""Pages with wide diagrams, figures, wide tables and long links."""
WAIT_FOR = """new Promise(done => {{
  const look = () => {{
    const one = [...document.body.children].map(part => part.shadowRoot?.querySelector("{selector}")).find(Boolean);
    one ? done(({wanted})(one)) : setTimeout(look, 20);
  }};
  look();
}})"""
"""Waits for the first element of the search, which has its own part of the page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, as scripts/web builds it."""
    site = tmp_path_factory.mktemp("web") / "site"
    build(site)
    return site


def test_no_link_is_broken_and_nothing_is_fetched(site):
    """Every link leads to a page and a place in it. Scripts, styles and fonts are part of the site."""
    assert list(find_faults(site)) == []


def test_every_chapter_has_its_page_and_can_be_searched(site):
    """The search index holds a passage of each page of the guide."""
    pages = {path.stem for path in (ROOT / "docs" / "guide").glob("*.md")} - {"README"} | {"index"}
    assert {path.stem for path in (site / "guide").glob("*.html")} == pages
    index = json.loads((site / "search.json").read_text(encoding="utf-8"))
    assert {f"guide/{page}.html" for page in pages} <= {
        item["location"].partition("#")[0] for item in index["items"]
    }


@pytest.mark.parametrize("page", sorted(path.stem for path in (ROOT / "docs" / "guide" / "es").glob("*.md")))
def test_a_page_and_its_translation_link_to_each_other(site, page):
    """The Spanish page says that it is Spanish, also to the browser, and so do the words around it."""
    page = "index" if page == "README" else page
    english, spanish = (
        (site / "guide" / folder / f"{page}.html").read_text("utf-8") for folder in (".", "es")
    )
    assert '<html lang="en"' in english
    assert f'<a href="es/{page}.html">' in english
    assert '<html lang="es"' in spanish
    assert f'<a href="../{page}.html">' in spanish
    assert 'aria-label="Buscar"' in spanish


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("nowhere.html", "is not there"),
        ("#nowhere", "a place that is not there"),
        ("https://example.org/x.js", "would fetch"),
    ],
)
def test_faults_are_really_found(tmp_path, address, fault):
    """A broken link, a broken anchor and a script from elsewhere are each reported."""
    tag = f'<script src="{address}"></script>' if "://" in address else f'<a href="{address}">x</a>'
    (tmp_path / "index.html").write_text(tag, encoding="utf-8")
    (complaint,) = find_faults(tmp_path)
    assert fault in complaint


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium here")
    with Browser(program) as browser:
        yield browser


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("page", PAGES)
def test_pages_fit_the_screen(site, browser, page, size):
    """At both sizes a page shows its text and is not wider than the screen. Wide tables scroll."""
    browser.show(site / "guide" / f"{page}.html", size=size)
    assert browser.evaluate("document.scrollingElement.scrollWidth") <= size[0]
    assert browser.evaluate("document.querySelector('article').innerText.length") > 500


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_word_that_is_typed_finds_its_section(site, browser, size):
    """The search works for pages opened from a folder: the first result for a symptom is its entry."""
    browser.show(site / "guide" / "01-overview.html", size=size)
    browser.evaluate("document.querySelector('.md-search__button, label[for=__search]').click()")
    browser.evaluate(WAIT_FOR.format(selector="input[role=combobox]", wanted="one => one.focus()"))
    browser.write("overfitting")
    found = browser.evaluate(WAIT_FOR.format(selector="a", wanted="one => one.href"))
    path, _, place = found.partition("#")
    assert path.startswith((site / "guide" / "08-troubleshooting.html").as_uri())
    assert f'id="{place}"' in (site / "guide" / "08-troubleshooting.html").read_text(encoding="utf-8")
    assert place.startswith("overfitting")
