"""Relying on stored versions: an operation uses their objects again, and makes sure that no collector took
them meanwhile.
"""

from collections.abc import Callable, Iterable

from artstore.domain.changes import Change
from artstore.domain.collection import Path, State, VersionState, digest_of_state, id_of_state, is_live
from artstore.domain.digest import BLOB, TREE, VERSION, Digest
from artstore.domain.names import printable
from artstore.domain.properties import Properties, property_digests
from artstore.domain.tree import DIRECTORY, PART, REFERENCE, decode_tree
from artstore.errors import ArtstoreError, MissingObject
from artstore.operations.saving.properties import StoredProperties
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.relied import AGAIN
from artstore.store.transaction import Transaction

_FOR_GOOD = "part of it was collected; it can only come from another copy"


class Reliance:
    """A transaction that uses objects of stored versions again, for a copy, a link, an undelete or a draft.

    Order of use: open it → read the log → `rely_on` or `recover` → append the log entry by `change` → close it. Until
    it is closed, collectors don't remove the objects that it relies on.
    """

    def __init__(self, objects: ObjectStore, refs: Refs) -> None:
        self._objects = objects
        self._refs = refs
        self._bases: set[tuple[Path, str]] = set()
        """live versions whose trees are used without looking up each object below them"""
        self._recovered: set[Digest] = set()
        """trees below which every object was found; versions often share them"""
        self.transaction = Transaction(objects)

    def __enter__(self) -> "Reliance":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the transaction's folder. In a forked child: only close descriptors."""
        self.transaction.close()

    # -- before the log entry --

    def rely_on(self, path: Path, version: VersionState) -> None:
        """Use all files of a live version. Raises MissingObject if an object of it is gone.

        While a version lives, all its objects are stored. So they are looked up only in a repository with noted damage.
        """
        if self._objects.damage.is_known:
            self._recover_tree(digest_of_state(version), _named(path, version), AGAIN)
        self.rely_on_trees(path, version["id"])

    def rely_on_trees(self, path: Path, id: str) -> None:
        """Use trees of a live version, without looking up any of its objects."""
        self._bases.add((path, id))

    def rely_on_properties(self, path: Path, version: VersionState) -> None:
        """Use the blobs that hold a version's long metadata and description. Raises MissingObject if one is gone."""
        self._recover_blobs(property_digests(version), f"a property of {_named(path, version)} is gone")

    def recover(self, path: Path, version: VersionState) -> None:
        """Use every object of a deleted version, and bring back from the trash those that a collector took.

        Raises MissingObject if an object is gone.
        """
        name, tree, recover = _named(path, version), digest_of_state(version), self.transaction.recover
        if not (recover(VERSION, id_of_state(version), 0) and recover(TREE, tree, 0)):
            raise MissingObject(f"{name} can't be brought back", hint=_FOR_GOOD)
        self._recover_tree(tree, name, _FOR_GOOD)
        message = f"{name} can't be brought back: a property of it is gone"
        self._recover_blobs(property_digests(version), message, _FOR_GOOD)

    def recover_tree(self, tree: Digest, name: str) -> None:
        """Use every object of a tree that no version has. Raises MissingObject if one is gone."""
        if not self.transaction.recover(TREE, tree, 0):
            raise MissingObject(f"{name} can't be brought back: its tree is gone", hint=_FOR_GOOD)
        self._recover_tree(tree, name, _FOR_GOOD)

    def _recover_tree(self, tree: Digest, name: str, hint: str) -> None:
        for entry in decode_tree(self._objects.read(TREE, tree), tree):
            kind = TREE if entry.kind in (DIRECTORY, PART) else BLOB
            if entry.kind == REFERENCE:
                continue
            if not self.transaction.recover(kind, entry.digest, entry.size):
                raise MissingObject(f"{name} can't be brought back: '{printable(entry.name)}' is gone", hint=hint)
            if kind == TREE and entry.digest not in self._recovered:
                self._recover_tree(entry.digest, name, hint)
                self._recovered.add(entry.digest)

    def _recover_blobs(self, blobs: Iterable[Digest], message: str, hint: str | None = None) -> None:
        for blob in blobs:
            if not (self.transaction.recover_large(blob) or self.transaction.recover(BLOB, blob, 0)):
                raise MissingObject(message, hint=hint)

    def store(self, properties: Properties) -> StoredProperties:
        """Store the long values of properties for a version that exists. Returns what makes the changes."""
        return StoredProperties(self.transaction, properties)

    def read_blob(self, digest: Digest) -> bytes:
        """The bytes of a blob that is stored."""
        return self._objects.read(BLOB, digest)

    # -- after the log entry --

    def change(
        self,
        path: Path,
        build: Callable[[State], list[Change]],
        ensure: Callable[[State], object] | None = None,
        *,
        read: State | None = None,
    ) -> State:
        """Append changes to a log as `Refs.change` does, and look again for the objects on which they rely.

        If one is gone, take the changes back, and raise MissingObject. `ensure` looks for more than the transaction's.
        """
        made: list[Change] = []

        def noted(state: State) -> list[Change]:
            made[:] = build(state)
            return made

        after = self._refs.change(path, noted, read=read)
        try:
            self.transaction.ensure() if ensure is None else ensure(after)
        except ArtstoreError as error:
            if made:
                from artstore.domain.undoing import taken_back  # nearly no save needs it

                before = self._refs.read_folder(after.path.folder, after.path, until=after.number - 1)
                reason = str(error)
                self._refs.change(after.path, lambda now: taken_back(made, before, after, now, reason))
            raise
        return after

    def ensure_saved(self, tree: Digest, state: State) -> None:
        """Look again for the objects of a save, after its log entry was appended. Raises MissingObject if one is gone.

        Cost: one look-up for each pack and large blob that it relies on. If a version whose trees it used was deleted
        meanwhile, every object below the saved tree is looked up.

        Args:
            tree: The root tree that was saved.
            state: Of the collection after the save.
        """
        self.transaction.ensure()
        self.check_bases(tree, state)

    def check_bases(self, tree: Digest, state: State) -> None:
        """Look again whether the versions whose trees were used still live: the second half of `ensure_saved`.

        A collection's log is read again, unless `state` is still its newest state.
        """
        for path, id in self._bases:
            now = state if path == state.path and self._refs.is_current(state) else self._refs.read(path)
            if is_live(now.versions.get(id)):
                continue
            name = f"tree {tree.hex()[:12]}"
            if not self.transaction.recover(TREE, tree, 0):
                raise MissingObject(f"{name} was collected while this relied on it", hint=AGAIN)
            self._recover_tree(tree, name, AGAIN)
            self.transaction.ensure()
            return

    def ensure_copied(self, source: Path, versions: list[VersionState]) -> None:
        """Look again for the objects of versions, after they were copied or linked.

        If a version was deleted from its source meanwhile, all its objects are looked up.
        """
        state = self._refs.read(source)
        for version in versions:
            if not is_live(state.versions.get(version["id"])):
                self.recover(source, version)
        self.transaction.ensure()


def _named(path: Path, version: VersionState) -> str:
    return f"{path.name}:v{version['number']}"
