"""Combinations of character, object and plot that are kept out of training."""

from __future__ import annotations

from random import Random

import pytest

from semilla.stories.heldout import HELD_OUT_SHARE, Combination, is_held_out
from semilla.stories.plots import Plot, choose_facts, find_combination
from semilla.stories.stories import load_library, tell_story
from semilla.stories.terms import LANGUAGES

PLOTS = load_library().plots


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_story_for_training_has_a_held_out_combination(language: str) -> None:
    """This holds for every seed."""
    for seed in (0, 1):
        told = [tell_story(language, seed=seed, index=index) for index in range(1500)]  # type: ignore[arg-type]
        assert not any(is_held_out(story.combination) for story in told)


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_stories_have_nothing_else(language: str) -> None:
    """Held-out stories share plots with the others, but no combination."""
    held_out, usual = (
        [tell_story(language, seed=0, index=index, held_out=kept) for index in range(1500)]  # type: ignore[arg-type]
        for kept in (True, False)
    )
    assert all(is_held_out(story.combination) for story in held_out)
    assert not {story.combination for story in held_out} & {story.combination for story in usual}
    assert (
        {story.plot for story in held_out} == {story.plot for story in usual} == {plot.key for plot in PLOTS}
    )


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_every_plot_has_both_kinds(plot: Plot) -> None:
    """The character and the object of a held-out combination both occur in other stories."""
    lexicon = load_library().lexicon
    rng = Random(0)
    usual = [find_combination(plot, choose_facts(plot, rng, lexicon)) for _ in range(300)]
    held_out = [find_combination(plot, choose_facts(plot, rng, lexicon, held_out=True)) for _ in range(10)]
    assert {one.character for one in held_out} <= {one.character for one in usual}


def test_about_the_share_promised_is_held_out() -> None:
    """One combination in eight is held out."""
    kept = [is_held_out(Combination("fox", str(number), "lost_toy")) for number in range(5_000)]
    assert abs(sum(kept) / len(kept) - HELD_OUT_SHARE) < 0.02


def test_a_combination_is_held_out_for_good() -> None:
    """The hash is fixed: models trained by earlier versions never saw these combinations either."""
    combinations = [
        Combination("girl", thing, "lost_toy") for thing in ("kite", "ball", "doll", "drum", "hat")
    ]
    assert [is_held_out(one) for one in combinations] == [False, True, False, False, False]
