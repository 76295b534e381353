"""The remotes of a repository: adding and removing them, push, pull and fetch, and getting promised blobs."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from artstore.backends.endpoints import strange_endpoint
from artstore.backends.places import is_served
from artstore.backends.storage import FolderStorage, is_url
from artstore.domain.collection import Path, State, VersionState, digest_of_state, is_live
from artstore.domain.digest import BLOB, Digest
from artstore.domain.names import (
    REMOTES_FILE,
    Spec,
    as_project,
    check_name,
    check_project,
    file_name_of,
    listed,
    printable,
)
from artstore.domain.selection import EVERYTHING, Selection, select
from artstore.domain.tree import DIRECTORY, REFERENCE, walk
from artstore.domain.wording import count, near, typed
from artstore.errors import ArtstoreError, Conflict, InvalidValue, MissingObject, NotFound, Refused
from artstore.operations.finding.lookup import Lookup, Version
from artstore.progress import Monitor
from artstore.store.layout import check_format
from artstore.store.packs import LARGE
from artstore.store.refs import Refs, resolve
from artstore.store.settings import ORIGIN, RemoteSettings, Settings, text_of_place
from artstore.store.sides import AnyStore, Objects, name_all
from artstore.store.store import Store
from artstore.sync.exchange import ALL, Exchange, Exchanged, ExchangeOptions, Neighbours, Scope
from artstore.sync.histories import what_to_push
from artstore.sync.notes import Tracking
from artstore.sync.place import (
    check_identity,
    is_relative,
    make_remote,
    note_if_served,
    open_remote,
    place_of,
    probe,
    require_remote,
)
from artstore.sync.pull import Pull
from artstore.sync.push import Push
from artstore.sync.transfer import Needs, Transfer, Wanted

if TYPE_CHECKING:
    from artstore.operations.upkeep.repair import Elsewhere


class Divergence(NamedTuple):
    """The difference between a collection here and at a remote, as the remote was last seen."""

    remote: str
    ahead: int
    """number of versions that the remote lacks"""
    behind: int
    """number of versions that this repository lacks"""
    changes: int
    """number of other changes that the remote lacks"""

    @property
    def in_words(self) -> str:
        """The difference as a phrase, such as `1 version behind origin`."""
        parts = [
            f"{count(self.ahead, 'version')} ahead of {self.remote}" if self.ahead else "",
            f"{count(self.changes, 'change')} ahead of {self.remote}" if self.changes else "",
            f"{count(self.behind, 'version')} behind {self.remote}" if self.behind else "",
        ]
        return ", ".join(filter(None, parts)) or f"up to date with {self.remote}"


class Remotes:
    """The remotes of the repository here. A remote is opened for each operation, and contacted only by some of them."""

    def __init__(self, storage: FolderStorage, settings: Settings, here: Store, lookup: Lookup) -> None:
        self._storage = storage
        self._settings = settings
        self._here = here
        self._lookup = lookup

    # -- settings --

    def all(self) -> dict[str, RemoteSettings]:
        """The settings of all remotes, by name."""
        return self._settings.remotes()

    def add(
        self,
        name: str,
        url: str,
        *,
        make: bool = False,
        shared: bool = False,
        partial: bool = False,
        named: bool = True,
    ) -> bool:
        """Add a remote, after trying what its place can do. Returns whether it may be written to.

        Args:
            name: The name for the remote.
            url: Its path or URL.
            make: Make an empty repository there first, unless there is one.
            shared: The users of a group may write to the new repository.
            partial: The remote holds blobs that are absent here.
            named: The user has named the URL, and not a file: a token of the environment may be sent there.

        Raises:
            Conflict: The name is used already.
            NotFound: There is no repository.
            InvalidValue: It is this repository itself, or the place can't do what a remote must.
        """
        check_name(name, "remote name")
        if same := [other for other in self.all() if file_name_of(other) == file_name_of(name)]:
            raise Conflict(f"there is a remote '{same[0]}' already", hint=f"{typed('remote rm', same[0])} removes it")
        text_of_place(place_of(url))  # or it is refused before anything is made
        if make:
            make_remote(url, self._storage, shared=shared)
        try:
            with open_remote(url, self._settings, here=self._storage, given=named, looking=True) as remote:
                if remote.id == check_format(self._storage, "read").id:
                    raise InvalidValue(f"{printable(remote.storage.root)} is this repository itself")
                writable = remote.writable and (is_served(url) or probe(remote.storage))
                self._tracking(name).forget()
                self._tracking(name).set_id(remote.id, remote.scope)
        except NotFound as error:
            hint = f"{typed('remote add --init', name, url)} makes one there; an unmounted share looks like this too"
            raise NotFound(str(error), hint=hint) from error
        self._settings.set_remote(name, RemoteSettings(place_of(url), partial, is_relative(url)))
        self._settings.given.add((name, place_of(url)))
        if named:
            self._settings.typed.add(place_of(url))
            note_if_served(url)
        return writable

    def of_project(self) -> dict[str, str]:
        """The URLs or paths of the remotes in the project's file, by name."""
        from artstore.sync import remotesfile  # a push doesn't need it

        return remotesfile.read(remotesfile.path_beside(self._storage.root))

    def record(self, name: str) -> None:
        """Write a remote to the project's file, so that others can add it by its name."""
        from artstore.operations.restoring.lockfile import url_for  # a push doesn't need it
        from artstore.sync import remotesfile

        known, path = self.all()[name], remotesfile.path_beside(self._storage.root)
        remotesfile.write(path, name, url_for(known.url, known.relative, path))

    def named_by_project(self, name: str) -> str:
        """The URL or path of a remote in the project's file. A relative path is one from the working folder.

        Raises NotFound if it isn't there, Refused for a bucket on a server that the user hasn't named.
        """
        found = self.of_project()
        if name not in found:
            hint = near(name, found) or f"{typed('remote add', name, 'URL')} adds one"
            raise NotFound(f"{REMOTES_FILE} has no remote '{printable(name)}'", hint=hint)
        url = found[name]
        if not is_url(url):
            return (
                url if os.path.isabs(url) else os.path.relpath(os.path.join(os.path.dirname(self._storage.root), url))
            )
        if (endpoint := strange_endpoint(url)) is not None:
            raise Refused(
                f"{REMOTES_FILE} names a server that would get requests signed with your credentials: {printable(endpoint)}",
                hint=f"if you trust it, {typed('remote add', name, url)} adds it",
            )
        return url

    def register(self, name: str, url: str, *, relative: bool) -> None:
        """Add a remote without contacting it, and without trying what its place can do."""
        self._tracking(name).forget()
        self._settings.set_remote(check_name(name, "remote name"), RemoteSettings(place_of(url), relative=relative))

    @staticmethod
    def place_of(url: str) -> str:
        """A remote's place as settings store it. Raises NotFound if there is no repository."""
        with open_remote(url, Settings(None), here=None, given=True):
            note_if_served(url)
            return place_of(url)

    def remove(self, name: str) -> None:
        """Remove a remote and all notes of it. Nothing changes at its place. Raises NotFound."""
        if name not in self.all():
            require_remote(self._settings, name)
        self._settings.set_remote(name, None)
        self._tracking(name).forget()

    def _tracking(self, name: str) -> Tracking:
        return Tracking(self._storage, name)

    def _seen(self, name: str) -> Refs:
        """The collections of a remote, as they were last seen."""
        return Refs(self._tracking(name).mirror, identity=self._settings.identity)

    def default(self, name: str | None = None) -> str:
        """The name of the remote to use: `name` if there is one, `origin`, or else the only remote.

        Raises NotFound if there is none, InvalidValue if there are several.
        """
        if name is not None:
            return name
        names = list(self.all())
        if ORIGIN in names or len(names) == 1:
            return ORIGIN if ORIGIN in names else names[0]
        if not names:
            named = next(iter(self.of_project()), None)
            hint = f"{typed('remote add', named)} adds the one in {REMOTES_FILE}" if named else None
            raise NotFound("this repository has no remote", hint=hint or "`artstore remote add NAME URL` adds one")
        raise InvalidValue(f"there are several remotes: {', '.join(names)}", hint="name one of them")

    def open(self, name: str, *, writing: bool = False) -> AnyStore:
        """Open a remote for one operation.

        Raises:
            NotFound: There is no such remote, or no repository at its place.
            Refused: The repository here isn't the user's own, and they didn't allow its remotes.
            Conflict: Another repository is at the remote's place than the last time.
        """
        url = require_remote(self._settings, name)
        given = url in self._settings.typed
        remote = open_remote(url, self._settings, here=self._storage, writing=writing, given=given)
        try:
            check_identity(remote, self._tracking(name))
        except BaseException:
            remote.close()
            raise
        return remote

    # -- exchanging --

    def push(self, name: str | None, specs: Iterable[str], options: ExchangeOptions) -> Exchanged:
        """Push to a remote: see `Push.run`. No specs mean all collections."""
        asked, name, specs = name, self.default(name), listed(specs, "specs")
        scopes = self.scopes(specs)
        with self._meaning_a_remote(asked, specs), self.open(name, writing=True) as remote:
            return Push(self.exchange(name, remote, options)).run(scopes)

    def pull(self, name: str | None, specs: Iterable[str], options: ExchangeOptions) -> Exchanged:
        """Pull from a remote: see `Pull.run`. No specs mean all collections.

        If only some files are selected, the remote is noted as one that holds the bytes of the others.
        """
        asked, name, specs = name, self.default(name), listed(specs, "specs")
        scopes = self.scopes(specs)
        with self._meaning_a_remote(asked, specs), self.open(name) as remote:
            if not options.selection.everything and not options.dry_run and not (known := self.all()[name]).partial:
                self._settings.set_remote(name, known._replace(partial=True))
            return Pull(self.exchange(name, remote, options)).run(scopes)

    def fetch(self, name: str | None, specs: Iterable[str], options: ExchangeOptions) -> list[str]:
        """Bring our copies of a remote's logs up to date, without pulling. Returns the folders of these logs.

        Raises the Damage of a log that can't be copied, after the others were.
        """
        asked, name, specs = name, self.default(name), listed(specs, "specs")
        with self._meaning_a_remote(asked, specs), self.open(name) as remote:
            exchange, scopes = self.exchange(name, remote, options), self.scopes(specs)
            folders = exchange.fetch(scopes)
            Pull(exchange).check_known(scopes)
            for folder in sorted(exchange.refused):
                exchange.require(folder)
            return folders

    def exchange(self, name: str, remote: AnyStore, options: ExchangeOptions) -> Exchange:
        """An exchange with a remote that is open. The settings need not have a remote of this name."""
        others = [self._tracking(other) for other in self.all() if other != name]
        neighbours = Neighbours(others, self.fill, set(self.partial) <= {name})
        return Exchange(self._here, remote, self._tracking(name), neighbours, options)

    @contextmanager
    def _meaning_a_remote(self, name: str | None, specs: Sequence[str]) -> Iterator[None]:
        """If there is no such artifact, say that the first word may have meant a remote."""
        try:
            yield
        except NotFound as error:
            first = specs[0] if specs else ""
            if (remote := next((spec for spec in specs if spec in self.all()), None)) is not None:
                hint = f"'{remote}' is a remote: give one remote, before the artifacts"
                raise NotFound(str(error), hint=hint) from error
            is_similar = (error.hint or "").startswith("did you mean") and not near(first, self.all())
            meant = not name and not is_similar and "/" not in first and error.message.endswith(f"/{first}")
            if meant and not self._here.refs.read(self._lookup.path_of(first)[0]).number:
                require_remote(self._settings, first, "an artifact")
            raise

    def renamed(self, old: Path, new: Path) -> None:
        """Move the notes about a collection that was renamed here, for all remotes."""
        for name in self.all():
            self._tracking(name).move_notes(old.folder, new.folder)

    def scopes(self, specs: Iterable[str]) -> list[Scope]:
        """The scopes for specs: each is a version, an artifact, or `[entity/]project/`. No specs mean all collections."""
        return list(dict.fromkeys(self._scope(text) for text in specs)) or [ALL]

    def _scope(self, text: str) -> Scope:
        if text.endswith("/"):
            entity, _, project = text[:-1].rpartition("/")
            entity = check_project(entity or self._settings.entity, "entity")
            return Scope(f"refs/{file_name_of(entity)}/{file_name_of(as_project(project))}")
        path, spec = self._lookup.path_of(text)
        return Scope(path.folder, spec, path)

    # -- as last seen: no remote is contacted --

    def apart(self, state: State) -> list[Divergence]:
        """The difference between a collection and each remote that has it, or is its upstream."""
        found = []
        for name in self.all():
            tracking, there = self._tracking(name), self._seen(name)
            theirs = there.read_folder(state.path.folder, state.path)
            if not theirs.number and not tracking.follows(state.path.folder):
                continue
            same = tracking.in_step("same").get(state.path.folder)
            settled = tracking.settled_now(there, state.path)
            behind = sum(id not in state.versions and is_live(v) for id, v in theirs.versions.items())
            try:
                push = what_to_push(self._here.refs, state, there, theirs, same, settled, None)
                ahead, changes = len(push.versions), len(push.changes)
            except Conflict:
                lacking = [v for id, v in state.versions.items() if id not in theirs.versions and is_live(v)]
                ahead = changes = len(lacking)
            found.append(Divergence(name, ahead, behind, changes - ahead))
        return found

    def holding(self, path: Path, spec: Spec) -> tuple[str, VersionState] | None:
        """The name of a remote that has the version that a spec names, and that version; or None."""
        for name in self.all():
            try:
                return name, resolve(self._seen(name).read(path), spec)
            except ArtstoreError:
                continue
        return None

    def not_found(self, error: NotFound, path: Path, spec: Spec) -> NotFound:
        """The error for a version that isn't here. If a remote has it, the hint names the command that gets it."""
        try:
            held, here = self.holding(path, spec), self._here.refs.read(path).versions
        except Conflict:  # a collection here has this name in another case
            held, here = None, {}
        if held is None:
            more = "`artstore pull` may bring more from a remote"
            return NotFound(
                str(error), hint=f"{error.hint}{'' if error.hint.endswith('?') else ';'} {more}" if error.hint else more
            )
        holder, version = held
        name = self._lookup.short(path) + spec.ending
        ours = here.get(version["id"])
        if ours is not None and not is_live(ours):  # a pull doesn't bring back what was deleted here
            known = f"{self._lookup.short(path)}:v{ours['number']}"
            return NotFound(
                f"{known} was deleted here on {ours['deleted'][:10]}; remote '{holder}' still has it",
                hint=f"{typed('undelete', known)} brings it back; {typed('get', name, from_=holder)} gets its files",
            )
        return NotFound(f"{name} is not here, but at remote '{holder}'", hint=f"{typed('pull', holder, name)} gets it")

    def having(self, path: Path, id: str) -> str | None:
        """The name of a remote that has a version, or None. The collection's upstream is preferred."""
        for name in sorted(self.all(), key=lambda name: not self._tracking(name).follows(path.folder)):
            try:
                if is_live(self._seen(name).read(path).versions.get(id)):
                    return name
            except ArtstoreError:
                continue
        return None

    def only_there(self, name: str) -> list[Path]:
        """The collections that a remote has and this repository hasn't."""
        there = self._seen(name)
        states = (there.read_folder(folder) for folder in there.paths())
        here = self._here.refs.read_folder
        return [s.path for s in states if s.exists and not ((ours := here(s.path.folder)).versions or ours.exists)]

    def elsewhere(self) -> list["Elsewhere"]:
        """The remotes as places where a repair looks for lost objects."""
        from artstore.operations.upkeep.repair import Elsewhere  # a push doesn't need it

        return [Elsewhere(f"remote '{name}'", partial(self._objects_at, name)) for name in self.all()]

    @contextmanager
    def _objects_at(self, name: str) -> Iterator[Objects]:
        """The objects of a remote; those of a served one through all that it has."""
        with self.open(name) as remote:
            if is_served(self.all()[name].url):
                name_all(remote.objects, remote.refs, remote.runs)
            yield remote.objects

    # -- promised blobs: absent here, and held by a remote --

    @property
    def partial(self) -> list[str]:
        """The names of the remotes that promise blobs."""
        return [name for name, settings in self.all().items() if settings.partial]

    def promised(self) -> set[Digest]:
        """The blobs of all live versions and runs' files of the remotes that promise blobs, if their trees are here.

        Cost: a walk through all these trees.
        """
        found: set[Digest] = set()
        for name in self.partial:
            there = self._seen(name)
            trees = {digest_of_state(v) for folder in there.paths() for v in there.read_folder(folder).live()}
            runs = self._here.runs.of_copies(self._tracking(name).mirror)
            trees |= {tree.digest for folder in runs.paths() for tree in runs.read_folder(folder).folders()}
            for tree in self._here.objects.readable(trees):
                entries = walk(tree, self._here.objects.read_tree)
                found |= {e.digest for _, e in entries if e.kind not in (DIRECTORY, REFERENCE)}
        return found

    def fill(self, blobs: dict[Digest, int], monitor: Monitor | None = None, *, of: Version | None = None) -> None:
        """Get blobs that are absent here from the remotes that promised them. Many small blobs take few requests.

        Blobs that no remote has stay absent, without an error: reading them will raise one.

        Args:
            blobs: Their sizes, by digest. Blobs that are stored here are ignored.
            of: The version that has all of them, if it is known.
        """
        objects = self._here.objects
        absent = self._absent(blobs) if self.partial else {}
        for name in self.partial if absent else ():
            with self.open(name) as remote, self._here.transaction() as tx:
                self._through(name, remote.objects, of)
                remote.objects.refresh()
                there = remote.objects.worth_asking({digest for digest, size in absent.items() if size < LARGE})
                sizes = remote.objects.large.readable({digest for digest, size in absent.items() if size >= LARGE})
                small = {digest: absent[digest] for digest in there}
                large = {digest: absent[digest] for digest in sizes}
                transfer = Transfer(remote.objects, tx, objects, monitor=monitor)
                transfer.send(Needs({}, {}, {}, large))
                with suppress(MissingObject):  # what it lacks, another remote may have
                    transfer.send(Needs({}, {}, small, {}))
                transfer.publish()
                tx.ensure()
                objects.packs.refresh()
            if not (absent := self._absent(absent)):
                return

    def _through(self, name: str, objects: Objects, of: Version | None) -> None:
        """Name the versions through which promised blobs are read: this one, or all that the remote was seen to have."""
        if not is_served(self.all()[name].url):
            return
        seen, mirror = self._seen(name), self._tracking(name).mirror
        if of is not None and is_live(seen.read_folder(of.state.path.folder).versions.get(of.id)):
            objects.through(of.state.path.folder, [of.id])
            return
        name_all(objects, seen, self._here.runs.of_copies(mirror))

    def fill_version(self, found: Version, selection: Selection, monitor: Monitor | None = None) -> None:
        """Get the absent blobs of a version's selected files from the remotes that promised them."""
        entries = select(found.tree, self._here.objects.read_tree, selection)
        self.fill({e.digest: e.size for _, e in entries if e.kind not in (DIRECTORY, REFERENCE)}, monitor, of=found)

    def fill_deleted(self, path: Path, spec: Spec) -> None:
        """Get the absent blobs of deleted versions, before the versions are undeleted."""
        state = self._here.refs.read(path)
        for version in state.versions.values():
            if not is_live(version) and spec.number in (None, version["number"]):
                self.fill_version(Version(state, version), EVERYTHING)

    def bring_back(self, name: str, path: Path, spec: Spec, brought: ExitStack) -> None:
        """Get the objects of deleted versions that a remote still has. They are kept here until `brought` is closed.

        A remote that can't be reached, or that has them no more, brings nothing.
        """
        objects = self._here.objects
        state = self._here.refs.read(path)
        gone = [v for v in state.versions.values() if not is_live(v) and spec.number in (None, v["number"])]
        try:
            remote = brought.enter_context(self.open(name))
        except ArtstoreError:
            return
        tx = brought.enter_context(self._here.transaction())
        transfer = Transfer(remote.objects, tx, objects)
        live = {version["id"] for version in self._seen(name).read(path).live()}
        remote.objects.through(path.folder, [version["id"] for version in gone if version["id"] in live])
        for version in gone:
            try:
                transfer.send(transfer.plan([Wanted(version, None)]))
            except ArtstoreError:
                continue
        transfer.publish()
        objects.packs.refresh()

    def _absent(self, blobs: dict[Digest, int]) -> dict[Digest, int]:
        """Those of some blobs that are not stored here."""
        objects = self._here.objects
        return {digest: size for digest, size in blobs.items() if not objects.has(BLOB, digest, size)}
