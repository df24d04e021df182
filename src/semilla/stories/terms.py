"""A word before it is inflected, with everything that the lexicon knows about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")

Gender: TypeAlias = Literal["m", "f"]
Part: TypeAlias = Literal["noun", "name", "adjective", "verb", "adverb", "phrase", "literal"]


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One word of a slot. Compared by identity: a cache finds it faster that way than by nine fields.

    ``text`` is the dictionary form, ``form`` the inflection that a template asks for (``pl``, ``past``, ``imp``,
    ``er``). ``gender`` is the grammatical gender in Spanish; with ``is_animate`` it also chooses he or she in English.
    ``plural`` is set when it is irregular. A literal is a word typed in the template, to be made to agree.
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

    @property
    def is_several(self) -> bool:
        """Plural by nature (boots) or by the form asked for."""
        return self.is_plural or self.form == "pl"

    def inflect_noun(self, pluralise: Callable[[str], str]) -> str:
        """The noun in the number asked for; ``pluralise`` is the rule of its language."""
        if self.form == "pl" and not self.is_plural:
            return self.plural or pluralise(self.text)
        return self.text
