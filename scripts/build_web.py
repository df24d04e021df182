"""Build the web edition with Zensical, and check that it is self-contained.

    python scripts/build_web.py [RUN]

The page ``model.html`` of a finished RUN becomes a part of the site: readers look inside that model.

By default, pages opened from a folder download a script for their search. The site uses a copy of ours from docs/assets
instead. Zensical also clears the folder .cache beside its configuration file, so it gets a copy to work in. There, each
page of the guide that exists in English and in Spanish gets a link to the other language below its title, and
scripts/draw_figures.py adds figures.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from draw_figures import PLACES, insert_figures

PROJECT = Path(__file__).parents[1]
SHIM_ADDRESS = "https://unpkg.com/iframe-worker/shim"
THEME = "scripts/web_theme"
MODEL = "model.html"
SHIM = "assets/iframe-worker.js"
LINK = re.compile(r"\[(?P<words>[^\]]+)\]\((?P<address>\.\./[^)\s]+)\)")


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: set[str] = set()
        self.resources: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        elif tag in {"script", "img", "iframe"} and "src" in values:
            self.resources.add(values["src"])
        elif tag == "link" and values.get("rel") in {"stylesheet", "icon", "preload"}:
            self.resources.add(values["href"])


def build(site: Path, *, model: Path | None = None) -> None:
    """Write the site into a fresh folder; raises CalledProcessError if Zensical warns about anything.

    ``model`` is the ``model.html`` of a run. It becomes a part of the site, and the chapter on the model links to it.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(PROJECT / "zensical.toml", folder)
        docs = Path(shutil.copytree(PROJECT / "docs", Path(folder) / "docs"))
        shutil.copytree(PROJECT / THEME, Path(folder) / THEME)
        for path in docs.glob("**/*.md"):
            path.write_text(keep_inside(path, docs=docs), encoding="utf-8")
        for path in docs.glob("guide/es/*.md"):
            link_languages(docs / "guide" / path.name, path)
        if model:
            shutil.copy(model, docs / "assets" / MODEL)
        for name in {name for name, _ in PLACES.values()}:
            for path in docs.glob(f"guide/**/{name}"):
                language = "es" if path.parent.name == "es" else "en"
                address = (
                    f"{'../' * (len(path.relative_to(docs).parts) - 1)}assets/{MODEL}#inside" if model else ""
                )
                page = insert_figures(
                    path.read_text(encoding="utf-8"), name, language=language, model_address=address
                )
                path.write_text(page, encoding="utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        subprocess.run(command, cwd=folder, check=True)
        for path in Path(folder).glob("site/**/*.html"):
            up = "../" * (len(path.relative_to(folder).parts) - 2)
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(SHIM_ADDRESS, up + SHIM), encoding="utf-8")
        shutil.rmtree(site, ignore_errors=True)
        shutil.move(Path(folder) / "site", site)


def keep_inside(path: Path, *, docs: Path) -> str:
    """The text of a page, its links to files outside the documentation written out: those are not in the site."""

    def write_out(link: re.Match[str]) -> str:
        target = (path.parent / link["address"]).resolve()
        return link[0] if target.is_relative_to(docs.resolve()) else f"{link['words']} (`{link['address']}`)"

    return LINK.sub(write_out, path.read_text(encoding="utf-8"))


def link_languages(english: Path, spanish: Path) -> None:
    """Let two pages that say the same link to each other, below their titles."""
    for path, link in (
        (english, f"[Léelo en español](es/{spanish.name})"),
        (spanish, f"[Read this in English](../{english.name})"),
    ):
        title, rest = path.read_text(encoding="utf-8").split("\n", maxsplit=1)
        path.write_text(f"{title}\n\n{link}\n{rest}", encoding="utf-8")


def find_faults(site: Path) -> Iterator[str]:
    """Links and resources of the site that lead nowhere, and resources that would be fetched from elsewhere."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    for path, page in pages.items():
        for address in sorted(page.links | page.resources):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.resources and parts.scheme != "data":
                    yield f"{path.name} would fetch {address}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{path.name} leads to {address}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.name} leads to {address}, a place that is not there"


def main() -> int:
    site = PROJECT / "site"
    build(site, model=Path(sys.argv[1]) / MODEL if sys.argv[1:] else None)
    faults = list(find_faults(site))
    print("\n".join(faults) or f"open {site / 'guide' / 'index.html'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
