"""What a push and a pull have in common: the two sides, what was last seen, one entry for each collection, the report."""

from collections.abc import Callable, Iterator
from typing import Generic, Literal, NamedTuple, TypeVar

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, VersionState, is_live
from artstore.domain.digest import Digest
from artstore.domain.names import Spec, printable
from artstore.domain.pulling import PullPlan
from artstore.domain.pushing import PushPlan
from artstore.domain.reconcile import in_portions
from artstore.domain.selection import EVERYTHING, Selection
from artstore.errors import ArtstoreError, Conflict, Damage, InvalidValue, MissingObject, StorageError
from artstore.progress import Monitor
from artstore.store.logbook import too_busy
from artstore.store.logs import LOST_RACES, Log, last_number
from artstore.store.refs import Refs
from artstore.store.store import Store
from artstore.store.transaction import Transaction
from artstore.sync.notes import InStep, Tracking
from artstore.sync.runs import RunExchange
from artstore.sync.transfer import Needs

Plan = TypeVar("Plan", PushPlan, PullPlan)


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


class Exchanging(NamedTuple):
    """How to push or pull."""

    dry_run: bool = False
    jobs: int = 4
    """transfers at once"""
    selection: Selection = EVERYTHING
    """of a pull: files whose bytes are brought; the others' stay at the remote until they are needed"""
    monitor: Monitor = Monitor()


class Neighbours(NamedTuple):
    """The other remotes of the repository here, as far as an exchange with one has to know."""

    tracked: list[Tracking]
    fill: Callable[[dict[Digest, int]], None]
    """brings blobs here that one of them has promised"""
    complete: bool
    """whether none of them has promised blobs that are absent here"""


class Planned(NamedTuple, Generic[Plan]):
    """What is to be told of one collection."""

    source: State
    wanted: set[str] | None
    """ids of the only versions that are meant; None for all"""
    target: State
    plan: Plan


class Totals:
    """What was sent, or would be."""

    def __init__(self) -> None:
        self.objects = self.bytes = 0

    def __iadd__(self, needs: Needs) -> "Totals":
        self.objects += needs.objects
        self.bytes += needs.bytes
        return self


class Exchange:
    """One operation between the repository here and a remote of its: `Push` and `Pull` say what is told."""

    def __init__(
        self, here: Store, remote: Store, tracking: Tracking, neighbours: Neighbours, options: Exchanging
    ) -> None:
        self.here = here
        self.refs = here.refs.cached()
        """the collections here; entries are read once"""
        self.remote = remote
        self.tracking = tracking
        self.there = here.refs.of_copies(tracking.mirror)
        """the remote's collections, as they were last seen"""
        self.neighbours = neighbours
        self.options = options
        self.runs = RunExchange(here, remote, tracking, jobs=options.jobs, monitor=options.monitor)
        self.sent = Totals()
        self.same = tracking.in_step("same")
        """collections of which both sides held the same changes"""
        self._found_level: dict[str, InStep] = {}
        self._found_same: dict[str, InStep] = {}

    def fetch(self, scopes: list[Scope]) -> list[str]:
        """Bring our copies of the remote's logs up to date; the folders of those that are in the scopes."""
        self.options.monitor.start(f"asking {self.tracking.name}")
        heads: dict[str, list[int]] = {}
        folders = {scope.folder for scope in scopes}
        done: set[str] = set()
        while folders:
            found = self.tracking.heads(self.remote.storage, folders)
            done |= folders
            folders = self.tracking.fetch(self.remote.storage, found) - heads.keys() - found.keys() - done
            heads |= found
        self._refuse_vanished(scopes, heads)
        return sorted(heads)

    def _refuse_vanished(self, scopes: list[Scope], heads: dict[str, list[int]]) -> None:
        """A log that was there and is not any more: a share that shows half of itself, or a restored copy."""
        for folder in self.seen():
            asked = any(f"{folder}/".startswith(f"{scope.folder}/") for scope in scopes)
            if asked and folder not in heads:
                raise Damage(
                    f"{printable(folder)} was at remote '{self.tracking.name}', and is not there any more",
                    hint="is the right share mounted, and whole? `artstore remote rm` and `remote add` accept it",
                )

    def seen(self) -> Iterator[str]:
        """Folders of the collections' logs of which there are copies. Cost: their number, however long they are."""
        return (folder for folder in self.there.paths() if self.tracking.has(folder))

    def level(self, verb: str, scopes: list[Scope]) -> dict[str, Path]:
        """Collections whose logs are both as they were when a push or pull of all had nothing to tell: it has nothing now.
        Cost: two listings, a note and two entries each.
        """
        wanted = tuple(f"{scope.folder}/" for scope in scopes if scope.path is None)
        found: dict[str, Path] = {}
        for folder, noted in (*self.same.items(), *self.tracking.in_step(verb).items()):
            if folder not in found and f"{folder}/".startswith(wanted) and self._is_level(folder, noted):
                found[folder] = Path(noted.entity, noted.project, noted.name)
        return found

    def _is_level(self, folder: str, noted: InStep) -> bool:
        try:
            return (
                last_number(self.tracking.mirror.names(folder)) == noted.theirs
                and last_number(self.here.storage.names(folder)) == noted.ours
                and len(self.tracking.settled(folder)) == noted.settled
                and Log(self.tracking.mirror, folder).read(noted.theirs).digest == noted.their_digest
                and (not noted.ours or Log(self.here.storage, folder).read(noted.ours).digest == noted.our_digest)
            )
        except (Damage, StorageError):
            return False  # the plan will tell of it, for this collection alone

    def note(self, state: State, theirs: State, *, same: bool, level: bool = False) -> None:
        """Note that neither has anything to tell (`level`) or that both hold the `same`, of two logs that say so by
        themselves.
        """
        if not theirs.number or state.path != theirs.path or state.pending or theirs.pending:
            return
        ends = (state.number, state.digest or "", theirs.number, theirs.digest or "")
        noted = InStep(*ends, len(self.tracking.settled(state.path.folder)), *state.path)
        if same:
            self._found_same[state.path.folder] = noted
        elif level:
            self._found_level[state.path.folder] = noted

    def save_notes(self, verb: str) -> None:
        self.tracking.note_in_step(verb, self._found_level)
        self.tracking.note_in_step("same", self._found_same)

    def settled(self, path: Path) -> set[str]:
        return self.tracking.settled_now(self.there, path)

    def commit_all(
        self,
        plans: list[Planned[Plan]],
        tx: Transaction,
        refs: Refs,
        again: Callable[[Planned[Plan], Transaction], Planned[Plan]],
    ) -> list[Moved]:
        """One entry for each collection in the logs of `refs` (or as many as it takes). Each that stands is looked after,
        whatever becomes of the others. `again` plans one anew after a lost race.
        """
        moved: list[Moved] = []
        stood: list[tuple[Path, list[VersionState]]] = []
        try:
            for planned in plans:
                versions: list[VersionState] = []
                stood.append((planned.source.path, versions))
                try:
                    moved.append(self._commit(planned, versions, tx, refs, again))
                except (Conflict, Damage, InvalidValue) as error:
                    moved.append(Moved(planned.source.path, "refused", _names(planned.source, versions), problem=error))
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
        planned: Planned[Plan],
        stood: list[VersionState],
        tx: Transaction,
        refs: Refs,
        again: Callable[[Planned[Plan], Transaction], Planned[Plan]],
    ) -> Moved:
        """Append behind the state that was planned for; `stood` are versions that the target's log has by now."""
        source, _, target, plan = planned
        told, began = 0, self.there.began(source.path) if plan.settled else None
        for _ in range(LOST_RACES):
            self._follow(source.path)
            if refs is self.remote.refs:
                self._check_head(target)
            parts = list(in_portions(plan.changes, target)) if plan.changes else []
            for part in parts:
                if refs.commit(target, part) is None:
                    break
                told += len(part)
                if refs is self.remote.refs and target.number == 1:
                    began = target.digest
                ids = {change.get("id") for change in part}
                stood += [version for version in plan.versions if version["id"] in ids]
            else:
                break
            planned = again(planned, tx)
            _, _, target, plan = planned
        else:
            raise too_busy(str(source.path))
        self.tracking.settle(source.path.folder, plan.settled, began)
        ours, theirs = (source, target) if refs is self.remote.refs else (target, source)
        self.note(ours, theirs, same=plan.same and len(parts) < 2)
        return self.moved(source, plan, stood, told)

    def _check_head(self, theirs: State) -> None:
        """Our copy of the newest entry is what the remote has: else ours would be appended to a history that isn't there."""
        if theirs.number:
            log = Log(self.remote.storage, theirs.path.folder)
            if log.read(theirs.number).digest != theirs.digest:
                raise Damage(
                    f"the history of {theirs.path} at remote '{self.tracking.name}' is not the one that was there",
                    hint="find out who changed it; `artstore remote rm` and `remote add` accept it",
                )

    def _withdraw(self, refs: Refs, path: Path, ids: list[str], error: ArtstoreError) -> None:
        def build(state: State) -> list[Change]:
            live = [id for id in ids if is_live(state.versions.get(id))]
            return [new_change("withdraw", id=id, reason=str(error)) for id in live]

        refs.change(path, build)

    def _follow(self, path: Path) -> None:
        """The first remote with which a collection is exchanged is its upstream."""
        if not any(tracking.follows(path.folder) for tracking in (self.tracking, *self.neighbours.tracked)):
            self.tracking.follow(path.folder)

    def moved(self, state: State, plan: PushPlan | PullPlan, versions: list[VersionState], changes: int) -> Moved:
        return Moved(
            state.path,
            "moved" if changes else "up to date",
            _names(state, versions),
            changes,
            tuple(sorted(plan.renumbered.items())) if isinstance(plan, PullPlan) else (),
            tuple(plan.declined),
        )

    def report(self, moved: list[Moved], runs: int) -> Exchanged:
        objects, size = self.sent.objects, self.sent.bytes
        due = 0 if not objects else self.remote.objects.packs.small()
        moved = sorted(moved, key=lambda m: m.path)
        return Exchanged(self.tracking.name, self.remote.storage.root, moved, objects, size, runs, due)


def _names(state: State, versions: list[VersionState]) -> tuple[str, ...]:
    numbers = {version["id"]: version["number"] for version in versions}
    return tuple(f"{state.path.name}:v{number}" for number in numbers.values())
