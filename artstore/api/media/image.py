"""Image: a picture, with a caption, classes, boxes and masks."""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

from artstore.api.media import image_types, pixels
from artstore.api.media.content import Kept, Reference, StoredFile, content_of_file, is_reference, read
from artstore.api.media.overlays import BoundingBoxes2D, Classes, ImageMask
from artstore.api.media.value import Media, MediaPlace, MediaSource, Told, checked_caption, text_of
from artstore.domain.html import page
from artstore.domain.names import printable
from artstore.errors import Damage, InvalidType, InvalidValue

_SHOWN = 256 << 10
"""The most bytes of an image that a notebook shows."""


class Image(Media):
    """A picture.

    Its pixels are encoded when it is made. Of a local file the bytes are kept as they are.

    Example:
        >>> import numpy as np
        >>> image = wandb.Image(np.zeros((28, 28), dtype="uint8"), caption="nothing")
        >>> image
        <Image 28 × 28 png>
        >>> results = wandb.Artifact("results", type="evaluation")
        >>> results.add(image, "first").path
        'first.image-file.json'
    """

    MAX_ITEMS = 108
    """W&B's limit for a list of images in one step; here a list is kept whole."""
    all_captions = Media.captions
    type_name = "image-file"
    word = "image"
    folder = "media/images"

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Classes | Iterable[dict[str, Any]] | None = None,
        boxes: dict[str, Any] | None = None,
        masks: dict[str, Any] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        """Make an image.

        Args:
            data_or_path: An array (height, width, channels), a tensor of torch (channels, height, width), an image of
                Pillow, a figure of matplotlib or pyplot itself, the path of a file, a URI, or another Image, of which
                everything but boxes and masks is copied.
            mode: Pillow's mode for an array; by default `L`, `RGB` or `RGBA`, from its channels.
            caption: A caption.
            grouping: A number of a group, as in W&B.
            classes: The names of the classes in boxes and masks: `Classes`, or a list of dicts with `id` and `name`.
            boxes: BoundingBoxes2D, or dicts that it takes, by name.
            masks: ImageMask, or dicts that it takes, by name.
            file_type: `png`, `jpg`, `jpeg` or `bmp`, for the file that is made of data.
            normalize: Spread booleans, and floats from 0 to 1 or from -1 to 1, over the range from 0 to 255.

        Raises:
            InvalidValue: If there is no image in it (a ValueError).
            SourceError: If the file can't be read.
            NotFound: If Pillow isn't installed.
        """
        self.format = ""
        self._width: int | None = None
        self._height: int | None = None
        self.grouping: int | None = None
        self.classes: Classes | None = None
        self._take(data_or_path, mode, file_type, normalize)
        self.grouping = self.grouping if grouping is None else grouping
        self.caption = self.caption if caption is None else checked_caption(caption)
        self.boxes = _overlays(boxes, "boxes", BoundingBoxes2D)
        self.masks = _overlays(masks, "masks", ImageMask)
        self.classes = _classes_of(self.boxes, self.masks, classes) or self.classes

    def _take(self, given: Any, mode: str | None, file_type: str | None, normalize: bool) -> None:
        if isinstance(given, Image):
            self.content, self.format, self.caption = given.content, given.format, given.caption
            self._width, self._height = given._width, given._height
            self.grouping, self.classes = given.grouping, given.classes
        elif is_reference(given):
            self.content = Reference(given)
            self.format = _ending_of(self.content.name or "")
        elif isinstance(given, str | os.PathLike):
            self.content = content_of_file(given)
            self.format = _ending_of(os.fspath(given))
            self._width, self._height = self.image.size
        else:
            self._draw(given, mode, file_type, normalize)

    def _draw(self, given: Any, mode: str | None, file_type: str | None, normalize: bool) -> None:
        self.format = file_type or "png"
        if self.format not in pixels.FORMATS:
            raise InvalidValue(f"file_type must be one of {list(pixels.FORMATS)}, not '{file_type}'")
        if pixels.is_figure(given):
            self.content = Kept(pixels.drawn(given, self.format))
            self._width, self._height = self.image.size
            return
        picture = pixels.picture_of(given, mode, self.format, normalize=normalize)
        self._width, self._height = picture.size
        self.content = Kept(pixels.encoded(picture, self.format))

    @property
    def image(self) -> Any:
        """The picture, as an image of Pillow. Raises InvalidValue if the file isn't one, NotFound without Pillow."""
        return pixels.picture_in(self.content)

    @cached_property
    def _size(self) -> tuple[int, int] | None:
        if self._width is not None and self._height is not None:
            return self._width, self._height
        return None if isinstance(self.content, Reference) else self.image.size

    @property
    def width(self) -> int | None:
        """The width in pixels; None for a reference."""
        return None if self._size is None else self._size[0]

    @property
    def height(self) -> int | None:
        """The height in pixels; None for a reference."""
        return None if self._size is None else self._size[1]

    def to_data_array(self) -> list[Any]:
        """The pixels, as a list of rows."""
        picture = self.image
        flat = getattr(picture, "get_flattened_data", None) or picture.getdata  # the older name
        data = list(flat())
        return [data[row * picture.width : (row + 1) * picture.width] for row in range(picture.height)]

    def ending(self) -> str:
        """The ending of its file."""
        return f".{self.format}" if self.format else ""

    @classmethod
    def column_type(cls) -> Told:
        """The type of a column of images without boxes and masks."""
        return image_types.PLAIN

    def own_type(self) -> Told:
        """The type of a column with this image."""
        return image_types.type_of_image(self.classes, self.boxes, self.masks)

    def to_json(self, place: MediaPlace) -> Told:
        """Store its files, and return what is recorded of it.

        Raises InvalidValue for boxes or masks without classes in an artifact, as W&B does.
        """
        told: Told = super().to_json(place)
        told |= {"format": self.format, **self._measures()}
        if self.grouping:
            told["grouping"] = self.grouping
        if not place.in_run:
            if (self.boxes is not None or self.masks is not None) and self.classes is None:
                raise InvalidValue(
                    "classes must be passed to wandb.Image which have masks or bounding boxes when adding to artifacts",
                    hint="Image(…, classes=[{'id': 1, 'name': 'cat'}])",
                )
            if self.classes is not None:
                told["classes"] = _stored_classes(self.classes, place)
        if self.boxes:
            told["boxes"] = {key: each.to_json(place) for key, each in self.boxes.items()}
        if self.masks:
            told["masks"] = {key: each.to_json(place) for key, each in self.masks.items()}
        return told

    def _measures(self) -> dict[str, int]:
        return {} if self._size is None else {"width": self._size[0], "height": self._size[1]}

    @classmethod
    def from_json(cls, told: Any, source: MediaSource) -> Self:
        """The image that was recorded. Its pixels are read when they are needed."""
        self = super().from_json(told, source)
        self._width, self._height = _number(told, "width"), _number(told, "height")
        self.grouping = _number(told, "grouping")
        self.format = _ending_of(text_of(told, "path", cls.word))
        self.classes = None
        if told.get("classes") is not None:
            path = text_of(told["classes"], "path", "set of classes")
            self.classes = Classes.from_json(source.json(path), source)
        labels = {} if self.classes is None else self.classes.labels()
        self.boxes, self.masks = None, None
        if isinstance(told.get("boxes"), dict):
            self.boxes = {key: BoundingBoxes2D.from_json(each, source) for key, each in told["boxes"].items()}
        if isinstance(told.get("masks"), dict):
            self.masks = {key: ImageMask.from_json(each, source) for key, each in told["masks"].items()}
        for key, boxes in (self.boxes or {}).items():
            boxes.key, boxes.class_labels = key, {id: labels.get(id, name) for id, name in boxes.class_labels.items()}
        for key, mask in (self.masks or {}).items():
            mask.key = key
        return self

    def identity(self) -> Any:
        """Everything but the way in which the pixels are encoded."""
        overlays = [
            {} if layers is None else {key: each.identity() for key, each in layers.items()}
            for layers in (self.boxes, self.masks)
        ]
        classes = None if self.classes is None else self.classes.class_set
        shown = [self.caption, self.grouping, classes, *overlays]
        return {"_type": self.type_name, "sha256": self.content.sha256, "shown": shown}

    def __eq__(self, other: object) -> bool:
        """Whether pixels, caption, grouping, classes, boxes and masks are equal."""
        if not isinstance(other, Image):
            return False
        one, two = self.identity(), other.identity()
        if one["shown"] != two["shown"]:
            return False
        return bool(one["sha256"] == two["sha256"]) or (self._size == other._size and _same_pixels(self, other))

    __hash__ = Media.__hash__

    def __repr__(self) -> str:
        where = f" {printable(self.content.path)}" if isinstance(self.content, StoredFile) else ""
        size = "" if None in (self._width, self._height) else f" {self._width} × {self._height}"
        return f"<Image{size} {self.format}{where}>"

    def _repr_html_(self) -> str:
        if isinstance(self.content, Reference) or self.content.size > _SHOWN or self.format not in pixels.FORMATS:
            return super()._repr_html_()
        data = base64.b64encode(read(self.content)).decode()
        return page(self.caption or "", f'<img src="data:image/{self.format};base64,{data}">')


def _ending_of(path: str) -> str:
    return os.path.splitext(path)[1][1:]


def _number(told: Told, key: str) -> int | None:
    value = told.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Damage(f"the image that is recorded here has '{key}' {value!r:.80}")
    return value


def _same_pixels(one: Image, other: Image) -> bool:
    if isinstance(one.content, Reference) or isinstance(other.content, Reference):
        return False
    first, second = one.image, other.image
    return bool((first.mode, first.size) == (second.mode, second.size) and first.tobytes() == second.tobytes())


def _overlays(given: Any, name: str, kind: type[Any]) -> dict[str, Any] | None:
    """Boxes or masks by name, made of dicts where they aren't objects yet; None if there are none."""
    if not given:
        return None
    if not isinstance(given, dict):
        raise InvalidValue(f'Images "{name}" argument must be a dictionary, not {type(given).__name__}')
    for each in given.values():
        if not isinstance(each, kind | dict):
            raise InvalidType(f"{name} must hold dicts or {kind.__name__} objects, not {type(each).__name__}")
    return {str(key): each if isinstance(each, kind) else kind(each, str(key)) for key, each in given.items()}


def _classes_of(
    boxes: dict[str, BoundingBoxes2D] | None,
    masks: dict[str, ImageMask] | None,
    classes: Classes | Iterable[dict[str, Any]] | None,
) -> Classes | None:
    """All classes: those of boxes and masks, and those that were given, whose names win. None if there are none."""
    names: dict[Any, str] = {}
    layers: Sequence[BoundingBoxes2D | ImageMask] = [*(boxes or {}).values(), *(masks or {}).values()]
    for each in layers:
        names |= each.class_labels
    if classes is not None:
        names |= (classes if isinstance(classes, Classes) else Classes(classes)).labels()
    return Classes([{"id": id, "name": name} for id, name in names.items()]) if names else None


def _stored_classes(classes: Classes, place: MediaPlace) -> Told:
    """The fields of an image that name the file of its classes, which W&B names after their text."""
    name = hashlib.md5(str(classes.class_set).encode(), usedforsecurity=False).hexdigest()
    return {
        "type": "classes-file",
        **place.store_named(classes.to_json(place), f"{classes.folder}/{name}_cls.classes.json"),
    }
