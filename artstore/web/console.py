"""Console output as HTML: colours become classes, and no other control sequence has an effect."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup

from artstore.web.render import printed
from artstore.web.sources import StoredFile

_PIECE = 128 << 10
"""Bytes on one page."""
_LINE = 4000
"""Characters of a line that are shown."""
_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]{0,100})m"  # a colour or style
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # another control sequence
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # a title, a link, and so on
    r"|\x1b[ -/]*[0-~]?"
)
_SPAN = Markup('<span class="{}">{}</span>')


class Tail(NamedTuple):
    """A part of a long text, which ends at the end of a line."""

    content: Markup
    start: int
    """the byte at which it starts"""
    end: int
    size: int
    """bytes of the whole text"""


def tail(file: StoredFile, before: int | None = None) -> Tail:
    """The last whole lines of a text, or the last before a byte."""
    end = file.size if before is None else min(before, file.size)
    start = max(0, end - _PIECE)
    with file.open() as opened:
        opened.seek(start)
        data = opened.read(end - start)
    if start and (at := data.find(b"\n") + 1):
        data, start = data[at:], start + at
    return Tail(coloured(data.decode("utf-8", "replace")), start, end, file.size)


def coloured(text: str) -> Markup:
    """Console output as HTML. Of a line that was written over, such as a progress bar, the last state is shown."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    cut = (line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in lines)
    return Markup("").join(_spans("\n".join(cut)))


def _spans(text: str) -> Iterator[Markup]:
    at, style = 0, frozenset[str]()
    for found in _SEQUENCE.finditer(text):
        yield _span(text[at : found.start()], style)
        at = found.end()
        if found[1] is not None:
            style = _styled(style, found[1])
    yield _span(text[at:], style)


def _span(text: str, style: frozenset[str]) -> Markup:
    shown = printed(text)
    return _SPAN.format(" ".join(sorted(style)), shown) if style and shown else Markup.escape(shown)


def _styled(style: frozenset[str], codes: str) -> frozenset[str]:
    """The classes after a sequence of codes (ECMA-48, SGR). Colours beyond the first 16 are left out."""
    numbers = iter([int(code) if code.isdigit() and len(code) < 4 else 0 for code in re.split("[;:]", codes)])
    for number in numbers:
        if number == 0:
            style = frozenset()
        elif number == 1:
            style |= {"bold"}
        elif number == 22:
            style -= {"bold"}
        elif 30 <= number <= 39 or 90 <= number <= 97:
            style = frozenset(one for one in style if not one.startswith("colour-"))
            if number not in (38, 39):
                style |= {f"colour-{number % 10}"}
        if number in (38, 48):  # 5 and a number, or 2 and three
            following = next(numbers, 0)
            for _ in range(1 if following == 5 else 3 if following == 2 else 0):
                next(numbers, None)
    return style


def patched(text: str) -> Markup:
    """A patch as HTML: lines that were added and removed have classes."""
    kinds = {"+": "added", "-": "removed", "@": "hunk"}
    lines = ((kinds.get(line[:1]), printed(line)) for line in text.split("\n"))
    return Markup("\n").join(_SPAN.format(kind, line) if kind else Markup.escape(line) for kind, line in lines)
