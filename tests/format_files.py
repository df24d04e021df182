"""Small sound files of every format, and damage to what is packed inside them."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "fixtures" / "formats"
DATE = (2026, 1, 1, 0, 0, 0)
"""Of every member, so that an archive is the same file at any time."""
_STREAM = re.compile(rb"(stream\r?\n)(.*?)(\r?\nendstream)", re.DOTALL)
_ZIP, _GZIP, _PDF = b"PK\x03\x04", b"\x1f\x8b", b"%PDF-"

Damage = Callable[[random.Random, bytes], bytes]


def make_zip(members: dict[str, bytes], *, level: int = 9) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=level)
    return file.getvalue()


def make_tar(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@cache
def load_samples() -> dict[str, bytes]:
    """A sound file of every format, by its name."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir())} | make_tables()


def make_tables() -> dict[str, bytes]:
    """Small sound files of the formats that pandoc and LibreOffice do not write."""
    rows = [{"text": f"La niña soñó {n} veces, «así».", "title": f"T{n}"} for n in range(8)]
    mail = b"From a\nSubject: =?utf-8?q?=C3=B1?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhola\n--x--\n\n"
    table = b"id;text;title\n" + "".join(f'{n};"uno, ""dos""\n{n}";t\n' for n in range(8)).encode()
    cues = b"".join(b"%d\n00:00:01,000 --> 00:00:02,000\n<i>hola</i> %d\n\n" % (n, n) for n in range(8))
    tar = make_tar("a.txt", b"hola " * 99)
    return {
        "rows.csv": table,
        "rows.tsv": table.replace(b";", b"\t"),
        "rows.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "rows.json": json.dumps({"rows": rows}).encode(),
        "film.srt": cues,
        "film.vtt": b"WEBVTT\n\nNOTE no text\n\n" + cues.replace(b",", b"."),
        "box.mbox": mail * 3,
        "letter.eml": b"Content-Type: text/html; charset=latin-1\nSubject: a\n\n<p>Se\xf1or</p>" * 8,
        "code.py": b"def f(x):\n\treturn x\n" * 8,
        "all.zip": make_zip({"a.txt": b"hola " * 99, "b/c.md": b"# Hola\n\n- uno\n"}),
        "all.tar": tar,
        "all.tgz": gzip.compress(tar, mtime=0),
        "a.txt.gz": gzip.compress(b"hola " * 99, mtime=0),
    }


def damage_inside(draw: random.Random, data: bytes, damage: Damage) -> bytes:
    """Damage a packed part of a file under sums that fit: readers of the outside pass it on to those of the inside.

    A part is a member of a ZIP archive, what a gzip file holds, or a stream of a PDF; other files are damaged anywhere.
    """
    if data.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        victim = draw.choice(sorted(members))
        return make_zip({**members, victim: damage(draw, members[victim])}, level=1)
    if data.startswith(_GZIP):
        return gzip.compress(damage(draw, gzip.decompress(data)), mtime=0)
    if data.startswith(_PDF):
        stream = draw.choice(list(_STREAM.finditer(data)))
        packed = zlib.compress(damage(draw, zlib.decompress(stream[2])))
        return data[: stream.start(2)] + packed + data[stream.end(2) :]
    return damage(draw, data)
