"""Tables of measured stories, each made from a file in ``benchmarks/results``."""

from __future__ import annotations

from collections.abc import Callable

from result_tables import read_result
from write_guide import draw_table

WRITERS = {
    "model": "the model",
    "corpus": "held-out stories",
    "shuffled": "the same, sentences shuffled",
    "bigram": "bigram model",
    "untrained": "untrained network",
}


def tabulate_stories(name: str) -> str:
    """Figures of the stories of a model and of others, by language."""
    rows = (
        [
            WRITERS[writer],
            language,
            f"{figures['num_texts']:,}",
            "{share:.1%} ({low:.0%} to {high:.0%})".format(**figures["coherence"]),
            f"{figures['invented_words']:.2%}",
            f"{figures['ended']:.1%}",
            f"{figures['children_that_fit']:.1%}" if figures["num_children"] >= 100 else "",
            f"{figures['names_per_100_words']:.1f}",
            f"{figures['plots_told']:.1f}",
            f"{figures['copying_median']:.0f} of {figures['median_tokens']:.0f}",
        ]
        for writer, languages in read_result(name)["writers"].items()
        for language, figures in languages.items()
    )
    headings = (
        "who writes", "", "texts", "without a contradiction", "invented words", "ended", "boy or girl fits the name",
        "names in 100 words", "plots", "longest copy, tokens",
    )  # fmt: skip
    return draw_table(headings, rows)


def show_coherence(name: str) -> str:
    """The share of the model's stories without a contradiction, by language."""
    model = read_result(name)["writers"]["model"]
    return "; ".join(f"{found['coherence']['share']:.0%}".replace("%", " %") for found in model.values())


def tabulate_contradictions(name: str) -> str:
    """In how many of the model's stories each kind of contradiction occurs, with an example."""
    model = read_result(name)["writers"]["model"]
    rows = (
        [kind, language, count, " ".join(found["coherence"]["examples"][kind].split())]
        for language, found in model.items()
        for kind, count in sorted(
            found["coherence"]["contradictions"].items(), key=lambda one: one[1], reverse=True
        )
    )
    return draw_table(("contradiction", "", "stories", "example"), rows)


def show_stories(name: str) -> str:
    """Twenty stories a language, as the model wrote them."""
    texts = [one for language in read_result(name)["texts"].values() for one in language]
    return "```text\n" + "\n\n".join(texts) + "\n```"


STORY_TABLES: dict[str, Callable[[], str]] = {
    "stories_first_run": lambda: tabulate_stories("results/stories-first-run"),
    "contradictions_first_run": lambda: tabulate_contradictions("results/stories-first-run"),
    "texts_first_run": lambda: show_stories("results/stories-first-run"),
    "stories_default": lambda: tabulate_stories("results/stories-default"),
    "contradictions_default": lambda: tabulate_contradictions("results/stories-default"),
    "texts_default": lambda: show_stories("results/stories-default"),
}
"""What a page of the lab log can ask for by name."""
