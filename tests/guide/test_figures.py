"""The figures of the web edition show what was recorded, in both languages, below the blocks they belong to."""

from __future__ import annotations

import json
import shlex
from xml.etree import ElementTree

import pytest
from draw_figures import DRAWN, PLACES, WORDS, draw, insert_figures, list_learning_rates, read_figures
from guide_figures import read_overfitted
from record_figures import BINS_PER_STEP, read_command
from write_guide import GUIDE, read_recorded

LANGUAGES = {"en": GUIDE, "es": GUIDE / "es"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("figure", PLACES)
def test_a_figure_is_inserted_below_its_block(figure, language):
    """The chapter of each language gets it once, between a block and a new paragraph, and keeps everything else."""
    name, text = PLACES[figure]
    page = (LANGUAGES[language] / name).read_text(encoding="utf-8")
    drawn = draw(figure, language=language)
    before, found, after = insert_figures(page, name, language=language).partition(f"\n{drawn}\n\n")
    assert found
    assert before.endswith("\n```\n")
    assert text in before[before.rindex("```", 0, -5) - 200 :]
    assert before + after == page


@pytest.mark.parametrize("language", LANGUAGES)
def test_attention_leads_to_the_page_of_a_model(language):
    """If the site has the page of a model, the chapter that shows attention links to it, and no other does."""
    for name, _ in PLACES.values():
        page = (LANGUAGES[language] / name).read_text(encoding="utf-8")
        found = insert_figures(page, name, language=language, model_address="m.html#inside").count(
            "](m.html#inside)"
        )
        assert found == name.startswith("03")


def test_a_page_without_figures_stays():
    """Only the chapters that are named get figures, and one that lost its block is an error."""
    assert insert_figures("text", "01-overview.md", language="en") == "text"
    with pytest.raises(ValueError, match="03-model-initialization"):
        insert_figures("text", "03-model-initialization.md", language="en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("figure", DRAWN)
def test_a_figure_is_described_in_words(figure, language):
    """The picture has a title and a description in the language of the page, for those who do not see it."""
    drawn = draw(figure, language=language)
    assert "\n\n" not in drawn, "Markdown ends the HTML at a blank line"
    (picture,) = ElementTree.fromstring(drawn).findall("svg")
    title, description = (picture.findtext(tag) for tag in ("title", "desc"))
    assert title == ElementTree.fromstring(drawn).findtext("figcaption")
    assert description.startswith(WORDS[language][f"{figure}_text"].partition("{")[0])
    assert picture.get("aria-labelledby") == f"{figure}-title {figure}-text"


def test_losses_are_those_of_the_run_that_chapter_7_quotes():
    """The description says where the validation loss was lowest, and the line ends at the last value."""
    losses = read_overfitted()["validation_loss"]
    drawn = draw("losses", language="es")
    assert f"a {min(losses):.2f} en la época {losses.index(min(losses)) + 1}" in drawn
    assert f">{losses[-1]:.2f}</text>" in drawn


def test_the_learning_rate_is_that_of_the_recorded_run():
    """The run recorded the rate of the last step of its first and of its last epoch."""
    rates, figures = list_learning_rates(), read_recorded()["figures"]
    assert rates[figures["steps_per_epoch"] - 1] == pytest.approx(figures["first_learning_rate"])
    assert rates[-1] == pytest.approx(figures["last_learning_rate"])


def test_recorded_figures_come_from_the_run_of_the_first_chapter():
    """The command is the one that the chapter shows now; otherwise scripts/record_figures.py was not run."""
    assert shlex.split(read_figures()["command"]) == read_command()


def test_shares_of_attention_are_a_mask_and_sum_to_one():
    """No piece reads a later one. The shares of each piece sum to one, up to rounding."""
    recorded = read_figures()["attention"]
    for head in (head for layer in recorded["shares"] for head in layer):
        for place, row in enumerate(head):
            assert len(row) == len(recorded["pieces"])
            assert row[place + 1 :] == [0.0] * (len(row) - place - 1)
            assert sum(row) == pytest.approx(1, abs=0.0005 * len(row))


def test_int8_leaves_weights_on_whole_steps_only():
    """Rounding moves weights to the next whole step. In float32 they are everywhere, in about the same number."""
    recorded = read_figures()["weights"]
    assert all(count == 0 for place, count in enumerate(recorded["int8"]) if place % BINS_PER_STEP)
    assert all(recorded["float32"])
    assert sum(recorded["int8"]) == pytest.approx(sum(recorded["float32"]), rel=0.1)


def test_the_record_holds_no_more_than_the_figures_show():
    """Its keys are the figures that it serves, and the command."""
    assert json.loads((GUIDE / "recorded" / "figures.json").read_text(encoding="utf-8")).keys() == {
        "command",
        "attention",
        "weights",
    }
