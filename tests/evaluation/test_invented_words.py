"""Words that occur in no text of the corpus are found in what the model wrote."""

from __future__ import annotations

import math

from semilla.evaluation.words import list_known_words, measure_invention
from semilla.records.sample import Ending, Sample

KNOWN = list_known_words(["The little girl saw a river.", "¡La niña vio el RÍO!"])


def measure(text: str, *, prompt: str = "The", ended: Ending = "itself") -> tuple[float, list[str]]:
    invention = measure_invention([Sample(prompt=prompt, text=text, ended=ended)], KNOWN)
    return invention.share, invention.examples


def test_invented_words_are_counted_and_named() -> None:
    """Case, digits and punctuation do not matter."""
    assert measure(" Little GIRL acepd 12 rivers: «el río».") == (2 / 6, ["acepd", "rivers"])
    assert measure(" girl saw a river.") == (0, [])


def test_the_prompt_counts_only_where_the_model_completed_a_word() -> None:
    """An invented word of the prompt is the user's; one that the model finished is the model's."""
    assert measure(" girl", prompt="Xyzzy") == (0, [])
    assert measure("rl saw", prompt="The gi") == (0, [])
    assert measure("x saw", prompt="The gi") == (0.5, ["gix"])


def test_the_last_word_of_a_cut_text_does_not_count() -> None:
    """It may be half a word."""
    assert measure(" girl saw a riv", ended="limit") == (0, [])
    assert measure(" girl saw a riv", ended="itself") == (0.25, ["riv"])


def test_scripts_that_do_not_separate_words_are_left_out() -> None:
    """A line of Chinese or Thai is no word; without any word there is no figure."""
    share, examples = measure("老爺爺走到河邊。สวัสดี", prompt="第")
    assert math.isnan(share)
    assert examples == []
