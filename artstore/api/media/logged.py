"""Media in the values of a run: they become files of the run, and what is recorded names them."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from artstore.api.media import pixels
from artstore.api.media.audio import Audio
from artstore.api.media.content import Content, LocalFile, read
from artstore.api.media.html import Html
from artstore.api.media.image import Image
from artstore.api.media.object3d import Object3D
from artstore.api.media.plotly import Plotly, is_plotly
from artstore.api.media.unstored import Unstored
from artstore.api.media.value import Media, Told
from artstore.api.media.video import Video
from artstore.api.needed import package_of
from artstore.backends.callers import warn_caller
from artstore.domain.metadata import class_of, has_form
from artstore.domain.names import parse_path
from artstore.errors import InvalidValue

LogTable = Callable[[str, Any, "RunPlace"], Any]
"""Logs a table or a data frame under a key, and returns what is recorded; any other value is returned as it is."""
AddFile = Callable[[str, bytes | str], None]
"""Adds a file to a run: its path, and its bytes or a local file."""
_AT_ONCE = 16 << 20
"""The most bytes of a file that are in memory while it is added."""
_DEEPEST = 10
_PLAIN = {int, float, str, bool, type(None)}
_WITH_FORM = ("numpy", "torch")
"""Packages whose numbers and arrays have a form, so that nothing else has to be asked of them."""
_LONGEST = 200
"""The most bytes of a key in the name of a file."""
_said: set[tuple[str, str]] = set()


class RunPlace:
    """The files of a run that belong to one key of one step, or of the summary."""

    in_run = True

    def __init__(self, add_file: AddFile, key: str, step: int | str) -> None:
        self._add_file = add_file
        self._prefix = f"{in_name(key)}_{step}"
        self._added: set[str] = set()

    def store(self, content: Content, folder: str, ending: str) -> Told:
        """Add a file, and return the fields that name it."""
        path = f"{folder}/{self._prefix}_{content.sha256[:20]}{ending}"
        if path not in self._added:
            if isinstance(content, LocalFile):
                content.check()
            self._add(path, content)
            self._added.add(path)
        return {"path": path, "sha256": content.sha256, "size": content.size}

    def _add(self, path: str, content: Content) -> None:
        if isinstance(content, LocalFile):
            self._add_file(path, content.path)
        elif content.size <= _AT_ONCE:
            self._add_file(path, read(content))
        else:
            with tempfile.NamedTemporaryFile() as copy, content.open() as source:
                shutil.copyfileobj(source, copy)
                copy.flush()
                self._add_file(path, copy.name)

    def store_named(self, value: Any, path: str) -> Told:
        """Nothing of a run's media has a file with a name of its own."""
        raise NotImplementedError


def in_name(key: str) -> str:
    """A key as the beginning of a file's path: `val/samples` is a folder and a name."""
    name = "/".join(part for part in key.split("/") if part not in ("", ".", ".."))
    try:
        if name and max(map(len, parse_path(name))) <= _LONGEST:
            return name
    except (InvalidValue, UnicodeError):
        pass
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class MediaInRun:
    """Stores the media among a run's values, for one step or the summary."""

    def __init__(self, add_file: AddFile, step: int | str, table: LogTable) -> None:
        """Store the files of a step, or of the summary, with `add_file`."""
        self._add_file, self._step, self._table = add_file, step, table

    def recorded(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, with what is recorded of media instead of these. Those that can't be stored are left out."""
        return self._of_dict(values, 0)

    def _of_dict(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        found = ((key, self._of(str(key), value, depth)) for key, value in values.items())
        return {key: value for key, value in found if value is not _DROPPED}

    def _of(self, key: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, int | float | str) or depth > _DEEPEST:
            return value
        if package_of(value) in _WITH_FORM:
            return value
        if isinstance(value, dict):
            return self._of_dict(value, depth + 1)
        if isinstance(value, list | tuple | range):
            return self._of_list(key, value, depth)
        if pixels.is_figure(value) or package_of(value) == "PIL":
            value = Image(value)
        elif is_plotly(value):
            value = Plotly(value)
        if isinstance(value, Media):
            return value.to_json(self._place(key))
        if isinstance(value, Unstored):
            kind = type(value).__name__
            _warn(key, kind, f"dropped '{key}': artstore doesn't store {kind} values; log_artifact() stores files")
            return _DROPPED
        stored = self._table(key, value, self._place(key))
        refused = depth == 0 and package_of(value) == "artstore"  # an artifact: `log` says what to do instead
        if stored is value and not refused and not has_form(value):
            kind = class_of(value)
            _warn(key, kind, f"recorded '{key}' as text: artstore has no form for {kind} values")
        return stored

    def _of_list(self, key: str, values: Sequence[Any], depth: int) -> Any:
        if set(map(type, values)) <= _PLAIN:
            return values
        first = values[0]
        if isinstance(first, Media) and all(type(each) is type(first) for each in values):
            together = _TOGETHER.get(type(first))
            if together is not None:
                return together(values, self._place(key))
        found = [self._of(key, value, depth + 1) for value in values]
        return [value for value in found if value is not _DROPPED]

    def _place(self, key: str) -> RunPlace:
        return RunPlace(self._add_file, key, self._step)


_DROPPED = object()


def _warn(key: str, kind: str, message: str) -> None:
    """Warn once for each key and kind, of the line of the script."""
    if (key, kind) in _said:
        return
    _said.add((key, kind))
    warn_caller(message)


def _images(images: Sequence[Image], place: RunPlace) -> Told:
    told = [image.to_json(place) for image in images]
    first = told[0]
    joined: Told = {
        "_type": "images/separated", "width": first.get("width"), "height": first.get("height"),
        "format": first["format"], "count": len(told), "filenames": [each["path"] for each in told],
    }  # fmt: skip
    for name, key in (
        ("captions", "caption"),
        ("groupings", "grouping"),
        ("all_masks", "masks"),
        ("all_boxes", "boxes"),
    ):
        if any(key in each for each in told):
            joined[name] = [each.get(key) for each in told]
    return joined


def _sounds(sounds: Sequence[Audio], place: RunPlace) -> Told:
    joined = {
        "_type": "audio", "count": len(sounds), "audio": [each.to_json(place) for each in sounds],
        "sampleRates": [each.sample_rate for each in sounds], "durations": [each.duration for each in sounds],
    }  # fmt: skip
    return joined | _captions(sounds)


def _videos(videos: Sequence[Video], place: RunPlace) -> Told:
    told = [each.to_json(place) for each in videos]
    return {"_type": "videos", "count": len(told), "videos": told, "captions": False} | _captions(videos)


def _pages(pages: Sequence[Html], place: RunPlace) -> Told:
    told = [each.to_json(place) for each in pages]
    return {"_type": "html", "count": len(told), "html": told}


def _objects(objects: Sequence[Object3D], place: RunPlace) -> Told:
    told = [each.to_json(place) for each in objects]
    names = [os.path.relpath(each["path"], Object3D.folder) for each in told]
    return {"_type": "object3D", "count": len(told), "filenames": names, "objects": told} | _captions(objects)


def _captions(media: Sequence[Media]) -> Told:
    captions = [each.caption for each in media]
    return {"captions": captions} if any(caption is not None for caption in captions) else {}


_TOGETHER: dict[type[Media], Callable[[Any, RunPlace], Told]] = {
    Image: _images, Audio: _sounds, Video: _videos, Html: _pages, Object3D: _objects,
}  # fmt: skip
"""How W&B records a list of one kind. A list of other kinds is a list of what is recorded of each."""
