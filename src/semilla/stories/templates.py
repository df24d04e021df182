"""Compiles the templates that writers type.

[big|small]          one of the two (they nest)
{the look thing}     a noun phrase about facts of the story; the language makes its words agree
{thing.pl}           a form of a fact: a plural, a tense, a phrase of its lexicon entry
{hero:he}            a word that agrees with a fact: he or she, contento or contenta
{hero+helper:amigo}  a word that agrees with several: amigos or amigas
{hero:He}            the same with a capital, for a sentence that begins after a closing quotation mark
{@meet}              any template of the bank ``meet``
//                   a new line
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from semilla.errors import InternalError

_SPECIAL = re.compile(r"[\[\]|{}]")


@dataclass(frozen=True, slots=True)
class Word:
    """``thing.pl`` is the word ``thing`` in the form ``pl``; ``helper.kind.pl`` has two forms."""

    base: str
    forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    words: tuple[Word, ...]
    targets: tuple[Word, ...] = ()
    is_capitalised: bool = False


@dataclass(frozen=True, slots=True)
class BankSlot:
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[Template, ...]


Node: TypeAlias = "str | Slot | BankSlot | Choice"
Template: TypeAlias = "tuple[Node, ...]"


def compile_template(text: str) -> Template:
    """Parse one template; InternalError when its brackets do not match."""
    template, end = _parse_sequence(text, 0, closers="")
    if end != len(text):
        raise InternalError(f"unexpected {text[end]!r} at character {end} of the template {text!r}")
    return template


def compile_lines(text: str) -> tuple[Template, ...]:
    """Parse a block of alternatives, one a line, without the blank lines."""
    return tuple(compile_template(line.strip()) for line in text.splitlines() if line.strip())


def _parse_sequence(text: str, start: int, *, closers: str) -> tuple[Template, int]:
    nodes: list[Node] = []
    while match := _SPECIAL.search(text, start):
        position, mark = match.start(), match.group()
        if text[start:position]:
            nodes.append(text[start:position])
        if mark == "{":
            start = text.find("}", position) + 1
            if not start:
                raise InternalError(f"a brace is never closed in the template {text!r}")
            nodes.append(_parse_slot(text[position + 1 : start - 1]))
        elif mark == "[":
            choice, start = _parse_choice(text, position + 1)
            nodes.append(choice)
        elif mark in closers:
            return tuple(nodes), position
        else:
            raise InternalError(f"unexpected {mark!r} at character {position} of the template {text!r}")
    if closers:
        raise InternalError(f"a bracket is never closed in the template {text!r}")
    return (*nodes, *([text[start:]] if text[start:] else [])), len(text)


def _parse_choice(text: str, start: int) -> tuple[Choice, int]:
    options: list[Template] = []
    while True:
        option, end = _parse_sequence(text, start, closers="|]")
        options.append(option)
        start = end + 1
        if text[end] == "]":
            return Choice(tuple(options)), start


@cache
def _parse_slot(text: str) -> Node:
    if text.startswith("@"):
        return BankSlot(text[1:])
    target, _, words = text.rpartition(":")
    if not words.split():
        raise InternalError(f"the slot {{{text}}} has no word")
    targets = target.split("+") if target else []
    is_capitalised = words.lstrip()[0].isupper()
    return Slot(
        tuple(map(_parse_word, words.lower().split())), tuple(map(_parse_word, targets)), is_capitalised
    )


def _parse_word(text: str) -> Word:
    base, *forms = text.split(".")
    return Word(base, tuple(forms))
