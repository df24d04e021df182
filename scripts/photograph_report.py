"""Take screenshots of a run's report as readers see it: desktop, phone, dark mode and paper.

    python scripts/photograph_report.py RUN_OR_PAGE [FOLDER]

RUN is a run's directory, whose report is rendered again, or an HTML file. The script writes NAME-desktop.png and so on
to FOLDER (default: screenshots). It splits long pages into several pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import DESKTOP, PHONE, Browser, find_chromium

from semilla.commands.report import open_recorded_run
from semilla.records import files
from semilla.report.page import render_run

VIEWS = {
    "desktop": (DESKTOP, "light"),
    "phone": (PHONE, "light"),
    "dark": (DESKTOP, "dark"),
    "phone-dark": (PHONE, "dark"),
}


def main() -> int:
    source = Path(sys.argv[1])
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    page = source
    if source.is_dir():
        page = folder / f"{source.resolve().name}.html"
        files.write_text(page, render_run(open_recorded_run(source)))
    program = find_chromium()
    if program is None:
        print("Chromium is not installed: scripts/install-browser", file=sys.stderr)
        return 1
    with Browser(program) as browser:
        for name, (size, scheme) in VIEWS.items():
            browser.show(page, size=size, scheme=scheme)
            for path in browser.photograph(folder / f"{page.stem}-{name}.png"):
                print(path)
        browser.show(page, media="print")
        browser.print_pdf(folder / f"{page.stem}.pdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
