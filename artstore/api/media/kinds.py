"""All kinds of media that are stored, by their names in W&B's files."""

from typing import Any

from artstore.api.media.audio import Audio
from artstore.api.media.histogram import Histogram
from artstore.api.media.html import Html
from artstore.api.media.image import Image
from artstore.api.media.object3d import Object3D
from artstore.api.media.overlays import BoundingBoxes2D, Classes, ImageMask
from artstore.api.media.plotly import Plotly
from artstore.api.media.value import Media, MediaSource
from artstore.api.media.video import Video
from artstore.errors import ArtstoreError, Damage, InvalidValue

KINDS: dict[str, type[Media]] = {
    kind.type_name: kind
    for kind in (Image, Audio, Video, Html, Object3D, Plotly, Histogram, Classes, ImageMask, BoundingBoxes2D)
}


def kind_of(name: Any) -> type[Media] | None:
    """The kind with this name; None if there is none."""
    return KINDS.get(name) if isinstance(name, str) else None


def revived(value: Any, source: MediaSource) -> Any:
    """A value of a table with the objects that its dicts record. A dict that records none stays a dict."""
    if isinstance(value, list):
        return [revived(item, source) for item in value]
    if not isinstance(value, dict):
        return value
    kind = kind_of(value.get("_type"))
    if kind is None:
        return {key: revived(item, source) for key, item in value.items()}
    return recorded(kind, value, source)


def recorded(kind: type[Media], told: Any, source: MediaSource) -> Media:
    """The object of this kind that was recorded. Raises Damage if it can't be read."""
    try:
        return kind.from_json(told, source)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, ArtstoreError) and not isinstance(error, InvalidValue):
            raise
        raise Damage(f"the {kind.word} that is recorded here can't be read: {error}") from error
