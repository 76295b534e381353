"""The rows of a large table: in an unnamed temporary file, with a few in memory at a time."""

import datetime
import operator
import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import msgpack

from artstore.api.media.value import Media
from artstore.api.tables import columns as kinds
from artstore.api.tables import frames
from artstore.api.tables.comparing import same_row
from artstore.backends.descriptors import Appending
from artstore.errors import translated

_TOGETHER = 1000
"""How many rows are read at once."""


class Rows(Sequence[list[Any]]):
    """The rows of a large table, which are read as they are asked for. Each row that is returned is a copy."""

    def __init__(self) -> None:
        fd, path = tempfile.mkstemp()  # msgpack: nothing in it is executed
        os.unlink(path)
        self._out = Appending(fd)
        weakref.finalize(self, self._out.file.close)
        self._starts = array("Q")
        self._end = 0
        self._media: list[Media] = []
        """The media in cells: their bytes are in files, and the objects are small."""

    def append(self, row: list[Any]) -> None:
        """Add a row."""
        data = _packb([_boxed(kinds.plain(cell)) for cell in row], self._packed_cell)
        with translated("write the rows of a table to a temporary file"):
            self._out.write(data)
        self._starts.append(self._end)
        self._end += len(data)

    def _packed_cell(self, value: Any) -> Any:
        if isinstance(value, Media):
            self._media.append(value)
            return msgpack.ExtType(_MEDIA, str(len(self._media) - 1).encode())
        return _packed(value)

    def _unpacking(self) -> dict[str, Any]:
        def unpacked(code: int, data: bytes) -> Any:
            return self._media[int(data)] if code == _MEDIA else _unpacked(code, data)

        return _UNPACKING | {"ext_hook": unpacked}

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> list[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[list[Any]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[operator.index(index)]
        return msgpack.unpackb(self._packed(number, number + 1), **self._unpacking())

    def _packed(self, first: int, last: int) -> bytes:
        """The rows from `first` to before `last`, as they are in the file."""
        start, end = self._starts[first], self._starts[last] if last < len(self) else self._end
        with translated("read the rows of a table from a temporary file"):
            self._out.flush()
            return os.pread(self._out.file.checked(), end - start, start)

    def __iter__(self) -> Iterator[list[Any]]:
        for first in range(0, len(self), _TOGETHER):  # few reads, even for many rows
            unpacker = msgpack.Unpacker(max_buffer_size=0, **self._unpacking())
            unpacker.feed(self._packed(first, min(first + _TOGETHER, len(self))))
            yield from unpacker

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(same_row, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list


_MOMENT, _DAY, _LONG, _ARRAY, _COLLECTION, _MEDIA = range(6)


def _packb(value: Any, default: Callable[[Any], Any]) -> bytes:
    return bytes(msgpack.packb(value, default=default, unicode_errors="surrogatepass"))


def _boxed(cell: Any) -> Any:
    """A tuple or a set as an extension, because msgpack has lists only; any other cell as it is."""
    form = kinds.form_of(cell)
    return msgpack.ExtType(_COLLECTION, _packb([form, list(cell)], _packed)) if form in kinds.COLLECTIONS else cell


def _packed(value: Any) -> Any:
    """A value for which msgpack has no form of its own."""
    if isinstance(value, datetime.datetime):
        return msgpack.ExtType(_MOMENT, value.isoformat().encode())
    if isinstance(value, datetime.date):
        return msgpack.ExtType(_DAY, value.isoformat().encode())
    if isinstance(value, int):
        return msgpack.ExtType(_LONG, str(value).encode())
    if kinds.is_array(value):
        return msgpack.ExtType(_ARRAY, msgpack.packb([value.dtype.str, list(value.shape), value.tobytes()]))
    return kinds.plain(value)


def _unpacked(code: int, data: bytes) -> Any:
    if code == _ARRAY:
        dtype, shape, content = msgpack.unpackb(data)
        return frames.numpy().frombuffer(content, dtype=dtype).reshape(shape).copy()
    if code == _COLLECTION:
        form, items = msgpack.unpackb(data, **_UNPACKING)
        return kinds.COLLECTIONS[form](items)
    text = data.decode()
    if code == _LONG:
        return int(text)
    return (datetime.datetime if code == _MOMENT else datetime.date).fromisoformat(text)


_UNPACKING: dict[str, Any] = {"ext_hook": _unpacked, "strict_map_key": False, "unicode_errors": "surrogatepass"}
