"""Files that try to take endless time, memory or disk from the readers of formats, small on disk."""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Callable
from pathlib import Path

from format_files import make_tar, make_zip

_EXTERNAL = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
_LAUGHS = "<!DOCTYPE x [<!ENTITY a0 'ha'>{}]>".format(
    "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
)
_PARQUET = Path(__file__).parent / "fixtures" / "bombs" / "rows.parquet"
_WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>'


def _zeros(size_mb: int) -> bytes:
    """A gzip file of so many megabytes of zeros, in about a thousandth of that."""
    machine = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    return b"".join(machine.compress(piece) for _ in range(size_mb)) + machine.flush()


def bomb_gzip(draw: random.Random) -> bytes:
    return _zeros(draw.choice([129, 200]))


def bomb_zstandard(draw: random.Random) -> bytes:
    """Blocks that repeat one byte 128 KB long (RFC 8878, section 3.1.1.2), 4 bytes each."""
    block = (1 << 17 << 3 | 1 << 1).to_bytes(3, "little") + draw.choice([b"\0", b"a"])
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * draw.choice([1100, 20_000])


def bomb_text(draw: random.Random) -> bytes:
    """Words that pack to a thousandth: nothing but their number tells them from a text."""
    words = draw.choice([b"hola ", b"hola mundo\n", b"uno,dos\n"]) * 3_000_000
    return make_zip(
        {f"{n}.{draw.choice(['txt', 'csv', 'md', 'html'])}": words for n in range(draw.choice([1, 9]))}
    )


def bomb_parquet(draw: random.Random) -> bytes:
    """A million rows of one text of a kilobyte, which stands in the file once."""
    return _PARQUET.read_bytes()


def bomb_rows(draw: random.Random) -> bytes:
    """Numbers, rows and columns without end in JSON and CSV."""
    many = draw.choice([10_000, 300_000])
    return draw.choice(
        [
            b'{"text":' + b"9" * many + b"}",
            b'{"text":1e' + b"9" * many + b"}",
            b'{"a":"",' * 9 + b'"b":"' + b"\\ud800" * many + b'"}' + b"}" * 9,
            b"{" + b'"a":1,' * many + b'"text":"hola"}',
            b"text," * many + b"\n" + b"hola," * many,
            b'text\n"' + b"hola\n" * many,
            b'text\n"' + b'""' * many,
            b"text\n" + b"a\n" * many,
        ]
    )


def bomb_mail(draw: random.Random) -> bytes:
    """Messages in messages, boundaries without end, or a hundred thousand empty messages."""
    depth = draw.choice([100, 5000])
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )
    return draw.choice(
        [
            b"From a\n" + nested + b"\nhola",
            b"From a\n" + b"Content-Type: message/rfc822\n\n" * depth + b"\nhola",
            b"From a\n\n\n" * depth * 20,
            b"From a\nSubject: " + b"=?utf-8?q?=C3=B1?= " * depth * 4 + b"\n\nhola",
            b"From a\n" + b"X: y\n" * depth * 20 + b"\nhola",
            b"From a\nContent-Type: text/plain; charset=" + b"x" * depth + b"\n\nhola",
            b"From a\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(b"hola " * depth * 200),
        ]
    )


def bomb_marks(draw: random.Random) -> bytes:
    """Marks that open and never close, for readers that look for their end: Markdown, subtitles, RTF, pages."""
    return draw.choice(
        [
            *(b"[", b"[![", b"*a", b"`", b"<a", b"<!--", b"&", b"| ", b"- ", b"\n\n", b" \n", b"#", b"]("),
            *(
                b"1\n00:00:01,000 --> 00:00:02,000\n",
                b"{\\rtf1 \\'ff",
                b"\\u-9?",
                b"\xcc\x81",
                b"\xe2\x80\x8d",
            ),
            *(
                b"{\\rtf1\\bin999999999 ",
                b"<table><td rowspan=9999999>",
                b"<p title='",
                b"\t",
                b"a\x08",
                b"\x1b[",
            ),
        ]
    ) * draw.choice([10_000, 100_000])


def bomb_nested_zip(draw: random.Random) -> bytes:
    """Archives in archives, deeper than anyone packs."""
    data = make_zip({"a.txt": b"x" * (1 << 20)})
    for _ in range(draw.choice([3, 10])):
        data = make_zip({f"{n}.zip": data for n in range(4)})
    return data


def bomb_many_members(draw: random.Random) -> bytes:
    return make_zip({f"{n}.txt": b"" for n in range(draw.choice([500, 2000]))}, level=1)


def bomb_xml(draw: random.Random) -> bytes:
    """Entities that grow, or name a file, in each format of XML files."""
    head = draw.choice([_EXTERNAL, _LAUGHS])
    entity = "&e;" if head == _EXTERNAL else "&a11;"
    body = f"<?xml version='1.0'?>{head}"
    return draw.choice(
        [
            make_zip(
                {
                    "word/document.xml": (
                        body + _WORD.format(f"<w:p><w:r><w:t>{entity}</w:t></w:r></w:p>")
                    ).encode()
                }
            ),
            make_zip(
                {
                    "mimetype": b"application/epub+zip",
                    "META-INF/container.xml": f"{body}<x>{entity}</x>".encode(),
                }
            ),
            make_zip(
                {
                    "mimetype": b"application/vnd.oasis.opendocument.text",
                    "META-INF/manifest.xml": b"<x/>",
                    "content.xml": f"{body}<x>{entity}</x>".encode(),
                }
            ),
        ]
    )


def bomb_xml_size(draw: random.Random) -> bytes:
    """Millions of elements from a few kilobytes."""
    return make_zip({"word/document.xml": _WORD.format("<w:p/>" * draw.choice([20_000, 100_000])).encode()})


def bomb_pdf_loop(draw: random.Random) -> bytes:
    """A tree of pages that contains itself, or a parent that is its own child."""
    kids = draw.choice([b"2 0 R", b"2 0 R 2 0 R", b"1 0 R"])
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Parent 2 0 R/Kids["
        + kids
        + b"]/Count "
        + draw.choice([b"1", b"99999999", b"-1"])
        + b">>endobj\ntrailer<</Root 1 0 R/Prev 0>>\nstartxref\n0\n%%EOF"
    )


def bomb_pdf_stream(draw: random.Random) -> bytes:
    """A page whose content unpacks to a hundred megabytes."""
    content = zlib.compress(zlib.compress(b"BT (hola) Tj ET\n" * 100_000 * draw.choice([1, 10]), 9), 9)
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Filter[/FlateDecode/FlateDecode]/Length "
        + str(len(content)).encode()
        + b">>stream\n"
        + content
        + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    )


def bomb_nesting(draw: random.Random) -> bytes:
    """A page, a JSON value, an RTF group or a list nested a hundred thousand deep."""
    depth = draw.choice([20_000, 100_000])
    return draw.choice(
        [
            b"<!doctype html>" + b"<div>" * depth + b"x",
            b"<!doctype html>" + b"<ul><li>" * (depth // 10) + b"x",
            b"<!doctype html>" + b"<table><tr><td>" * (depth // 20) + b"x",
            b"<!doctype html>" + b"<sup>" * depth + b"x",
            b"{\\rtf1" + b"{" * depth + b"x",
            b"[" * depth,
            b'{"a":' * depth,
            b"> " * (depth // 20) + b"x",
            b"{\\rtf1" + b"{\\footnote x" * (depth // 20),
        ]
    )


def escape_archive(draw: random.Random) -> bytes:
    """Members with paths that lead out of the archive, in ZIP and tar."""
    name = draw.choice(
        ["../../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"]
    )
    return draw.choice([make_zip({name: b"evil"}), make_tar(name, b"evil")])


BOMBS: tuple[Callable[[random.Random], bytes], ...] = (
    bomb_gzip,
    bomb_zstandard,
    bomb_text,
    bomb_parquet,
    bomb_rows,
    bomb_mail,
    bomb_marks,
    bomb_nested_zip,
    bomb_many_members,
    bomb_xml,
    bomb_xml_size,
    bomb_pdf_loop,
    bomb_pdf_stream,
    bomb_nesting,
    escape_archive,
)
PACKERS: tuple[Callable[[str, bytes], bytes], ...] = (
    lambda name, data: make_zip({name: data}, level=1),
    lambda name, data: make_zip({f"a/{name}": data, "b.txt": b"hola"}, level=1),
)
