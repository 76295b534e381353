"""W&B's media classes: accepted, so that scripts that log them run, but not stored.

There is one warning for each kind.
"""

import warnings
from typing import Any

_said: set[str] = set()


class Media:
    """Accepts the arguments of W&B's class, and keeps none of them."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


def without_media(values: dict[str, Any]) -> dict[str, Any]:
    """The metrics without media, and without values that contain media. Warns once for each kind."""
    kept = {}
    for key, value in values.items():
        if (media := _media_in(value)) is None:
            kept[key] = value
            continue
        kind = type(media).__name__
        if kind not in _said:
            _said.add(kind)
            warnings.warn(
                f"dropped '{key}': artstore doesn't store {kind} values in a run; log_artifact() stores files",
                stacklevel=3,
            )
    return kept


def _media_in(value: Any, depth: int = 0) -> Media | None:
    if isinstance(value, Media):
        return value
    if depth > 3 or not isinstance(value, dict | list | tuple):
        return None
    items = value.values() if isinstance(value, dict) else value
    return next((found for item in items if (found := _media_in(item, depth + 1)) is not None), None)


class Image(Media):
    """An image, as W&B's class. It isn't stored."""


class Audio(Media):
    """A sound, as W&B's class. It isn't stored."""


class Video(Media):
    """A video, as W&B's class. It isn't stored."""


class Histogram(Media):
    """A histogram, as W&B's class. It isn't stored."""


class Html(Media):
    """A page, as W&B's class. It isn't stored."""


class Object3D(Media):
    """A 3D object, as W&B's class. It isn't stored."""


class Molecule(Media):
    """A molecule, as W&B's class. It isn't stored."""


class Plotly(Media):
    """A plotly figure, as W&B's class. It isn't stored."""
