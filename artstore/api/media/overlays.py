"""What is drawn over an image: masks and boxes, and the names of the classes in them."""

import io
import json
import operator
from collections.abc import Iterable
from numbers import Number
from typing import Any, Self

from artstore.api.media.content import Kept, content_of_file
from artstore.api.media.pixels import picture_in
from artstore.api.media.value import Media, MediaPlace, MediaSource, Told, object_type, plain
from artstore.api.needed import needed
from artstore.errors import Damage, InvalidType, InvalidValue

Labels = dict[Any, str]
"""Names of classes by their ids."""


class NotClasses(InvalidValue, AssertionError):
    """A class without an id or a name, for which W&B raises an AssertionError."""


class Classes(Media):
    """The classes that masks and boxes name by their ids."""

    type_name = "classes"
    word = "classes"
    folder = "media/classes"

    def __init__(self, class_set: Iterable[dict[str, Any]]) -> None:
        """Make a set of classes.

        Args:
            class_set: A list of dicts, each with an `id` and a `name`.

        Raises:
            InvalidValue: If one has no id or no name.

        Example:
            >>> wandb.Classes([{"id": 0, "name": "person"}, {"id": 1, "name": "car"}])
            <Classes 0 person, 1 car>
        """
        self.class_set: list[dict[str, Any]] = [plain(dict(each)) for each in class_set]
        if not all("id" in each and "name" in each for each in self.class_set):
            raise NotClasses("each class must have an 'id' and a 'name', such as {'id': 0, 'name': 'person'}")

    def labels(self) -> Labels:
        """The names by id."""
        return {each["id"]: each["name"] for each in self.class_set}

    def get_type(self) -> Any:
        """What `Table.cast` takes for a column of ids of these classes.

        Example:
            >>> classes = wandb.Classes([{"id": 0, "name": "person"}, {"id": 1, "name": "car"}])
            >>> table = wandb.Table(columns=["class"], data=[[1]])
            >>> _ = table.cast("class", classes.get_type())
            >>> table.add_data(0)
            >>> table.get_column("class")
            [1, 0]
        """
        ids = list(self.labels())
        return ids[0] if len(ids) == 1 else ids

    @classmethod
    def column_type(cls) -> Told:
        """The type of a column: W&B has none of its own for these."""
        return object_type("Classes")

    def to_json(self, place: MediaPlace) -> Told:
        """The classes themselves: they need no file."""
        return {"_type": self.type_name, "class_set": self.class_set}

    @classmethod
    def from_json(cls, told: Any, source: MediaSource) -> Self:
        """The classes that were recorded. Raises Damage if there are none."""
        found = told.get("class_set") if isinstance(told, dict) else None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise Damage("the classes that are recorded here aren't a list of ids and names")
        return cls(found)

    def identity(self) -> Any:
        """The classes, in order."""
        return {"_type": self.type_name, "class_set": self.class_set}

    def __str__(self) -> str:
        return f"classes {', '.join(f'{id} {name}' for id, name in self.labels().items())}"


class ImageMask(Media):
    """A mask over an image: the id of a class for each pixel."""

    type_name = "mask"
    word = "mask"
    folder = "media/images/mask"

    def __init__(self, val: dict[str, Any], key: str) -> None:
        """Make a mask.

        Args:
            val: A dict with `mask_data`, a two-dimensional array of ids from 0 to 255, or with `path`, an image of
                them; and perhaps `class_labels`, their names by id.
            key: The name of the mask.

        Raises:
            InvalidType: If the array or the names aren't such (a TypeError).

        Example:
            >>> import numpy as np
            >>> mask = wandb.ImageMask({"mask_data": np.array([[0, 1]]), "class_labels": {1: "cat"}}, "truth")
            >>> mask.class_labels
            {1: 'cat'}
        """
        self.key = key
        self.class_labels: Labels = {}
        if "path" in val:
            self.content = content_of_file(val["path"])
            self.class_labels = checked_labels(val.get("class_labels", {}))
            return
        np = needed("numpy", "an ImageMask")
        data = _mask_of(val, np)
        labels = val.get("class_labels")
        self.class_labels = checked_labels(_default_labels(np.unique(data).tolist()) if labels is None else labels)
        out = io.BytesIO()
        needed("PIL.Image", "an ImageMask", "pillow").fromarray(data.astype("uint8")).save(out, "png")
        self.content = Kept(out.getvalue())

    @classmethod
    def column_type(cls) -> Told:
        """The type of a column: W&B has none of its own for these."""
        return object_type("ImageMask")

    @property
    def mask_data(self) -> Any:
        """The ids, as a numpy array."""
        return needed("numpy", "an ImageMask").array(picture_in(self.content))

    def ending(self) -> str:
        """The ending of its file."""
        return ".mask.png"

    def to_json(self, place: MediaPlace) -> Told:
        """Store its file, and return what is recorded of it. A run also gets the names of the classes."""
        told: Told = super().to_json(place)
        if place.in_run:
            told["class_labels"] = plain(self.class_labels)
        return told

    @classmethod
    def from_json(cls, told: Any, source: MediaSource) -> Self:
        """The mask that was recorded. The names of its classes are those of its image."""
        self = super().from_json(told, source)
        self.key, self.class_labels = "", {}
        return self


class BoundingBoxes2D(Media):
    """Boxes over an image, each with the id of a class."""

    type_name = "bounding-boxes"
    word = "boxes"
    folder = "media/metadata/boxes2D"

    def __init__(self, val: dict[str, Any], key: str) -> None:
        """Make boxes.

        Args:
            val: A dict with `box_data`, a list of boxes, and perhaps `class_labels`, the names of classes by id. Each
                box has a `position`: `minX`, `minY`, `maxX`, `maxY`, or `middle`, `width`, `height`. It may have a
                `domain` (`pixel`, or None for parts of the image), a `class_id`, `scores` and a `box_caption`.
            key: The name of the boxes.

        Raises:
            InvalidType: If a box isn't such (a TypeError).

        Example:
            >>> box = {"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4}, "class_id": 1}
            >>> wandb.BoundingBoxes2D({"box_data": [box], "class_labels": {1: "cat"}}, "truth")
            <BoundingBoxes2D 1>
        """
        self.key = key
        labels = val.get("class_labels")
        if labels is not None:
            labels = checked_labels(labels)
        boxes = val["box_data"]
        if not isinstance(boxes, list):
            raise InvalidType("Boxes must be a list")
        for box in boxes:
            _check_box(box)
        self.box_data: list[dict[str, Any]] = plain(boxes)
        ids = sorted({box["class_id"] for box in self.box_data if box.get("class_id") is not None})
        self.class_labels: Labels = _default_labels(ids) if labels is None else labels

    def to_json(self, place: MediaPlace) -> Any:
        """The boxes themselves. A run gets a file of them, as W&B's does."""
        if not place.in_run:
            return self.box_data
        value = {"box_data": self.box_data, "class_labels": plain(self.class_labels)}
        return {"_type": "boxes2D", **place.store(Kept(json.dumps(value).encode()), self.folder, self.ending())}

    def own_type(self) -> Told:
        """Raises InvalidType: they have no cell of their own."""
        raise InvalidType("boxes can't be stored in a table on their own", hint="Image(…, boxes={'key': boxes})")

    def ending(self) -> str:
        """The ending of its file in a run."""
        return ".boxes2D.json"

    @classmethod
    def from_json(cls, told: Any, source: MediaSource) -> Self:
        """The boxes that were recorded."""
        return cls({"box_data": told}, "")

    def identity(self) -> Any:
        """The boxes, in order."""
        return {"_type": self.type_name, "box_data": self.box_data}

    def __str__(self) -> str:
        return f"boxes {len(self.box_data)}"


def checked_labels(labels: Any) -> Labels:
    """Names of classes by id. Raises InvalidType if they aren't such."""
    if not isinstance(labels, dict) or not all(
        isinstance(id, Number) and isinstance(name, str) for id, name in labels.items()
    ):
        raise InvalidType("Class labels must be a dictionary of numbers to strings")
    return {plain(id): name for id, name in labels.items()}


def _default_labels(ids: Iterable[Any]) -> Labels:
    return {int(id): f"class_{int(id)}" for id in ids}


def _mask_of(val: dict[str, Any], np: Any) -> Any:
    """The array of a mask. Raises InvalidType if it isn't one."""
    if "mask_data" not in val:
        raise InvalidType('Missing key "mask_data": an image mask needs a two-dimensional array of class ids')
    data = val["mask_data"]
    if hasattr(data, "cpu"):  # a tensor of torch
        data = data.detach().cpu().numpy()
    data = np.asarray(data)
    if data.ndim != 2:
        raise InvalidType(f"mask_data must be a 2D array, not one of {data.ndim} dimensions")
    if data.size and (data.min() < 0 or data.max() > 255):
        raise InvalidType("Mask data must be integers between 0 and 255")
    return data


def _check_box(box: Any) -> None:
    position = box.get("position") if isinstance(box, dict) else None
    if not isinstance(position, dict) or not (_has(position, "width", "height") or _has(position, *_CORNERS)):
        raise InvalidType(_POSITION)
    if not _has(position, *_CORNERS) and len(plain(position.get("middle", ()))) != 2:
        raise InvalidType(_POSITION)
    scores = box.get("scores", {})
    if not isinstance(scores, dict):
        raise InvalidType("Box scores must be a dictionary")
    for name, score in scores.items():
        if not isinstance(name, str):
            raise InvalidType(f"A score key must be a string, not {name!r:.80}")
        if not isinstance(score, Number):
            raise InvalidType(f"A score value must be a number, not {score!r:.80}")
    if "class_id" in box and not _is_whole(box["class_id"]):
        raise InvalidType(f"A box's class_id must be an integer, not {box['class_id']!r:.80}")
    if "box_caption" in box and not isinstance(box["box_caption"], str):
        raise InvalidType(f"A box's caption must be a string, not {box['box_caption']!r:.80}")


def _is_whole(value: Any) -> bool:
    try:
        return operator.index(value) is not None
    except TypeError:
        return False


_CORNERS = ("minX", "maxX", "minY", "maxY")
_POSITION = "Each box must contain a position with: middle, width, and height or minX, maxX, minY, maxY."


def _has(position: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(plain(position.get(key)), int | float) for key in keys)
