"""Pull: copying versions and other changes from a remote to the repository here."""

from collections.abc import Iterator

from artstore.domain.collection import Path, State, digest_of_state, is_live
from artstore.domain.names import printable
from artstore.domain.properties import new_blobs
from artstore.domain.pulling import PullPlan, to_pull
from artstore.domain.wording import near, typed
from artstore.errors import ArtstoreError, Conflict, MissingObject, NotFound
from artstore.store.refs import resolve
from artstore.store.sides import Receiver
from artstore.sync.exchange import ALL, Exchange, Exchanged, Moved, Names, Planned, Scope, united
from artstore.sync.histories import histories
from artstore.sync.runs import SentRuns
from artstore.sync.transfer import Transfer, with_bases


class Pull:
    """One pull. If both sides changed a property or took a number, the remote wins: see `domain.reconcile`."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._names: dict[Path, Names] = {}
        """by path, other names of collections that were renamed at the remote"""
        self._unmatched: tuple[str, ...] = ()

    def run(self, scopes: list[Scope]) -> Exchanged:
        """Pull the collections in the scopes. A collection that can't be pulled is refused; the others are pulled.

        Raises NotFound if the remote has no such artifact.
        """
        # 1. Bring our copies of the remote's logs up to date. Skip collections that didn't change since there was
        #    nothing to pull.
        folders, level = self.exchange.fetch(scopes), self.exchange.level("pull", scopes)
        todo: list[Planned[PullPlan]] = []
        moved = [Moved(path, "up to date") for path in level.values()]
        # 2. Plan each other collection: which changes to append to our log?
        unknown = [folder for folder in folders if folder not in level]
        for theirs, wanted in united(self._theirs(scopes, unknown, moved), level):
            try:
                self._names[theirs.path] = self._follow_rename(theirs)
                planned = self._planned(theirs, wanted)
                if planned.plan.changes or planned.plan.declined or planned.plan.settled:
                    todo.append(planned)
                else:
                    moved.append(Moved(theirs.path, "up to date"))
                    self.exchange.note(planned.target, theirs, same=planned.plan.same, level=wanted is None)
            except ArtstoreError as error:
                moved.append(Moved(theirs.path, "refused", problem=error))
        # 3. Get the objects, then append the changes.
        if todo:
            with self.exchange.here.transaction() as tx:
                moved += self._pull_all(todo, tx)
        # 4. Pull runs last: only those that made or used versions which are here now.
        self.exchange.save_notes("pull")
        runs = SentRuns()
        if not self.exchange.options.dry_run:
            runs = self.exchange.runs.pull(self.exchange.refs, lone=ALL in scopes)
        named = [m.with_names(self._names.get(m.path)) for m in moved]
        return self.exchange.report(named, runs)._replace(unmatched=self._unmatched)

    def check_known(self, scopes: list[Scope]) -> None:
        """Raise NotFound if a scope is an artifact that the remote never had."""
        for scope in scopes:
            if scope.path is not None and not self.exchange.there.read_folder(scope.folder, scope.path).number:
                self._refuse_unknown(scope.path)

    def _theirs(
        self, scopes: list[Scope], folders: list[str], moved: list[Moved]
    ) -> Iterator[tuple[State, set[str] | None]]:
        """The remote's collections in the scopes, each with the ids of the only versions to pull, or None for all.

        In a scope of many collections, one that can't be read is added to `moved` as refused.
        """
        for scope in scopes:
            if scope.path is not None:
                state = self.exchange.there.read(scope.path)
                if not state.exists and not state.versions:
                    self._refuse_unknown(scope.path)
                named = scope.spec is not None and scope.spec.names_version
                yield state, {resolve(state, scope.spec)["id"]} if named and scope.spec else None
                continue
            for folder in folders:
                if not f"{folder}/".startswith(f"{scope.folder}/"):
                    continue
                try:
                    self.exchange.require(folder)
                    state = self.exchange.there.read_folder(folder)
                except ArtstoreError as error:
                    from urllib.parse import unquote

                    moved.append(Moved(Path(*map(unquote, folder.split("/")[1:])), "refused", problem=error))
                    continue
                if state.redirect is None and (state.exists or state.versions):
                    yield state, None

    def _refuse_unknown(self, path: Path) -> None:
        states = [self.exchange.there.read_folder(folder) for folder in self.exchange.there.paths()]
        names = [state.path.name for state in states if state.exists and state.path[:2] == path[:2]]
        hint = near(path.name, names) or f"{typed('ls', from_=self.exchange.tracking.name)} lists its artifacts"
        raise NotFound(f"remote '{self.exchange.tracking.name}' has no artifact {printable(str(path))}", hint=hint)

    def _planned(self, theirs: State, wanted: set[str] | None) -> Planned[PullPlan]:
        """Plan one collection. Raises Conflict if our log can't take the changes."""
        path = theirs.path
        if self.exchange.options.dry_run:
            path = self._names.get(path, Names()).before or path
        now = self.exchange.refs.read_to_append(path, follow=False)
        if now.redirect is not None:
            return Planned(theirs, wanted, *self._renamed_here(theirs, now.redirect))
        followed = any(tracking.follows(theirs.path.folder) for tracking in self.exchange.neighbours.tracked)
        same = self.exchange.same.get(theirs.path.folder) if wanted is None else None
        ours, heard, _, _ = histories(self.exchange.refs, now, self.exchange.there, theirs, same)
        try:
            settled = self.exchange.settled(path)
            plan = to_pull(heard, theirs, ours, now, settled, upstream=not followed, wanted=wanted)
            return Planned(theirs, wanted, now, plan)
        except Conflict as error:
            apart = typed("cp", str(now.path), f"{now.path}-ours")
            hint = f"its numbers come from another remote; {apart} keeps your versions under another name"
            raise Conflict(str(error), hint=hint) from error

    def _follow_rename(self, theirs: State) -> Names:
        """If a collection was renamed at the remote, and we only have it under the old name, rename it here.

        Returns its other names here. A dry run renames nothing.
        """
        if self.exchange.refs.read_folder(theirs.path.folder).number:
            return Names()
        for old in self.exchange.there.names_before(theirs):
            was_renamed = self.exchange.there.read_folder(old.folder, old).redirect is not None
            ours = self.exchange.refs.read_folder(old.folder, old)
            if was_renamed and ours.exists:
                if not self.exchange.options.dry_run:
                    self.exchange.refs.rename(old, theirs.path)
                    self.exchange.tracking.move_notes(old.folder, theirs.path.folder)
                return Names(before=old)
            if was_renamed and ours.redirect is not None:
                now = self.exchange.refs.read(ours.redirect)
                if now.exists and now.versions.keys() & theirs.versions.keys():
                    return Names(apart=now.path)
        return Names()

    def _renamed_here(self, theirs: State, name: Path) -> tuple[State, PullPlan]:
        """The plan for a collection that was renamed here: nothing to do.

        Raises Conflict if the remote got new versions under the old name.
        """
        here = self.exchange.refs.read(name)
        if new := [v for id, v in theirs.versions.items() if id not in here.versions and is_live(v)]:
            remote = self.exchange.tracking.name
            message = f"{theirs.path} was renamed to {name} here, and remote '{remote}' has a new v{new[0]['number']}"
            raise Conflict(message, hint=f"{typed('push', remote, str(name))} renames it there, too")
        return here, PullPlan([], [], {}, [], set(), False)

    def _pull_all(self, todo: list[Planned[PullPlan]], tx: Receiver) -> list[Moved]:
        """Get the objects of all plans, and append their changes to our logs."""
        # 1. Plan again. Objects of live versions count as stored: their logs must be read after the transaction began.
        plans = [self._planned(planned.source, planned.wanted) for planned in todo]
        # 2. Get all objects.
        moved: list[Moved] = []
        plans = self.exchange.sent_whole(plans, lambda some: self._send(some, tx), moved)
        # 3. Append the changes.
        if self.exchange.options.dry_run:
            return moved + [self.exchange.moved(p.source, p.plan, p.plan.versions, len(p.plan.changes)) for p in plans]
        moved += self.exchange.commit_all(plans, tx, self.exchange.refs, self._again)
        if got := [digest_of_state(version) for planned in plans for version in planned.plan.versions]:
            self._unmatched = self.exchange.options.selection.unmatched(got, self.exchange.here.objects.read_tree)
        return moved

    def _send(self, plans: list[Planned[PullPlan]], tx: Receiver) -> None:
        """Get all objects that some plans need, and publish them. In a dry run only count them."""
        options = self.exchange.options
        options.monitor.start(f"getting from {self.exchange.tracking.name}", "object")
        source, here = self.exchange.remote.objects, self.exchange.here.objects
        source.refresh()
        transfer = Transfer(source, tx, here, selection=options.selection, jobs=options.jobs, monitor=options.monitor)
        wanted, damaged = [], here.damage.is_known or not self.exchange.neighbours.complete
        for theirs, _, _, plan in plans:
            now = self.exchange.refs.read_folder(theirs.path.folder, theirs.path)
            source.through(theirs.path.folder, ())
            source.through(theirs.path.folder, [version["id"] for version in plan.versions])
            wanted += with_bases(plan.versions, [] if damaged else now.live())
        try:
            needs = transfer.plan(wanted, [blob for planned in plans for blob in new_blobs(planned.plan.changes)])
            if not options.dry_run:
                transfer.send(needs)
                transfer.publish()
            self.exchange.sent += needs
        except MissingObject as error:
            hint = "if a sync is still copying files there, pull again later; nothing was changed here"
            raise MissingObject(f"remote '{self.exchange.tracking.name}' is incomplete: {error}", hint=hint) from error

    def _again(self, planned: Planned[PullPlan], tx: Receiver) -> Planned[PullPlan]:
        """Plan a collection again, after another writer changed our log, and get its objects."""
        planned = self._planned(planned.source, planned.wanted)
        self._send([planned], tx)
        return planned
