"""Media as pages show them: what a run or a table recorded of images, sounds, tables and so on, checked and bounded.

What is recorded may say anything. Whatever isn't as it should be becomes a note.
"""

import json
import posixpath
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from markupsafe import Markup

from artstore.domain.names import printable
from artstore.errors import ArtstoreError, Damage
from artstore.web.drawing import Bars, Layer, bars, boxes_of, legend_of
from artstore.web.render import as_json
from artstore.web.sources import Source

_JSON = 2 << 20
"""The most bytes of a JSON file beside an image, such as its boxes."""
_LAYERS = 8
"""Masks and sets of boxes that are drawn over one image."""
_NOTE = 300
_DEEPEST = 5
_SINGLE = {
    "image-file": "image", "audio-file": "audio", "video-file": "video", "html-file": "html", "object3D-file": "object",
    "plotly-file": "plotly", "table-file": "table", "partitioned-table": "other", "joined-table": "other",
    "histogram": "histogram", "mask": "mask", "bokeh-file": "other", "molecule-file": "other", "graph-file": "other",
}  # fmt: skip
"""What one object is shown as, by its `_type`."""
_JOINED = {
    "images/separated": "filenames", "images": "filenames", "audio": "audio", "videos": "videos", "html": "html",
    "object3D": "objects",
}  # fmt: skip
"""The key of the list, by the `_type` of several objects together."""


class Shown(NamedTuple):
    """One object on a page."""

    kind: str
    """image, audio, video, html, object, plotly, table, histogram, or note"""
    caption: str = ""
    path: str = ""
    size: int | None = None
    address: str = ""
    """of its bytes"""
    page: str = ""
    """of its file, with a preview"""
    raw: str = ""
    note: str = ""
    small: bool = False
    """whether an image has so few pixels that each is shown large"""
    boxes: Markup | None = None
    legend: tuple[Layer, ...] = ()
    """masks and sets of boxes, with the classes in them"""
    bars: Bars | None = None
    facts: str = ""
    told: Any = None


class Items(NamedTuple):
    """The objects of one value: one, or a list of any length."""

    total: int
    at: Callable[[int], Any]


def is_media(value: Any) -> bool:
    """Whether a value is what is recorded of media, or a list that begins with such."""
    if isinstance(value, list):
        value = value[0] if value else None
    return (
        isinstance(value, dict) and isinstance(kind := value.get("_type"), str) and (kind in _SINGLE or kind in _JOINED)
    )


def media_in(values: dict[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """The media among a run's values, also in dicts, by their keys: `key.inner`."""
    found = list[tuple[str, Any]]()
    for key, value in values.items():
        if isinstance(value, dict | list):
            if is_media(value):
                found.append((prefix + key, value))
            elif isinstance(value, dict) and depth < _DEEPEST:
                found += media_in(value, f"{prefix}{key}.", depth + 1)
    return found


def items_of(value: Any) -> Items:
    """The objects of a value that `is_media`."""
    if isinstance(value, list):
        return Items(len(value), lambda at: value[at])
    key = _JOINED.get(value.get("_type"))
    listed = value.get(key) if key is not None else None
    if key is None:
        return Items(1, lambda at: value)
    if not isinstance(listed, list):
        listed = value.get("filenames")
        if not isinstance(listed, list):
            return Items(0, lambda at: None)
    return Items(len(listed), lambda at: _item(value, listed[at], at))


def _item(value: dict[str, Any], told: Any, at: int) -> Any:
    """One object of several together, as if it had been recorded alone."""
    kind = str(value.get("_type"))
    if isinstance(told, dict):
        return {**told, "caption": _nth(value.get("captions"), at) or told.get("caption")}
    if kind == "object3D" and isinstance(told, str):
        return {"_type": "object3D-file", "path": posixpath.join("media/object3D", told)}
    masks, boxes = (_nth(value.get(name), at) for name in ("all_masks", "all_boxes"))
    return {
        "_type": "image-file", "path": told, "caption": _nth(value.get("captions"), at), "width": value.get("width"),
        "height": value.get("height"), "masks": masks, "boxes": boxes,
    }  # fmt: skip


def _nth(values: Any, at: int) -> Any:
    return values[at] if isinstance(values, list) and at < len(values) else None


class Media:
    """Makes what pages show of recorded media, whose files are those of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._json = cache(self._read_json)

    def shown(self, told: Any) -> Shown:
        """What a page shows of one object. If its file is damaged, a note says so, and the others are shown."""
        try:
            return self._shown(told)
        except ArtstoreError as error:
            return Shown("note", note=f"Can't be shown: {error}")

    def _shown(self, told: Any) -> Shown:
        kind = told.get("_type") if isinstance(told, dict) else None
        word = _SINGLE.get(kind, "other") if isinstance(kind, str) else "other"
        if word == "histogram":
            return self._histogram(told)
        if word == "other":
            return Shown("note", note=as_json(told)[:_NOTE])
        if word == "table" and not isinstance(told.get("path"), str):
            return Shown("table", told=told)
        caption = told["caption"] if isinstance(told.get("caption"), str) else ""
        path = told.get("path")
        if not isinstance(path, str):
            return Shown("note", caption, note=f"What is recorded of this {word} names no file.")
        file = self._source.find(path)
        if file is None:
            return Shown("note", caption, note=f"There is no file {printable(path[:_NOTE])} here.")
        address = {"image": "image", "audio": "play", "video": "play", "html": "html", "mask": "mask"}.get(word, "raw")
        if word == "video" and path.lower().endswith(".gif"):
            word, address = "image", "image"
        one = Shown(
            "image" if word == "mask" else word, caption, path, file.size, self._source.address(address, path),
            self._source.address("files", path), self._source.address("raw", path), told=told,
        )  # fmt: skip
        if word == "image":
            return self._with_layers(one, told)
        return one._replace(facts=self._facts(path)) if word == "object" else one

    def _histogram(self, told: dict[str, Any]) -> Shown:
        drawn = bars(told)
        if drawn is None:
            return Shown("note", note="What is recorded of this histogram has no counts and edges.")
        return Shown("histogram", bars=drawn)

    def _with_layers(self, one: Shown, told: dict[str, Any]) -> Shown:
        width, height = (_measure(told.get(name)) for name in ("width", "height"))
        classes = self._classes(told.get("classes"))
        masks, boxes = (told[name] if isinstance(told.get(name), dict) else {} for name in ("masks", "boxes"))
        drawn, legend = list[Markup](), list[Layer]()
        for name, mask in list(masks.items())[:_LAYERS]:
            path = mask.get("path") if isinstance(mask, dict) else None
            labels = classes | _labels(mask.get("class_labels")) if isinstance(mask, dict) else {}
            if not isinstance(path, str) or self._source.find(path) is None:
                legend.append(Layer(f"{name}: its mask is not here", "", ()))
                continue
            legend.append(Layer(str(name), self._source.address("mask", path), legend_of(labels)))
        for name, recorded in list(boxes.items())[: _LAYERS - len(legend)]:
            found, labels = self._boxes(recorded)
            group, used = boxes_of(found, classes | labels, width, height)
            drawn.append(Markup('<g class="l{}">{}</g>').format(len(legend), group))
            legend.append(Layer(str(name), "", used))
        picture = None
        if drawn:
            size = f"0 0 {width or 100:g} {height or 100:g}"
            picture = Markup(
                '<svg class="boxes" viewBox="{}" preserveAspectRatio="none" role="img" aria-label="boxes">{}</svg>'
            ).format(size, Markup("").join(drawn))
        small = width is not None and height is not None and max(width, height) <= 160
        return one._replace(boxes=picture, legend=tuple(legend), small=small)

    def _boxes(self, recorded: Any) -> tuple[list[Any], dict[str, str]]:
        """Boxes, and the names of their classes. They are in a file, or where they are used."""
        labels: dict[str, str] = {}
        if isinstance(recorded, dict):
            recorded = self._json(recorded.get("path")) if isinstance(recorded.get("path"), str) else recorded
        if isinstance(recorded, dict):
            labels, recorded = _labels(recorded.get("class_labels")), recorded.get("box_data")
        return recorded if isinstance(recorded, list) else [], labels

    def _classes(self, told: Any) -> dict[str, str]:
        """The names of classes by their ids, of a file of classes."""
        path = told.get("path") if isinstance(told, dict) else None
        found = self._json(path) if isinstance(path, str) else None
        listed = found.get("class_set") if isinstance(found, dict) else None
        return {
            str(one["id"]): one["name"]
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and isinstance(one.get("id"), int | str) and isinstance(one.get("name"), str)
        }

    def _facts(self, path: str) -> str:
        """A few words about an object in three dimensions."""
        told = self._json(path) if path.endswith(".pts.json") else None
        points = told.get("points") if isinstance(told, dict) else told
        if isinstance(points, list):
            return f"{len(points):,} points"
        return printable(posixpath.basename(path).partition(".")[2][:20])

    def _read_json(self, path: str) -> Any:
        """The value of a JSON file; None if there is none that can be read."""
        file = self._source.find(path)
        if file is None or file.size > _JSON:
            return None
        try:
            with file.open() as opened:
                return json.loads(opened.read(_JSON))
        except (ValueError, RecursionError, Damage):
            return None


def _measure(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
    return float(value) if good else None


def _labels(value: Any) -> dict[str, str]:
    """Names of classes by their ids, of what is recorded."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(id): name for id, name in pairs if isinstance(name, str)}
