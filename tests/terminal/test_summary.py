"""The summary at the end of a run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console

from semilla.records.results import Finding, InferenceMetrics, ValidationResults
from semilla.records.sample import Sample
from semilla.records.status import PipelineStatus
from semilla.terminal import tables
from semilla.terminal.summary import list_commands, pair_samples, print_summary
from semilla.terminal.tables import print_table


def make_results(
    *, languages: tuple[str, ...] = ("en", "es"), samples: tuple[str, ...] = ()
) -> ValidationResults:
    gate = Finding(
        name="validation_loss",
        kind="gate",
        value=4.31,
        threshold=5,
        comparison="<",
        unit="nats per token",
        passed=True,
    )
    missed = Finding(
        name="repetition", kind="target", value=None, threshold=0.05, comparison="<=", passed=False
    )
    spoken = [
        Finding(
            name=f"language.{code}", kind="target", value=0.95, threshold=0.9, comparison=">=", passed=True
        )
        for code in languages
    ]
    return ValidationResults(
        sample_generations=list(samples),
        final_train_loss=3.9,
        final_val_loss=4.4,
        inference_metrics=InferenceMetrics(
            latency_p95_ms=3,
            latency_p95_us=2100.0,
            latency_p50_us=1500.0,
            latency_p99_us=2500.0,
            first_token_ms=40.0,
            tokens_per_sec=512.3,
            rss_mb=68,
            peak_mb=72,
        ),
        constitutional_compliance=True,
        best_val_loss=4.31,
        bits_per_byte={"all": 1.62},
        findings=[gate, missed, *spoken],
    )


def test_summary_tells_place_figures_gates_samples_and_next_commands(capsys):
    """The end of a run says where the model is, how good it is and what to type next."""
    samples = ("The old sailor 🌱", "second", "Había una vez\x1b[2J\nun año", "segunda")
    status = PipelineStatus(validation_results=make_results(samples=samples))
    print_summary(status, directory=Path("mi salida"))
    text = capsys.readouterr().out
    assert "Your model is in mi salida, and the report is in mi salida/report.html" in text
    assert "4.310 best, 4.400 last" in text
    assert "68 MB resident, 72 MB peak" in text
    assert "missed  target  repetition" in text
    assert "not measured" in text
    assert "en  “The old sailor 🌱”" in text
    assert "es  “Había una vez\\u001b[2J / un año”" in text
    assert "next: semilla generate 'Había una vez' --model 'mi salida'" in text
    assert "second" not in text


def test_summary_names_the_page_if_there_is_one(tmp_path, capsys):
    """A run of an earlier Semilla has none."""
    status = PipelineStatus(validation_results=make_results())
    for is_there in (False, True):
        if is_there:
            (tmp_path / "model.html").touch()
        print_summary(status, directory=tmp_path)
        assert (f"open {tmp_path / 'model.html'}" in capsys.readouterr().out) is is_there


def test_commands_match_the_languages_of_the_model():
    """A model of one language gets an opening in that language, an unknown language gets the usual ones."""
    commands = list(list_commands(make_results(languages=("es",)), directory=Path("-data")))
    assert [shlex.split(command)[1:3] for command in commands] == [["generate", "Había una vez"]]
    assert len(list(list_commands(make_results(languages=("xx",)), directory=Path("data")))) == 2


def test_languages_without_a_usual_opening_begin_like_their_sample():
    """A French model is not asked to continue an English fairy tale."""
    results = make_results(
        languages=("fr", "es"), samples=("Il était une fois un été 🌱", "b", "Un día", "d")
    )
    commands = list(list_commands(results, directory=Path("data")))
    assert [shlex.split(command)[2] for command in commands] == ["Il était une fois", "Había una vez"]


def test_openings_come_from_the_text_itself():
    """What the samples continue is from held-out text; the usual opening stands where the text has it too."""
    results = make_results(languages=("en", "es"))
    samples = [
        Sample(prompt="The court finds", text=" that", language="en"),
        Sample(prompt="Había una vez un", text=" pez", language="es"),
    ]
    results = results.model_copy(update={"samples": samples})
    commands = list(list_commands(results, directory=Path("data")))
    assert [shlex.split(command)[2] for command in commands] == ["The court finds", "Había una vez"]


def test_samples_without_known_languages_are_shown_as_they_are():
    """If samples cannot be assigned to languages, the first ones are shown."""

    def pair(**options: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(language, sample.text) for language, sample in pair_samples(make_results(**options))]

    assert pair(languages=(), samples=("a", "b")) == [("", "a"), ("", "b")]
    assert pair(samples=("a", "b", "c")) == [("", "a"), ("", "b"), ("", "c")]
    assert pair(samples=("a", "b")) == [("en", "a"), ("es", "b")]
    assert pair() == []


def test_prompt_and_continuation_are_told_apart(capsys):
    """The prompt is in brackets, in scripts without spaces too; whether the text ended by itself is shown."""
    results = make_results()
    results.samples = [
        Sample(language="zh", prompt="老爺爺", text="走到河邊", ended="itself"),
        Sample(language="zh", prompt="b", text="b", ended="limit"),
        Sample(language="es", prompt="Había una", text=" vez un", ended="limit"),
    ]
    print_summary(PipelineStatus(validation_results=results), directory=Path("data"))
    text = capsys.readouterr().out
    assert "zh  “[老爺爺]走到河邊 [end]”" in text
    assert "es  “[Había una] vez un…”" in text
    assert "next: semilla generate '老爺爺' --model data" in text


def test_a_long_sample_is_cut_at_the_end(capsys):
    """A sample has at most the length of a paragraph."""
    status = PipelineStatus(validation_results=make_results(languages=("en",), samples=("word " * 500,)))
    print_summary(status, directory=Path("data"))
    assert "word…”" in capsys.readouterr().out


def test_a_table_breaks_lines_between_words_where_the_words_fit(capsys, monkeypatch):
    """A name that can be whole on its line is whole, however narrow the terminal makes the other columns."""
    monkeypatch.setattr(tables, "make_console", lambda: Console(width=80, file=sys.stdout))
    rows = [
        ("missed", "target", "minimal_pairs.en.accuracy", "0.006185", "needs >= 0.9"),
        ("ok", "target", "overfitting_gap", "-0.1365", "needs <= 0.5 nats per token"),
    ]
    print_table(rows, indent_columns=2)
    assert {"minimal_pairs.en.accuracy", "token"} <= set(capsys.readouterr().out.split())


def test_a_table_folds_a_word_that_is_wider_than_the_terminal(capsys, monkeypatch):
    """Nothing is cut: the pieces of a folded word join to the word."""
    monkeypatch.setattr(tables, "make_console", lambda: Console(width=40, file=sys.stdout))
    print_table([("name", "x" * 100)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 100
