"""The numbers and tables of the guide are those of the recorded run and of the current code."""

from __future__ import annotations

import re

import pytest
from guide_figures import collect_overfitting, draw_losses, list_sizes
from record_guide import collect, flatten, read_command
from write_guide import (
    BLOCK,
    GENERATED,
    GUIDE,
    NUMBER,
    PAGES,
    RECORDED,
    SPANISH_PAGES,
    count_marks,
    read_recorded,
    rewrite,
    rewrite_in_spanish,
    translate,
)

from semilla.errors import SemillaError

RUN = read_recorded()
TOY = {"figures": {"loss": 2.13912, "pieces": 2000}, "epochs": [], "findings": [], "transcript": ["fin ñ"]}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_number_is_stale(path):
    """Writing the page again changes nothing. If it does, scripts/docs or scripts/record-guide was not run."""
    text = path.read_text(encoding="utf-8")
    assert rewrite(text, RUN) == text


@pytest.mark.parametrize("path", SPANISH_PAGES, ids=lambda path: path.stem)
def test_no_number_is_stale_in_spanish(path):
    """The Spanish pages are written by the same script."""
    text = path.read_text(encoding="utf-8")
    assert rewrite_in_spanish(text, RUN) == text


@pytest.mark.parametrize("path", [*PAGES, *SPANISH_PAGES], ids=lambda path: path.stem)
def test_every_mark_is_understood(path):
    """A mark without a number or a block without an end would never be updated."""
    text = path.read_text(encoding="utf-8")
    assert count_marks(text) == (len(NUMBER.findall(text)), len(BLOCK.findall(text)))


@pytest.mark.skipif(not RECORDED.is_file(), reason="no run is recorded yet; scripts/record-guide makes one")
def test_the_run_that_was_recorded_is_the_first_run():
    """Its command is that of scripts/first-run, and it has a date and a machine."""
    assert RUN["command"].split() == read_command()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", RUN["date"])
    assert RUN["machine"]
    assert RUN["transcript"][-1]
    words = read_command()
    assert len(RUN["epochs"]) == int(words[words.index("--num-epochs") + 1])


@pytest.mark.parametrize("chapter", ["01-overview", "07-evaluation-and-checkpoints", "10-device"])
def test_chapters_quote_the_recorded_run(chapter):
    """The numbers that readers compare with their own run were measured, and are kept up to date."""
    text = (GUIDE / f"{chapter}.md").read_text(encoding="utf-8")
    assert sum(count_marks(text)) >= 2


def test_numbers_and_blocks_are_replaced():
    """The number before a mark and the lines of a generated block are replaced. All else stays."""
    page = (
        "Loss 9.999<!-- recorded: loss .3f -->, 1<!-- recorded: pieces ,d --> pieces.\n"
        "<!-- generated: recorded_transcript -->\nold\n<!-- end -->\n2.5 stays\n"
    )
    assert rewrite(page, TOY) == (
        "Loss 2.139<!-- recorded: loss .3f -->, 2,000<!-- recorded: pieces ,d --> pieces.\n"
        "<!-- generated: recorded_transcript -->\n```text\nfin ñ\n```\n<!-- end -->\n2.5 stays\n"
    )
    assert rewrite(rewrite(page, TOY), TOY) == rewrite(page, TOY)


def test_spanish_pages_get_spanish_numbers_and_headings():
    """Thousands are set apart by a narrow space from five digits on. Cells and sentences are translated."""
    figures = {"long": 712320, "short": 7083, "huge": 8388509}
    page = " ".join(f"1<!-- recorded: {name} ,d -->" for name in figures)
    written = rewrite_in_spanish(page, {**TOY, "figures": figures})
    assert re.sub("<!--.*?-->", "", written) == "712\u202f320 7083 8\u202f388\u202f509"
    assert rewrite_in_spanish(written, {**TOY, "figures": figures}) == written
    assert translate("| epoch | training loss |\n| `rss_mb` | yes |") == (
        "| época | pérdida de entrenamiento |\n| `rss_mb` | sí |"
    )


@pytest.mark.parametrize(
    "mark", ["1<!-- recorded: nothing .3f -->", "<!-- generated: nothing -->\n<!-- end -->"]
)
def test_a_mark_for_what_is_not_there_is_an_error(mark):
    """A misspelt name is an error."""
    with pytest.raises(KeyError, match="nothing"):
        rewrite(mark, TOY)


def test_nested_details_get_both_names():
    """Each number of a phase record has one name. Strings and booleans are not numbers."""
    details = {"bytes_per_token": {"en": 3.1, "es": 3.0}, "vocab_size": 2000, "corpus_drift": False, "a": "b"}
    assert flatten(details) == {"bytes_per_token_en": 3.1, "bytes_per_token_es": 3.0, "vocab_size": 2000}


def test_a_folder_without_a_run_is_not_recorded(tmp_path):
    """Only a finished run can be recorded."""
    with pytest.raises(SemillaError):
        collect(tmp_path, [])


def test_a_ladder_shows_how_one_opening_goes_on():
    """The first, the middle and the last epoch, each with its bits per byte; line breaks are spaces."""
    epochs = [
        {
            "epoch_number": number,
            "bits_per_byte": {"all": 3 / number},
            "samples": [{"prompt": "Había", "text": f" una\nvez {number}."}],
        }
        for number in range(1, 8)
    ]
    lines = GENERATED["recorded_ladder"]({**TOY, "epochs": epochs}).splitlines()
    assert lines[1:3] == ["epoch 1, 3.000 bits per byte:", "  [Había] una vez 1."]
    assert [line.split(",")[0] for line in lines[1:-1:2]] == ["epoch 1", "epoch 4", "epoch 7"]
    assert GENERATED["recorded_openings"]({**TOY, "epochs": epochs}) == "```text\n[Había] una vez 7.\n```"


def test_texts_at_several_temperatures_are_shown_when_they_are_recorded():
    """An older record has none, and then nothing is shown."""
    assert GENERATED["recorded_temperatures"](TOY) == ""
    texts = [{"prompt": "Había", "temperature": 0.5, "text": " una\nvez"}]
    block = GENERATED["recorded_temperatures"]({**TOY, "temperatures": texts})
    assert "continues `Había`" in block
    assert "\n0.5: una vez\n" in block


def test_losses_are_drawn_from_the_second_epoch_on():
    """Every epoch has a training and a validation loss, unless they fall on one place."""
    run = {"train_loss": [9.0, 4.0, 3.0, 1.0], "validation_loss": [9.0, 5.0, 4.0, 6.0]}
    rows = draw_losses(run).splitlines()[1:-1]
    assert rows[0] == " 6.00 ┤        ○"
    assert rows[-3] == " 1.00 ┤        ●"
    assert sum(row.count("●") for row in rows) == sum(row.count("○") for row in rows) == 3
    assert rows[-1].split() == ["2", "3", "4"]
    assert collect_overfitting(run)["overfitted_best_epoch"] == 3


def test_the_law_likes_larger_networks_for_larger_texts():
    """As the chapter says: the largest shape is the worst for the smallest text, and the best for the largest text."""
    rows = [[float(cell.split()[0]) for cell in cells] for _, *cells in list_sizes()]
    assert rows[0][-1] == max(rows[0])
    assert rows[-1][-1] == min(rows[-1])
