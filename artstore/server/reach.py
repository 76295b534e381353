"""Reachability: which objects a version, or a log itself, has. Bytes are given only through these."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from threading import Lock

from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state
from artstore.domain.digest import TREE, Digest
from artstore.domain.properties import property_digests
from artstore.domain.run import RunState
from artstore.domain.tree import DIRECTORY, PART, REFERENCE, trusted_tree
from artstore.store.objects import ObjectStore

_ROOM = 64 << 20
"""Bytes of all sets of digests that are kept: of two million objects."""
_SIZE = 32
_FEW = 100_000
"""Digests of which a Python set is kept: it takes four times the memory, and a look-up a twentieth of the time."""


class Digests(Container[bytes]):
    """A set of digests; a large one is sorted, in 32 bytes each."""

    def __init__(self, found: set[Digest]) -> None:
        self._data = b"".join(sorted(found)) if len(found) > _FEW else b""
        self._few = frozenset(found) if not self._data else frozenset[Digest]()

    @property
    def room(self) -> int:
        """The memory that it takes."""
        return len(self._data) + 4 * _SIZE * len(self._few)

    def __contains__(self, digest: object) -> bool:
        assert isinstance(digest, bytes)
        if digest in self._few:
            return True
        count = len(self._data) // _SIZE
        at = bisect_left(range(count), digest, key=self._at)
        return at < count and self._at(at) == digest

    def _at(self, number: int) -> bytes:
        return self._data[number * _SIZE : number * _SIZE + _SIZE]


class Reach:
    """What versions and runs have, as far as it was asked lately. Any thread may ask."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        self._kept: OrderedDict[tuple[str, ...], Digests] = OrderedDict()
        self._lock = Lock()

    def of_versions(self, objects: ObjectStore, versions: Sequence[VersionState]) -> Digests:
        """The records, trees and blobs of some versions together, without their long properties.

        Cost: reads the trees of all of them, each once, unless the same versions were asked for lately.
        """
        key = tuple(sorted(version["id"] for version in versions))
        return self._found(
            key, lambda: _below(objects, map(digest_of_state, versions)) | set(map(id_of_state, versions))
        )

    def of_run(self, objects: ObjectStore, state: RunState) -> Digests:
        """The sealed history and files of a run."""
        key = (str(state.path), state.digest or "")
        return self._found(key, lambda: _below(objects, (tree.digest for tree in state.folders())) | {*state.blobs()})

    def _found(self, key: tuple[str, ...], find: Callable[[], set[Digest]]) -> Digests:
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        found = Digests(find())
        with self._lock:
            self._kept[key] = found
            while sum(kept.room for kept in self._kept.values()) > self._room and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return found


def long_properties(state: State) -> Digests:
    """The blobs of the long properties of a collection and of its versions."""
    return Digests({one for owner in (vars(state), *state.versions.values()) for one in property_digests(owner)})


def _below(objects: ObjectStore, roots: Iterable[Digest]) -> set[Digest]:
    """Trees with everything below them. They are read level by level: a bucket is asked few times."""
    found = set(roots)
    level = list(found)
    while level:
        below: set[Digest] = set()
        for _, _, data in objects.read_many(dict.fromkeys(level, TREE)):
            for entry in trusted_tree(bytes(data)):
                if entry[1] == REFERENCE or entry[3] in found:
                    continue
                found.add(entry[3])
                if entry[1] in (DIRECTORY, PART):
                    below.add(entry[3])
        level = list(below)
    return found
