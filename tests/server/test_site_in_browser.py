"""The site in a real browser: it works with its own policy, fits every screen, and is open to every reader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import AXE, DESKTOP, PHONE, Browser, find_chromium
from recorded_runs import ATTACK, set_running
from report.conftest import make_run  # noqa: F401 - a fixture
from serving import Served, serve, wait_until
from web_pages import ask

from semilla.records import names
from semilla.records.lock import hold_lock
from semilla.report.runs import RecordedRun
from semilla.runtime.session import Model

MakeRun = Callable[..., RecordedRun]

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="Chromium is not installed: scripts/install-browser"
)
PATHS = ["/", "/runs/first", "/talk/first", "/sign-in", "/nothing"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None
    with Browser(program) as opened:
        yield opened


@pytest.fixture
def site(make_run: MakeRun, models_dir: Path, tmp_path: Path) -> Iterator[Served]:  # noqa: F811
    """A run with a model and hostile samples, and a page of its own that attacks."""
    run = make_run("first", losses=(5.5, 4.75, 4.5))
    assert run.metrics is not None
    run.metrics.epoch_history[-1].sample_outputs = [ATTACK, "x" * 300]
    run.metrics.write(run.directory / names.METRICS)
    shutil.copytree(models_dir / "river", run.directory / names.BUNDLE)
    make_run("a-run-whose-name-is-longer-than-any-phone-is-wide-" + "x" * 60, seed=3)
    with serve(tmp_path) as served:
        yield served


def test_a_curve_is_drawn_and_read_with_the_cursor(browser: Browser, site: Served) -> None:
    """The samples stay text, whatever they contain."""
    browser.show(f"{site.url}/runs/first")
    wait_until(lambda: browser.evaluate("document.querySelector('#curve polyline') !== null"))
    assert browser.evaluate("document.getElementById('reading').value") == "epoch 3: 4.750 nats per token"
    assert browser.evaluate("chooseTicks(1, 2)")[-1] == 2
    browser.evaluate("byId('cursor').value = 0; byId('cursor').dispatchEvent(new Event('input')); true")
    assert browser.evaluate("document.getElementById('reading').value") == "epoch 1: 5.750 nats per token"
    assert browser.evaluate("document.querySelectorAll('main script, main img').length") == 0
    assert ATTACK in browser.evaluate("document.querySelector('blockquote').textContent")


def test_columns_stand_below_their_headings(browser: Browser, site: Served) -> None:
    """The site shares the style sheet of the reports, which must not lay out the table of runs otherwise."""
    browser.show(f"{site.url}/")
    lefts = (
        "(row) => [...document.querySelector(row).children].map((one) => one.getBoundingClientRect().left)"
    )
    assert ask(browser, lefts, "thead tr") == ask(browser, lefts, "tbody tr")


def test_a_run_is_shown_as_it_goes_on(browser: Browser, site: Served, tmp_path: Path) -> None:
    """The page changes by itself when the run ends."""
    directory = tmp_path / "first"
    finished = (directory / names.STATUS).read_bytes()
    set_running(directory)
    with hold_lock(directory):
        browser.show(f"{site.url}/runs/first")
        assert browser.evaluate("byId('state').textContent") == "running"
        (tmp_path / "status").write_bytes(finished)
        (tmp_path / "status").replace(directory / names.STATUS)  # as a run does: never half a file
        wait_until(lambda: browser.evaluate("byId('state').textContent") == "complete")


def test_a_text_is_written_as_the_runtime_writes_it(browser: Browser, site: Served, model: Model) -> None:
    browser.show(f"{site.url}/talk/first")
    values = json.dumps({"prompt": "¿Qué", "seed": 5, "max_tokens": 20})
    browser.evaluate(f"Object.entries({values}).forEach(([name, value]) => byId(name).value = value)")
    browser.evaluate("write()")
    assert browser.evaluate("byId('text').textContent") == "¿Qué" + model.generate(
        "¿Qué", seed=5, max_tokens=20
    )
    assert "after 20 tokens" in browser.evaluate("byId('status').textContent")
    browser.evaluate("byId('temperature').value = 99; write()")
    assert "temperature" in browser.evaluate("byId('status').textContent")


def test_the_policy_stops_inline_scripts(browser: Browser, site: Served) -> None:
    """Also one that got into a page by mistake."""
    browser.show(f"{site.url}/")
    browser.evaluate("""(() => {
        const script = document.createElement('script');
        script.textContent = 'window.hurt = 1';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.hurt = 1">') })()""")
    assert browser.evaluate("typeof window.hurt") == "undefined"


def test_a_document_in_the_sandbox_cannot_ask_the_site(
    browser: Browser, site: Served, tmp_path: Path
) -> None:
    """A page that a stranger put into a run has no origin, and no script that its policy does not list."""
    page = "<h1>page</h1><script>window.hurt = 1</script>"
    (tmp_path / "first" / names.PAGE).write_text(page, encoding="utf-8")
    browser.show(f"{site.url}/pages/first")
    assert browser.evaluate("document.querySelector('h1').textContent") == "page"
    assert browser.evaluate("[typeof window.hurt, window.origin]") == ["undefined", "null"]
    assert browser.evaluate("fetch('/v1/models').then(() => 'read', () => 'refused')") == "refused"


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: scripts/install-browser")
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_in_a_readers_way(browser: Browser, site: Served, path: str) -> None:
    """axe-core finds nothing of any impact, on a desktop in light and on a phone in dark."""
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        browser.show(site.url + path, size=size, scheme=scheme)
        assert browser.find_barriers(("minor", "moderate", "serious", "critical")) == []
        assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
