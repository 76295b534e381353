"""Sealing: what processes of a run wrote beside its log, its history and files, becomes a part of the store."""

import operator
import os
from collections.abc import Callable

from artstore.backends.owner import is_alive, is_dead, parse, this_process
from artstore.backends.storage import FolderStorage
from artstore.domain.builder import PathTaken, TreeBuilder
from artstore.domain.changes import Change, new_change
from artstore.domain.metadata import LONG
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.domain.tree import FILE, Folder, Row
from artstore.errors import Conflict, DamagedObject, SourceError
from artstore.operations.saving.planning import encoded
from artstore.operations.saving.scan import Scanner
from artstore.progress import Monitor
from artstore.store.metrics import rows_of, whole_rows
from artstore.store.objects import ObjectStore
from artstore.store.runfiles import checked_parts, file_at, staged_in
from artstore.store.runs import FILES, HISTORY, Runs
from artstore.store.transaction import Transaction


def seal(
    objects: ObjectStore,
    runs: Runs,
    state: RunState,
    more: Callable[[RunState], list[Change]] = lambda state: [],
    *,
    growing: str | None = None,
    last: bool = False,
) -> None:
    """Seal what no process adds to any more of a run's history and files, and append `more` changes in the same entry.

    These are files and folders of this process and of dead ones. They are removed when the run's log names their sealed
    parts. A damaged part of the history stays: the run goes on, and readers of its history get an error. Cost: one
    transaction if there is something to seal.

    Args:
        growing: The name of a folder of this process that still grows, and isn't sealed.
        last: The run ends: all its files are put into one tree, so that files which others replaced can be collected.
    """
    storage = objects.here
    if storage is None:
        return
    beside = [path for path in (*runs.parts(state), *runs.file_folders(state)) if _is_ended(storage, path)]
    beside = [path for path in beside if _name(path) != growing]
    known = state.history.keys() | state.files.keys()
    if any(_name(path) not in known for path in beside) or (last and len(state.folders()) > 1):
        _seal(objects, runs, state, beside, more, last=last)
    else:
        runs.append(state, more)
    for path in beside:
        _remove(storage, path)


def _seal(
    objects: ObjectStore,
    runs: Runs,
    state: RunState,
    beside: list[str],
    more: Callable[[RunState], list[Change]],
    *,
    last: bool,
) -> None:
    """Store the parts and append the changes that name them. A damaged part is taken out of `beside`."""
    storage = objects.here
    assert storage is not None
    live = _live(state)
    with Transaction(objects) as tx:
        rows, files = [], []
        for path in list(beside):
            name = _name(path)
            if name in state.history or name in state.files:
                continue
            try:
                if name.startswith(HISTORY):
                    rows.append(_history_part(tx, name, storage.read(path)))
                else:
                    files.append((name, _tree_of(tx, storage, path)))
            except (DamagedObject, FileNotFoundError):  # not there: a signal handler has sealed it meanwhile
                beside.remove(path)
            except SourceError:
                if os.path.lexists(storage.path(path)):
                    raise
                beside.remove(path)
        rows.sort(key=operator.itemgetter("first"))
        changes = [*rows, *(_files_change(name, encoded(tree, tx), []) for name, tree in files)]
        whole = _in_one_tree(tx, state, files) if last else []
        tx.publish()

        def build(now: RunState) -> list[Change]:
            known = now.history.keys() | now.files.keys()
            new = [change for change in changes if change["part"] not in known]
            # A folder that was sealed meanwhile was removed, perhaps while it was read here: one tree could lack files.
            is_whole = len(new) == len(changes) and _live(now) == live
            return [*new, *(whole if is_whole else []), *more(now)]

        runs.append(state, build)
        tx.ensure()


def _history_part(tx: Transaction, name: str, data: bytes) -> Change:
    data = whole_rows(data)
    steps = [row["_step"] for row in rows_of(data)]
    span = {"rows": len(steps), "first": min(steps, default=0), "last": max(steps, default=0)}
    if len(data) <= LONG:
        return new_change("history", part=name, **span, text=data.decode("utf-8", "replace"), blob=None)
    return new_change("history", part=name, **span, text=None, blob=tx.add_bytes(data).hex())


def _tree_of(tx: Transaction, storage: FolderStorage, path: str) -> TreeBuilder:
    """The files in a folder of unsealed files, stored in the transaction."""
    inside = os.path.join(os.path.realpath(storage.root), path)  # links that others put there meanwhile aren't followed
    tree, scanner = TreeBuilder(tx.read_tree), Scanner(tx, monitor=Monitor(), inside=inside)
    for name, place, _ in staged_in(storage.path(path)):
        parts = tuple(name.split(b"/"))
        tree.put(parts, (parts[-1], *scanner.one_file(*os.path.split(place))[1:]))
    return tree


def _live(state: RunState) -> list[str]:
    """The parts of a run's files that no other part replaces."""
    return [name for name, change in state.files.items() if change]


def _in_one_tree(tx: Transaction, state: RunState, found: list[tuple[str, TreeBuilder]]) -> list[Change]:
    """The change that names one tree of all files of a run, instead of its trees and those found. None for one tree."""
    parts = [*_live(state), *(name for name, _ in found)]
    if len(parts) < 2:
        return []
    whole = TreeBuilder(tx.read_tree)
    try:
        for folder in (*state.folders(), *(encoded(tree, tx) for _, tree in found)):
            whole.graft((), folder)
    except PathTaken:  # a file and a folder have the same name in two trees: both stay
        return []
    return [_files_change(f"{FILES}{this_process(named=False)}", encoded(whole, tx), parts)]


def _files_change(name: str, folder: Folder, replaces: list[str]) -> Change:
    return new_change(
        "files", part=name, tree=folder.digest.hex(), size=folder.size, files=folder.files, replaces=replaces
    )


def add_file(objects: ObjectStore, runs: Runs, state: RunState, path: str, source: bytes | str) -> None:
    """Add these bytes, or a copy of a local file, to a run that isn't recorded by this process."""
    with Transaction(objects) as tx:
        tree, parts = TreeBuilder(tx.read_tree), checked_parts(path)
        if isinstance(source, bytes):
            stored: Row = (FILE, len(source), tx.add_bytes(source))
        else:
            stored = Scanner(tx, monitor=Monitor()).one_file(*os.path.split(source))[1:]
        tree.put(parts, (parts[-1], *stored))
        change = _files_change(f"{FILES}{this_process(named=False)}", encoded(tree, tx), [])
        tx.publish()
        runs.append(state, lambda state: [change])
        tx.ensure()


def delete_file(objects: ObjectStore, runs: Runs, state: RunState, path: str) -> None:
    """Delete a file of a run: one tree without it replaces those that the run has.

    Raises NoEntry if the run has no such file, and Conflict if the file isn't sealed yet.
    """
    parts = checked_parts(path)
    if file_at(objects, runs, state, path).entry is None:
        raise Conflict(
            f"'{printable(path)}' was just added to run {state.path}", hint="delete it when the run has ended"
        )
    with Transaction(objects) as tx:

        def build(now: RunState) -> list[Change]:
            whole = TreeBuilder(tx.read_tree)
            for folder in now.folders():
                whole.graft((), folder)
            whole.remove(parts)
            change = _files_change(f"{FILES}{this_process(named=False)}", encoded(whole, tx), _live(now))
            tx.publish()
            return [change]

        runs.append(state, build)
        tx.ensure()


def discard(objects: ObjectStore, runs: Runs, state: RunState) -> None:
    """Remove the unsealed history and files of a deleted run, unless a process still adds to them."""
    if (storage := objects.here) is not None:
        for path in (*runs.parts(state), *runs.file_folders(state)):
            if _is_ended(storage, path):
                _remove(storage, path)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_ended(storage: FolderStorage, path: str) -> bool:
    owner = parse(_name(path).removeprefix(HISTORY).removeprefix(FILES))
    return owner is not None and ((owner.pid == os.getpid() and is_alive(owner)) or is_dead(owner, local=storage.local))


def _remove(storage: FolderStorage, path: str) -> None:
    if _name(path).startswith(HISTORY):
        storage.remove(path)
    else:
        storage.remove_folder(path)
