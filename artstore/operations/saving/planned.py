"""What a save would add: a draft's sources, and the draft compared with the latest version."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from artstore.backends.storage import is_url
from artstore.domain.collection import State
from artstore.domain.digest import from_hex
from artstore.domain.ignore import NotingFilter
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
    unmatched: tuple[str, ...]
    """globs of `exclude` that match nothing"""


def gather(draft: Draft, path: str, exclude: tuple[str, ...]) -> tuple[str, ...]:
    """Add a file, a folder without the files that `exclude` matches, or references to what is at a URI.

    Returns the globs that match nothing. Raises InvalidValue if `exclude` leaves no file.
    """
    chosen = NotingFilter(None, exclude)
    is_folder = os.path.isdir(path)
    if is_folder:
        files = draft.add_folder(path, chosen=chosen).files
    elif is_url(path) and not os.path.lexists(path):
        from artstore.backends.references import named_targets

        name, targets = named_targets(path, chosen=chosen)
        is_folder = all(target.path for target in targets)
        files = len(draft.add_references(name, targets))
    elif not exclude:
        draft.add_file(path)
        return ()
    if exclude and not is_folder:
        raise InvalidValue(f"{printable(path)} is not a folder: there is nothing in it to exclude")
    if not files and len(chosen.unmatched) < len(set(exclude)):
        raise InvalidValue(f"no file of {printable(path)} is left: all are excluded", hint="leave out some --exclude")
    return chosen.unmatched


def planned(draft: Draft, state: State, objects: ObjectStore, unmatched: tuple[str, ...]) -> Planned:
    """Compare a draft with the latest version of a collection. `unmatched` is what `gather` returned."""
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
        unmatched,
    )  # fmt: skip


def _texts(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, paths))
