"""Columns of arrays, which are stored in `.npz` files beside the table, as W&B does."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

from artstore.api.tables import columns as kinds
from artstore.api.tables import frames
from artstore.api.tables.columns import Type
from artstore.domain.names import printable
from artstore.errors import ArtstoreError, Damage, InvalidValue, NoEntry

_ARRAYS = "media/serialized_data"
LARGEST = 1 << 30
"""The most bytes for the arrays of one column."""

OpenEntry = Callable[[str], BinaryIO]
"""A function that opens another file of the table's artifact for reading."""


def put_beside(name: str, cells: list[Any], kind: Type, add_file: Callable[[str, bytes], None]) -> Type:
    """Store a column of arrays in a file of its own, named after its content. Returns a type that names the file.

    Raises InvalidValue if a row has no array.
    """
    np, out = frames.numpy(), io.BytesIO()
    if any(kinds.is_null(cell) for cell in cells):
        raise InvalidValue(f"column '{printable(name)}' holds arrays: each row needs one", hint="of the same shape")
    np.savez_compressed(out, column=np.array(cells))
    path = f"{_ARRAYS}/{hashlib.md5(out.getvalue(), usedforsecurity=False).hexdigest()[:20]}.npz"
    add_file(path, out.getvalue())
    return {"wb_type": "ndarray", "params": {**kind["params"], "serialization_path": {"key": "column", "path": path}}}


def array_of(kind: Type, entry: OpenEntry, what: str) -> Any:
    """The cells of a column of arrays, from the file that the column's type names. Nothing in the file is executed.

    Raises Damage if it can't be read.
    """
    np = frames.numpy()
    try:
        place, shape = kind["params"]["serialization_path"], kind["params"].get("shape")
        with entry(place["path"]) as file:
            data = io.BytesIO(file.read(LARGEST + 1))
        if len(data.getvalue()) > LARGEST or not zipfile.is_zipfile(data):
            raise ValueError("it is not an archive, or it is too large")
        if sum(part.file_size for part in zipfile.ZipFile(data).infolist()) > LARGEST:
            raise ValueError("it is too large")
        found = np.load(data, allow_pickle=False)[place["key"]]
        if not isinstance(found, np.ndarray) or found.ndim < 1 or (shape and list(found.shape[1:]) != list(shape)):
            raise ValueError("its arrays don't have that shape")
        return found
    except Exception as error:  # numpy, zipfile and its decoders raise a dozen kinds of errors for damaged files
        if isinstance(error, ArtstoreError) and not isinstance(error, NoEntry | InvalidValue):
            raise
        raise Damage(f"{what} has a column of arrays that can't be read: {error or type(error).__name__}") from error
