"""The report of one run agrees with the records, is a single file, and is harmless whatever the texts contain."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from recorded_runs import look_up
from report.conftest import SAMPLES

from semilla.corpus.manifest import LeftOutFile
from semilla.guide.documentation import load_documentation
from semilla.guide.search import find_named
from semilla.records import names
from semilla.records.results import CoherenceResults, Finding
from semilla.records.status import ErrorDetails
from semilla.report.curves import list_cursor_steps, pick_epochs
from semilla.report.figures import group_measures, make_measure
from semilla.report.grammar import cut_pair
from semilla.report.introduction import describe_run
from semilla.report.page import GUIDE, render_run
from semilla.report.runs import RecordedRun, list_longest_pieces, read_run
from semilla.report.verdict import judge_run
from semilla.stories.reader import KINDS
from semilla.terminal.summary import print_summary

MakeRun = Callable[..., RecordedRun]


class Page(HTMLParser):
    """The page as a browser parses it: figures with their sources, tags, attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: dict[str, set[str]] = {}
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = {name: value or "" for name, value in attrs}
        self.attributes += values.items()
        if "id" in values:
            self.ids.append(values["id"])
        if values.get("data-source"):
            self.figures.setdefault(values["data-source"], set()).add(values["value"])

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_figure_is_the_recorded_one(make_run: MakeRun) -> None:
    """Each number on the page names its place in the JSON files, and has exactly the value of that place."""
    run = make_run()
    figures = Page(render_run(run)).figures
    assert len(figures) > 30
    assert {source for source in figures if source.startswith("minimal_pairs.es.phenomena.negation.")}
    assert figures["findings.copying_median"] == {"12.5"}
    assert figures["copying_longest"] == {"31"}
    shown = {source: {float(value) for value in values} for source, values in figures.items()}
    assert shown == {source: {float(look_up(run, source))} for source in figures}


def test_the_verdict_comes_first(make_run: MakeRun) -> None:
    """It says what was measured. With a missed target, the suggested command names the target."""
    verdict = judge_run(make_run())
    assert (verdict.tone, verdict.headline) == (
        "warn",
        "Fits its machine; the words it writes were not measured",
    )
    assert verdict.lines[1:] == ["repeated runs of six tokens: 2.0 %, needs ≤ 1.0 %"]
    assert verdict.command == "semilla guide repetition"


@pytest.mark.parametrize(
    ("missed", "told"),
    [
        ({"invented_words", "ended"}, "some of its words do not exist"),
        ({"minimal_pairs.en.accuracy", "ended"}, "writes real words, not yet sound sentences"),
        ({"ended"}, "writes sentences that do not come to an end"),
        ({"coherence.es"}, "writes whole sentences, not yet whole stories"),
        (set(), "writes whole stories"),
    ],
)
def test_the_verdict_says_no_more_than_was_shown(make_run: MakeRun, missed: set[str], told: str) -> None:
    """Each headline needs what the ones before it need. Without a measure of sense, none is claimed."""
    names = [
        "invented_words",
        "ended",
        "repetition",
        "minimal_pairs.en.accuracy",
        "coherence.en",
        "coherence.es",
    ]
    run = make_run()
    assert run.results is not None
    run.results.findings = [
        Finding.judge(name, "target", 0.0 if name in missed else 1.0, ">=", 0.5) for name in names
    ]
    run.results.invented_examples = ["acepd"]
    verdict = judge_run(run)
    assert verdict.headline == f"Fits its machine; {told}"
    assert any("acepd" in line for line in verdict.lines) is ("invented_words" in missed)
    run.results.findings = run.results.findings[:3]
    assert not judge_run(run).headline.endswith("whole stories")


def test_commands_can_be_pasted_wherever_the_run_stands(make_run: MakeRun) -> None:
    """Spaces and quotes in a path are quoted for the shell."""
    run = make_run("el 'viejo' $HOME; rm")
    assert run.results is not None
    run.results.findings = []
    assert shlex.split(judge_run(run).command)[-1] == str(run.directory)
    run.status.run_state = "running"
    assert shlex.split(judge_run(run).command)[-1] == str(run.directory)


def test_what_the_page_sends_to_in_the_guide_is_there() -> None:
    """Every topic that a section points to is a chapter, a part or an entry of the guide."""
    guide = load_documentation()
    assert all(find_named(guide, name) for names in GUIDE.values() for name in names)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("He had it.", "Him had it.", ("", "He", "Him", "had it.")),
        ("It is better than no tea at all, he said.", "It is more better than no tea at all, he said.",
         ("It is", "", "more", "better than no\N{NO-BREAK SPACE}…")),
        ("Yo sé que ella no hizo ruido.", "Yo sé que ella hizo ruido.",
         ("…\N{NO-BREAK SPACE}sé que ella", "no", "", "hizo ruido.")),
    ],
)  # fmt: skip
def test_a_minimal_pair_is_cut_to_its_mistake(right: str, wrong: str, told: tuple[str, ...]) -> None:
    """A pair is cut to its difference and a few words around it."""
    assert dataclasses.astuple(cut_pair(right, wrong)) == told


def test_a_figure_at_its_limit_ends_at_the_mark() -> None:
    """A bar and its mark have the same scale, and neither exceeds it."""
    for value in (0.0, 100.0, 400.0, 4000.0, -1.0):
        measure = make_measure(Finding.judge("rss_mb", "gate", value, "<=", 400, unit="MB"))
        assert 0 <= measure.percent <= 100
        assert 0 < measure.threshold_percent <= 100
        assert (measure.percent <= measure.threshold_percent) is (value <= 400)
    unmeasured = make_measure(Finding.judge("rss_mb", "gate", math.nan, "<=", 400, unit="MB"))
    assert (unmeasured.text, unmeasured.needs) == ("not measured", "≤ 400 MB")


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("language.en", "language"),
        ("int8_cost", "int8"),
        ("minimal_pairs.es.accuracy", "minimal_pairs"),
        ("invented_words", "samples"),
        ("ended", "stopping"),
    ],
)
def test_a_missed_target_names_its_entry_of_the_guide(make_run: MakeRun, name: str, topic: str) -> None:
    """The suggested command leads to an entry that exists, as the warning of the run does."""
    run = make_run()
    assert run.results is not None
    run.results.findings = [Finding.judge(name, "target", 0.5, ">=", 0.9)]
    assert judge_run(run).command == f"semilla guide {topic}"
    assert topic in {entry.topic for entry in load_documentation().troubleshooting_guide}


@pytest.mark.parametrize(
    ("phase", "headline"),
    [("corpus_download", "Stopped in corpus_download"), ("validation", "Trained, but a gate was missed")],
)
def test_a_failed_run_says_where_and_why(make_run: MakeRun, phase: str, headline: str) -> None:
    """The headline names the phase. The page has the cause, the end of the log and the topic of the guide."""
    run = make_run()
    run.status.run_state, run.status.current_phase = "failed", "failed"
    run.status.error_details = ErrorDetails(
        failed_phase=phase, error_type="network", error_message="the host is gone", stderr_output="no route"
    )
    verdict = judge_run(run)
    assert (verdict.tone, verdict.headline) == ("bad", headline)
    assert shlex.split(verdict.command)[:2] == ["semilla", "run"]
    assert "--resume" in verdict.command
    text = Page(render_run(run)).text
    assert "the host is gone" in text
    assert "no route" in text
    assert "semilla guide network" in text


@pytest.mark.parametrize(
    ("category", "shows"), [("invalid_corpus", False), ("dependency", False), ("internal", True)]
)
def test_only_an_internal_error_shows_its_traceback(make_run: MakeRun, category: str, shows: bool) -> None:
    """A person's own typo is not a defect, and a traceback would look like one."""
    run = make_run()
    run.status.run_state, run.status.current_phase = "failed", "failed"
    tail = (
        "12:00 ERROR there is no file\n  Traceback (most recent call last):\n    File x.py\n  Error: no file"
    )
    run.status.error_details = ErrorDetails(
        failed_phase="prerequisite_check", error_type=category, error_message="no file", stderr_output=tail
    )
    text = Page(render_run(run)).text
    assert "there is no file" in text
    assert ("Traceback" in text) is shows


def test_the_latency_is_one_figure(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    """The page and the terminal show the same number of milliseconds, and the gate is judged by it."""
    run = make_run()
    assert run.results is not None
    exact = run.results.inference_metrics.exact_latency_p95_ms
    run.results.findings.append(Finding.judge("latency_p95_ms", "gate", exact, "<=", 250, unit="ms"))
    text = Page(render_run(run)).text
    assert text.count("0.64 ms") == 3  # the figure in large type, the gate, the list of the device
    print_summary(run.status, directory=run.directory)
    printed = capsys.readouterr().out
    assert "next token        0.64 ms (95th percentile)" in printed
    assert re.search(r"gate +latency_p95_ms +0.64 +needs <= 250 ms", printed)


def test_early_stopping_is_told(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    """On the page and in the summary; a training of all epochs has no such line."""
    settings = {"num_epochs": 20, "early_stopping": 2}
    run = make_run(losses=(5.5, 4.75, 4.5, 4.6, 4.7, 4.4), training_hyperparameters=settings)
    told = "after epoch 5 of 20 the validation loss had not improved for 2 epochs"
    assert f"Early stopping: {told}" in Page(render_run(run)).text
    print_summary(run.status, directory=run.directory)
    assert f"early stopping {told}" in " ".join(capsys.readouterr().out.split())
    assert "Early stopping" not in Page(render_run(make_run("whole"))).text


@pytest.mark.parametrize("state", ["interrupted", "running"])
def test_an_unfinished_run_has_a_page_too(make_run: MakeRun, state: Any) -> None:
    """Sections without data are left out."""
    run = make_run()
    run.status.run_state, run.status.current_phase = state, "model_training"
    run.status.validation_results = None
    for name in (names.METRICS, names.CORPUS_MANIFEST):
        (run.directory / name).unlink()
    bare = read_run(run.directory, config=run.config, status=run.status)
    page = Page(render_run(bare))
    assert "model_training" in page.text
    assert "Validation loss" not in page.text
    assert "overfitting" not in page.text


def test_a_damaged_file_is_named_and_left_out(make_run: MakeRun) -> None:
    """The rest of the page is there."""
    run = make_run()
    (run.directory / names.METRICS).write_text("{", encoding="utf-8")
    page = Page(render_run(read_run(run.directory, config=run.config, status=run.status)))
    assert f"{names.METRICS} has changed since it was written" in page.text
    assert "Where the time went" in page.text


def test_texts_of_a_large_folder_are_counted_by_format(make_run: MakeRun) -> None:
    """The first fifty have a row each; up to fifty, all of them do and nothing is counted."""
    run = make_run()
    assert run.manifest is not None
    (first, *_) = run.manifest.documents

    def show(count: int) -> str:
        entries = [
            first.model_copy(
                update={
                    "title": f"note {number}",
                    "provenance": first.provenance.model_copy(
                        update={"format": "Markdown" if number % 3 else "PDF"}
                    ),
                    "removed": {"markup": 7},
                }
            )
            for number in range(count)
        ]
        manifest = run.manifest.model_copy(update={"documents": entries})
        return " ".join(Page(render_run(dataclasses.replace(run, manifest=manifest))).text.split())

    text = show(3000)
    assert "The first 50 of 3,000 texts; corpus_manifest.json has all of them" in text
    assert "note 49" in text
    assert "note 50" not in text
    assert re.search(r"Markdown ?2,000 ?2,000 ?[\d.]+ [kM]?B ?14,000", text)
    assert re.search(r"PDF ?1,000 ?1,000 ?[\d.]+ [kM]?B ?7,000", text)
    text = show(50)
    assert "note 49" in text
    assert "texts; corpus_manifest.json has all" not in text


def test_files_that_are_not_in_the_text_are_counted_with_their_reasons(make_run: MakeRun) -> None:
    """The first names and the first detail of each reason; nothing is said when every file was read."""
    run = make_run()
    assert "Files that are not in the text" not in Page(render_run(run)).text
    assert run.manifest is not None
    left_out = [LeftOutFile(path=f"notes/{n}.png", reason="unknown format") for n in range(1200)]
    left_out.append(LeftOutFile(path="a<b>.pdf", reason="encrypted", detail="a<b>.pdf is encrypted"))
    manifest = run.manifest.model_copy(update={"left_out": left_out})
    text = " ".join(Page(render_run(dataclasses.replace(run, manifest=manifest))).text.split())
    assert "1,201 in all" in text
    assert re.search(r"unknown format ?1,200 ?notes/0.png, notes/1.png, notes/2.png, \.\.\.", text)
    assert re.search(r"encrypted ?1 ?a<b>.pdf ?a<b>.pdf is encrypted", text)


def test_the_page_asks_the_network_for_nothing(make_run: MakeRun) -> None:
    """No frame, image or address to fetch from. The policy allows one script and one style sheet, by their hashes."""
    html = render_run(make_run())
    page = Page(html)
    assert page.tags.isdisjoint({"iframe", "img", "link", "object", "embed", "form", "base"})
    assert {name for name, _ in page.attributes}.isdisjoint({"src", "srcset", "style", "action"})
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert re.search(
        r"default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'", unescape(html)
    )
    assert "@import" not in html
    assert "url(" not in html


def test_texts_from_outside_are_only_text(make_run: MakeRun) -> None:
    """Tags, quotes, terminal escapes and direction marks in samples and titles are shown as text."""
    attack = "</blockquote></script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\u202e\"'"
    html = render_run(make_run(samples=[attack, attack], title=attack))
    page = Page(html)
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "<script>alert(1)</script>" in page.text
    assert "\\u001b[2J\\u202e" in page.text
    assert html.count("<script") == 2  # the steps of the cursor, and what shows them


def test_the_contents_lead_to_every_section(make_run: MakeRun) -> None:
    """Each link has a target, and each section with a heading below the first screen has a link."""
    page = Page(render_run(make_run()))
    links = {value[1:] for name, value in page.attributes if name == "href"}
    assert links <= set(page.ids)
    assert {"learning", "samples", "gates", "grammar", "phases", "settings", "origin"} <= links
    assert "versions" not in links


def test_the_first_screen_says_what_it_is(make_run: MakeRun) -> None:
    """Size, text, languages, epochs and time, then a text and the curve, before any other figure."""
    run = make_run(text="x" * 2**21)
    assert describe_run(run) == (
        "A language model with 654,321 parameters. It read 2.0 MB of English and Spanish text 3 times in "
        "1\N{NO-BREAK SPACE}min\N{NO-BREAK SPACE}14\N{NO-BREAK SPACE}s."
    )
    html = render_run(run)
    places = [
        html.index(text) for text in (describe_run(run), SAMPLES[0], 'id="loss-title"', 'class="figures"')
    ]
    assert places == sorted(places)


def test_the_cursor_knows_step_epoch_and_time(make_run: MakeRun) -> None:
    """Each place names all three, and has the samples of its epoch."""
    run = make_run()
    run.status.phase_records["model_training"].details["steps_per_epoch"] = 1200
    steps = list_cursor_steps([run])
    assert [step["place"] for step in steps] == [
        "epoch 1 of 3 · step 1,200 · 7.0 s",
        "epoch 2 of 3 · step 2,400 · 14 s",
        "epoch 3 of 3 · step 3,600 · 21 s",
    ]
    assert steps[1]["samples"][1] == {
        "language": "es", "prompt": "", "text": "Había una vez, ¿sí? 🌱 (2)", "ending": "",
    }  # fmt: skip


def test_contradictions_are_shown_with_an_example(make_run: MakeRun) -> None:
    """The most frequent kind comes first. The share of whole stories is a figure of the generated text."""
    run = make_run()
    assert run.results is not None
    run.results.coherence["en"] = CoherenceResults(
        share=0.25,
        low=0.1,
        high=0.5,
        num_stories=20,
        contradictions={"name": 3, "order": 9},
        examples={"name": "Then Mia slept.", "order": "So they went home."},
    )
    run.results.findings.append(Finding.judge("coherence.en", "target", 0.25, ">=", 0.5))
    text = Page(render_run(run)).text
    assert text.index("So they went home.") < text.index("Then Mia slept.")
    assert KINDS["name"] in text
    rows = dict(group_measures(run.results))["Generated text"]
    assert "stories that hold together, en" in {row.name for row in rows}


def test_no_two_elements_share_an_id(make_run: MakeRun) -> None:
    """Each id is unique, so labels point to one element."""
    ids = Page(render_run(make_run())).ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 20, 100])
def test_samples_show_the_first_and_the_last_epoch(count: int) -> None:
    """At most six epochs are shown, in order, denser at the beginning."""
    shown = pick_epochs(count)
    assert shown == sorted(set(shown))
    assert len(shown) == min(count, 6)
    assert shown[:1] + shown[-1:] == ([0, count - 1] if count else [])


def test_the_longest_words_of_the_vocabulary(make_run: MakeRun) -> None:
    """They are whole words, longest first, without the mark for a space."""
    run = make_run()
    lines = ["<unk>\t0", "▁corazón\t-4", "▁a\t-2", "ventana\t-5", "▁¿\t-3", "<0x0A>\t-9"]
    (run.directory / "bilingual_8k.vocab").write_text("\n".join(lines), encoding="utf-8")
    assert list_longest_pieces(run) == ["corazón", "ventana", "a"]
