"""Files that try to take endless time, memory or disk from the readers of formats, small on disk."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable

_EXTERNAL = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
_LAUGHS = "<!DOCTYPE x [<!ENTITY a0 'ha'>{}]>".format(
    "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
)
_WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>'


def make_zip(members: dict[str, bytes], *, level: int = 9) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def make_tables() -> dict[str, bytes]:
    """Small sound files of the formats that pandoc does not write."""
    rows = [{"text": f"La niña soñó {n} veces, «así».", "title": f"T{n}"} for n in range(8)]
    mail = b"From a\nSubject: =?utf-8?q?=C3=B1?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhola\n--x--\n\n"
    return {
        "rows.csv": b"id;text;title\n" + "".join(f'{n};"uno, ""dos""\n{n}";t\n' for n in range(8)).encode(),
        "rows.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "rows.json": json.dumps({"rows": rows}).encode(),
        "film.srt": b"".join(
            b"%d\n00:00:01,000 --> 00:00:02,000\n<i>hola</i> %d\n\n" % (n, n) for n in range(8)
        ),
        "box.mbox": mail * 3,
        "code.py": b"def f(x):\n\treturn x\n" * 8,
        "all.zip": make_zip({"a.txt": b"hola " * 99, "b/c.md": b"# Hola\n\n- uno\n"}),
        "all.tar": _make_tar("a.txt", b"hola " * 99),
        "a.txt.gz": gzip.compress(b"hola " * 99, mtime=0),
    }


def _make_tar(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _zeros(size_mb: int) -> bytes:
    """A gzip file of so many megabytes of zeros, in about a thousandth of that."""
    machine = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    return b"".join(machine.compress(piece) for _ in range(size_mb)) + machine.flush()


def bomb_gzip(draw: random.Random) -> bytes:
    return _zeros(draw.choice([129, 200]))


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
    return draw.choice([make_zip({name: b"evil"}), _make_tar(name, b"evil")])


BOMBS: tuple[Callable[[random.Random], bytes], ...] = (
    bomb_gzip,
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
