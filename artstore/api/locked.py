"""Restoring the versions that a lock file names: each is found here, or copied from the remote that the file names."""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

from artstore.backends.endpoints import strange_endpoint
from artstore.backends.storage import FolderStorage, is_url
from artstore.domain.collection import is_live
from artstore.domain.names import LOCK_FILE, file_name_of, printable
from artstore.domain.wording import typed
from artstore.errors import MissingObject, NotFound, Refused
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring.checkout import CheckedOut
from artstore.operations.restoring.lockfile import Locked, folder_of, remote_place
from artstore.operations.restoring.options import Restore
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store.settings import ORIGIN, RemoteSettings, is_repository, root_to_create, working_folder
from artstore.sync.place import is_relative, place_of
from artstore.view import View, view_of


class LockedRemote(NamedTuple):
    """A remote that may have the missing versions."""

    name: str
    place: str
    """an absolute path or a URL"""
    relative: bool
    """whether the lock file names it by a relative path"""


class Brought(NamedTuple):
    """The versions that came from one remote."""

    remote: str
    url: str
    versions: int
    kept: bool
    """whether the repository has them now; else the files came straight from the remote"""


class Restored(NamedTuple):
    """The result of a restore. `created` is the path of the repository if one was made for it."""

    created: str | None
    brought: list[Brought]
    got: list[tuple[Locked, CheckedOut]]


class Restoring(ExitStack):
    """One restore, used as a context.

    All versions are found, and missing ones copied here, before the first folder changes.

    A lock file comes with code from elsewhere, so it is trusted only to say where to look. Each version is checked by
    id and digest. The file's remote becomes a remote of the repository only if that is new or empty. Otherwise a later
    `push` could send the user's own work there, and a pull could change names and numbers that are in use here.
    """

    def __init__(self, lock: str, chosen: str | None, monitor: Monitor) -> None:
        """Prepare a restore.

        `chosen` is a remote, path or URL that the user named instead of those in the lock file.
        """
        super().__init__()
        self._lock = lock
        self._chosen = chosen
        self._monitor = monitor
        self._repository: Repository | None = None
        self._created: str | None = None
        self._found: dict[Locked, tuple[View, Version]] = {}
        self._brought: list[Brought] = []

    def run(self, wanted: list[Locked], *, force: bool) -> Restored:
        """Make each folder equal to its version. Raises NotFound if a version can't be found anywhere."""
        folders = {one: folder_of(one, self._lock) for one in wanted}
        above, here = os.path.dirname(os.path.abspath(self._lock)), working_folder()
        root = root_to_create(top=above if os.path.commonpath([above, here]) == above else None)
        if is_repository(root):
            self._repository = self.enter_context(Repository(root))
            self._blank = _is_blank(self._repository)
        else:
            self._blank = True
        self._bring(self._missing(wanted), root)
        how = Restore(force=force, delete=True, monitor=self._monitor)
        got = []
        for one in wanted:
            view, found = self._found[one]
            self._monitor.start(f"getting {one.path}")
            got.append((one, view.get(found, folders[one], how)))
        return Restored(self._created, self._brought, got)

    def _missing(self, wanted: Iterable[Locked]) -> list[Locked]:
        """The entries whose version isn't in the repository. The others are noted as found."""
        missing = []
        for one in wanted:
            repository = self._repository
            if repository is not None and (found := _found_here(repository, one)) is not None:
                self._found[one] = repository, found
            else:
                missing.append(one)
        return missing

    def _bring(self, missing: list[Locked], root: str) -> None:
        """Find the missing versions at their remotes, and pull them if the remote is, or may become, one of ours."""
        groups: dict[LockedRemote, list[Locked]] = {}
        for one in missing:
            groups.setdefault(self._source(one), []).append(one)
        for source, entries in groups.items():
            self._look(source, entries)
        for source, entries in groups.items():
            if (name := self._remote_of_ours(source, root)) is not None:
                self._pull(name, entries)
            self._brought.append(Brought(name or source.name, source.place, len(entries), name is not None))

    # -- finding a version --

    def _source(self, one: Locked) -> LockedRemote:
        """Where to look for a version that isn't here. Raises NotFound if no remote is known."""
        ours = self._ours()
        if self._chosen is not None:
            if self._chosen in ours:
                return LockedRemote(self._chosen, ours[self._chosen].url, False)
            return LockedRemote(one.remote or ORIGIN, place_of(self._chosen), is_relative(self._chosen))
        if one.remote is not None and one.url is not None:
            source = LockedRemote(one.remote, place_of(remote_place(one.url, self._lock)), is_relative(one.url))
            self._refuse_unknown_service(source)
            return source
        if self._repository is not None and ours:
            name = self._repository.remotes.default()
            return LockedRemote(name, ours[name].url, False)
        where = "there is no repository here" if self._repository is None else "it is not in this repository"
        raise NotFound(
            f"{one.spec} can't be restored: {where}, and the lock file names no remote", hint=f"{self._again()} gets it"
        )

    def _ours(self) -> dict[str, RemoteSettings]:
        return self._repository.remotes.all() if self._repository is not None else {}

    def _refuse_unknown_service(self, source: LockedRemote) -> None:
        """Raises Refused for a bucket on a server that the user hasn't named.

        Requests to a bucket are signed with the user's credentials. A lock file mustn't decide where such requests go.
        """
        if not is_url(source.place) or source.place in (known.url for known in self._ours().values()):
            return
        if (endpoint := strange_endpoint(source.place)) is not None:
            raise Refused(
                f"the lock file names a server that would get requests signed with your credentials: {printable(endpoint)}",
                hint=f"if you trust it, {self._again(source.place)} uses it",
            )

    def _again(self, place: str = "REMOTE_OR_URL") -> str:
        """The command that restores from `place`; without one, a pattern of it."""
        file = {} if self._lock == LOCK_FILE else {"file": self._lock}
        return typed("get --locked", **file, from_=place)

    # -- getting a version --

    def _look(self, source: LockedRemote, entries: list[Locked]) -> None:
        """Open a remote and check that it has these versions. Raises NotFound if it doesn't."""
        self._monitor.start(f"asking {source.name}")
        name = self._registered(source)
        here = FolderStorage(self._repository.root) if self._repository is not None else None
        try:
            view = self.enter_context(view_of(name or source.place, here, given=self._chosen is not None))
        except NotFound as error:
            hint = f"{error.hint}; {self._again()} gets the versions from elsewhere"
            raise NotFound(f"remote '{source.name}' can't be read: {error}", hint=hint) from None
        for one in entries:
            state = view.refs.read(view.path_of(one.spec)[0])
            version = state.versions.get(one.id)
            if not is_live(version):
                gone, elsewhere = "was deleted at", f"{self._again()} gets it from elsewhere"
                if version is None:
                    gone, elsewhere = "is not at", f"`artstore push` where the lock file was made sends it; {elsewhere}"
                where = f"remote '{source.name}' ({printable(source.place)})"
                raise NotFound(f"{one.spec} (id {one.id[:12]}) {gone} {where}", hint=elsewhere)
            self._found[one] = view, _checked(one, Version(state, version))

    def _registered(self, source: LockedRemote) -> str | None:
        return next((name for name, known in self._ours().items() if known.url == source.place), None)

    def _remote_of_ours(self, source: LockedRemote, root: str) -> str | None:
        """The remote of our repository to pull from; None if the files have to come straight from the place.

        If nothing here could be harmed by it, this makes the repository and adds the remote.
        """
        if (name := self._registered(source)) is not None:
            return name
        if not self._blank:
            return None
        if self._repository is None:
            self._repository = self.enter_context(Repository.init(root))
            self._created = root
        if file_name_of(source.name) in map(file_name_of, self._ours()):
            return None
        self._repository.remotes.register(source.name, source.place, relative=source.relative)
        return source.name

    def _pull(self, name: str, entries: list[Locked]) -> None:
        repository = self._repository
        assert repository is not None
        specs = dict.fromkeys(self._found[one][1].spec for one in entries)
        repository.pull(name, specs, monitor=self._monitor).whole()
        for one in entries:
            found = _found_here(repository, one)
            if found is None:
                raise NotFound(f"{one.spec} was deleted while it was restored", hint="run the same command again")
            self._found[one] = repository, found


def _is_blank(repository: Repository) -> bool:
    """Whether a repository is empty and has no remote."""
    stored = next(repository.refs.paths(), None) or next(repository.runs.paths(), None)
    return stored is None and not repository.remotes.all()


def _found_here(repository: Repository, one: Locked) -> Version | None:
    """The version of an entry, found by its id under any name; None if it isn't in the repository."""
    state = repository.refs.read(repository.path_of(one.spec)[0])
    if one.id not in state.versions:  # it may have been renamed since
        others = (other for other in repository.refs.collections(damaged=[]) if one.id in other.versions)
        if (renamed := next(others, None)) is None:
            return None
        state = renamed
    version = state.versions[one.id]
    if not is_live(version):
        raise NotFound(f"{one.spec} was deleted", hint=f"{typed('undelete', one.spec)} may bring it back")
    return _checked(one, Version(state, version))


def _checked(one: Locked, found: Version) -> Version:
    """The version. Raises MissingObject if its digest isn't the one in the lock file."""
    if found.version["digest"] != one.digest:
        raise MissingObject(f"{one.spec} has another digest than the lock file says")
    return found
