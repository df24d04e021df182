"""Common first words of the stories: prompts for a model trained on them."""

from __future__ import annotations

OPENINGS: dict[str, tuple[str, ...]] = {
    "en": (
        "Once upon a time there was a",
        "There was once a",
        "This is the story of",
        "Do you know the story of",
    ),
    "es": (
        "Había una vez un",
        "Érase una vez una niña",
        "Esta es la historia de un niño",
        "¿Conoces la historia de",
    ),
}


def list_openings(language: str) -> tuple[str, ...]:
    """The openings of a language; none if there are no stories in it."""
    return OPENINGS.get(language, ())
