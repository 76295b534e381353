"""A disk that fails: whatever `FolderStorage` is asked, the answer is a StorageError, never the system's own error."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.places import open_storage
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.codec import decode_json, encode_json
from artstore.errors import Damage, StorageError
from artstore.store.layout import make

PACK = f"objects/packs/{'0' * 64}.pack"
ASKED: dict[str, Callable[[Storage], object]] = {
    "names": lambda place: place.names("refs/a"),
    "steady_names": lambda place: place.steady_names("refs/a"),
    "paths": lambda place: place.paths("refs"),
    "below": lambda place: place.below("refs"),
    "read": lambda place: place.read("refs/a/1"),
    "read_each": lambda place: list(place.read_each(["refs/a/1"])),
    "size": lambda place: place.size("refs/a/1"),
    "sizes": lambda place: place.sizes(["refs/a/1"]),
    "stamp": lambda place: place.stamp("refs/a"),
    "now": lambda place: place.now(),
    "create": lambda place: place.create("refs/a/2", b"2"),
    "replace": lambda place: place.replace("cache/x", b"2"),
    "remove": lambda place: place.remove("refs/a/1"),
    "take": lambda place: place.take(PACK, "trash/gc.x"),
    "rescue": lambda place: place.rescue("trash/gc.x/f", PACK),
    "only_here": lambda place: place.only_here("trash/gc.x/f"),
    "keep": lambda place: place.keep(PACK, "bad/x"),
    "sync_names": lambda place: place.sync_names(["refs"]),
    "remove_folder": lambda place: place.remove_folder("tmp/x"),
}


@pytest.mark.parametrize("foreign", [False, True], ids=["own", "foreign"])
@pytest.mark.parametrize("asked", ASKED)
def test_an_input_output_error_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, foreign: bool
) -> None:
    make(str(tmp_path / "place"))
    place = open_storage(str(tmp_path / "place"), foreign=foreign)
    assert isinstance(place, FolderStorage) and place.create("refs/a/1", b"1")

    def failing(name: str) -> None:
        real = getattr(os, name)

        def call(*args: Any, **more: Any) -> Any:
            if any(str(tmp_path / "place") in str(arg) for arg in args):
                raise OSError(errno.EIO, os.strerror(errno.EIO), args[0])
            return real(*args, **more)

        monkeypatch.setattr(os, name, call)

    for name in (
        "stat",
        "lstat",
        "open",
        "listdir",
        "scandir",
        "rename",
        "link",
        "unlink",
        "rmdir",
        "mkdir",
        "replace",
    ):
        failing(name)
    with pytest.raises(StorageError, match="input/output error"):
        ASKED[asked](place)


def test_a_full_stack_is_not_taken_for_a_damaged_repository() -> None:
    """A script that calls from deep inside gets Python's own error: the data are right."""

    def to_the_brim(left: int) -> None:
        if left:
            to_the_brim(left - 1)
        else:
            decode_json(data, "it")

    data = encode_json({"a": [[[1]]]})
    failures = set()
    for left in range(900, 1000):
        try:
            to_the_brim(left)
        except (RecursionError, Damage) as error:
            failures.add(type(error))
    assert failures == {RecursionError}
    nested = b"[" * 100_000 + b"]" * 100_000 + b"\n"
    with pytest.raises(Damage, match="nested too deeply"):
        decode_json(nested, "it")
