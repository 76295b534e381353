"""A naive model of clones around one remote: who knew of which write of a value, and which value each must read now.

It knows nothing of logs and of how changes are told. Whatever a local operation changed in what its clone reads is a
write of that value, made over all writes of it that the clone knew of. A push and a pull hand on what is known. So:

- a value that was overwritten, or declined, by a write that a side knows of is never read there again;
- a push sets what the remote reads only where that is what its clone wrote over;
- a pull reads what the remote reads, unless all that was said there since is by this clone, or was overwritten by it.
"""

import json
from typing import Any, NamedTuple

from artstore.domain.collection import INHERIT, State

Key = tuple[str, ...]
Reading = dict[Key, Any]
TAGS = ("red", "green")
ALIASES = ("prod", "best")
KEYS = ("loss", "note")
UNSET = {"alias": None, "tag": False, "description": None, "live": True, "metadata": None, "ttl": INHERIT, "keep": None}
UNSET |= {"extras": None}
"""What is read of each kind before anybody writes it."""


class Write(NamedTuple):
    """Somebody's change of one value. What is read before any is number 0, which all know."""

    number: int
    value: Any
    old: Any
    """what its writer read before"""


class Value:
    """What one side knows of one value of one collection."""

    def __init__(self) -> None:
        self.known: set[Write] = set()
        self.said: set[Write] = set()
        """of those, the ones that the remote has read: others were declined there"""
        self.settled: set[Write] = set()
        """its own that a pull declined"""
        self.dead: set[Write] = set()
        """overwritten or declined"""


def reading(state: State) -> Reading:
    """What a side reads of a collection. Nothing of deleted versions but that they are."""
    read: Reading = {("alias", alias): state.aliases.get(alias) for alias in ALIASES}
    read |= {("tag", "", tag): tag in state.tags for tag in TAGS}
    read["description", ""] = state.description
    read["keep", ""] = state.keep
    for id, version in state.versions.items():
        read["live", id] = "deleted" not in version
        if "deleted" in version:
            continue
        read |= {("tag", id, tag): tag in version.get("tags", []) for tag in TAGS}
        read |= {("metadata", id, key): version.get("metadata", {}).get(key) for key in KEYS}
        read["description", id] = version.get("description")
        read["ttl", id] = version.get("ttl", INHERIT)
        read["extras", id] = json.dumps(version["extras"]) if "extras" in version else None
    return read


class Side:
    """A clone or the remote: its collections by name, and the names that they had."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, dict[Key, Value]] = {}
        self.reads: dict[str, Reading] = {}
        self.moved: dict[str, str] = {}

    def value(self, collection: str, key: Key) -> Value:
        return self.values.setdefault(collection, {}).setdefault(key, Value())

    def rename(self, old: str, new: str) -> None:
        self.values[new], self.reads[new] = self.values.pop(old), self.reads.pop(old)
        self.moved[old] = new

    def names_before(self, name: str) -> list[str]:
        return [old for old in reversed(self.moved) if self._now(old) == name]

    def _now(self, name: str) -> str:
        while name in self.moved:
            name = self.moved[name]
        return name


class Model:
    """What every operation may do to what is read. Each method is told what a side reads afterwards."""

    def __init__(self) -> None:
        self._count = 0

    def acted(self, side: Side, collection: str, read: Reading) -> None:
        """A local operation: what it changed are writes."""
        before = side.reads.get(collection, {})
        for key in read:
            value = side.value(collection, key)
            if key not in before and value.known:
                self._settle(side, collection, key, read, key[0] == "live")  # of a version that was brought back
                continue
            if key not in before:
                value.known = {Write(0, UNSET[key[0]], None)}
            old = before.get(key, UNSET[key[0]])
            if read[key] != old:
                self._count += 1
                value.dead |= value.known
                value.known.add(Write(self._count, read[key], old))
        side.reads[collection] = read

    def renamed_there(self, clone: Side, remote: Side) -> None:
        """What a clone has renamed is renamed by its push where the remote has it under an old name, even if the rest is
        refused. What others made under that name keeps it.
        """
        for name in clone.values:
            ours = _versions(clone.reads[name])
            known = [old for old in clone.names_before(name) if old in remote.values]
            known = [old for old in known if ours & _versions(remote.reads[old])]
            if known and name not in remote.values and name not in remote.moved:
                remote.rename(known[0], name)

    def renamed_here(self, clone: Side, remote: Side) -> None:
        """The same by a pull, where names are all that counts."""
        for name in remote.values:
            known = [old for old in remote.names_before(name) if old in clone.values]
            if known and name not in clone.values and name not in clone.moved:
                clone.rename(known[0], name)

    def pushed(self, clone: Side, remote: Side, collection: str, read: Reading) -> None:
        """A push that was not refused."""
        new = collection not in remote.values
        before, here = remote.reads.get(collection, {}), clone.reads[collection]
        for key in sorted(clone.values[collection].keys() | remote.values.get(collection, {}).keys()):
            ours, theirs = clone.value(collection, key), remote.value(collection, key)
            loose = _is_loose(collection, key, clone, remote)
            if new and key in here:
                assert read[key] == here[key], f"{key} of a collection that the remote never had"
                theirs.said |= ours.known
            elif key in read and key in here and key in before:
                _after_push(key, ours, theirs, here[key], before[key], read[key], loose)
            elif key in read and (read[key] == here.get(key) or read[key] != before.get(key)):
                theirs.said |= ours.known - theirs.known
            _learn(theirs, ours)
            ours.said |= theirs.said & ours.known
            self._settle(remote, collection, key, read, loose)
        remote.reads[collection] = read

    def pulled(self, clone: Side, remote: Side, reads: dict[str, Reading]) -> None:
        """A pull: what the clone reads of each collection that was not refused."""
        self.renamed_here(clone, remote)
        for collection in remote.values:
            if collection not in reads:
                continue
            before, there, read = clone.reads.get(collection, {}), remote.reads[collection], reads[collection]
            for key, theirs in list(remote.values[collection].items()):
                ours = clone.value(collection, key)
                loose = _is_loose(collection, key, clone, remote)
                if key in read and key in there and key in before:
                    _after_pull(key, ours, theirs, before[key], there[key], read[key], loose)
                elif key in read and read[key] == there.get(key):
                    ours.settled |= set(_pending(ours, theirs))
                _learn(ours, theirs)
                self._settle(clone, collection, key, read, loose)
            clone.reads[collection] = read

    def _settle(self, side: Side, collection: str, key: Key, read: Reading, loose: bool) -> None:
        """What is read now is by a write that lives; all others that are known were overwritten or declined."""
        if key not in read:
            return
        value = side.value(collection, key)
        living = _living(value, read[key])
        if not living and loose and key[0] in ("alias", "live"):
            living = {write for write in value.known if write.value == read[key]}
        elif not living:
            raise AssertionError(f"{side.name}: {collection} {key} went back to {read[key]!r}")
        value.dead = value.known - living


def _versions(read: Reading) -> set[str]:
    return {key[1] for key in read if key[0] == "live"}


def _is_loose(collection: str, key: Key, *sides: Side) -> bool:
    """Whether a deletion may decide what is read: an alias keeps a version alive, a deleted one has no alias, and nothing
    is read of it.
    """
    if key[0] == "live":
        return True
    known = (
        {write.value for side in sides for write in side.value(collection, key).known} if key[0] == "alias" else set()
    )
    about = known or {key[1]}
    return any(len(side.value(collection, ("live", id)).known) > 1 for side in sides for id in about if id)


def _after_push(key: Key, ours: Value, theirs: Value, here: Any, before: Any, now: Any, loose: bool) -> None:
    expected, said = before, set()
    for write in _pending(ours, theirs):
        if write.old == expected:  # each over the value that it replaced, in order
            expected = write.value
            said.add(write)
    what = f"push of {key}: {here!r} here, {before!r} there before, {now!r} now"
    assert loose or now == expected, f"{what}, not {expected!r}"
    if said and now == expected:
        last = max(said, key=lambda write: write.number)
        theirs.said |= said
        theirs.dead |= theirs.said - {last}


def _after_pull(key: Key, ours: Value, theirs: Value, before: Any, there: Any, now: Any, loose: bool) -> None:
    pending, crossed = _pending(ours, theirs), theirs.said - ours.known - theirs.dead
    expected = before if pending and not crossed else there
    what = f"pull of {key}: {before!r} here before, {there!r} there, {now!r} now"
    assert loose or now == expected, f"{what}, not {expected!r}"
    if crossed:
        ours.settled |= set(pending)


def _pending(ours: Value, theirs: Value) -> list[Write]:
    """What a clone has to tell."""
    return sorted(ours.known - theirs.known - ours.settled, key=lambda write: write.number)


def _learn(ours: Value, theirs: Value) -> None:
    ours.known |= theirs.known
    ours.said |= theirs.said
    ours.dead |= theirs.dead


def _living(value: Value, reads: Any) -> set[Write]:
    return {write for write in value.known - value.dead if write.value == reads}
