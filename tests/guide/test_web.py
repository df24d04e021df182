"""The web edition: complete in itself, without broken links, readable on a desk and on a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("zensical", reason="the web edition is built with the docs extra")

from build_web import build, find_faults

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGES = ["01-overview", "09-hyperparameters", "problems"]
"""Pages with wide diagrams, wide tables and long links."""
PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const page = document.scrollingElement;
  document.body.dataset.probe = JSON.stringify({
    room: innerWidth, width: page.scrollWidth,
    text: document.querySelector("article").innerText.length,
  });
}, 1500));</script></body>"""
"""Tells what only a browser knows: how wide the page came out, and what of it was shown."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, as scripts/web builds it."""
    site = tmp_path_factory.mktemp("web") / "site"
    build(site)
    return site


def test_no_link_is_broken_and_nothing_is_fetched(site):
    """Every link leads to a page and a place in it; scripts, styles and fonts come with the site."""
    assert list(find_faults(site)) == []


def test_every_chapter_has_its_page_and_can_be_searched(site):
    """The search index holds a passage of each page of the guide."""
    pages = {path.stem for path in (ROOT / "docs" / "guide").glob("*.md")} - {"README"} | {"index"}
    assert {path.stem for path in (site / "guide").glob("*.html")} == pages
    index = json.loads((site / "search.json").read_text(encoding="utf-8"))
    assert {f"guide/{page}.html" for page in pages} <= {
        item["location"].partition("#")[0] for item in index["items"]
    }


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("nowhere.html", "is not there"),
        ("#nowhere", "a place that is not there"),
        ("https://example.org/x.js", "would fetch"),
    ],
)
def test_faults_are_really_found(tmp_path, address, fault):
    """A broken link, a broken anchor and a script from elsewhere each draw a complaint."""
    tag = f'<script src="{address}"></script>' if "://" in address else f'<a href="{address}">x</a>'
    (tmp_path / "index.html").write_text(tag, encoding="utf-8")
    (complaint,) = find_faults(tmp_path)
    assert fault in complaint


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("page", PAGES)
def test_pages_fit_the_screen(site, tmp_path, page, size):
    """At both sizes a page has its text and is not wider than the screen; tables scroll by themselves."""
    told = render(site, f"{page}.html", size=size, folder=tmp_path)
    assert told["width"] <= told["room"]
    assert told["text"] > 500


def render(site: Path, page: str, *, size: tuple[int, int], folder: Path) -> dict:
    """Open a page in headless Chromium with the probe in it, and return what the probe tells."""
    path = site / "guide" / f"probe-{page}"
    path.write_text(
        (site / "guide" / page).read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8"
    )
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
        f"--window-size={size[0]},{size[1]}", "--virtual-time-budget=8000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    path.unlink()
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))
