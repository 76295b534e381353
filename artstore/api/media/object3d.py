"""Object3D: a point cloud or a scene in three dimensions."""

import itertools
import json
import os
from collections.abc import Sequence
from typing import Any, Self

from artstore.api.media.content import Kept, content_of_file
from artstore.api.media.value import Media, checked_caption, plain, text_of
from artstore.api.needed import needed
from artstore.errors import InvalidType, InvalidValue

FORMATS = ("pts.json", "obj", "gltf", "glb", "babylon", "stl")
_CLOUD = "lidar/beta"
_SHAPES = "[[x y z], …], [[x y z c], …] with a category c from 1 to 14, or [[x y z r g b], …]"


class Object3D(Media):
    """A point cloud, or a scene.

    Example:
        >>> import numpy as np
        >>> cloud = wandb.Object3D(np.zeros((4, 3)))
        >>> cloud.ending()
        '.pts.json'
    """

    type_name = "object3D-file"
    word = "object3D"
    folder = "media/object3D"
    SUPPORTED_TYPES = frozenset(FORMATS)

    def __init__(self, data_or_path: Any, caption: str | None = None, *, file_type: str | None = None) -> None:
        """Make an object.

        Args:
            data_or_path: The path of a file, an open file, an array of points of 3, 4 or 6 columns, or a dict with
                `type`, `points`, `boxes` and `vectors`.
            caption: A caption.
            file_type: The type of an open file that has no name: `obj`, `gltf`, `glb`, `babylon`, `stl` or `pts.json`.

        Raises:
            InvalidValue: If the type or the shape isn't one of these.
            SourceError: If the file can't be read.
        """
        self.caption = checked_caption(caption)
        named = getattr(data_or_path, "name", None) if hasattr(data_or_path, "read") else None
        if isinstance(named, str):
            data_or_path = named
        if isinstance(data_or_path, str | os.PathLike):
            path = os.fspath(data_or_path)
            if (found := _format_of(path)) is None:
                raise InvalidValue(f"File '{path}' is not compatible with Object3D: supported types are: {_LISTED}")
            self.format, self.content = found, content_of_file(path)
        elif hasattr(data_or_path, "read"):
            if file_type is None:
                raise InvalidValue(
                    "Must pass file type keyword argument when using io objects.", hint=f"one of {_LISTED}"
                )
            if file_type not in FORMATS:
                raise InvalidValue(f"Object 3D only supports numpy arrays or files of the type: {_LISTED}")
            if hasattr(data_or_path, "seek"):
                data_or_path.seek(0)
            data = data_or_path.read()
            self.format, self.content = file_type, Kept(data.encode() if isinstance(data, str) else data)
        else:
            self.format, self.content = "pts.json", Kept(_points(data_or_path))

    @classmethod
    def from_file(cls, data_or_path: Any, file_type: str | None = None) -> Self:
        """The object in a file, or in an open file of this type."""
        return cls(data_or_path, file_type=file_type)

    @classmethod
    def from_numpy(cls, data: Any) -> Self:
        """A point cloud of an array with 3, 4 or 6 columns. Raises InvalidType if it isn't an array."""
        if not hasattr(data, "ndim"):
            raise InvalidType(f"`data` must be a numpy array, not {type(data).__name__}")
        return cls(data)

    @classmethod
    def from_point_cloud(
        cls,
        points: Sequence[Any],
        boxes: Sequence[Any],
        vectors: Sequence[Any] | None = None,
        point_cloud_type: str = _CLOUD,
    ) -> Self:
        """A point cloud with boxes and vectors. Raises InvalidValue for another type than `lidar/beta`."""
        if point_cloud_type != _CLOUD:
            raise InvalidValue(f"Point cloud type not supported: '{point_cloud_type}' is not '{_CLOUD}'")
        return cls({"type": _CLOUD, "points": points, "boxes": boxes, "vectors": [] if vectors is None else vectors})

    def ending(self) -> str:
        """The ending of its file."""
        return f".{self.format}"

    @classmethod
    def from_json(cls, told: Any, source: Any) -> Self:
        """The object that was recorded."""
        self = super().from_json(told, source)
        self.format = _format_of(text_of(told, "path", cls.word)) or ""
        return self


def box3d(
    *, center: Any, size: Any, orientation: Any, color: Any, label: str | None = None, score: float | None = None
) -> dict[str, Any]:
    """A box for `Object3D.from_point_cloud`, from its center, size and orientation.

    Args:
        center: Its middle: x, y, z.
        size: Its lengths.
        orientation: The quaternion that turns it: r, x, y, z.
        color: Red, green and blue, from 0 to 1.
        label: A text.
        score: How sure it is.

    Raises:
        InvalidValue: If these have other lengths, or the quaternion is zero.

    Example:
        >>> box = wandb.box3d(center=(0, 0, 0), size=(2, 2, 2), orientation=(1, 0, 0, 0), color=(1, 0, 0))
        >>> box["corners"][0]
        (-1.0, -1.0, -1.0)
    """
    np = needed("numpy", "box3d")
    middle, lengths, turn = (np.asarray(each, dtype="float64") for each in (center, size, orientation))
    if (middle.shape, lengths.shape, turn.shape) != ((3,), (3,), (4,)) or not turn.any():
        raise InvalidValue("a box needs a center and a size of three numbers, and an orientation of four, not all zero")
    real, axis = turn[0] / np.linalg.norm(turn), turn[1:] / np.linalg.norm(turn)
    corners = 0.5 * lengths * np.array(list(itertools.product((-1, 1), repeat=3)))
    across = np.cross(axis, corners)
    turned = middle + corners + 2 * (real * across + np.cross(axis, across))
    return {"corners": tuple(map(tuple, turned.tolist())), "color": color, "label": label, "score": score}


_LISTED = ", ".join(FORMATS)


def _format_of(path: str) -> str | None:
    return next((each for each in FORMATS if path.endswith(f".{each}")), None)


def _points(data: Any) -> bytes:
    """An array of points, or a dict of a point cloud, as JSON."""
    if isinstance(data, dict):
        if data.get("type") != _CLOUD:
            raise InvalidValue(
                f"Type not supported, only '{_CLOUD}' is currently supported, not {data.get('type')!r:.80}"
            )
        told: Any = {"type": _CLOUD, **{key: data.get(key, []) for key in ("vectors", "points", "boxes")}}
    elif hasattr(data, "ndim"):
        told = needed("numpy", "an Object3D of an array").asarray(data)
        if told.ndim != 2 or told.shape[1] not in (3, 4, 6):
            message = f"The shape of the numpy array must be one of either {_SHAPES}; not {list(told.shape)}"
            raise InvalidValue(message)
    else:
        raise InvalidType(f"data must be a numpy array, dict or a file object, not {type(data).__name__}")
    return json.dumps(plain(told), separators=(",", ":")).encode()
