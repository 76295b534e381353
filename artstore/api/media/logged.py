"""Media in a run's metrics: they aren't stored yet. There is one warning for each kind."""

import warnings
from typing import Any

from artstore.api.media.unstored import Unstored
from artstore.api.media.value import Media

_said: set[str] = set()


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


def _media_in(value: Any, depth: int = 0) -> Any:
    if isinstance(value, Media | Unstored):
        return value
    if depth > 3 or not isinstance(value, dict | list | tuple):
        return None
    items = value.values() if isinstance(value, dict) else value
    return next((found for item in items if (found := _media_in(item, depth + 1)) is not None), None)
