"""A word on its way into a sentence: what the lexicon knows of it, before a language gives it its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")

Gender: TypeAlias = Literal["m", "f"]
Part: TypeAlias = Literal["noun", "name", "adjective", "verb", "adverb", "phrase", "literal"]


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One word of a slot; compared by identity, which finds a phrase said before sooner than nine fields do.

    ``text`` is the dictionary form, ``form`` the inflection a template asked for (``pl``, ``past``,
    ``imp``, ``er``). ``gender`` is the grammatical one of Spanish; ``is_animate`` makes it the he or she of
    English. ``plural`` is set when the rule does not give it. A literal is a word the template's writer
    typed, to be made to agree.
    """

    text: str
    part: Part
    form: str = ""
    gender: Gender = "m"
    plural: str = ""
    is_plural: bool = False
    is_mass: bool = False
    is_animate: bool = False
    is_invariable: bool = False
