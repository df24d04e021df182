"""The page in a real browser shows the values of the JSON, fits every screen, and is accessible."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import AXE, DESKTOP, NARROW, PHONE, Browser, find_chromium
from recorded_runs import look_up

from semilla.records.status import ErrorDetails
from semilla.report.compare import render_comparison
from semilla.report.page import render_run
from semilla.report.runs import RecordedRun

MakeRun = Callable[..., RecordedRun]

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="Chromium is not installed: scripts/install-browser"
)

READ_FIGURES = (
    "[...document.querySelectorAll('data[data-source]')].map(d => [d.dataset.source, d.value, d.innerText])"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None
    with Browser(program) as opened:
        yield opened


def fail(run: RecordedRun) -> None:
    """Make a run look as if it had stopped in its training."""
    run.status.run_state, run.status.current_phase = "failed", "failed"
    run.status.validation_results = None
    run.status.error_details = ErrorDetails(
        failed_phase="model_training",
        error_type="diverged",
        error_message="the loss is nan",
        stderr_output="log " * 60,
    )


@pytest.fixture(params=["finished", "failed", "compared"])
def page(request: pytest.FixtureRequest, make_run: MakeRun, tmp_path: Path) -> Path:
    """A page of each kind, with a word that is too long for a phone."""
    run = make_run(title="Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen")
    if request.param == "failed":
        fail(run)
    runs = [run, make_run("other", losses=(5.0, 4.0), seed=3)]
    html = render_comparison(runs) if request.param == "compared" else render_run(run)
    path = tmp_path / "page ñ.html"
    path.write_text(html, encoding="utf-8")
    return path


def test_numbers_read_back_are_those_of_the_json(browser: Browser, make_run: MakeRun, tmp_path: Path) -> None:
    """Values agree to the last digit, and so does the text that is shown for them."""
    run = make_run()
    path = tmp_path / "page.html"
    path.write_text(render_run(run), encoding="utf-8")
    browser.show(path)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    figures = browser.evaluate(READ_FIGURES)
    assert len(figures) > 40
    for source, value, text in figures:
        assert float(value) == look_up(run, source), source
        assert agrees(float(value), text), (source, value, text)


def agrees(value: float, text: str) -> bool:
    """Whether a text begins with the value, rounded to the digits of the text, or with it in percent or minutes."""
    number = text.replace(",", "").split()[0]
    if "min" in text or text.endswith(" s"):
        minutes, _, seconds = text.partition(" min ")
        shown = 60 * float(minutes) + float(seconds.split()[0]) if seconds else float(number)
        return math.isclose(shown, value, abs_tol=0.5)
    shown = float(number) / (100 if "%" in text else 1)
    decimals = len(number.partition("e")[0].partition(".")[2]) + (2 if "%" in text else 0)
    scale = 10 ** int(number.partition("e")[2] or 0)
    return abs(shown - value) <= 0.5000001 * scale * 10**-decimals


@pytest.mark.parametrize("size", [DESKTOP, PHONE, NARROW], ids=["desktop", "phone", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_has_to_be_scrolled_sideways(
    browser: Browser, page: Path, size: tuple[int, int], scheme: str
) -> None:
    """Only tables in their own scrolling frames may be wider than the window."""
    browser.show(page, size=size, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: scripts/install-browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_in_a_readers_way(
    browser: Browser, page: Path, size: tuple[int, int], scheme: str
) -> None:
    """axe-core finds nothing serious in contrast, labels, order and keyboard access."""
    browser.show(page, size=size, scheme=scheme)
    assert browser.find_barriers(("moderate", "serious", "critical")) == []


def test_the_page_asks_for_nothing_but_itself(browser: Browser, page: Path) -> None:
    """The browser records a single request, for the file itself."""
    browser.requests.clear()
    browser.show(page)
    assert browser.requests == [page.resolve().as_uri()]


def test_the_page_prints(browser: Browser, page: Path, tmp_path: Path) -> None:
    """On paper it is dark on white, whatever the screen, and it can become a PDF."""
    browser.show(page, scheme="dark", media="print")
    assert (
        browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    )
    target = tmp_path / "page.pdf"
    browser.print_pdf(target)
    assert target.read_bytes().startswith(b"%PDF-")


def test_a_script_in_the_texts_never_runs(browser: Browser, make_run: MakeRun, tmp_path: Path) -> None:
    """The browser runs no script but the page's own, from a tag or from an attribute."""
    attack = "</blockquote></script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>"
    path = tmp_path / "page.html"
    path.write_text(render_run(make_run(samples=[attack, attack], title=attack)), encoding="utf-8")
    browser.show(path)
    assert browser.evaluate("window.hurt === undefined") is True
    assert attack in browser.evaluate("document.body.innerText")
    assert browser.evaluate("[...document.scripts].map((one) => one.type)") == ["application/json", ""]


def test_the_cursor_moves_through_curves_and_samples(
    browser: Browser, make_run: MakeRun, tmp_path: Path
) -> None:
    """Moving the slider, or pointing at a curve, names step, epoch, time and values, and shows that epoch's samples."""
    path = tmp_path / "page.html"
    path.write_text(render_run(make_run()), encoding="utf-8")
    browser.show(path)
    read = "[document.querySelector('output').textContent, document.querySelector('.at').textContent]"
    assert browser.evaluate(read) == ["epoch 3 of 3 · 21 s", "training 4.75 · validation 4.5"]
    browser.evaluate("byId('cursor').value = 0; byId('cursor').dispatchEvent(new Event('input'))")
    assert browser.evaluate(read) == ["epoch 1 of 3 · 7.0 s", "training 5.75 · validation 5.5"]
    assert browser.evaluate("byId('at-epoch').innerText").startswith("Once upon a time — “yes” (1)")
    point = """(() => { const svg = charts[1].querySelector("svg"), box = svg.getBoundingClientRect();
        const at = {clientX: box.left + box.width / 2, clientY: box.top + 9};
        svg.dispatchEvent(new PointerEvent("pointermove", at)) })()"""
    browser.evaluate(point)
    assert browser.evaluate(read)[0] == "epoch 2 of 3 · 14 s"
    assert browser.evaluate("sliders.map((one) => one.value)") == ["1", "1"]


def test_the_vocabulary_can_be_searched(browser: Browser, make_run: MakeRun, tmp_path: Path) -> None:
    """A text finds the pieces that contain it, with their ids; a space finds the beginning of a word."""
    run = make_run()
    lines = ["<unk>\t0", "▁gato\t-4", "gat\t-2", "▁perro\t-5"]
    (run.directory / "bilingual_8k.vocab").write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "page.html"
    path.write_text(render_run(run), encoding="utf-8")
    browser.show(path)
    search = (
        "byId('search').value = %r; searchVocabulary(); [byId('found').textContent, byId('pieces').innerText]"
    )
    assert browser.evaluate(search % "GAT") == ["2 of 4 pieces:", "▁gato 1\ngat 2"]
    assert browser.evaluate(search % " ga") == ["1 of 4 pieces:", "▁gato 1"]


def test_the_first_screen_holds_sample_and_curve(browser: Browser, make_run: MakeRun, tmp_path: Path) -> None:
    """On a desktop the whole curve with its slider is visible without scrolling; on a phone the sample is."""
    path = tmp_path / "page.html"
    path.write_text(render_run(make_run()), encoding="utf-8")
    bottom = "document.querySelector(%r).getBoundingClientRect().bottom"
    for size, last in ((DESKTOP, "#cursor"), (PHONE, ".sheet")):
        browser.show(path, size=size)
        assert browser.evaluate(bottom % last) <= size[1]
