"""Conjugates Spanish verbs: the regular ones by rule, the irregular ones as the lexicon lists them.

Persons are 1s, 2s, 3s, 1p and 3p: usted and ustedes take the third, and vosotros is not used. Tenses are ``pres``,
``imp``, ``pret``, ``fut``, ``cond``, ``subj`` and ``imper`` (tú: imper2s, usted: imper3s, nosotros: imper1p).
"""

from __future__ import annotations

from collections.abc import Mapping

from semilla.errors import InternalError
from semilla.stories.spanish_sounds import accentuate, count_after_stress, has_accent

IrregularVerbs = Mapping[str, Mapping[str, str]]

PERSONS = ("1s", "2s", "3s", "1p", "3p")
_CLITICS = dict(zip(PERSONS, ("me", "te", "se", "nos", "se"), strict=True))

_ENDINGS = {
    "ar": {
        "pres": ("o", "as", "a", "amos", "an"),
        "imp": ("aba", "abas", "aba", "ábamos", "aban"),
        "pret": ("é", "aste", "ó", "amos", "aron"),
        "subj": ("e", "es", "e", "emos", "en"),
    },
    "er": {
        "pres": ("o", "es", "e", "emos", "en"),
        "imp": ("ía", "ías", "ía", "íamos", "ían"),
        "pret": ("í", "iste", "ió", "imos", "ieron"),
        "subj": ("a", "as", "a", "amos", "an"),
    },
}
_ENDINGS["ir"] = {**_ENDINGS["er"], "pres": ("o", "es", "e", "imos", "en")}
_FUTURE = ("é", "ás", "á", "emos", "án")
_CONDITIONAL = ("ía", "ías", "ía", "íamos", "ían")
_STRONG_PRETERITE = ("e", "iste", "o", "imos", "ieron")
_AFTER_VOWEL = {"i": "í", "ió": "yó", "ieron": "yeron", "iste": "íste", "imos": "ímos"}

_SOFT_SPELLING = (("qu", "c"), ("gu", "g"), ("c", "z"), ("g", "j"))
"""How the stem of an -er or -ir verb is spelled before a and o, to keep its sound (``dirig-``: dirijo)."""
_HARD_SPELLING = (("c", "qu"), ("g", "gu"), ("z", "c"))
"""How the stem of an -ar verb is spelled before e (``busc-``: busqué)."""


def conjugate(verb: str, form: str, irregular_verbs: IrregularVerbs) -> str:
    """A form of a verb, of a reflexive verb (``esconderse``) or of a phrase that begins with a verb."""
    head, space, rest = verb.partition(" ")
    is_reflexive = head.endswith("se") and len(head) > 4
    infinitive = head.removesuffix("se") if is_reflexive else head
    known = irregular_verbs.get(infinitive, {})
    if form.startswith("inf"):
        return infinitive + (_CLITICS.get(form[3:], "se") if is_reflexive else "") + space + rest
    bare = _conjugate_nonfinite(infinitive, form, known) or _conjugate_finite(infinitive, form, known)
    return (_add_reflexive(bare, form) if is_reflexive else bare) + space + rest


def _add_reflexive(bare: str, form: str) -> str:
    if form == "part":
        return bare
    clitic = _CLITICS.get(form[-2:], "se")
    if form == "ger" or form.startswith("imper"):
        return attach_clitics(bare.removesuffix("s") if clitic == "nos" else bare, clitic)
    return f"{clitic} {bare}"


def attach_clitics(form: str, *clitics: str) -> str:
    """Attach pronouns to an imperative, gerund or infinitive, and add the accent that they make necessary."""
    word = form + "".join(clitics)
    num_after = count_after_stress(form) + len(clitics)
    return word if has_accent(form) or num_after < 2 else accentuate(word, num_after=num_after)


def _conjugate_nonfinite(infinitive: str, form: str, known: Mapping[str, str]) -> str:
    stem, ending = infinitive[:-2], infinitive[-2:].replace("í", "i")
    if form in known:
        return known[form]
    if form == "ger":
        if ending == "ar":
            return stem + "ando"
        weak = _change_weakly(stem, known) if ending == "ir" else stem
        return weak + ("yendo" if _ends_in_vowel(stem) else "iendo")
    if form == "part":
        accented = "í" if stem[-1] in "aeo" else "i"
        return stem + ("ado" if ending == "ar" else accented + "do")
    return ""


def _conjugate_finite(infinitive: str, form: str, known: Mapping[str, str]) -> str:
    tense, person = form[:-2], form[-2:]
    if person not in PERSONS:
        raise InternalError(f"{form!r} is not a form of the verb {infinitive!r}")
    place = PERSONS.index(person)
    if tense in known:
        return known[tense].split()[place]
    if tense == "imper":
        return _command(infinitive, person, known)
    if tense in ("fut", "cond"):
        endings = _FUTURE if tense == "fut" else _CONDITIONAL
        return known.get("future_stem", infinitive.replace("í", "i")) + endings[place]
    if tense == "imp":
        return infinitive[:-2] + _find_ending(infinitive, tense, place)
    makers = {"pres": _make_present, "pret": _make_preterite, "subj": _make_subjunctive}
    if tense not in makers:
        raise InternalError(f"{form!r} is not a form of the verb {infinitive!r}")
    return makers[tense](infinitive, place, known)


def _command(infinitive: str, person: str, known: Mapping[str, str]) -> str:
    if person == "2s":
        return known.get("command") or _conjugate_finite(infinitive, "pres3s", known)
    return _conjugate_finite(infinitive, f"subj{person}", known)


def _find_ending(infinitive: str, tense: str, place: int) -> str:
    return _ENDINGS[infinitive[-2:].replace("í", "i")][tense][place]


def _make_present(infinitive: str, place: int, known: Mapping[str, str]) -> str:
    if place == 0 and "yo" in known:
        return known["yo"]
    stem = infinitive[:-2] if place == 3 else _change_strongly(infinitive[:-2], known)
    ending = _find_ending(infinitive, "pres", place)
    return _spell(stem, ending, infinitive) + ending


def _make_preterite(infinitive: str, place: int, known: Mapping[str, str]) -> str:
    if strong := known.get("preterite_stem"):
        ending = _STRONG_PRETERITE[place]
        return strong + (ending.removeprefix("i") if strong.endswith("j") and place == 4 else ending)
    stem, ending = infinitive[:-2], _find_ending(infinitive, "pret", place)
    if infinitive.endswith("ir") and place in (2, 4):
        stem = _change_weakly(stem, known)
    if not infinitive.endswith("ar") and _ends_in_vowel(stem):
        is_after_u = stem.endswith("u") and not ending.startswith(("ió", "ie"))
        return stem + (ending if is_after_u else _AFTER_VOWEL.get(ending, ending))
    return _spell(stem, ending, infinitive) + ending


def _make_subjunctive(infinitive: str, place: int, known: Mapping[str, str]) -> str:
    ending = _find_ending(infinitive, "subj", place)
    if "yo" in known:
        return known["yo"].removesuffix("o") + ending
    stem = infinitive[:-2]
    if place == 3:
        stem = _change_weakly(stem, known) if infinitive.endswith("ir") else stem
    else:
        stem = _change_strongly(stem, known)
    return _spell(stem, ending, infinitive) + ending


def _change_strongly(stem: str, known: Mapping[str, str]) -> str:
    """Change the stressed stem vowel: ``change = "e>ie"`` turns pens- into piens-."""
    if "change" not in known:
        return stem
    old, _, new = known["change"].partition(">")
    before, _, after = stem.rpartition(old)
    return before + new + after


def _change_weakly(stem: str, known: Mapping[str, str]) -> str:
    """Change the unstressed stem vowel of -ir verbs: dormir, durmió; pedir, pidió."""
    if "change" not in known:
        return stem
    old = known["change"][0]
    before, _, after = stem.rpartition(old)
    return before + {"e": "i", "o": "u"}.get(old, old) + after


def _spell(stem: str, ending: str, infinitive: str) -> str:
    """Respell the stem so that its last consonant keeps its sound before the ending."""
    if infinitive.endswith("ar"):
        return _respell(stem, _HARD_SPELLING) if ending[0] in "eéi" else stem
    return _respell(stem, _SOFT_SPELLING) if ending[0] in "aoá" else stem


def _respell(stem: str, spelling: tuple[tuple[str, str], ...]) -> str:
    for old, new in spelling:
        if stem.endswith(old):
            return stem.removesuffix(old) + new
    return stem


def _ends_in_vowel(stem: str) -> bool:
    return stem[-1] in "aeou" and not stem.endswith(("gu", "qu"))
