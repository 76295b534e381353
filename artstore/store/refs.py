"""Refs: all collections of a repository. What moves in it moves here, and only by a new entry."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change, Entry, new_change
from artstore.domain.collection import Path, State, VersionState, nfc
from artstore.domain.kinds import KINDS, check_plain, fold
from artstore.domain.names import Spec
from artstore.domain.wording import near, typed
from artstore.errors import Conflict, Damage, DamagedLog, NotFound, StorageError
from artstore.store.logbook import Identity, LogBook, too_busy
from artstore.store.logs import CHECKPOINT_EVERY, LOST_RACES, EntryCache, Log

_BEHIND = 16
"""Entries that are folded once more before the fold is kept anew."""
_MANY = 256
"""Changes in one entry, as a push or a pull makes them, after which a writer leaves a checkpoint, too: each costs every reader
40 µs. More where many versions would be written for few changes.
"""


class Done(NamedTuple):
    """A change that was made."""

    state: State
    """of the collection, after it"""
    changes: list[Change]
    aliases: dict[str, str]
    """before it"""


class Refs(LogBook[State]):
    """All collections of a repository; `commit` is the compare-and-swap."""

    top, kinds = "refs", KINDS

    def __init__(
        self,
        storage: LogStorage,
        *,
        identity: Identity,
        keep: bool = False,
        foreign: bool = False,
        copies: bool = False,
    ) -> None:
        """`keep` the entries that were read: for one operation that reads logs again and again. Of `foreign` ones, which
        others write, checkpoints are checked. In `copies` of logs, which nobody commits to, reading leaves checkpoints.
        """
        super().__init__(storage, identity=identity, foreign=foreign, cache=EntryCache() if keep else None)
        self._copies = copies
        self.journal: list[Done] = []
        """what `change` did, for whoever takes it from here"""
        self._read_last = ""
        self._folded: tuple[str, State] | None = None
        """a folder that was read twice in a row, and its fold then: the checkpoint of a long collection costs 4 µs a
        version to decode
        """

    def cached(self) -> "Refs":
        """As this, for one operation: entries are read once."""
        return Refs(self._storage, identity=self._identity, keep=True, foreign=self._foreign)

    def of_copies(self, mirror: LogStorage) -> "Refs":
        """Collections of another repository, of whose logs there are copies here: for one operation."""
        return Refs(mirror, identity=self._identity, keep=True, copies=True)

    # -- reading --

    def collections(
        self, entity: str | None = None, project: str | None = None, *, damaged: list[Damage] | None = None
    ) -> Iterator[State]:
        """Every collection that exists, ordered by its path. One that can't be read is an error, or is told in
        `damaged` and left out.
        """
        for state in self._states(entity, project, damaged):
            if state.exists:
                yield state

    def read(self, path: Path, *, follow: bool = True) -> State:
        """The collection at a path, through renames; `exists` is False for a free name. Raises Conflict when it is
        spelled in another case.
        """
        for _ in range(100):
            state = self.read_folder(path.folder, path)
            if state.redirect is None or not follow:
                break
            path = state.redirect
        if (state.exists or state.versions) and state.path != nfc(path):
            raise Conflict(
                f"{path} differs only in case from {state.path}, which exists",
                hint=f"use {state.path}, or another name",
            )
        return state

    def is_current(self, state: State) -> bool:
        """Whether nothing was appended since this state was read. Cost: one stat."""
        return self._storage.size(f"{state.path.folder}/{state.number + 1:08}.json") is None

    def read_folder(
        self, folder: str, path: Path | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> State:
        """Fold a log, from its checkpoint where there is one; `until` stops behind that entry."""
        log = self._log(folder)
        listing = log.listing()
        state = State(nfc(path) if path else Path("", "", ""))
        to_its_end = checkpoints and until is None
        if to_its_end and (folded := self._folded_before(log)) is not None:
            state = folded
        elif checkpoints and (found := log.checkpoint(listing, until=until, foreign=self._foreign)):
            try:
                if self._foreign:
                    check_plain(found[2])
                state = State.from_plain(found[2])
            except (KeyError, TypeError, ValueError, Damage):
                pass  # made by another artstore: the entries decide
        start = state.number
        for entry in log.entries(listing, start, state.digest) if start != until else ():
            self._settle_read(state, folder, checkpoints)
            self._fold(state, entry)
            if entry.number == until:
                break
        self._settle_read(state, folder, checkpoints)
        if self._copies and state.number - start >= CHECKPOINT_EVERY:
            self._save_checkpoint(log, state)
        if to_its_end and len(state.versions) >= CHECKPOINT_EVERY:
            self._keep_fold(folder, state, state.number - start)
        return state

    def _folded_before(self, log: Log) -> State | None:
        """What this handle folded before of a log, if that still holds the entry at which it ended: believed as a
        checkpoint is.
        """
        if self._folded is None or self._folded[0] != log.folder:
            return None
        state = self._folded[1]
        try:
            if log.read(state.number).digest == state.digest:
                return state.copy()
        except (Damage, StorageError):
            pass  # the log tells what is wrong with it
        self._folded = None
        return None

    def _keep_fold(self, folder: str, state: State, behind: int) -> None:
        """Keep the fold of a folder that is read again and again, unless what is kept is only few entries `behind`."""
        kept = self._folded is not None and self._folded[0] == folder
        if folder == self._read_last and not (kept and behind < _BEHIND):
            self._folded = folder, state.copy()
        self._read_last = folder

    def _save_checkpoint(self, log: Log, state: State) -> None:
        if state.digest is not None:
            try:
                log.save_checkpoint(state.number, state.digest, state.plain(), foreign=self._foreign)
            except StorageError:
                pass  # it only keeps reading cheap

    def _settle_read(self, state: State, folder: str, checkpoints: bool) -> None:
        """Decide a pending `moved from` by the old log's next entry: it moved, or it is void (also while nobody has
        said).
        """
        change = state.pending
        if change is None:
            return
        old = Path.named_by(change)
        answer = self._answer(old, change["number"] + 1)
        if answer is None:
            return
        state.pending = None
        if not any(c["kind"] == "moved to" and c["change"] == change["change"] for c in answer.changes):
            return
        source = self.read_folder(old.folder, old, until=change["number"], checkpoints=checkpoints)
        if source.digest != change["digest"]:
            raise DamagedLog(f"{folder} was renamed from an entry of {old} that is not there any more")
        path = state.path
        number, digest = state.number, state.digest
        vars(state).update(vars(source))
        state.path, state.number, state.digest, state.exists = path, number, digest, True

    def _answer(self, old: Path, number: int) -> Entry | None:
        log = self._log(old.folder)
        if self._storage.size(f"{old.folder}/{number:08}.json") is None:
            return None
        return log.read(number)

    # -- changing --

    def commit(self, state: State, changes: list[Change]) -> State | None:
        """Append one entry behind `state`; the new state, or None when somebody else was first (read again, check
        again, try again). InvalidValue for what nobody could read afterwards.
        """
        self._check(changes, str(state.path))
        return state if self._append(self._log(state.path.folder), state, changes) else None

    def _fold(self, state: State, entry: Entry) -> None:
        fold(state, entry)

    def _keep(self, log: Log, state: State, changes: int) -> None:
        if state.number % CHECKPOINT_EVERY == 0 or changes >= max(_MANY, len(state.versions) // 16):
            self._save_checkpoint(log, state)

    def change(self, path: Path, build: Callable[[State], list[Change]], *, read: State | None = None) -> State:
        """Append what `build` makes of the collection's state (as it was `read`, where nothing came behind that); after a
        lost race `build` is asked again, on the new state. What it was shown is durable when this returns, whoever wrote
        it.

        No changes → no entry. `build` raises to refuse.
        """
        for _ in range(LOST_RACES):
            current = read is not None and read.pending is None and self.is_current(read)
            state, read = read if read is not None and current else self.settled(path), None
            if state.number == 0:
                self._check_spelling(path)
            changes, aliases = build(state), dict(state.aliases)
            if not changes:
                self._storage.settle(state.path.folder)
                return state
            if (done := self.commit(state, changes)) is not None:
                self.journal.append(Done(done, changes, aliases))
                return done
        raise too_busy(str(path))

    def _check_spelling(self, path: Path) -> None:
        """Projects and entities whose names differ in case only would share a folder: the first one decides."""
        for parts, folders in ((2, self.paths(path.entity, path.project)), (1, self.paths(path.entity))):
            states = (self.read_folder(folder) for folder in folders)
            first = next((state.path[:parts] for state in states if state.number), nfc(path)[:parts])
            if first != nfc(path)[:parts]:
                there = "/".join(first)
                raise Conflict(
                    f"{path} differs only in case from {there}, which exists", hint=f"use {there}, or another name"
                )

    def settled(self, path: Path, *, follow: bool = True) -> State:
        """As `read`, for who will append: a `moved from` that nobody completed is settled first."""
        state = self.read(path, follow=follow)
        while state.pending is not None:
            change = state.pending
            old = Path.named_by(change)
            source = self.read(old, follow=False)
            if source.number == change["number"]:
                self.commit(source, [new_change("not moved", **state.path.fields())])
            state = self.read_folder(state.path.folder, state.path)
        return state

    def rename(self, old: Path, new: Path) -> State:
        """Move a collection to a free name, history and all, in O(1). The old name redirects. Committed by the old
        log's entry.
        """
        for _ in range(LOST_RACES):
            source = self.settled(old)
            if not source.exists:
                raise NotFound(f"there is no collection {old}")
            target = self.settled(new, follow=False)
            if target.number == 0:
                self._check_spelling(new)
            if target.exists or target.redirect or target.versions:
                raise Conflict(f"{new} is in use", hint="choose another name")
            begun = new_change("moved from", **source.path.fields(), number=source.number, digest=source.digest)
            named = new_change("collection", **nfc(new).fields(), type=source.type)
            if self.commit(target, [named, begun]) is None:
                continue
            moved = {
                "change": begun["change"],
                "kind": "moved to",
                **nfc(new).fields(),
            }
            if self.commit(source, [moved]) is not None:
                return self.read(new)
        raise too_busy(str(old), "it could be renamed")

    def since(self, state: State, number: int, digest: str) -> list[Entry] | None:
        """Entries of this state's log behind that number; None when the entry of that number has another digest."""
        log = self._log(state.path.folder)
        try:
            if log.read(number).digest != digest:
                return None
            return [entry for entry in log.later(number, digest) if entry.number <= state.number]
        except DamagedLog:
            return None

    def history(self, path: Path, until: int | None = None) -> Iterator[Entry]:
        """All entries of a collection's log (up to the number `until`), oldest first; those before a rename from the old
        name's log.
        """
        log = self._log(path.folder)
        for entry in log.entries(log.listing()):
            if until is not None and entry.number > until:
                return
            for change in entry.changes:
                if change["kind"] == "moved from":
                    old = Path.named_by(change)
                    answer = self._answer(old, change["number"] + 1)
                    if answer and any(c["change"] == change["change"] for c in answer.changes):
                        yield from self.history(old, change["number"])
            yield entry

    def names_before(self, state: State) -> list[Path]:
        """Names that a collection had, the last one first. Cost: its whole history."""
        changes = [change for entry in self.history(state.path, state.number) for change in entry.changes]
        return [Path.named_by(change) for change in reversed(changes) if change["kind"] == "moved from"]

    def began(self, path: Path) -> str | None:
        """Digest of the first entry of a collection's log, through renames: a log keeps it for ever, and no other has it.
        None without an entry.
        """
        return next((entry.digest for entry in self.history(path)), None)


# -- finding versions --


def resolve(state: State, spec: Spec) -> VersionState:
    """The live version that a spec names. Raises NotFound, saying which part is missing and what is near."""
    name = str(state.path)
    if not state.exists:
        raise NotFound(f"there is no collection {name}")
    if spec.number is not None:
        taken = state.taken
        found = state.versions.get(taken.get(spec.number) or state.renumbered.get(spec.number, ""))
        if found is not None and "deleted" in found:
            raise NotFound(
                f"{name}:v{spec.number} was deleted on {found['deleted'][:10]}",
                hint=_undelete(name, found),
            )
    elif spec.digest is not None:
        found = next(
            (
                v
                for v in reversed(state.live())
                if v["digest"].startswith(spec.digest) or v["id"].startswith(spec.digest)
            ),
            None,
        )
        gone = state.versions.get(spec.digest)
        if found is None and gone is not None:
            raise NotFound(
                f"{name}:v{gone['number']} was deleted on {gone['deleted'][:10]}", hint=_undelete(name, gone)
            )
    elif spec.alias in (None, "latest"):
        found = state.latest
    else:
        found = state.versions.get(state.aliases.get(spec.alias or "", ""))
    if found is not None:
        return found
    if spec.number is not None:
        last = f"the newest is v{state.next - 1}" if state.next else "it has no version yet"
        raise NotFound(f"{name} has no version v{spec.number}", hint=last)
    if spec.digest is not None:
        raise NotFound(f"{name} has no live version with digest {spec.digest}", hint=f"{typed('log', name)} lists them")
    if spec.alias in (None, "latest"):
        raise NotFound(f"{name} has no live version", hint=f"{typed('log --deleted', name)} lists deleted ones")
    hint = near(spec.alias or "", state.aliases, f"{name}:") or f"{typed('log', name)} lists its aliases"
    raise NotFound(f"{name} has no alias '{spec.alias}'", hint=hint)


def _undelete(name: str, version: VersionState) -> str:
    return f"{typed('undelete', name + ':v' + str(version['number']))} may bring it back"
