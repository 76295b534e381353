"""All kinds of media that are stored, by their names in W&B's files."""

import json
from typing import Any

from artstore.api.media.audio import Audio
from artstore.api.media.histogram import Histogram
from artstore.api.media.html import Html
from artstore.api.media.image import Image
from artstore.api.media.object3d import Object3D
from artstore.api.media.overlays import BoundingBoxes2D, Classes, ImageMask
from artstore.api.media.plotly import Plotly
from artstore.api.media.value import Media, MediaSource, Told
from artstore.api.media.video import Video
from artstore.errors import ArtstoreError, Damage, InvalidValue

KINDS: dict[str, type[Media]] = {
    kind.type_name: kind
    for kind in (Image, Audio, Video, Html, Object3D, Plotly, Histogram, Classes, ImageMask, BoundingBoxes2D)
}


_DEEPEST = 100
"""The levels of lists and dicts in a cell."""
_TYPES = {json.dumps(kind.column_type(), sort_keys=True) for kind in KINDS.values()}


def holds_media(kind: Told) -> bool:
    """Whether values of a column of this type are media, or lists or dicts with media in them."""
    if kind.get("wb_type") == Image.type_name or json.dumps(kind, sort_keys=True) in _TYPES:
        return True
    params = kind.get("params")
    if not isinstance(params, dict):
        return False
    keys, allowed = params.get("type_map"), params.get("allowed_types")
    inner = [params.get("element_type"), *(keys.values() if isinstance(keys, dict) else ())]
    inner += allowed if isinstance(allowed, list) else []
    return any(isinstance(each, dict) and holds_media(each) for each in inner)


def kind_of(name: Any) -> type[Media] | None:
    """The kind with this name; None if there is none."""
    return KINDS.get(name) if isinstance(name, str) else None


def names_media(value: Any, depth: int = 0) -> bool:
    """Whether a list or dict would come back with media in it, because a dict has the name of a kind as its `_type`."""
    if depth > _DEEPEST or not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    named = isinstance(value, dict) and kind_of(value.get("_type")) is not None
    return named or any(names_media(item, depth + 1) for item in inner)


def revived(value: Any, source: MediaSource, depth: int = 0) -> Any:
    """A value of a table with the objects that its dicts record. A dict that records none stays a dict."""
    if depth > _DEEPEST or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        return [revived(item, source, depth + 1) for item in value]
    kind = kind_of(value.get("_type"))
    if kind is None:
        return {key: revived(item, source, depth + 1) for key, item in value.items()}
    return recorded(kind, value, source)


def revived_if_possible(value: Any, source: MediaSource) -> Any:
    """The same, for a column of any type: a value that can't be read stays as it is."""
    if not names_media(value):
        return value
    try:
        return revived(value, source)
    except Damage:
        return value


def recorded(kind: type[Media], told: Any, source: MediaSource) -> Media:
    """The object of this kind that was recorded. Raises Damage if it can't be read."""
    try:
        return kind.from_json(told, source)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, ArtstoreError) and not isinstance(error, InvalidValue):
            raise
        raise Damage(f"the {kind.word} that is recorded here can't be read: {error}") from error
