"""Draw the README's picture of a run, docs/assets/first-run.svg, from the transcript that scripts/record-guide keeps.

The picture leaves out notes, most epochs and the table of gates, with a ``⋮`` for every gap. The README has the whole
transcript as text. With ``--check``, only report whether the picture still shows the recorded run.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from write_guide import read_recorded

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "first-run.svg"
TITLE = "semilla"
COLUMNS = 120
GAP = "  ⋮"
THEME = TerminalTheme(
    (22, 27, 34),
    (214, 221, 230),
    [
        (72, 79, 88), (255, 123, 114), (86, 195, 112), (227, 179, 65),
        (88, 166, 255), (188, 140, 255), (57, 197, 207), (177, 186, 196),
    ],
)  # fmt: skip
"""A dark terminal, which stands out on a white page and on a black one."""
STYLES = (
    (r"^\$ .*", "bold"),
    (r"^\[\d/\d\] \w+: done.*", "green"),
    (r"^epoch .*|^  ⋮", "grey58"),
    (r"^Your model is ready.*", "bold green"),
    (r"^  next:.*", "cyan"),
    (r"^  \w\w  “|^      ", "italic"),
)
"""The style of each kind of line; the first pattern that matches decides."""
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""
"""Rich's own frame, with the reader's fonts instead of fonts from the network."""


def draw(transcript: Sequence[str]) -> str:
    """Return the picture of a run as SVG."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    for line in ("$ scripts/first-run", *shorten(transcript)):
        console.print(Text(line, style=choose_style(line)), no_wrap=True, overflow="ellipsis")
    return console.export_svg(title=TITLE, theme=THEME, code_format=FORMAT, unique_id="run")


def choose_style(line: str) -> str:
    return next((style for pattern, style in STYLES if re.match(pattern, line)), "")


def shorten(transcript: Sequence[str]) -> Iterator[str]:
    """Yield the lines worth a picture, and one mark for each gap."""
    epochs = [line for line in transcript if line.startswith("epoch ")]
    left_out = {*epochs[2:-2], *(line for line in transcript if re.match(r"  (ok|missed) ", line))}
    previous = ""
    for line in transcript:
        shown = GAP if line in left_out else line
        if shown != previous and not line.startswith("note: "):
            yield shown
            previous = shown


def read_words(picture: str) -> list[str]:
    """Return the words that a picture shows, however they are laid out."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    return unescape(" ".join(texts)).split()


def main() -> int:
    picture = draw(read_recorded()["transcript"])
    if "--check" not in sys.argv:
        PICTURE.write_text(picture, encoding="utf-8")
        return 0
    if read_words(PICTURE.read_text(encoding="utf-8")) == read_words(picture):
        return 0
    print(f"not current: {PICTURE.name}; run scripts/docs")
    return 1


if __name__ == "__main__":
    sys.exit(main())
