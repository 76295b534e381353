"""Media of W&B's that are not kept: accepted, so that a script that logs them runs, and left out with one warning."""

import warnings
from typing import Any

_said: set[str] = set()


class Media:
    """Takes whatever W&B's class takes."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


def without_media(values: dict[str, Any]) -> dict[str, Any]:
    """Metrics without those that are media, or hold some; a warning for each kind, once."""
    kept = {}
    for key, value in values.items():
        if (media := _media_in(value)) is None:
            kept[key] = value
            continue
        kind = type(media).__name__
        if kind not in _said:
            _said.add(kind)
            warnings.warn(
                f"artstore keeps no {kind} in a run's history: '{key}' is left out; log_artifact() keeps its file",
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
    pass


class Audio(Media):
    pass


class Video(Media):
    pass


class Histogram(Media):
    pass


class Html(Media):
    pass


class Object3D(Media):
    pass


class Molecule(Media):
    pass


class Plotly(Media):
    pass
