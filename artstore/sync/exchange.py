"""Exchange: the common part of a push and a pull: fetching logs, appending one entry for each collection, the report."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, VersionState, is_live
from artstore.domain.digest import Digest
from artstore.domain.names import Spec, printable
from artstore.domain.pulling import PullPlan
from artstore.domain.pushing import PushPlan
from artstore.domain.reconcile import in_portions
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.telling import in_words
from artstore.errors import (
    ArtstoreError,
    Conflict,
    Damage,
    DamagedLog,
    InvalidValue,
    MissingObject,
    NotFound,
    Refused,
    StorageError,
)
from artstore.progress import Monitor
from artstore.store.logbook import too_busy
from artstore.store.logs import LOST_RACES, Log, last_number
from artstore.store.refs import Refs
from artstore.store.sides import AnyStore, Receiver
from artstore.store.store import Store
from artstore.sync.notes import InStep, Tracking
from artstore.sync.runs import RefusedRun, RunExchange, SentRuns
from artstore.sync.transfer import Needs

Plan = TypeVar("Plan", PushPlan, PullPlan)
Outcome = Literal["moved", "up to date", "refused"]


class Moved(NamedTuple):
    """The result of a push or pull for one collection."""

    path: Path
    outcome: Outcome
    versions: tuple[str, ...] = ()
    """names of versions that the receiver got, such as `data:v3`"""
    changes: int = 0
    """number of changes that were sent, including those that add versions"""
    renumbered: tuple[tuple[int, int], ...] = ()
    """(number before, number after) of versions of ours that a pull renumbered"""
    declined: tuple[str, ...] = ()
    """properties that both sides changed, in words: the remote's value stays, or replaces ours"""
    problem: ArtstoreError | None = None
    """why the collection was refused"""
    told: tuple[str, ...] = ()
    """what the changes did besides adding versions, in words"""
    renamed_from: Path | None = None
    """the name that the receiver had for the collection before"""
    renamed_apart: Path | None = None
    """another name that the other side gave to the same collection: both names stay, each with these versions"""

    def with_names(self, names: "Names | None") -> "Moved":
        """This result, with the other names of the collection."""
        if names is None:
            return self
        outcome = "moved" if names.before is not None and self.problem is None else self.outcome
        return self._replace(renamed_from=names.before, renamed_apart=names.apart, outcome=outcome)


class Names(NamedTuple):
    """Other names of a collection that one side has under a new name."""

    before: Path | None = None
    """the former name under which the receiver has it"""
    apart: Path | None = None
    """the new name that the receiver gave it, if the receiver renamed it too"""


class Exchanged(NamedTuple):
    """The result of a push or pull. In a dry run, everything that it would send."""

    remote: str
    url: str
    collections: list[Moved]
    objects: int
    """number of objects that were sent"""
    bytes: int
    """of these objects"""
    runs: int
    """number of runs that were sent"""
    due: int
    """number of small packs at the remote; from 64 on `gc REMOTE` should merge them"""
    refused_runs: tuple[RefusedRun, ...] = ()
    """the runs that could not be pushed or pulled, each with its problem"""
    unmatched: tuple[str, ...] = ()
    """globs of a pull that match nothing in the versions that were pulled"""

    @property
    def refused(self) -> list[Moved]:
        """The collections that could not be pushed or pulled, each with its problem."""
        return [moved for moved in self.collections if moved.problem is not None]

    def whole(self) -> "Exchanged":
        """This result. Raises the problem of the first collection that was refused."""
        for moved in self.collections:
            if moved.problem is not None:
                raise moved.problem
        return self


class Scope(NamedTuple):
    """The collections to push or pull: all below a folder of refs/, or a single one, or one version of it."""

    folder: str
    """of the collections, or of the log of the collection `path`"""
    spec: Spec | None = None
    """names the version, if only one is meant"""
    path: Path | None = None
    """the single collection; None for all below the folder"""


ALL = Scope("refs")


def united(
    found: Iterable[tuple[State, set[str] | None]], level: Container[str]
) -> list[tuple[State, set[str] | None]]:
    """The collections of several scopes, each once, with all versions that are wanted of it: None for all.

    Without those that are `level`: their folders.
    """
    every: dict[Path, tuple[State, set[str] | None]] = {}
    for state, wanted in found:
        before = every[state.path][1] if state.path in every else set()
        if state.path.folder not in level:
            every[state.path] = state, None if wanted is None or before is None else before | wanted
    return list(every.values())


class ExchangeOptions(NamedTuple):
    """The options of a push or pull."""

    dry_run: bool = False
    jobs: int = 4
    """number of transfers at once"""
    selection: Selection = EVERYTHING
    """files whose bytes a pull brings; those of other files stay at the remote until they are needed"""
    monitor: Monitor = Monitor()
    segments: bool = True
    """whether large blobs that are in packs are sent as their segments, which the receiver then has in packs, too"""


class Neighbours(NamedTuple):
    """The other remotes of the repository here."""

    tracked: list[Tracking]
    fill: Callable[[dict[Digest, int]], None]
    """gets absent blobs from the remotes that promised them"""
    complete: bool
    """whether no other remote has promised blobs: then only the remote of this exchange can have blobs that are absent"""


class Planned(NamedTuple, Generic[Plan]):
    """A plan for one collection: the changes to send from its source log to its target log."""

    source: State
    wanted: set[str] | None
    """ids of the only versions to send; None for all"""
    target: State
    plan: Plan


Again = Callable[[Planned[Plan], Receiver], Planned[Plan]]
"""Makes a new plan for a collection, after another writer was first."""


class Totals:
    """The numbers of objects and bytes that were sent. In a dry run, those that would be."""

    def __init__(self) -> None:
        self.objects = self.bytes = 0

    def __iadd__(self, needs: Needs) -> "Totals":
        self.objects += needs.objects
        self.bytes += needs.bytes
        return self


class Exchange:
    """One exchange between the repository here and a remote. `Push` and `Pull` plan it, and use this to carry it out."""

    def __init__(
        self, here: Store, remote: AnyStore, tracking: Tracking, neighbours: Neighbours, options: ExchangeOptions
    ) -> None:
        self.here = here
        self.refs = here.refs.cached()
        """the collections here; each entry is read once"""
        self.remote = remote
        self.tracking = tracking
        self.there = here.refs.of_copies(tracking.mirror)
        """the remote's collections, as they were last seen"""
        self.neighbours = neighbours
        self.options = options
        self.runs = RunExchange(
            here, remote, tracking, selection=options.selection, jobs=options.jobs, monitor=options.monitor
        )
        self.refused: dict[str, ArtstoreError] = {}
        """by folder, the logs of the remote that can't be copied, and those that renames connect with them"""
        self.sent = Totals()
        self.same = tracking.in_step("same")
        """by log, the newest entries of both sides when both logs held the same changes"""
        self._found_level: dict[str, InStep] = {}
        """notes for `save_notes`: collections without anything to send"""
        self._found_same: dict[str, InStep] = {}
        """notes for `save_notes`: collections of which both logs hold the same changes"""

    def fetch(self, scopes: list[Scope]) -> list[str]:
        """Bring our copies of the remote's logs up to date. Returns the folders of the logs in the scopes.

        In a scope of many collections, a log that is damaged, shorter than before or has a gap is `refused`, and the
        others are copied. That of a single collection raises its Damage, and so does one that is gone.
        """
        self.options.monitor.start(f"asking {self.tracking.name}")
        # A new entry may say that the collection was renamed: then the log of the old name is fetched, too.
        heads: dict[str, Sequence[int]] = {}
        refused: dict[str, ArtstoreError] = {}
        folders, done = {scope.folder for scope in scopes}, set[str]()
        while folders:
            listed = self.remote.heads(folders)
            done |= folders
            folders = self.tracking.fetch(self.remote.storage, listed, refused) - heads.keys() - listed.keys() - done
            heads |= listed
        self._refuse_vanished(scopes, heads)
        self._refuse(refused, heads)
        for scope in scopes:
            self.require(scope.folder)
        return sorted(heads)

    def _refuse(self, refused: dict[str, ArtstoreError], heads: dict[str, Sequence[int]]) -> None:
        """Note which logs can't be copied. What renames connect with one is refused with it: alone it means less."""
        left: dict[str, set[str]] = {}
        for folder in heads.keys() - refused.keys() if refused else ():
            try:
                left[folder] = self.tracking.renames(folder)
            except DamagedLog as error:  # our copy
                refused[folder] = error
        while more := {folder: names & refused.keys() for folder, names in left.items() if names & refused.keys()}:
            for folder, names in more.items():
                refused[folder] = refused[min(names)]
                del left[folder]
        self.refused |= refused

    def require(self, folder: str) -> None:
        """Raise the error of a log of the remote that is refused."""
        if folder in self.refused:
            raise self.refused[folder]

    def _refuse_vanished(self, scopes: list[Scope], heads: Container[str]) -> None:
        """Raise Damage if a log of the remote that was seen is gone: the share may be incomplete, or a restored copy."""
        for folder in self.seen():
            asked = any(f"{folder}/".startswith(f"{scope.folder}/") for scope in scopes)
            if asked and folder not in heads:
                message = f"{printable(folder)} was at remote '{self.tracking.name}', and is not there any more"
                hint = "is the right share mounted? To accept it: `artstore remote rm`, then `artstore remote add`"
                raise Damage(message, hint=hint)

    def seen(self) -> Iterator[str]:
        """The folders of all logs of collections of which there are copies. Cost: one look-up for each log."""
        return (folder for folder in self.there.paths() if self.tracking.has(folder))

    def level(self, verb: str, scopes: list[Scope]) -> dict[str, Path]:
        """Collections in which there is nothing to send, by the folders of their logs. Only of scopes with
        many collections.

        Their logs have not grown since a push or pull (`verb`) found nothing to send. Cost for each: two listings, a
        note and two entries. A plan would read every entry of both logs.
        """
        wanted = tuple(f"{scope.folder}/" for scope in scopes if scope.path is None)
        level: dict[str, Path] = {}
        for folder, noted in (*self.same.items(), *self.tracking.in_step(verb).items()):
            is_asked = folder not in level and folder not in self.refused and f"{folder}/".startswith(wanted)
            if is_asked and self._is_level(folder, noted):
                level[folder] = Path(noted.entity, noted.project, noted.name)
        return level

    def _is_level(self, folder: str, noted: InStep) -> bool:
        """Whether both logs of a collection end with the same entries as when the note was made."""
        try:
            return (
                last_number(self.tracking.mirror.names(folder)) == noted.theirs
                and last_number(self.here.storage.names(folder)) == noted.ours
                and len(self.tracking.settled(folder)) == noted.settled
                and Log(self.tracking.mirror, folder).read(noted.theirs).digest == noted.their_digest
                and (not noted.ours or Log(self.here.storage, folder).read(noted.ours).digest == noted.our_digest)
            )
        except (Damage, StorageError):
            return False  # planning will raise it, as a problem of this collection alone

    def note(self, state: State, theirs: State, *, same: bool, level: bool = False) -> None:
        """Remember a result for `save_notes`, so that the next push or pull needs no plan for this collection.

        Not for renamed collections, whose history is in more than one log.

        Args:
            state: Of our log.
            theirs: Of the remote's log.
            same: Both logs hold the same changes.
            level: There is nothing to send.
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
        """Write the notes of this push or pull (`verb`)."""
        self.tracking.note_in_step(verb, self._found_level)
        self.tracking.note_in_step("same", self._found_same)

    def settled(self, path: Path) -> set[str]:
        """Ids of our changes of a collection that never have to be sent to the remote's present log of it."""
        return self.tracking.settled_now(self.there, path)

    def sent_whole(
        self, plans: list[Planned[Plan]], send: Callable[[list[Planned[Plan]]], None], moved: list[Moved]
    ) -> list[Planned[Plan]]:
        """Send the objects of all plans together. Returns the plans of which all objects were sent.

        If some objects are damaged or missing, send those of each collection apart, and add the collections that need
        them to `moved`, as refused.
        """
        try:
            send(plans)
            return plans
        except (Damage, NotFound, Refused) as error:
            if len(plans) > 1:
                return [whole for planned in plans for whole in self.sent_whole([planned], send, moved)]
            moved.append(Moved(plans[0].source.path, "refused", problem=error))
            return []

    def commit_all(self, plans: list[Planned[Plan]], tx: Receiver, refs: Refs, again: Again[Plan]) -> list[Moved]:
        """Append the planned changes to the logs of the receiver. All objects that they need must be published.

        Each collection gets one entry, or several if it has too many changes for one. A collection that can't be
        committed is refused; the others are committed all the same. Raises MissingObject, with all added versions
        withdrawn, if a collector removed an object that they need.

        Args:
            tx: The receiver's transaction, with all objects on which the versions rely.
            refs: The logs of the receiver.
            again: Makes a new plan for a collection, after another writer was first.
        """
        if not plans:
            return []  # all were refused: nothing is published
        moved: list[Moved] = []
        added: list[tuple[Path, list[VersionState]]] = []
        try:
            for planned in plans:
                versions: list[VersionState] = []
                added.append((planned.source.path, versions))
                try:
                    moved.append(self._commit(planned, versions, tx, refs, again))
                except (Conflict, Damage, InvalidValue, NotFound, Refused) as error:
                    moved.append(Moved(planned.source.path, "refused", _names(planned.source, versions), problem=error))
        finally:
            try:
                tx.ensure()
            except MissingObject as error:
                for path, versions in added:
                    self._withdraw(refs, path, [version["id"] for version in versions], error)
                raise
        return moved

    def _commit(
        self, planned: Planned[Plan], added: list[VersionState], tx: Receiver, refs: Refs, again: Again[Plan]
    ) -> Moved:
        """Append the changes of one plan after the state for which it was made.

        Versions are put into `added` as soon as the log has them, so that the caller knows them even after an error.
        """
        source, _, target, plan = planned
        sent, began = 0, self.there.began(source.path) if plan.settled else None
        for _ in range(LOST_RACES):
            # 1. Note the upstream, and check that our copy of the remote's log ends as the log does.
            self._follow(source.path)
            if refs is self.remote.refs:
                self._check_head(target)
            # 2. Append the changes. If another writer was first, plan again on the new state, and repeat.
            parts = list(in_portions(plan.changes, target)) if plan.changes else []
            for part in parts:
                if refs.commit(target, part) is None:
                    break
                sent += len(part)
                if refs is self.remote.refs and target.number == 1:
                    began = target.digest
                ids = {change.get("id") for change in part}
                added += [version for version in plan.versions if version["id"] in ids]
            else:
                break
            planned = again(planned, tx)
            _, _, target, plan = planned
        else:
            raise too_busy(str(source.path))
        # 3. Note which changes are settled, and whether both logs hold the same changes now.
        self.tracking.settle(source.path.folder, plan.settled, began)
        ours, theirs = (source, target) if refs is self.remote.refs else (target, source)
        self.note(ours, theirs, same=plan.same and len(parts) < 2)
        return self.moved(source, plan, added, sent)

    def _check_head(self, theirs: State) -> None:
        """Raise Damage unless the remote's newest entry is the one of our copy. Otherwise its history was rewritten."""
        if theirs.number:
            log = Log(self.remote.storage, theirs.path.folder)
            if log.read(theirs.number).digest != theirs.digest:
                hint = "find out who changed it; to accept it: `artstore remote rm`, then `artstore remote add`"
                raise Damage(f"the history of {theirs.path} at remote '{self.tracking.name}' was rewritten", hint=hint)

    def _withdraw(self, refs: Refs, path: Path, ids: list[str], error: ArtstoreError) -> None:
        """Take back versions of a collection, because of an error."""

        def build(state: State) -> list[Change]:
            live = [id for id in ids if is_live(state.versions.get(id))]
            return [new_change("withdraw", id=id, reason=str(error)) for id in live]

        refs.change(path, build)

    def _follow(self, path: Path) -> None:
        """Make this remote the upstream of a collection, unless it has one: the first remote becomes the upstream."""
        if not any(tracking.follows(path.folder) for tracking in (self.tracking, *self.neighbours.tracked)):
            self.tracking.follow(path.folder)

    def moved(self, state: State, plan: PushPlan | PullPlan, versions: list[VersionState], changes: int) -> Moved:
        """The result for a collection, of which these versions and this number of changes were sent."""
        renumbered = tuple(sorted(plan.renumbered.items())) if isinstance(plan, PullPlan) else ()
        outcome: Outcome = "moved" if changes else "up to date"
        told = in_words(plan.changes, state, {version["id"] for version in plan.versions}) if changes else ()
        return Moved(state.path, outcome, _names(state, versions), changes, renumbered, tuple(plan.declined), told=told)

    def report(self, moved: list[Moved], runs: SentRuns) -> Exchanged:
        """The result of the whole exchange."""
        objects, size = self.sent.objects, self.sent.bytes
        due = 0 if not objects else self.remote.objects.due()
        moved = sorted(moved, key=lambda m: m.path)
        return Exchanged(
            self.tracking.name, self.remote.storage.root, moved, objects, size, runs.runs, due, runs.refused
        )


def _names(state: State, versions: list[VersionState]) -> tuple[str, ...]:
    numbers = {version["id"]: version["number"] for version in versions}
    return tuple(f"{state.path.name}:v{number}" for number in numbers.values())
