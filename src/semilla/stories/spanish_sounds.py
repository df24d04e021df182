"""Syllables and stress of Spanish words, as far as the spelling depends on them."""

from __future__ import annotations

from functools import cache

_VOWELS = "aeiouáéíóúü"
_WEAK = "iuü"
_ACCENTS = str.maketrans("áéíóú", "aeiou")
_ACCENTED = str.maketrans("aeiou", "áéíóú")


def strip_accents(word: str) -> str:
    return word.translate(_ACCENTS)


def has_accent(word: str) -> bool:
    return word != strip_accents(word)


def find_nuclei(word: str) -> list[str]:
    """The vowels of each syllable: a, ue, a in ``abuela``; í, o in ``tío``."""
    nuclei: list[str] = []
    previous = -2
    for place, letter in enumerate(word):
        if letter not in _VOWELS or _is_silent(word, place):
            continue
        is_diphthong = previous == place - 1 and (word[place - 1] in _WEAK or letter in _WEAK)
        if is_diphthong:
            nuclei[-1] += letter
        else:
            nuclei.append(letter)
        previous = place
    return nuclei


def _is_silent(word: str, place: int) -> bool:
    is_after_qg = word[place - 1 : place] in ("q", "g")
    return word[place] == "u" and is_after_qg and word[place + 1 : place + 2] in tuple("eiéí")


def count_after_stress(word: str) -> int:
    """The number of syllables after the stressed one, in a word without a written accent."""
    return 1 if word[-1] in "aeiouns" and len(find_nuclei(word)) > 1 else 0


def accentuate(word: str, *, num_after: int) -> str:
    """Write an accent on the syllable that ``num_after`` syllables follow."""
    end = len(word)
    *after, stressed = reversed(find_nuclei(word)[-1 - num_after :])
    for nucleus in (*after, stressed):
        end = word.rfind(nucleus, 0, end)
    place = end + next((at for at, letter in enumerate(stressed) if letter in "aeo"), len(stressed) - 1)
    return word[:place] + word[place].translate(_ACCENTED) + word[place + 1 :]


@cache
def starts_with_stressed_a(noun: str) -> bool:
    """Whether a feminine noun takes the article el: agua, hada, águila, but not abeja."""
    head = noun.split(" ", maxsplit=1)[0].removeprefix("h")
    if head.startswith("á"):
        return True
    is_unaccented = not has_accent(head)
    num_syllables = len(find_nuclei(head))
    return head.startswith("a") and is_unaccented and num_syllables - count_after_stress(head) == 1
