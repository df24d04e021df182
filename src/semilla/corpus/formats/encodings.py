"""Which encoding a file without a byte order mark is in: proven by its bytes, declared in its head, or guessed.

A guess is never used by itself: the reader of a file sees a line of the decoded text and decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from semilla.configuration.encodings import find_encoding
from semilla.corpus.formats.detect import HEAD_BYTES

_SAMPLE_BYTES = 1 << 16
_DECLARATIONS = (
    re.compile(rb"^Character set encoding: *([\w .-]+)", re.M | re.I),  # Project Gutenberg
    re.compile(rb"""<\?xml[^>]{0,200}encoding=["']([\w.-]+)""", re.I),
    re.compile(
        rb"""charset\s*=\s*["']?([\w.:-]+)|@charset\s*["']([\w.-]+)""", re.I
    ),  # HTML, mail, gettext, CSS
    re.compile(rb"^[^\n]{0,200}?coding[:=]\s*([\w.-]+)", re.M),  # Emacs, vim, Python
)
_EIGHT_BIT_NAME = re.compile(rb"This file should be named [\w.]*-8\.(?:txt|zip)", re.I)
"""Project Gutenberg's own sign for Latin-1, from the years before headers declared an encoding."""
_UNDECLARED = {"ascii", "utf-7", "utf-8"}
"""Bytes above 0x7F that are not UTF-8 are none of these."""
_ESCAPES = {b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$)C": "iso2022_kr"}
_PRINTABLE = bytes([*b"\t\n\f\r", *range(0x20, 0x7F)])
_MAX_ODD_SHARE = 0.02

_COMMON = (  # noqa: SIM905 - a list of names reads better so
    "cp1252 latin-1 cp1250 iso8859-2 cp1251 koi8-r koi8-u iso8859-5 cp866 cp1253 iso8859-7 cp1254 cp1255 cp1256 cp1257 "
    "mac-roman cp437 cp850 cp852 iso8859-15 cp932 euc_jp gb18030 big5 cp949 cp874 mac-cyrillic"
).split()
"""What is tried, the more usual first, before what charset-normalizer finds likely."""
_MIN_FIT = 0.5
_GOOD_FIT, _CLEARLY_BETTER = 0.9, 0.1
_MIN_OTHERS = 20
_VOWELS = "аеиоуαειοάέίό"
_MIN_VOWELS = 0.2
"""They are a third of a text. Hebrew read as Cyrillic has fewer."""
_LANGUAGES = (
    "áéíóúüñ",  # Spanish
    "àâæçéèêëîïôœùûüÿ",  # French, and English words from it
    "äöüßéèà",  # German
    "ãõçáéíóúâêôà",  # Portuguese
    "àèéìíòóùú",  # Italian
    "àçéèíïóòúü",  # Catalan
    "åäöæøéü",  # Swedish, Danish, Norwegian, Finnish
    "áéíóúýðþæö",  # Icelandic
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "ąćęłńóśźż",  # Polish
    "áéíóöőúüű",  # Hungarian
    "ăâîşţșț",  # Romanian
    "čćđšž",  # Croatian, Slovene
    "çğıiöşüâîû",  # noqa: RUF001 - Turkish
    "ąčęėįšųūž",  # Lithuanian
    "āčēģīķļņšūž",  # Latvian
    "äöõüšž",  # Estonian
    "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",  # Vietnamese
    "абвгдежзийклмнопрстуфхцчшщъыьэюяё",  # Russian, Bulgarian
    "абвгдежзийклмнопрстуфхцчшщьюяіїєґ",  # Ukrainian
    "абвгдђежзијклљмнњопрстћуфхцчџш",  # Serbian
    "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",  # Greek
)
_TYPOGRAPHY = frozenset("“”‘’„‚«»‹›–—…•·°§©®™€£¿¡№ºª\xa0「」『』（）、。，！？：；")  # noqa: RUF001
_EAST_ASIAN_SIGNS = re.compile("[\u2190-\u2199\u2460-\u2473\u2605\u2606\u3000-\u303f\uff01-\uff60]")
"""Spaces, brackets, wide letters and digits of Chinese and Japanese pages: of no language, as the typography."""
_ALPHABETS = re.compile("[\u0370-\u06ff\u0e01-\u0e5b]")
"""Greek, Cyrillic, Hebrew, Arabic, Thai: their letters do not stand beside a Latin one."""
_OTHER_SCRIPTS = re.compile(
    "[\u05d0-\u05ea\u0600-\u06ff\u0e01-\u0e5b\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]"
)


@dataclass(frozen=True)
class Guess:
    """An encoding that may be right, a line of the text as it decodes it, and how well its letters fit a language."""

    encoding: str
    line: str
    fit: float


def find_unmarked_encoding(data: bytes) -> str | None:
    """Find UTF-16 or UTF-32 without a mark, and ISO 2022, which their NUL bytes and escapes prove.

    UTF-16 and UTF-32 may be damaged in a few places.
    """
    sample = data[: _SAMPLE_BYTES & ~3]
    for escape, encoding in _ESCAPES.items():
        if escape in sample and sample.isascii():
            return encoding if _is_plausible(data, encoding, errors="strict") else None
    if b"\0" not in sample:
        return None
    zeros = [sample[place::4].count(0) / max(1, len(sample[place::4])) for place in range(4)]
    low, high = zeros[0] + zeros[2], zeros[1] + zeros[3]
    candidate = None
    if zeros[3] > 0.99 and zeros[2] > 0.9:
        candidate = "utf-32-le"
    elif zeros[0] > 0.99 and zeros[1] > 0.9:
        candidate = "utf-32-be"
    elif max(low, high) > 0.01 and min(low, high) < 0.01 * max(low, high):
        # A text with stray NULs is plain letters, and no letter is as frequent as the first byte of an alphabet.
        first_bytes = Counter(sample[1 if high > low else 0 :: 2])
        num_plain = len(sample) - len(sample.translate(None, _PRINTABLE)) + sample.count(0)
        if max(first_bytes.values()) > 0.3 * first_bytes.total() or num_plain < 0.8 * len(sample):
            candidate = "utf-16-le" if high > low else "utf-16-be"
    return candidate if candidate and _is_plausible(data, candidate, errors="replace") else None


def _is_plausible(data: bytes, encoding: str, *, errors: str) -> bool:
    """Return whether data decode to characters that texts have."""
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError:
        return False
    counts = Counter(text[:_SAMPLE_BYTES])
    num_odd = sum(
        count
        for one, count in counts.items()
        if one == "\ufffd"
        or (unicodedata.category(one) in {"Cc", "Cn", "Co"} and one not in "\t\n\f\r\x1b\ufeff")
    )
    return num_odd <= _MAX_ODD_SHARE * counts.total()


def find_declared_encoding(data: bytes) -> str | None:
    """Find the encoding that the head of a file declares, as Python names it; None if it declares none that we know."""
    head = data[:HEAD_BYTES].replace(b"\r", b"\n")
    for pattern in _DECLARATIONS:
        declared = pattern.search(head)
        if declared:
            label = next(group for group in declared.groups() if group is not None)
            found = find_encoding(label.decode("ascii", "replace"))
            if found and found not in _UNDECLARED:
                return found
    return "latin-1" if _EIGHT_BIT_NAME.search(head) else None


def count_damage(data: bytes) -> tuple[int, int]:
    """Count the characters beyond ASCII that are valid UTF-8, and the bytes that are not."""
    text = data.decode("utf-8", "surrogateescape")
    beyond = re.findall(r"[^\x00-\x7f]", text)
    num_bad = sum("\udc80" <= one <= "\udcff" for one in beyond)
    return len(beyond) - num_bad, num_bad


def guess_encoding(data: bytes) -> Guess | None:
    """Guess the encoding of a file; None if no encoding makes a text of it."""
    sample = _take_sample(data)
    best, best_fit = None, 0.0
    for encoding in dict.fromkeys(_list_candidates(sample)):
        try:
            text = sample.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        fit = _measure_fit(text) * (_measure_simplified_share(text) if encoding == "gb18030" else 1)
        if fit > best_fit + 0.005 and _decodes(data, encoding):
            best, best_fit = Guess(encoding, _find_line(text), fit), fit
    if best is None or best_fit < _MIN_FIT:
        return None
    encoding = _find_usual_name(sample, best.encoding)
    is_latin_1 = encoding == "cp1252" and not re.search(rb"[\x80-\x9f]", data)
    return replace(best, encoding="latin-1" if is_latin_1 else encoding)


def find_better_encoding(text: str, encoding: str) -> Guess | None:
    """Guess again for a text that was decoded as its file or somebody says; None if no other encoding fits better."""
    try:
        data = text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return None
    fit = _measure_fit(_take_sample(data).decode(encoding))
    guess = guess_encoding(data) if fit < _GOOD_FIT else None
    return guess if guess and guess.fit > fit + _CLEARLY_BETTER else None


def _list_candidates(sample: bytes) -> Iterator[str]:
    # Imported late: only files that are neither UTF-8 nor declared need it.
    from charset_normalizer import from_bytes  # noqa: PLC0415

    matches = [match for match in from_bytes(sample) if not match.encoding.startswith("utf")]
    likely = [(find_encoding(match.encoding) or match.encoding, str(match)) for match in matches]
    others = _ALPHABETS.findall(likely[0][1]) + _OTHER_SCRIPTS.findall(likely[0][1]) if likely else []
    if len(others) > max(_MIN_OTHERS, len(sample) / 10):
        yield likely[0][0]  # it tells scripts apart; among encodings with Latin letters it is often wrong
    yield from _COMMON
    yield from (encoding for encoding, _ in likely)


def _find_usual_name(sample: bytes, encoding: str) -> str:
    """Return the usual encoding that decodes the sample to the same text."""
    text = sample.decode(encoding)
    for usual in _COMMON:
        try:
            if sample.decode(usual) == text:
                return usual
        except UnicodeDecodeError:
            continue
    return encoding


def _take_sample(data: bytes) -> bytes:
    """Take the first lines with bytes beyond ASCII."""
    lines, size = [], 0
    for line in re.split(rb"[\r\n]+", data):
        if not line.isascii():
            lines.append(line[:_SAMPLE_BYTES])
            size += len(line)
        if size >= _SAMPLE_BYTES:
            break
    return b"\n".join(lines)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _measure_fit(text: str) -> float:
    """Measure the share of the characters beyond ASCII that one language uses, where that language uses them.

    A capital after a small letter, and a Chinese character beside a Latin letter, are signs of a wrong encoding.
    """
    used = Counter[str]()
    num_wrong = 0
    for match in re.finditer(r"[^\x00-\x7f]", text):
        one, place = match[0], match.start()
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if one in _TYPOGRAPHY or _EAST_ASIAN_SIGNS.match(one):
            continue
        is_capital = one.isupper() and (before.islower() or (after.islower() and before.isupper()))
        num_latin = sum(letter.isascii() and letter.isalpha() for letter in before + after)
        is_mixed = num_latin > 0 if _ALPHABETS.match(one) else num_latin == 2 and _OTHER_SCRIPTS.match(one)
        if is_capital or is_mixed:
            num_wrong += 1
        else:
            used[one.lower()] += 1
    total = used.total() + num_wrong
    if not total:
        return 1.0
    others = sum(count for one, count in used.items() if _OTHER_SCRIPTS.match(one))
    best = max(others, *(_count_letters(used, language) for language in _LANGUAGES))
    return best / total


def _measure_simplified_share(text: str) -> float:
    """Measure the share of usual Chinese characters: GB18030 makes rare ones of Shift_JIS, and of nearly any bytes."""
    found = "".join(_OTHER_SCRIPTS.findall(text))
    return 1 - found.encode("gb2312", "replace").count(b"?") / max(1, len(found))


def _count_letters(used: Counter[str], language: str) -> float:
    """Count the letters of one language; half, if that is Cyrillic or Greek without its vowels."""
    count = sum(used[letter] for letter in language)
    is_likely = not _ALPHABETS.match(language) or sum(used[vowel] for vowel in _VOWELS) > _MIN_VOWELS * count
    return count if is_likely else count / 2


def _find_line(text: str) -> str:
    """Find the line that shows most of an encoding, cut to a length that fits into a message."""
    lines = [line.strip() for line in text.split("\n")[:50]]
    line = max(lines, key=lambda one: len(re.findall(r"[^\x00-\x7f]", one[:60])))
    return line if len(line) <= 60 else f"{line[:59]}…"
