"""Small drawings: bars of histograms, histograms over steps, boxes over images, and masks in colours."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from artstore.web.render import printed

COLOURS = ("#3b6fc4", "#d9822b", "#2b9348", "#b5179e", "#8a6d00", "#0096a6", "#c1272d", "#6a4fc9", "#7a8594", "#4d7c0f")
_RANGES = 1024
"""The most ranges of a histogram that is drawn."""
_BOXES = 500
"""The most boxes of a set that are drawn."""
_CLASSES = 40
"""The most classes in a legend."""
_LABEL = 60
_SHADES = 6
_PNG = b"\x89PNG\r\n\x1a\n"
_CLEAR, _FULL = 60, 150
"""How much colour a mask has where its class is 0, which is often the background, and elsewhere; of 255."""


class Layer(NamedTuple):
    """Something over an image, with the classes in it."""

    name: str
    address: str
    """of a mask"""
    classes: tuple[tuple[str, str], ...]
    """name, class of style"""


class Bars(NamedTuple):
    """A drawn histogram."""

    picture: Markup
    text: str


def colour_of(id: Any) -> int:
    """The number of the colour of a class."""
    return int(id) % len(COLOURS) if isinstance(id, int) else zlib.crc32(str(id).encode("utf-8", "replace")) % 10


def legend_of(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The names of classes with their colours."""
    ids = list(labels.items())[:_CLASSES]
    return tuple((name[:_LABEL], f"c{colour_of(int(id) if id.isdigit() and len(id) < 9 else id)}") for id, name in ids)


def number(value: Any) -> float | None:
    """A number that can be drawn; None for anything else, also for one of more than a hundred digits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e100:
        return None
    found = float(value)
    return found if abs(found) > 1e-100 else 0.0


def short(value: float) -> str:
    """A number with at most five digits."""
    return f"{value:.5g}"


# -- histograms --


def counts_of(told: Any) -> tuple[list[float], list[float]] | None:
    """The counts and edges of a recorded histogram; None if it has none."""
    values, edges = told.get("values"), told.get("bins")
    packed = told.get("packedBins")
    if isinstance(packed, dict) and isinstance(values, list) and len(values) <= _RANGES:
        first, width = number(packed.get("min")), number(packed.get("size"))
        edges = None if first is None or width is None else [first + width * at for at in range(len(values) + 1)]
    if not isinstance(values, list) or not isinstance(edges, list):
        return None
    if not 0 < len(values) <= _RANGES or len(edges) != len(values) + 1:
        return None
    counts = [number(value) or 0.0 for value in values]
    places = [place for place in map(number, edges) if place is not None]
    return (counts, places) if len(places) == len(edges) and places[-1] > places[0] else None


def bars(told: Any) -> Bars | None:
    """A histogram as bars. None if no counts and edges are recorded."""
    found = counts_of(told)
    if found is None:
        return None
    counts, edges = found
    most, wide = max(counts) or 1.0, edges[-1] - edges[0]
    across = [f"{(edge - edges[0]) / wide * 240:.1f}" for edge in edges]
    path = "".join(
        f"M{across[at]} 80V{80 - count / most * 78:.1f}H{across[at + 1]}V80z"
        for at, count in enumerate(counts)
        if count > 0
    )
    text = f"{sum(counts):,.0f} values from {short(edges[0])} to {short(edges[-1])}"
    picture = Markup(
        '<svg class="bars" viewBox="0 0 240 80" preserveAspectRatio="none" role="img" aria-label="{}"><path d="{}"/></svg>'
    )
    return Bars(picture.format(text, path), text)


def over_steps(rows: Sequence[tuple[int, Any]]) -> Markup | None:
    """Histograms of several steps: a column for each, and darker where there are more values. None for fewer than two."""
    found = [(step, *both) for step, told in rows if (both := counts_of(told)) is not None]
    if len(found) < 2:
        return None
    low, high = min(edges[0] for _, _, edges in found), max(edges[-1] for _, _, edges in found)
    shades, wide, rows_ = [""] * _SHADES, 480 / len(found), 24
    for column, (_, counts, edges) in enumerate(found):
        cells = [0.0] * rows_
        for at, count in enumerate(counts):
            middle = (edges[at] + edges[at + 1]) / 2
            cells[min(int((middle - low) / (high - low) * rows_), rows_ - 1)] += count
        most = max(cells) or 1.0
        for row, count in enumerate(cells):
            if count > 0:
                shade = min(int(count / most * _SHADES), _SHADES - 1)
                shades[shade] += f"M{column * wide:.1f} {115 - row * 5}h{wide:.1f}v5h-{wide:.1f}z"
    paths = Markup("").join(
        Markup('<path class="shade{}" d="{}"/>').format(at, path) for at, path in enumerate(shades) if path
    )
    text = f"steps {found[0][0]:,} to {found[-1][0]:,}, values from {short(low)} to {short(high)}"
    return Markup(
        '<svg class="bars" viewBox="0 0 480 120" preserveAspectRatio="none" role="img" aria-label="{0}">{1}</svg>'
        '<p class="hint">{0}</p>'
    ).format(text, paths)


# -- boxes --


def boxes_of(
    found: Iterable[Any], labels: dict[str, str], width: float | None, height: float | None
) -> tuple[Markup, tuple[tuple[str, str], ...]]:
    """Boxes as a group of a drawing whose size is that of the image, and the classes in them."""
    wide, high = width or 100.0, height or 100.0
    drawn, used = list[Markup](), dict[str, str]()
    for box in list(found)[:_BOXES]:
        if not isinstance(box, dict) or (place := _place(box, wide, high, known=width is not None)) is None:
            continue
        id = box.get("class_id")
        name = labels.get(str(id), "" if id is None else f"class {id}")[:_LABEL]
        colour = f"c{colour_of(id)}"
        if name:
            used[name] = colour
        caption = box.get("box_caption")
        text = printed((caption if isinstance(caption, str) and caption else name)[:_LABEL])
        left, top, right, bottom = place
        size = min(max(high, wide) / 18, high / 6)
        drawn.append(
            Markup(
                '<g class="{}"><title>{}</title><rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>'
                '<text x="{:.2f}" y="{:.2f}" font-size="{:.2f}">{}</text></g>'
            ).format(
                colour, f"{text}{_scores(box.get('scores'))}", left, top, right - left, bottom - top, left + size / 5,
                top + size, size, text,
            )
        )  # fmt: skip
    return Markup("").join(drawn), tuple(list(used.items())[:_CLASSES])


def _place(box: dict[str, Any], wide: float, high: float, *, known: bool) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom of a box in pixels. None if it has none, or pixels of an image of unknown size."""
    position, pixels = box.get("position"), box.get("domain") == "pixel"
    if not isinstance(position, dict) or (pixels and not known):
        return None
    corners = [number(position.get(key)) for key in ("minX", "minY", "maxX", "maxY")]
    if None in corners:
        middle = position.get("middle")
        if not isinstance(middle, list) or len(middle) != 2:
            return None
        x, y, width, height = (number(v) for v in (*middle, position.get("width"), position.get("height")))
        if x is None or y is None or width is None or height is None:
            return None
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    left, top, right, bottom = (max(-1e6, min(each or 0.0, 1e6)) for each in corners)
    if not pixels:
        left, top, right, bottom = left * wide, top * high, right * wide, bottom * high
    return (left, top, right, bottom) if left < right and top < bottom else None


def _scores(scores: Any) -> str:
    pairs = list(scores.items())[:10] if isinstance(scores, dict) else []
    told = [f"{str(key)[:_LABEL]} {short(score)}" for key, value in pairs if (score := number(value)) is not None]
    return printed(" · " + ", ".join(told)) if told else ""


# -- masks --


def coloured_mask(data: bytes) -> bytes | None:
    """A PNG of class ids, with a colour for each id. None if it isn't a PNG with one id for each pixel.

    The pixels of a PNG in grey are the same bytes as those of one with a palette (ISO/IEC 15948), so only the palette
    is added.
    """
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    head = bytearray(data[16:29])
    if head[8] > 8 or head[9] not in (0, 3):
        return None
    head[9] = 3
    ids = 1 << head[8]
    palette = b"".join(bytes.fromhex(COLOURS[id % len(COLOURS)][1:]) for id in range(ids))
    clear = bytes([_CLEAR]) + bytes([_FULL]) * (ids - 1)
    pixels = b"".join(_chunk(kind, content) for kind, content in _chunks(data) if kind == b"IDAT")
    return b"".join(
        [
            _PNG,
            _chunk(b"IHDR", bytes(head)),
            _chunk(b"PLTE", palette),
            _chunk(b"tRNS", clear),
            pixels,
            _chunk(b"IEND", b""),
        ]
    )


def _chunks(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
