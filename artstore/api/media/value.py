"""The base class of media: each kind knows its name in W&B's files, what it stores, and how it is read back."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, ClassVar, Literal, Protocol, Self

from artstore.api.media.content import Content, StoredFile
from artstore.domain.html import page
from artstore.domain.names import printable
from artstore.errors import Damage, InvalidType

Told = dict[str, Any]
"""What a table or a file of one object records of it, as JSON."""
_LARGEST_JSON = 64 << 20
"""The most bytes of a JSON file that is read for one object."""


OBJECT = "pythonObject"
"""The type of a column of objects for which W&B has no type of its own."""


def object_type(name: str) -> Told:
    """The type of a column of such objects, by the name of their class."""
    return {"wb_type": OBJECT, "params": {"class_name": name}}


class MediaPlace(Protocol):
    """Where media are stored: the draft of an artifact, or a run."""

    def store(self, content: Content, folder: str, ending: str) -> Told:
        """Store a file below `folder`. Returns the fields that name it: `path`, `sha256`, and in a run `size`.

        A second call for the same bytes stores nothing.
        """

    def store_named(self, value: Any, path: str) -> Told:
        """Store a value as a JSON file in an artifact. Returns the fields that name it: `path` and `digest`."""

    in_run: bool
    """Whether it is a run. W&B's JSON of an object differs there."""


class MediaSource:
    """The artifact that media are read from."""

    def __init__(self, open_: Callable[[str], BinaryIO], entry: Callable[[str], Any] | None = None) -> None:
        """`open_` opens a file by its path. `entry` returns its entry, if there is an artifact that can share it."""
        self.open = open_
        self._entry = entry
        self._read: dict[str, Any] = {}

    def __call__(self, path: str) -> BinaryIO:
        """Open a file by its path."""
        return self.open(path)

    def content(self, told: Told, what: str) -> StoredFile:
        """The file that the fields `path` and `sha256` name. It is opened when it is needed."""
        path, sha256 = text_of(told, "path", what), optional_text(told, "sha256", what)
        entry = self._entry
        return StoredFile(lambda: self.open(path), path, sha256, lambda: None if entry is None else entry(path))

    def json(self, path: str) -> Any:
        """The value of a JSON file, which is read once."""
        if path not in self._read:
            self._read[path] = read_json(lambda: self.open(path), f"'{printable(path)}'")
        return self._read[path]


def read_json(open_: Callable[[], BinaryIO], what: str) -> Any:
    """The value of a JSON file. Raises Damage if it isn't JSON."""
    with open_() as file:
        data = file.read(_LARGEST_JSON + 1)
    try:
        if len(data) > _LARGEST_JSON:
            raise ValueError("it is too large")
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damage(f"{what} is not JSON: {error}") from error


class Media:
    """An object that is stored as a file, and shown as what it is."""

    type_name: ClassVar[str]
    """Its `_type` in W&B's files, and the end of the name of a file of one object."""
    word: ClassVar[str]
    """What it is called in messages."""
    folder: ClassVar[str]
    """The folder of its files."""
    content: Content
    """Its file."""
    caption: str | None = None
    """Its caption."""
    entry: Any = None
    """The entry of the artifact that it was got from with `get`; None if it was made here, or is in a table."""
    added: Any = None
    """The artifact to which it was added last, and its path there."""

    @classmethod
    def with_suffix(cls, name: str, filetype: str = "json") -> str:
        """The name of the file of one object, such as `cat.image-file.json`."""
        suffix = f"{cls.type_name}.{filetype}"
        return name if name.endswith(suffix) else f"{name}.{suffix}"

    @staticmethod
    def captions(objects: "Sequence[Media]") -> list[str] | Literal[False]:
        """The captions of several objects, with empty ones for those that have none. False if none has one."""
        found = [each.caption for each in objects]
        return [caption or "" for caption in found] if any(found) else False

    @classmethod
    def column_type(cls) -> Told:
        """The type of a column that holds such objects."""
        return {"wb_type": cls.type_name}

    def own_type(self) -> Told:
        """The type of a column that holds this object."""
        return self.column_type()

    def ending(self) -> str:
        """The ending of its file, with the dot."""
        raise NotImplementedError

    def to_json(self, place: MediaPlace) -> Any:
        """Store its files, and return what is recorded of it."""
        told = {"_type": self.type_name, **place.store(self.content, self.folder, self.ending())}
        if self.caption is not None:
            told["caption"] = self.caption
        return told

    @classmethod
    def from_json(cls, told: Any, source: MediaSource) -> Self:
        """The object that was recorded. Its file is read when it is needed. Raises Damage if it isn't one."""
        self = cls.__new__(cls)
        self.content = source.content(told, cls.word)
        self.caption = optional_text(told, "caption", cls.word)
        return self

    def identity(self) -> Any:
        """A JSON value that two objects share only if they are equal."""
        return {"_type": self.type_name, "sha256": self.content.sha256, "caption": self.caption}

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("entry", "added")}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Media) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash((self.type_name, self.caption))

    def __str__(self) -> str:
        """In a terminal, or in a cell of a notebook."""
        content = self.content
        where = content.path if isinstance(content, StoredFile) else content.name or f"of {content.size:,} bytes"
        return f"{self.word} {printable(where)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self).partition(' ')[2]}>"

    def _repr_html_(self) -> str:
        return page(str(self), "" if self.caption is None else f"<p>{page_text(self.caption)}</p>")


def identity_of(media: Media) -> Any:
    """A JSON value that two objects share only if they are equal."""
    return media.identity()


def plain(value: Any) -> Any:
    """A value as JSON has it: arrays and tensors as lists, numpy's numbers as Python's, NaN as None."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise InvalidType(f"{type(value).__name__} values can't be stored as JSON")


def page_text(text: str) -> str:
    """Text for a page."""
    from html import escape

    return escape(printable(text))


def checked_caption(caption: Any) -> str | None:
    """A caption. Raises InvalidType if it isn't text."""
    if caption is None or isinstance(caption, str):
        return caption
    raise InvalidType(f"a caption must be text, not {caption!r:.80}")


def text_of(told: Any, key: str, what: str) -> str:
    """The text at a key of what was recorded. Raises Damage if there is none."""
    value = told.get(key) if isinstance(told, dict) else None
    if not isinstance(value, str):
        raise Damage(f"the {what} that is recorded here has no '{key}'")
    return value


def optional_text(told: Any, key: str, what: str) -> str | None:
    """The text at a key of what was recorded, or None."""
    return None if isinstance(told, dict) and told.get(key) is None else text_of(told, key, what)
