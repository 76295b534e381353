"""Push: copying versions and other changes from the repository here to a remote."""

from collections.abc import Iterator, Set

from artstore.domain.collection import Path, State, is_live
from artstore.domain.properties import new_blobs
from artstore.domain.pushing import PushPlan
from artstore.domain.wording import typed
from artstore.errors import ArtstoreError, Conflict, Damage, NotFound, Refused, StorageError
from artstore.store.refs import resolve
from artstore.store.sides import Receiver
from artstore.sync.exchange import ALL, Exchange, Exchanged, Moved, Names, Planned, Scope, united
from artstore.sync.histories import what_to_push
from artstore.sync.runs import SentRuns
from artstore.sync.transfer import Supply, Transfer, Wanted, with_bases

_LOOKED_INTO = 16
"""Versions at a served remote, the newest and the bases, in which it looks for what is going to be sent."""


class Push:
    """One push. If both sides changed a property or took a number, the remote wins: see `domain.reconcile`."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._names: dict[Path, Names] = {}
        """by path, other names of collections that were renamed here"""

    def run(self, scopes: list[Scope]) -> Exchanged:
        """Push the collections in the scopes. A collection that can't be pushed is refused; the others are pushed.

        Others may push at the same time. Raises NotFound if there is no such artifact here.
        """
        # 1. Bring our copies of the remote's logs up to date. Skip collections that didn't change since there was
        #    nothing to push.
        self.exchange.fetch(scopes)
        level = self.exchange.level("push", scopes)
        # 2. Rename collections there that were renamed here. Those that the remote has under the same name weren't.
        known = level.keys() | set(self.exchange.seen())
        for state, _ in self._ours(scopes, known):
            try:
                self._names[state.path] = self._names_there(state)
            except (Damage, StorageError) as error:
                if self.exchange.remote.storage.distant and isinstance(error, StorageError):
                    raise
                self.exchange.refused[state.path.folder] = error
        refused = {} if self.exchange.options.dry_run else self._rename_there(scopes)
        # 3. Plan each collection: which changes to append to the remote's log?
        todo: list[Planned[PushPlan]] = []
        moved = [Moved(path, "up to date") for path in level.values()]
        moved += [Moved(path, "refused", problem=error) for path, error in refused.items()]
        for state, wanted in united(self._ours(scopes, level.keys()), level):
            if state.path in refused:
                continue
            try:
                planned = self._planned(state, wanted)
                if planned.plan.changes or planned.plan.declined or planned.plan.settled:
                    todo.append(planned)
                else:
                    moved.append(Moved(state.path, "up to date"))
                    self.exchange.note(state, planned.target, same=planned.plan.same, level=wanted is None)
            except ArtstoreError as error:
                moved.append(Moved(state.path, "refused", problem=error))
        # 4. Send the objects, then append the changes. Our own logs are made durable first: a remote must not have
        #    changes that a power cut can take from us.
        if todo and self.exchange.options.dry_run:
            with self.exchange.remote.foreseen() as tx:
                moved += self._push_all(todo, tx)
        elif todo:
            for planned in todo:
                self.exchange.here.storage.make_durable(planned.source.path.folder)
            supply = Supply(self.exchange.here.objects, self.exchange.options.monitor)
            with self.exchange.remote.transaction(source=supply) as tx:
                # Objects of live versions count as stored: their logs must be read after the transaction began.
                self.exchange.fetch(scopes)
                moved += self._push_all(todo, tx)
        # 5. Copy the remote's new entries, then push runs: only those that made or used versions which are there now.
        self.exchange.save_notes("push")
        if not self.exchange.options.dry_run and any(m.outcome == "moved" or m.versions for m in moved):
            self.exchange.fetch(scopes)
        runs = SentRuns()
        if not self.exchange.options.dry_run:
            runs = self.exchange.runs.push(self.exchange.there, lone=ALL in scopes)
        return self.exchange.report([m.with_names(self._names.get(m.path)) for m in moved], runs)

    def _ours(self, scopes: list[Scope], known: Set[str]) -> Iterator[tuple[State, set[str] | None]]:
        """Our collections in the scopes, each with the ids of the only versions to push, or None for all.

        Deleted ones are included, because their deletion may have to be sent. In a scope of many collections, those
        whose folders are `known` are left out.
        """
        for scope in scopes:
            if scope.path is not None:
                state = self.exchange.refs.read_to_append(scope.path)
                if scope.spec is not None and scope.spec.names_version:
                    yield state, {resolve(state, scope.spec)["id"]}
                elif state.number:
                    yield state, None
                else:
                    raise NotFound(f"there is no artifact {state.path}")
                continue
            for folder in self.exchange.refs.paths():
                if f"{folder}/".startswith(f"{scope.folder}/") and folder not in known:
                    state = self.exchange.refs.read_folder(folder)
                    has_content = state.versions or state.metadata or state.description or state.tags
                    # Without content, it only has parts of an unfinished version, which aren't sent.
                    if state.number and state.redirect is None and has_content:
                        yield state, None

    def _names_there(self, state: State) -> Names:
        """The other names of a collection that was renamed here, at the remote, which hasn't the new one.

        A collection at the remote that has no version in common with ours is another one.
        """
        if self.exchange.there.read_folder(state.path.folder, state.path).number:
            return Names()
        self.exchange.require(state.path.folder)
        for old in self.exchange.refs.names_before(state):
            self.exchange.require(old.folder)
            if not self.exchange.there.read_folder(old.folder, old).number:
                self.exchange.fetch([Scope(old.folder)])
            theirs = self.exchange.there.read_folder(old.folder, old)
            if theirs.exists and (not theirs.versions or theirs.versions.keys() & state.versions.keys()):
                return Names(before=old)
            if theirs.redirect is not None:
                now = self._theirs_named(theirs.redirect)
                if now.exists and now.versions.keys() & state.versions.keys():
                    return Names(apart=now.path)
        return Names()

    def _rename_there(self, scopes: list[Scope]) -> dict[Path, ArtstoreError]:
        """Rename collections at the remote that were renamed here. Returns the errors of those that can't be."""
        renamed = {new: names.before for new, names in self._names.items() if names.before is not None}
        refused: dict[Path, ArtstoreError] = {}
        for new, old in renamed.items():
            try:
                self.exchange.remote.refs.rename(old, new)
                self.exchange.tracking.move_notes(old.folder, new.folder)
            except (NotFound, Refused) as error:  # by a server, for this token
                refused[new] = error
        if renamed:
            self.exchange.fetch(scopes)
        return refused

    def _theirs_named(self, path: Path) -> State:
        """A collection of the remote, through at most ten renames. Fetches their logs."""
        for _ in range(10):
            self.exchange.fetch([Scope(path.folder)])
            state = self.exchange.there.read_folder(path.folder, path)
            if state.redirect is None:
                break
            path = state.redirect
        return state

    def _planned(self, state: State, wanted: set[str] | None) -> Planned[PushPlan]:
        """Plan one collection, from our copy of the remote's log. Raises Conflict if the remote can't take the changes."""
        self.exchange.require(state.path.folder)
        remote, path = self.exchange.tracking.name, state.path
        if self.exchange.options.dry_run:
            path = self._names.get(path, Names()).before or path
        theirs = self.exchange.there.read_folder(path.folder, path)
        if theirs.redirect is not None:
            if not state.live():
                return Planned(
                    state, wanted, theirs, PushPlan([], [], [], set(), False)
                )  # deleted here: nothing to send
            hint = self._rename_hint(state.path, theirs.redirect)
            raise Conflict(f"{state.path} was renamed to {theirs.redirect} at remote '{remote}'", hint=hint)
        if theirs.number and theirs.path != path and (theirs.exists or theirs.versions):
            raise Conflict(f"{state.path} differs only in case from {theirs.path}, which remote '{remote}' has")
        same = self.exchange.same.get(state.path.folder) if wanted is None else None
        settled = self.exchange.settled(path)
        here, there = self.exchange.refs, self.exchange.there
        try:
            return Planned(state, wanted, theirs, what_to_push(here, state, there, theirs, same, settled, wanted))
        except Conflict as error:
            raise Conflict(str(error), hint=self._clash_hint(state.path)) from error

    def _clash_hint(self, path: Path) -> str:
        """The way out if the remote has other versions with the numbers of ours."""
        name = self.exchange.tracking.name
        upstream = next((other.name for other in self.exchange.neighbours.tracked if other.follows(path.folder)), None)
        if upstream is None:
            return f"{typed('pull', name, str(path))} first: it renumbers yours"
        return f"its numbers come from '{upstream}'; {typed('cp', str(path), f'{path}-{name}')}, and push the copy"

    def _rename_hint(self, old: Path, new: Path) -> str:
        """The way out if the collection was renamed at the remote."""
        if self.exchange.refs.read(new).exists:
            return f"{new} exists here, too; {typed('rm --collection', str(old))} deletes the old name"
        return f"{typed('mv', str(old), str(new))} renames it here, too"

    def _push_all(self, todo: list[Planned[PushPlan]], tx: Receiver) -> list[Moved]:
        """Send the objects of all plans, and append their changes to the remote's logs. In a dry run, only count."""
        # Collections whose logs grew meanwhile are planned again.
        plans = [p if self.exchange.there.is_current(p.target) else self._planned(p.source, p.wanted) for p in todo]
        moved: list[Moved] = []
        plans = self.exchange.sent_whole(plans, lambda some: self._send(some, tx), moved)
        if self.exchange.options.dry_run:
            return moved + [self.exchange.moved(p.source, p.plan, p.plan.versions, len(p.plan.changes)) for p in plans]
        return moved + self.exchange.commit_all(plans, tx, self.exchange.remote.refs, self._again)

    def _send(self, plans: list[Planned[PushPlan]], tx: Receiver) -> None:
        """Send all objects that some plans need, and publish them. In a dry run, only count them."""
        source, remote, options = self.exchange.here.objects, self.exchange.remote.objects, self.exchange.options
        options.monitor.start(f"sending to {self.exchange.tracking.name}", "object")
        if options.dry_run:
            remote.refresh()
        else:
            remote.look_only_where_cheap()
        transfer = Transfer(source, tx, source, jobs=options.jobs, segments=options.segments, monitor=options.monitor)
        wanted, damaged = list[Wanted](), remote.doubted
        for planned in plans:
            ours = {version["id"] for version in planned.source.live()}
            whole = [v for v in planned.target.live() if v["id"] in ours and not damaged]
            some = with_bases(planned.plan.versions, whole)
            bases = {item.base["id"] for item in some if item.base in whole}
            self._through(planned, bases | {version["id"] for version in whole[-_LOOKED_INTO:]})
            wanted += some
        needs = transfer.plan(wanted, [blob for planned in plans for blob in new_blobs(planned.plan.changes)])
        if not options.dry_run:
            self.exchange.neighbours.fill({**needs.small, **needs.large})  # blobs that are absent in a partial clone
            transfer.send(needs)
            transfer.publish()
        self.exchange.sent += needs

    def _through(self, planned: Planned[PushPlan], bases: Set[str]) -> None:
        """Say through which versions the remote may have what is sent: bases, and the sources of links."""
        remote, folder = self.exchange.remote.objects, planned.target.path.folder
        if planned.target.number:
            remote.through(folder, bases)
        for version in planned.plan.versions:
            if (source := version.get("source")) is not None:
                there = self.exchange.there.read_folder(Path.named_by(source).folder)
                remote.through(there.path.folder, [version["id"]] if is_live(there.versions.get(version["id"])) else ())

    def _again(self, planned: Planned[PushPlan], tx: Receiver) -> Planned[PushPlan]:
        """Plan a collection again, after another writer changed the remote's log, and send its objects."""
        self.exchange.fetch([Scope(planned.source.path.folder)])
        planned = self._planned(planned.source, planned.wanted)
        self._send([planned], tx)
        return planned
