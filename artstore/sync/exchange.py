"""Push, pull and fetch: what two repositories tell each other, collection by collection, objects first."""

from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import Literal, NamedTuple, TypeVar

from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, VersionState
from artstore.domain.digest import Digest
from artstore.domain.hints import near, typed
from artstore.domain.names import Spec, printable
from artstore.domain.properties import new_blobs
from artstore.domain.reconcile import Pull, Push, in_portions, to_pull
from artstore.domain.selection import EVERYTHING, Selection
from artstore.errors import ArtstoreError, Conflict, Damage, InvalidValue, MissingObject, NotFound, StorageError
from artstore.progress import Monitor
from artstore.store.logs import LOST_RACES, Log, last_number
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs, resolve
from artstore.store.runs import Runs
from artstore.store.transaction import Transaction
from artstore.sync.histories import histories, what_to_push
from artstore.sync.notes import Level, Tracking
from artstore.sync.place import Remote
from artstore.sync.runs import RunExchange
from artstore.sync.transfer import Supply, Transfer, with_bases

Plan = TypeVar("Plan", Push, Pull)


class Moved(NamedTuple):
    """What became of one collection."""

    path: Path
    outcome: Literal["moved", "up to date", "refused"]
    versions: tuple[str, ...] = ()
    """names of versions that the other side got, such as `data:v3`"""
    changes: int = 0
    """changes told, those of versions too"""
    renumbered: tuple[tuple[int, int], ...] = ()
    """numbers of ours before and after a pull"""
    declined: tuple[str, ...] = ()
    """what reads otherwise there: theirs stays"""
    problem: ArtstoreError | None = None


class Exchanged(NamedTuple):
    """`objects` and `bytes` are what was sent (or would be)."""

    remote: str
    url: str
    collections: list[Moved]
    objects: int
    bytes: int
    runs: int
    due: int
    """small packs at the remote; from 64 on `gc REMOTE` should merge them"""

    @property
    def refused(self) -> list[Moved]:
        return [moved for moved in self.collections if moved.problem is not None]


class Scope(NamedTuple):
    """What is exchanged: all collections below a folder of refs/, or one, or single versions of one."""

    folder: str
    spec: Spec | None = None
    path: Path | None = None


ALL = Scope("refs")


class Side(NamedTuple):
    """A repository's parts, as far as an exchange needs them."""

    objects: ObjectStore
    refs: Refs
    runs: Runs


class Exchange:
    """One operation between a repository here and a remote of its."""

    def __init__(
        self,
        here: Side,
        storage: FolderStorage,
        remote: Remote,
        tracking: Tracking,
        others: list[Tracking],
        *,
        identity: Callable[[], tuple[str | None, str | None]],
        fill: Callable[[dict[Digest, int]], None],
        complete: bool,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> None:
        """`others` track the repository's other remotes; `fill` brings blobs here that were promised by one;
        `complete` is False where blobs are absent that another remote than this has promised.
        """
        self._here = here._replace(refs=here.refs.kept())
        self._storage = storage
        self._remote = remote
        self._tracking = tracking
        self._others = others
        self._fill = fill
        self._complete = complete
        self._jobs = jobs
        self._monitor = monitor or Monitor()
        self._there = Refs(tracking.mirror, identity=identity, keep=True, copies=True)
        self._runs = RunExchange(
            here.runs, here.objects, storage, remote, tracking, identity=identity, jobs=jobs, monitor=self._monitor
        )
        self._sent = [0, 0]
        self._same = tracking.level("same")
        self._found_level: dict[str, Level] = {}
        self._found_same: dict[str, Level] = {}

    # -- fetch --

    def fetch(self, scopes: list[Scope]) -> list[str]:
        """Bring our copies of the remote's logs up to date; the folders of those that are in the scopes."""
        self._monitor.start(f"asking {self._tracking.name}")
        heads: dict[str, list[int]] = {}
        folders = {scope.folder for scope in scopes}
        done: set[str] = set()
        while folders:
            found = self._tracking.heads(self._remote.storage, folders)
            done |= folders
            folders = self._tracking.fetch(self._remote.storage, found) - heads.keys() - found.keys() - done
            heads |= found
        self._refuse_vanished(scopes, heads)
        return sorted(heads)

    def _refuse_vanished(self, scopes: list[Scope], heads: dict[str, list[int]]) -> None:
        """A log that was there and is not any more: a share that shows half of itself, or a restored copy."""
        for folder in self._seen():
            asked = any(f"{folder}/".startswith(f"{scope.folder}/") for scope in scopes)
            if asked and folder not in heads:
                raise Damage(
                    f"{printable(folder)} was at remote '{self._tracking.name}', and is not there any more",
                    hint="is the right share mounted, and whole? `artstore remote rm` and `remote add` accept it",
                )

    def _seen(self) -> Iterator[str]:
        """Folders of the collections' logs of which there are copies. Cost: their number, however long they are."""
        return (folder for folder in self._there.paths() if self._tracking.has(folder))

    # -- what is level --

    def _level(self, verb: str, scopes: list[Scope]) -> dict[str, Path]:
        """Collections whose logs are both as they were when a push or pull of all had nothing to tell: it has nothing now.
        Cost: two listings, a note and two entries each.
        """
        wanted = tuple(f"{scope.folder}/" for scope in scopes if scope.path is None)
        found: dict[str, Path] = {}
        for folder, noted in (*self._same.items(), *self._tracking.level(verb).items()):
            if folder not in found and f"{folder}/".startswith(wanted) and self._is_level(folder, noted):
                found[folder] = Path(noted.entity, noted.project, noted.name)
        return found

    def _is_level(self, folder: str, noted: Level) -> bool:
        try:
            return (
                last_number(self._tracking.mirror.names(folder)) == noted.theirs
                and last_number(self._storage.names(folder)) == noted.ours
                and len(self._tracking.settled(folder)) == noted.settled
                and Log(self._tracking.mirror, folder).read(noted.theirs).digest == noted.their_digest
                and (not noted.ours or Log(self._storage, folder).read(noted.ours).digest == noted.our_digest)
            )
        except (Damage, StorageError):
            return False  # the plan will tell of it, for this collection alone

    def _note(self, state: State, theirs: State, *, same: bool, level: bool = False) -> None:
        """Note that neither has anything to tell (`level`) or that both hold the `same`, of two logs that say so by
        themselves.
        """
        if not theirs.number or state.path != theirs.path or state.pending or theirs.pending:
            return
        ends = (state.number, state.digest or "", theirs.number, theirs.digest or "")
        noted = Level(*ends, len(self._tracking.settled(state.path.folder)), *state.path)
        if same:
            self._found_same[state.path.folder] = noted
        elif level:
            self._found_level[state.path.folder] = noted

    def _save_notes(self, verb: str) -> None:
        self._tracking.note_level(verb, self._found_level)
        self._tracking.note_level("same", self._found_same)

    # -- push --

    def push(self, scopes: list[Scope], *, dry_run: bool = False) -> Exchanged:
        """Objects first, then one entry for each collection; what others push meanwhile is read and reckoned with. A
        collection that can't be pushed is told of in its `problem`, and the others go.
        """
        self.fetch(scopes)
        level = self._level("push", scopes)
        known = level.keys() | set(self._seen())
        renamed = [] if dry_run else [self._rename_there(state) for state, _ in self._ours(scopes, known)]
        if any(renamed):
            self.fetch(scopes)
        todo: list[tuple[State, set[str] | None, State, Push]] = []
        moved = [Moved(path, "up to date") for path in level.values()]
        for state, wanted in self._ours(scopes, level.keys()):
            try:
                theirs, plan = self._plan_push(state, wanted)
                if plan.changes or plan.declined or plan.settled:
                    todo.append((state, wanted, theirs, plan))
                else:
                    moved.append(Moved(state.path, "up to date"))
                    self._note(state, theirs, same=plan.same, level=wanted is None)
            except ArtstoreError as error:
                moved.append(Moved(state.path, "refused", problem=error))
        if todo and dry_run:
            moved += self._push_all(todo, None)
        elif todo:
            for state, *_ in todo:
                self._storage.settle(state.path.folder)
            with Transaction(self._remote.objects, source=Supply(self._here.objects, self._monitor)) as tx:
                self.fetch(scopes)  # what is live there is relied on: as read after the transaction was opened
                moved += self._push_all(todo, tx)
        self._save_notes("push")
        if not dry_run and any(m.outcome == "moved" or m.versions for m in moved):
            self.fetch(scopes)
        runs = 0 if dry_run else self._runs.push(self._there, lone=ALL in scopes)
        return self._report(moved, runs)

    def _ours(self, scopes: list[Scope], known: Set[str]) -> Iterator[tuple[State, set[str] | None]]:
        """Our collections in the scopes (deleted ones too, of which a deletion may have to be told), without those that are
        known to be level.
        """
        for scope in scopes:
            if scope.path is not None:
                state = self._here.refs.settled(scope.path)
                if scope.spec is not None and scope.spec.names_version:
                    yield state, {resolve(state, scope.spec)["id"]}
                elif state.number:
                    yield state, None
                else:
                    raise NotFound(f"there is no artifact {state.path}")
                continue
            for folder in self._here.refs.paths():
                if f"{folder}/".startswith(f"{scope.folder}/") and folder not in known:
                    state = self._here.refs.read_folder(folder)
                    said = state.versions or state.metadata or state.description or state.tags
                    if state.number and state.redirect is None and said:  # else parts of an unfinished version alone
                        yield state, None

    def _rename_there(self, state: State) -> bool:
        """A collection that was renamed here, and that the remote has under an old name only, is renamed there. One that
        others made under such a name is not: it shares no version with ours.
        """
        if self._there.read_folder(state.path.folder, state.path).number:
            return False
        for old in self._here.refs.names_before(state):
            if not self._there.read_folder(old.folder, old).number:
                self.fetch([Scope(old.folder)])
            theirs = self._there.read_folder(old.folder, old)
            if theirs.exists and (not theirs.versions or theirs.versions.keys() & state.versions.keys()):
                self._remote.refs.rename(old, state.path)
                self._tracking.move_notes(old.folder, state.path.folder)
                return True
        return False

    def _plan_push(self, state: State, wanted: set[str] | None) -> tuple[State, Push]:
        """The remote's state, as our copies tell it, and what its log has to be told behind that."""
        theirs = self._there.read_folder(state.path.folder, state.path)
        if theirs.redirect is not None:
            raise Conflict(
                f"{state.path} was renamed to {theirs.redirect} at remote '{self._tracking.name}'",
                hint=self._rename_hint(state.path, theirs.redirect),
            )
        if theirs.number and theirs.path != state.path and (theirs.exists or theirs.versions):
            raise Conflict(
                f"{state.path} differs only in case from {theirs.path}, which remote '{self._tracking.name}' has"
            )
        same = self._same.get(state.path.folder) if wanted is None else None
        settled = self._settled(state.path)
        sides = (self._here.refs, state, self._there, theirs)
        try:
            return theirs, what_to_push(*sides, same=same, settled=settled, wanted=wanted)
        except Conflict as error:
            raise Conflict(str(error), hint=self._clash_hint(state.path)) from error

    def _settled(self, path: Path) -> set[str]:
        return self._tracking.settled_with(path.folder, self._there.began(path))

    def _clash_hint(self, path: Path) -> str:
        name = self._tracking.name
        upstream = next((other.name for other in self._others if other.follows(path.folder)), None)
        if upstream is None:
            return f"{typed('pull', name, str(path))} first: it renumbers yours"
        return f"its numbers follow '{upstream}'; {typed('cp', str(path), f'{path}-{name}')}, and push that"

    def _rename_hint(self, old: Path, new: Path) -> str:
        if self._here.refs.read(new).exists:
            return f"{new} is here, too: {typed('rm --collection', str(old))} leaves the new name only"
        return f"{typed('mv', str(old), str(new))} does so here"

    def _push_all(self, todo: list[tuple[State, set[str] | None, State, Push]], tx: Transaction | None) -> list[Moved]:
        plans = [
            planned if self._there.is_current(planned[2]) else (*planned[:2], *self._plan_push(*planned[:2]))
            for planned in todo
        ]
        self._send_up([(state, theirs, plan) for state, _, theirs, plan in plans], tx)
        if tx is None:
            return [self._moved(state, plan, plan.versions, len(plan.changes)) for state, _, _, plan in plans]
        return self._commit_all(plans, tx, self._remote.refs, self._up_again)

    def _send_up(self, plans: list[tuple[State, State, Push]], tx: Transaction | None) -> None:
        """All objects that these need, published."""
        self._monitor.start(f"sending to {self._tracking.name}")
        if tx is not None:
            self._remote.objects.packs.look_only_where_cheap()
        else:
            self._remote.objects.packs.refresh()
        source = self._here.objects
        transfer = Transfer(source, tx or self._remote.objects, source, jobs=self._jobs, monitor=self._monitor)
        wanted, damaged = [], self._remote.objects.damage.is_known
        for state, theirs, plan in plans:
            ours = {version["id"] for version in state.live()}
            whole = [v for v in theirs.live() if v["id"] in ours and not damaged]
            wanted += with_bases(plan.versions, whole)
        needs = transfer.plan(wanted, [blob for *_, plan in plans for blob in new_blobs(plan.changes)])
        self._sent = [self._sent[0] + needs.objects, self._sent[1] + needs.bytes]
        if tx is None:
            return
        self._fill({**needs.small, **needs.large})
        transfer.send(needs)
        tx.publish()

    def _up_again(self, state: State, wanted: set[str] | None, tx: Transaction) -> tuple[State, Push]:
        """After a lost race: planned anew on what is there now, and sent, on other bases maybe."""
        self.fetch([Scope(state.path.folder)])
        theirs, plan = self._plan_push(state, wanted)
        self._send_up([(state, theirs, plan)], tx)
        return theirs, plan

    def _check_head(self, theirs: State) -> None:
        """Our copy of the newest entry is what the remote has: else ours would be appended to a history that isn't there."""
        if theirs.number:
            log = Log(self._remote.storage, theirs.path.folder)
            if log.read(theirs.number).digest != theirs.digest:
                raise Damage(
                    f"the history of {theirs.path} at remote '{self._tracking.name}' is not the one that was there",
                    hint="find out who changed it; `artstore remote rm` and `remote add` accept it",
                )

    def _commit_all(
        self,
        plans: list[tuple[State, set[str] | None, State, Plan]],
        tx: Transaction,
        refs: Refs,
        again: Callable[[State, set[str] | None, Transaction], tuple[State, Plan]],
    ) -> list[Moved]:
        """One entry for each collection in the logs of `refs` (or as many as it takes). Each that stands is looked after,
        whatever becomes of the others. `again` plans one anew after a lost race.
        """
        moved: list[Moved] = []
        stood: list[tuple[Path, list[VersionState]]] = []
        try:
            for source, wanted, target, plan in plans:
                versions: list[VersionState] = []
                stood.append((source.path, versions))
                try:
                    moved.append(self._commit(source, wanted, target, plan, versions, tx, refs, again))
                except (Conflict, Damage, InvalidValue) as error:
                    moved.append(Moved(source.path, "refused", _names(source, versions), problem=error))
        finally:
            try:
                tx.ensure()
            except MissingObject as error:
                for path, versions in stood:
                    self._withdraw(refs, path, [version["id"] for version in versions], error)
                raise
        return moved

    def _commit(
        self,
        source: State,
        wanted: set[str] | None,
        target: State,
        plan: Plan,
        stood: list[VersionState],
        tx: Transaction,
        refs: Refs,
        again: Callable[[State, set[str] | None, Transaction], tuple[State, Plan]],
    ) -> Moved:
        """Append behind the state that was planned for; `stood` are versions that the target's log has by now."""
        told, began = 0, self._there.began(source.path) if plan.settled else None
        for _ in range(LOST_RACES):
            self._follow(source.path)
            if refs is self._remote.refs:
                self._check_head(target)
            parts = list(in_portions(plan.changes, target)) if plan.changes else []
            for part in parts:
                if refs.commit(target, part) is None:
                    break
                told += len(part)
                if refs is self._remote.refs and target.number == 1:
                    began = target.digest
                ids = {change.get("id") for change in part}
                stood += [version for version in plan.versions if version["id"] in ids]
            else:
                break
            target, plan = again(source, wanted, tx)
        else:
            raise Conflict(f"{source.path} changes faster than this could be added", hint=_AGAIN)
        self._tracking.settle(source.path.folder, plan.settled, began)
        ours, theirs = (source, target) if refs is self._remote.refs else (target, source)
        self._note(ours, theirs, same=plan.same and len(parts) < 2)
        return self._moved(source, plan, stood, told)

    def _withdraw(self, refs: Refs, path: Path, ids: list[str], error: ArtstoreError) -> None:
        def build(state: State) -> list[Change]:
            live = [id for id in ids if "deleted" not in state.versions.get(id, {"deleted": ""})]
            return [new_change("withdraw", id=id, reason=str(error)) for id in live]

        refs.change(path, build)

    def _follow(self, path: Path) -> None:
        """The first remote with which a collection is exchanged is its upstream."""
        if not any(tracking.follows(path.folder) for tracking in (self._tracking, *self._others)):
            self._tracking.follow(path.folder)

    # -- pull --

    def pull(self, scopes: list[Scope], *, selection: Selection = EVERYTHING, dry_run: bool = False) -> Exchanged:
        """Objects first, then one entry for each collection of ours."""
        folders, level = self.fetch(scopes), self._level("pull", scopes)
        todo: list[tuple[State, set[str] | None]] = []
        moved = [Moved(path, "up to date") for path in level.values()]
        for theirs, wanted in self._theirs(scopes, [folder for folder in folders if folder not in level], moved):
            try:
                if not dry_run:
                    self._follow_rename(theirs)
                now, plan = self._plan_pull(theirs, wanted)
                if plan.changes or plan.declined or plan.settled:
                    todo.append((theirs, wanted))
                else:
                    moved.append(Moved(theirs.path, "up to date"))
                    self._note(now, theirs, same=plan.same, level=wanted is None)
            except ArtstoreError as error:
                moved.append(Moved(theirs.path, "refused", problem=error))
        if todo:
            with Transaction(self._here.objects) as tx:
                moved += self._pull_all(todo, tx, selection, dry_run)
        self._save_notes("pull")
        runs = 0 if dry_run else self._runs.pull(self._here.refs, lone=ALL in scopes)
        return self._report(moved, runs)

    def check_known(self, scopes: list[Scope]) -> None:
        """Raises NotFound for an artifact that the remote never had."""
        for scope in scopes:
            if scope.path is not None and not self._there.read_folder(scope.folder, scope.path).number:
                self._refuse_unknown(scope.path)

    def _theirs(
        self, scopes: list[Scope], folders: list[str], moved: list[Moved]
    ) -> Iterator[tuple[State, set[str] | None]]:
        """The remote's collections in the scopes; of several, one that can't be read is told of in `moved`."""
        for scope in scopes:
            if scope.path is not None:
                state = self._there.read(scope.path)
                if not state.exists and not state.versions:
                    self._refuse_unknown(scope.path)
                named = scope.spec is not None and scope.spec.names_version
                yield state, {resolve(state, scope.spec)["id"]} if named and scope.spec else None
                continue
            for folder in folders:
                if not f"{folder}/".startswith(f"{scope.folder}/"):
                    continue
                try:
                    state = self._there.read_folder(folder)
                except ArtstoreError as error:
                    from urllib.parse import unquote

                    moved.append(Moved(Path(*map(unquote, folder.split("/")[1:])), "refused", problem=error))
                    continue
                if state.redirect is None and (state.exists or state.versions):
                    yield state, None

    def _refuse_unknown(self, path: Path) -> None:
        states = [self._there.read_folder(folder) for folder in self._there.paths()]
        names = [str(state.path) for state in states if state.exists]
        raise NotFound(
            f"remote '{self._tracking.name}' has no artifact {printable(str(path))}",
            hint=near(str(path), names) or f"{typed('ls --from', self._tracking.name)} lists what it has",
        )

    def _plan_pull(self, theirs: State, wanted: set[str] | None) -> tuple[State, Pull]:
        """Our state, and what our log has to be told."""
        now = self._here.refs.settled(theirs.path, follow=False)
        if now.redirect is not None:
            return self._renamed_here(theirs, now.redirect)
        followed = any(tracking.follows(theirs.path.folder) for tracking in self._others)
        same = self._same.get(theirs.path.folder) if wanted is None else None
        ours, heard, _ = histories(self._here.refs, now, self._there, theirs, same)
        try:
            return now, to_pull(
                heard,
                theirs,
                ours,
                now,
                self._settled(theirs.path),
                upstream=not followed,
                wanted=wanted,
            )
        except Conflict as error:
            apart = typed("cp", str(now.path), f"{now.path}-ours")
            hint = f"its numbers follow another remote; {apart} keeps yours apart"
            raise Conflict(str(error), hint=hint) from error

    def _follow_rename(self, theirs: State) -> None:
        """A collection that was renamed at the remote, and that we have under an old name only, is renamed here."""
        if self._here.refs.read_folder(theirs.path.folder).number:
            return
        for old in self._there.names_before(theirs):
            gone = self._there.read_folder(old.folder, old).redirect is not None
            if gone and self._here.refs.read_folder(old.folder, old).exists:
                self._here.refs.rename(old, theirs.path)
                self._tracking.move_notes(old.folder, theirs.path.folder)
                return

    def _renamed_here(self, theirs: State, name: Path) -> tuple[State, Pull]:
        """A collection that has another name here by now: fine, unless the remote got more under the old one."""
        here = self._here.refs.read(name)
        if new := [v for id, v in theirs.versions.items() if id not in here.versions and "deleted" not in v]:
            raise Conflict(
                f"{theirs.path} was renamed to {name} here, and remote '{self._tracking.name}' has a new v{new[0]['number']}",
                hint=f"{typed('push', self._tracking.name, str(name))} gives it the new name there, too",
            )
        return here, Pull([], [], {}, [], set(), False)

    def _pull_all(
        self, todo: list[tuple[State, set[str] | None]], tx: Transaction, selection: Selection, dry_run: bool
    ) -> list[Moved]:
        plans = [(theirs, wanted, *self._plan_pull(theirs, wanted)) for theirs, wanted in todo]
        moved: list[Moved] = []
        try:
            self._send_down([(theirs, plan) for theirs, _, _, plan in plans], tx, selection, dry_run)
        except Damage:
            if len(plans) == 1:
                raise
            plans = [planned for planned in plans if self._comes_alone(planned, tx, selection, dry_run, moved)]
        if dry_run:
            return moved + [self._moved(theirs, plan, plan.versions, len(plan.changes)) for theirs, _, _, plan in plans]
        return moved + self._commit_all(plans, tx, self._here.refs, partial(self._down_again, selection=selection))

    def _comes_alone(
        self,
        planned: tuple[State, set[str] | None, State, Pull],
        tx: Transaction,
        selection: Selection,
        dry_run: bool,
        moved: list[Moved],
    ) -> bool:
        """Get one collection's objects by itself: what is damaged or incomplete there keeps no other back."""
        try:
            self._send_down([(planned[0], planned[3])], tx, selection, dry_run)
        except Damage as error:
            moved.append(Moved(planned[0].path, "refused", problem=error))
            return False
        return True

    def _send_down(self, plans: list[tuple[State, Pull]], tx: Transaction, selection: Selection, dry_run: bool) -> None:
        self._monitor.start(f"getting from {self._tracking.name}")
        source, here = self._remote.objects, self._here.objects
        source.packs.refresh()
        transfer = Transfer(source, tx, here, selection=selection, jobs=self._jobs, monitor=self._monitor)
        wanted, damaged = [], here.damage.is_known or not self._complete
        for theirs, plan in plans:
            now = self._here.refs.read_folder(theirs.path.folder, theirs.path)
            wanted += with_bases(plan.versions, [] if damaged else now.live())
        try:
            needs = transfer.plan(wanted, [blob for _, plan in plans for blob in new_blobs(plan.changes)])
            self._sent = [self._sent[0] + needs.objects, self._sent[1] + needs.bytes]
            if not dry_run:
                transfer.send(needs)
                tx.publish()
        except MissingObject as error:
            raise MissingObject(
                f"remote '{self._tracking.name}' is incomplete: {error}",
                hint="if its files are still on their way there (a sync), pull again later; nothing was changed here",
            ) from error

    def _down_again(
        self, theirs: State, wanted: set[str] | None, tx: Transaction, *, selection: Selection
    ) -> tuple[State, Pull]:
        now, plan = self._plan_pull(theirs, wanted)
        self._send_down([(theirs, plan)], tx, selection, False)
        return now, plan

    # -- the report --

    def _moved(self, state: State, plan: Push | Pull, versions: list[VersionState], changes: int) -> Moved:
        return Moved(
            state.path,
            "moved" if changes else "up to date",
            _names(state, versions),
            changes,
            tuple(sorted(plan.renumbered.items())) if isinstance(plan, Pull) else (),
            tuple(plan.declined),
        )

    def _report(self, moved: list[Moved], runs: int) -> Exchanged:
        objects, size = self._sent
        due = 0 if not objects else self._remote.objects.packs.small()
        moved = sorted(moved, key=lambda m: m.path)
        return Exchanged(self._tracking.name, self._remote.storage.root, moved, objects, size, runs, due)


_AGAIN = "run the same command again"


def _names(state: State, versions: list[VersionState]) -> tuple[str, ...]:
    numbers = {version["id"]: version["number"] for version in versions}
    return tuple(f"{state.path.name}:v{number}" for number in numbers.values())
