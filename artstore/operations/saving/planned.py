"""What a save would add: a draft's sources, and the draft compared with the latest version."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from artstore.backends.storage import is_url
from artstore.domain.collection import State
from artstore.domain.digest import from_hex
from artstore.domain.ignore import PathFilter
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, walk
from artstore.errors import InvalidValue
from artstore.operations.saving.draft import Draft
from artstore.store.objects import ObjectStore


class Planned(NamedTuple):
    """What a save would do."""

    number: int
    """of the version that it would make, or of the latest one if that has the same content"""
    is_new: bool
    files: int
    size: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def gather(draft: Draft, path: str, exclude: tuple[str, ...]) -> None:
    """Add a file, a folder without the files that `exclude` matches, or references to what is at a URI."""
    if os.path.isdir(path):
        draft.add_folder(path, chosen=PathFilter(None, exclude))
        return
    if exclude:
        raise InvalidValue(f"{printable(path)} is not a folder: there is nothing in it to exclude")
    if is_url(path) and not os.path.lexists(path):
        from artstore.backends.references import named_targets

        draft.add_references(*named_targets(path))
    else:
        draft.add_file(path)


def planned(draft: Draft, state: State, objects: ObjectStore) -> Planned:
    """Compare a draft with the latest version of a collection."""
    latest, folder = state.latest, draft.folder()
    tree = None if latest is None else from_hex(latest["digest"])
    before = () if tree is None else walk(tree, objects.read_tree)
    old = {path: entry for path, entry in before if entry.kind != DIRECTORY}
    new = dict(draft.files())
    changed = [path for path, entry in new.items() if path in old and old[path][1:] != entry[1:]]
    is_new = latest is None or tree != folder.digest
    return Planned(
        state.next if latest is None or is_new else latest["number"], is_new, folder.files, folder.size,
        _texts(path for path in new if path not in old), _texts(changed), _texts(path for path in old if path not in new),
    )  # fmt: skip


def _texts(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, paths))
