"""What a run records of media, in few words for terminals and pages: `image media/images/loss_3_….png`."""

import json
from typing import Any

_FILES = {"mask": "mask", "molecule-file": "molecule", "bokeh-file": "bokeh"} | {
    f"{word}-file": word for word in ("image", "audio", "video", "html", "object3D", "plotly")
}
_LISTS = {
    "images/separated": "images",
    "audio": "sounds",
    "videos": "videos",
    "html": "pages",
    "object3D": "3D objects",
}


def in_short(value: Any) -> str | None:
    """The words for one object, a list of some, or a table; None for any other value."""
    kind = value.get("_type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return None
    if kind in _FILES and isinstance(path := value.get("path"), str):
        return f"{_FILES[kind]} {path}"
    if kind in _LISTS and isinstance(count := value.get("count"), int):
        return f"{count:,} {_LISTS[kind]}"
    if kind == "histogram" and isinstance(counts := value.get("values"), list):
        return f"histogram of {len(counts)} ranges"
    if kind.endswith("table-file") and isinstance(rows := value.get("nrows"), int):
        return f"table {rows:,} × {value.get('ncols')}"
    return None


def text_of_value(value: Any) -> str:
    """A value of a run as JSON, or in few words if it is media."""
    return in_short(value) or json.dumps(value, ensure_ascii=False)
