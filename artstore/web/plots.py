"""Charts of tables as drawings: lines, points, bars, histograms, curves and confusion matrices."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from artstore.api.plots.charts import RecordedChart
from artstore.web.drawing import bars, number, short
from artstore.web.render import printed

ROWS_OF_CHART = 10_000
"""The first rows of a table, which are drawn."""
_LINES = 20
_BARS = 60
_CLASSES = 30
_RANGES = 30
_NAME = 40
_LEFT, _TOP, _WIDE, _HIGH = 64, 10, 546, 250
"""The place of the axes in a drawing of 640 by 310."""
_TICKS = 5

Point = tuple[float, float]


class _Scale(NamedTuple):
    """What a part of an axis means."""

    low: float
    high: float
    parts: int
    """how many parts of the same width its numbers make"""

    def at(self, value: float) -> float:
        """The place of a value, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def drawn(chart: RecordedChart, columns: list[str], rows: list[list[Any]]) -> Markup | None:
    """A chart of the rows of a table. None if the table lacks a column, or there is nothing to draw."""
    places = {field: columns.index(name) for field, name in chart.fields.items() if name in columns}

    def column(*fields: str) -> list[Any] | None:
        place = next((places[field] for field in fields if field in places), None)
        return None if place is None else [row[place] for row in rows]

    if chart.kind == "bar":
        return _bars(column("label"), column("value"), column("stroke"))
    if chart.kind == "histogram":
        return _histogram(column("value"))
    if chart.kind == "confusion_matrix":
        return _matrix(column("Actual"), column("Predicted"), column("nPredictions"))
    xs, ys = column("x", "step"), column("y", "lineVal")
    if xs is None or ys is None:
        return None
    groups = column("stroke", "lineKey", "class") or [""] * len(xs)
    titles = [
        chart.texts.get("x-axis-title") or chart.texts.get("xname") or chart.fields.get("x", ""),
        chart.texts.get("y-axis-title") or chart.fields.get("y", ""),
    ]
    return _lines(_grouped(xs, ys, groups), titles, dots=chart.kind == "scatter", in_order=chart.kind == "curve")


def _name(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return printed(text if len(text) <= _NAME else f"{text[:_NAME]}…")


def _grouped(xs: list[Any], ys: list[Any], groups: list[Any]) -> dict[str, list[Point]]:
    """The points of each line. Rows without two numbers are left out."""
    found: dict[str, list[Point]] = {}
    for each_x, each_y, group in zip(xs, ys, groups, strict=True):
        x, y = number(each_x), number(each_y)
        if x is not None and y is not None:
            found.setdefault(_name(group), []).append((x, y))
    return found


def _scale(values: Iterable[float]) -> _Scale:
    """An axis for these values, which begins and ends with a round number."""
    found = list(values)
    low, high = min(found), max(found)
    if high - low <= abs(high) / 1e9:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10, 20) if power * times >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return _Scale(first * step, last * step, last - first)


def _lines(lines: dict[str, list[Point]], titles: list[str], *, dots: bool, in_order: bool) -> Markup | None:
    if not lines:
        return None
    shown = dict(list(lines.items())[:_LINES])
    across, up = (_scale(point[at] for points in shown.values() for point in points) for at in (0, 1))
    paths = []
    for at, points in enumerate(shown.values()):
        points = points if in_order or dots else sorted(points)
        places = [f"{_LEFT + across.at(x) * _WIDE:.1f} {_TOP + (1 - up.at(y)) * _HIGH:.1f}" for x, y in points]
        data = "".join(f"M{place}h0" for place in places) if dots else "M" + "L".join(places)
        paths.append(
            Markup('<path class="lines{} c{}" d="{}"/>').format(
                " dots" if dots or len(places) == 1 else "", at % 10, data
            )
        )
        if not dots and len(places) == 1:
            paths[-1] = Markup('<path class="lines dots c{}" d="{}h0"/>').format(at % 10, data)
    legend = [(name, at % 10) for at, name in enumerate(shown)] if list(shown) != [""] else []
    picture = _framed(Markup("").join(paths), across, up, titles, f"{titles[1]} by {titles[0]}, {len(shown)} lines")
    return picture + _legend(legend, len(lines) - len(shown))


def _framed(content: Markup, across: _Scale, up: _Scale, titles: list[str], label: str) -> Markup:
    """Axes with numbers around a drawing."""
    parts = list[Markup]()
    for at in range(across.parts + 1):
        part = at / across.parts
        parts.append(
            Markup(
                '<path class="axis" d="M{0:.1f} {1}v{2}"/><text x="{0:.1f}" y="{3}" text-anchor="middle">{4}</text>'
            ).format(_LEFT + part * _WIDE, _TOP, _HIGH, _TOP + _HIGH + 16, _tick(across, part))
        )
    for at in range(up.parts + 1):
        part = at / up.parts
        y = _TOP + (1 - part) * _HIGH
        parts.append(
            Markup(
                '<path class="axis" d="M{0} {1:.1f}h{2}"/><text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
            ).format(_LEFT, y, _WIDE, _LEFT - 6, y + 4, _tick(up, part))
        )
    middle = _LEFT + _WIDE / 2
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, _TOP + _HIGH + 36, _name(titles[0]))
    )
    parts.append(
        Markup('<text x="12" y="{0}" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text>').format(
            _TOP + _HIGH / 2, _name(titles[1])
        )
    )
    return _svg(Markup("").join(parts) + content, 640, 310, label)


def _tick(scale: _Scale, part: float) -> str:
    """The number at a place of an axis, from 0 to 1. What is only an error of rounding is 0."""
    wide = scale.high - scale.low
    value = scale.low + part * wide
    return short(0.0 if abs(value) < wide / 1e9 else value)


def _svg(content: Markup, wide: float, high: float, label: str) -> Markup:
    return Markup('<svg class="plot" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">{}</svg>').format(
        wide, high, printed(label[:200]), content
    )


def _legend(names: Sequence[tuple[str, int]], more: int) -> Markup:
    spans = [Markup('<span class="class c{}"><i></i>{}</span> ').format(colour, name) for name, colour in names]
    if more > 0:
        spans.append(Markup("and {:,} more").format(more))
    return Markup('<p class="layer">{}</p>').format(Markup("").join(spans)) if spans else Markup("")


def _bars(labels: list[Any] | None, values: list[Any] | None, strokes: list[Any] | None) -> Markup | None:
    if labels is None or values is None:
        return None
    found = [
        (_name(label) if stroke is None else f"{_name(label)}, {_name(stroke)}", value)
        for label, each, stroke in zip(labels, values, strokes or [None] * len(labels), strict=True)
        if (value := number(each)) is not None
    ]
    if not found:
        return None
    shown, most = found[:_BARS], max(abs(value) for _, value in found) or 1.0
    left = _beside([name for name, _ in shown])
    wide = 570 - left
    parts = [
        Markup(
            '<text x="{6:g}" y="{0:g}" text-anchor="end">{1}</text>'
            '<rect class="tile" x="{7:g}" y="{2:g}" width="{3:.1f}" height="16"/>'
            '<text x="{4:.1f}" y="{0:g}">{5}</text>'
        ).format(
            at * 22 + 15, name, at * 22 + 3, abs(value) / most * wide, left + 14 + abs(value) / most * wide,
            short(value), left, left + 8,
        )
        for at, (name, value) in enumerate(shown)
    ]  # fmt: skip
    return _svg(Markup("").join(parts), 640, len(shown) * 22 + 6, f"{len(shown)} bars") + _legend(
        [], len(found) - len(shown)
    )


def _beside(names: Iterable[str]) -> int:
    """The width of a column of names, of which the longest isn't cut."""
    return 8 + 7 * max(map(len, names))


def _histogram(values: list[Any] | None) -> Markup | None:
    found = [value for each in values or [] if (value := number(each)) is not None]
    if not found:
        return None
    scale = _scale(found)
    counts = [0] * _RANGES
    for value in found:
        counts[max(0, min(int(scale.at(value) * _RANGES), _RANGES - 1))] += 1
    edges = [scale.low + (scale.high - scale.low) * at / _RANGES for at in range(_RANGES + 1)]
    picture = bars({"values": counts, "bins": edges})
    return None if picture is None else Markup('<div class="object">{}<p class="hint">{}</p></div>').format(*picture)


def _matrix(actual: list[Any] | None, predicted: list[Any] | None, numbers: list[Any] | None) -> Markup | None:
    if actual is None or predicted is None or numbers is None:
        return None
    counts: dict[tuple[str, str], float] = {}
    for true, guess, each in zip(actual, predicted, numbers, strict=True):
        if (value := number(each)) is not None:
            place = _name(true), _name(guess)
            counts[place] = counts.get(place, 0) + value
    names = list(dict.fromkeys(name for place in counts for name in place))
    if not names:
        return None
    shown = names[:_CLASSES]
    left, top = float(max(60, _beside(shown))), 40.0
    size, most = min(60.0, (620 - left) / len(shown)), max(counts.values()) or 1.0
    text = max(5.0, min(12.0, size / 3))
    cell = Markup(
        '<rect class="tile" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill-opacity="{:.2f}"><title>{}</title></rect>'
        '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" font-size="{:.1f}">{}</text>'
    )
    parts = list[Markup]()
    for row, true in enumerate(shown):
        y = top + row * size
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(left - 6, y + size / 2 + 4, true)
        )
        for at, guess in enumerate(shown):
            value, x = counts.get((true, guess), 0.0), left + at * size
            said = f"actual {true}, predicted {guess}: {short(value)}"
            parts.append(
                cell.format(
                    x, y, size - 1, size - 1, 0.05 + 0.6 * max(value, 0) / most, said, x + size / 2, y + size / 2 + text / 3,
                    text, short(value) if value else "",
                )
            )  # fmt: skip
            if row == 0:
                below = top + len(shown) * size + 14
                parts.append(
                    Markup(
                        '<text x="{0:.1f}" y="{1:.1f}" text-anchor="end" transform="rotate(-40 {0:.1f} {1:.1f})">{2}</text>'
                    ).format(x + size / 2, below, guess)
                )
    parts.append(Markup('<text x="{}" y="14">columns: predicted, rows: actual</text>').format(left))
    high = top + len(shown) * size + 24 + 5 * max(map(len, shown))
    return _svg(Markup("").join(parts), 640, high, f"confusion matrix of {len(shown)} classes") + _legend(
        [], len(names) - len(shown)
    )
