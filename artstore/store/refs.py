"""Refs: the logs of all collections. Whatever changes in a collection changes here, by a new entry."""

from collections.abc import Callable, Iterator
from typing import NamedTuple
from weakref import WeakValueDictionary

from artstore.backends.storage import FolderStorage, LogStorage
from artstore.domain.changes import Change, LogEntry, new_change
from artstore.domain.collection import Path, State, VersionState, is_live, nfc
from artstore.domain.kinds import KINDS, check_plain, fold
from artstore.domain.names import Spec
from artstore.domain.wording import near, typed
from artstore.errors import Conflict, Damage, DamagedLog, NotFound, StorageError
from artstore.store.logbook import Identity, LogBook, too_busy
from artstore.store.logs import CHECKPOINT_EVERY, LOST_RACES, EntryCache, Log, entry_path

_BEHIND = 16
"""The kept fold of a log is replaced only when it is this many entries old."""
_MANY = 256
"""Changes in one entry, such as a push or pull makes, after which a writer leaves a checkpoint too.

Without it each change takes every reader 40 µs. The limit is higher if the collection has many versions, which would
all be written for few changes.
"""


class Done(NamedTuple):
    """An entry that was appended by `change`."""

    state: State
    """the collection after it"""
    changes: list[Change]
    aliases: dict[str, str]
    """the collection's aliases before it"""


class _KeptFold:
    """The state of a log that was read twice in a row: decoding a checkpoint takes 4 µs for each version.

    Nobody changes a state that is here, so any thread may take it and copy it.
    """

    def __init__(self) -> None:
        self.read_last = ""
        self.folded: tuple[str, State] | None = None
        """the log's folder, and its state"""


_KEPT: "WeakValueDictionary[str, _KeptFold]" = WeakValueDictionary()
"""By the folder of a repository: its handles in this process share it, because each artifact of a run has its own."""


class Refs(LogBook[State]):
    """The logs of all collections of a repository. `commit` is the compare-and-swap."""

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
        """Open the collections of a storage.

        Args:
            keep: Cache entries, for one operation that reads logs repeatedly.
            foreign: Others write these logs, so their checkpoints are checked.
            copies: These are copies of logs, to which nobody commits, so reading writes checkpoints.
        """
        super().__init__(storage, identity=identity, foreign=foreign, cache=EntryCache() if keep else None)
        self._copies = copies
        self.journal: list[Done] = []
        """what `change` did here; whoever needs it takes it out"""
        shared = isinstance(storage, FolderStorage) and not foreign
        self._kept = _KEPT.setdefault(storage.root, _KeptFold()) if shared else _KeptFold()

    def cached(self) -> "Refs":
        """The same refs for one operation, in which each entry is read only once."""
        return Refs(self._storage, identity=self._identity, keep=True, foreign=self._foreign)

    def of_copies(self, mirror: LogStorage) -> "Refs":
        """The collections of another repository, read from the copies of its logs that are here, for one operation."""
        return Refs(mirror, identity=self._identity, keep=True, copies=True)

    # -- reading --

    def collections(
        self, entity: str | None = None, project: str | None = None, *, damaged: list[Damage] | None = None
    ) -> Iterator[State]:
        """All collections that exist, in the order of their paths.

        If one can't be read, that is an error; with `damaged` the error is added there and the collection left out.
        """
        for state in self._states(entity, project, damaged):
            if state.exists:
                yield state

    def with_deleted(
        self, entity: str | None = None, project: str | None = None, *, damaged: list[Damage] | None = None
    ) -> Iterator[State]:
        """Like `collections`, and those that were deleted with all their versions."""
        return (state for state in self._states(entity, project, damaged) if state.versions)

    def read(self, path: Path, *, follow: bool = True) -> State:
        """The collection at a path, following renames. `exists` is False for a free name.

        Raises Conflict if a collection's name differs from the path only in case.
        """
        for _ in range(100):
            state = self.read_folder(path.folder, path)
            if state.redirect is None or not follow:
                break
            path = state.redirect
        if (state.exists or state.versions) and state.path != nfc(path):
            raise _only_case(path, str(state.path))
        return state

    def is_current(self, state: State) -> bool:
        """Whether no entry was appended since this state was read. Cost: one stat."""
        return self._storage.size(entry_path(state.path.folder, state.number + 1)) is None

    def read_folder(
        self, folder: str, path: Path | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> State:
        """The state of a log, from its checkpoint if there is one; with `until`, as of that entry."""
        log = self._log(folder)
        listing = log.listing()
        state = State(nfc(path) if path else Path("", "", ""))
        to_its_end = checkpoints and until is None
        # Begin with the fold that this handle keeps, or with a checkpoint.
        if to_its_end and (folded := self._folded_before(log)) is not None:
            state = folded
        elif checkpoints and (found := log.checkpoint(listing, until=until, foreign=self._foreign)):
            try:
                if self._foreign:
                    check_plain(found[2])
                state = State.from_plain(found[2])
            except (KeyError, TypeError, ValueError, Damage):
                pass  # another artstore made it: the entries decide
        # Apply the entries after it.
        start = state.number
        for entry in log.entries(listing, start, state.digest) if start != until else ():
            self._decide_pending(state, folder, checkpoints)
            self._fold(state, entry)
            if entry.number == until:
                break
        self._decide_pending(state, folder, checkpoints)
        # Keep the result for the next reader.
        if self._copies and state.number - start >= CHECKPOINT_EVERY:
            self._save_checkpoint(log, state)
        if to_its_end and len(state.versions) >= CHECKPOINT_EVERY:
            self._keep_fold(folder, state, state.number - start)
        return state

    def _folded_before(self, log: Log) -> State | None:
        """The kept state of a log, or None. It is used, like a checkpoint, only if the log still has its last entry."""
        folded = self._kept.folded
        if folded is None or folded[0] != log.folder:
            return None
        state = folded[1]
        try:
            if log.read(state.number).digest == state.digest:
                return state.copy()
        except (Damage, StorageError):
            pass  # reading the log reports what is wrong
        self._kept.folded = None
        return None

    def _keep_fold(self, folder: str, state: State, behind: int) -> None:
        """Keep the state of a log that is read repeatedly, unless the kept one is only a few entries `behind`."""
        kept, folded = self._kept, self._kept.folded
        if folder == kept.read_last and not (folded is not None and folded[0] == folder and behind < _BEHIND):
            kept.folded = folder, state.copy()
        kept.read_last = folder

    def _save_checkpoint(self, log: Log, state: State) -> None:
        if state.digest is not None:
            try:
                log.save_checkpoint(state.number, state.digest, state.plain(), foreign=self._foreign)
            except StorageError:
                pass  # it only keeps reading cheap

    def _decide_pending(self, state: State, folder: str, checkpoints: bool) -> None:
        """Decide a pending `moved from` by the next entry of the old name's log.

        If that entry completes the move, the old log's state is taken. If it is any other, the `moved from` is void.
        While there is none, it counts as void too, but stays pending.
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

    def _answer(self, old: Path, number: int) -> LogEntry | None:
        there = self._storage.size(entry_path(old.folder, number)) is not None
        return self._log(old.folder).read(number) if there else None

    # -- changing --

    def commit(self, state: State, changes: list[Change]) -> State | None:
        """Append one entry after `state`. Returns the new state, or None if another writer was first.

        Then the caller must read, check and try again. Raises InvalidValue for changes that couldn't be
        read afterwards.
        """
        self._check(changes, str(state.path))
        return state if self._append(self._log(state.path.folder), state, changes) else None

    def _fold(self, state: State, entry: LogEntry) -> None:
        fold(state, entry)

    def _keep(self, log: Log, state: State, changes: int) -> None:
        if state.number % CHECKPOINT_EVERY == 0 or changes >= max(_MANY, len(state.versions) // 16):
            self._save_checkpoint(log, state)

    def change(self, path: Path, build: Callable[[State], list[Change]], *, read: State | None = None) -> State:
        """Append the changes that `build` returns for the collection's state, and return the new state.

        After a lost race `build` is called again with the new state. It raises an error to refuse; if it returns no
        changes, no entry is made. `read` is a state that the caller has read; it is used if it is still current. When
        this returns, the state that `build` was given is durable, whoever wrote it.
        """
        for _ in range(LOST_RACES):
            current = read is not None and read.pending is None and self.is_current(read)
            state, read = read if read is not None and current else self.read_to_append(path), None
            if state.number == 0:
                self._check_spelling(path)
            changes, aliases = build(state), dict(state.aliases)
            if not changes:
                self._storage.make_durable(state.path.folder)
                return state
            if (done := self.commit(state, changes)) is not None:
                self.journal.append(Done(done, changes, aliases))
                return done
        raise too_busy(str(path))

    def _check_spelling(self, path: Path) -> None:
        """Raise Conflict if a project or entity exists whose name differs only in case: both would share a folder."""
        for parts, folders in ((2, self.paths(path.entity, path.project)), (1, self.paths(path.entity))):
            states = (self.read_folder(folder) for folder in folders)
            first = next((state.path[:parts] for state in states if state.number), nfc(path)[:parts])
            if first != nfc(path)[:parts]:
                raise _only_case(path, "/".join(first))

    def read_to_append(self, path: Path, *, follow: bool = True) -> State:
        """The collection at a path, for appending.

        Like `read`, but first cancels a `moved from` that isn't completed.
        """
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
        """Rename a collection to a free name, in O(1). Its history is kept, and the old name redirects to the new one.

        First the new name's log gets a `moved from`, then the old name's log a `moved to`, which completes the move.
        """
        for _ in range(LOST_RACES):
            source = self.read_to_append(old)
            if not source.exists:
                raise NotFound(f"there is no collection {old}")
            target = self.read_to_append(new, follow=False)
            if target.number == 0:
                self._check_spelling(new)
            if target.exists or target.redirect or target.versions:
                raise self._taken(new, target, source)
            begun = new_change("moved from", **source.path.fields(), number=source.number, digest=source.digest)
            named = new_change("collection", **nfc(new).fields(), type=source.type)
            if self.commit(target, [named, begun]) is None:
                continue
            moved = {"change": begun["change"], "kind": "moved to", **nfc(new).fields()}
            if self.commit(source, [moved]) is not None:
                return self.read(new)
        raise too_busy(str(old), "it could be renamed")

    def _taken(self, new: Path, target: State, source: State) -> Conflict:
        """The error for a new name that isn't free, though maybe no collection has it now."""
        hint = "choose another name"
        if target.redirect:
            now = self.read(new).path
            why = f"{new} is a former name of {now}, and stays so that what was written with it is found"
            if now == source.path:
                hint = f"every command still takes {new} for it; choose another name if it has to be listed under one"
        elif target.exists:
            why = f"{new} is in use"
        else:
            why = f"{new} was deleted, and its name stays, with the numbers of its versions"
        return Conflict(why, hint=hint)

    def since(self, state: State, number: int, digest: str) -> list[LogEntry] | None:
        """The entries of a state's log after a number, or None if the entry with that number has another digest."""
        log = self._log(state.path.folder)
        try:
            if log.read(number).digest != digest:
                return None
            return [entry for entry in log.later(number, digest) if entry.number <= state.number]
        except DamagedLog:
            return None

    def history(self, path: Path, until: int | None = None) -> Iterator[LogEntry]:
        """All entries of a collection, oldest first, up to the number `until`.

        Those before a rename are in the old log.
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
        """The former names of a collection, the last one first. Cost: reads its whole history."""
        changes = [change for entry in self.history(state.path, state.number) for change in entry.changes]
        return [Path.named_by(change) for change in reversed(changes) if change["kind"] == "moved from"]

    def began(self, path: Path) -> str | None:
        """The digest of the first entry of a collection's log, following renames, or None without an entry.

        It identifies the log: it never changes, and no other log has it.
        """
        return next((entry.digest for entry in self.history(path)), None)


def _only_case(path: Path, there: str) -> Conflict:
    return Conflict(f"{path} differs only in case from {there}, which exists", hint=f"use {there}, or another name")


# -- finding versions --


def resolve(state: State, spec: Spec) -> VersionState:
    """The live version that a spec names. Raises NotFound, which says what is missing and suggests similar names."""
    name = str(state.path)
    if not state.exists:
        raise NotFound(f"there is no collection {name}")
    if spec.number is not None:
        found = state.versions.get(state.taken.get(spec.number) or state.renumbered.get(spec.number, ""))
        if found is not None and not is_live(found):
            raise _deleted(f"{name}:v{spec.number}", found, name)
    elif spec.digest is not None:
        prefix = spec.digest
        fits = (v for v in reversed(state.live()) if v["digest"].startswith(prefix) or v["id"].startswith(prefix))
        found, gone = next(fits, None), state.versions.get(prefix)
        if found is None and gone is not None:
            raise _deleted(f"{name}:v{gone['number']}", gone, name)
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


def _deleted(asked: str, version: VersionState, name: str) -> NotFound:
    hint = f"{typed('undelete', name + ':v' + str(version['number']))} may bring it back"
    return NotFound(f"{asked} was deleted on {version['deleted'][:10]}", hint=hint)
