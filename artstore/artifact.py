"""The artifact, as W&B users know it: one object before and after it is logged, which only delegates: to a draft first,
to a stored version and its edits then.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any, TypeVar

from artstore import recording
from artstore.changes import latest_is_ours
from artstore.collection import ArtifactCollection
from artstore.difference import VersionDiff, differences
from artstore.draft import Draft
from artstore.drafting import Drafting
from artstore.edits import TTL, Edits, check_aliases, ttl_seconds
from artstore.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    Conflict,
    FilesDiffer,
    InvalidType,
    InvalidValue,
    NoEntry,
    NotFound,
    SourceError,
)
from artstore.files import hash_file, open_regular
from artstore.handles import opened
from artstore.hints import near, typed
from artstore.html import definition_rows, page
from artstore.ignore import Filter
from artstore.listing import Listing
from artstore.lookup import Found, Home
from artstore.manifest import Entries, Entry, Manifest
from artstore.metadata import normalise
from artstore.names import check_name, check_tags, check_type, normal_path, printable
from artstore.properties import Properties
from artstore.record import RunRecord
from artstore.recording import Recording
from artstore.runs import RunPath
from artstore.selection import Selection
from artstore.sizes import human, moment
from artstore.state import INHERIT, Path
from artstore.stored import Stored
from artstore.tree import DIRECTORY, EMPTY
from artstore.tree import Entry as TreeEntry
from artstore.verify import Verified
from artstore.writing import Link

T = TypeVar("T")
PENDING, COMMITTED, DELETED = "PENDING", "COMMITTED", "DELETED"

PathLike = str | os.PathLike[str]


class ArtifactTTL:
    """`artifact.ttl = ArtifactTTL.INHERIT` leaves it to the defaults, which keep everything."""

    INHERIT = INHERIT


class Artifact:
    """A set of files under a name, to be logged as the next version of its collection.

    `name` is 1 to 128 letters, digits, `_ - .` and single spaces inside; `type` is left out where the collection exists
    (else it is `artifact`). `metadata` is a dict, or JSON text of one. With `incremental=True` the files are added to
    those of the latest version. Adding is safe from several threads, and refused in a forked child.
    """

    def __init__(
        self,
        name: str,
        type: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str | None = None,
    ) -> None:
        """`use_as`, `storage_region` and `digest_algorithm` are accepted as W&B's and change nothing. Raises InvalidValue
        (ValueError) for a name, type or metadata that breaks a rule, also TypeError for metadata without a JSON form.
        """
        if not isinstance(name, str):
            raise InvalidType(f"an artifact's name is text, not {name!r}")
        self._name = check_name(name)
        for what, text in (("type", type), ("description", description)):
            if text is not None and not isinstance(text, str):
                raise InvalidType(f"an artifact's {what} is text, not {text!r}")
        self._type = None if type is None else check_type(type)
        self._incremental = bool(incremental)
        self._edited: Edits | None = Edits(
            [], [], description, {} if metadata is None else normalise(metadata), INHERIT
        )
        self._drafting = Drafting(self._name, recording.place)
        self._stored: Stored | None = None
        self._home: Home | None = None
        self._discarded = False
        self.use_as = use_as
        self.distributed_id: str | None = None

    @classmethod
    def of(cls, root: str, found: Found) -> "Artifact":
        """The artifact of a stored version."""
        self = cls(found.state.path.name, found.state.type)
        self._become(Stored(root, found))
        return self

    @property
    def _edits(self) -> Edits:
        """Properties as read and as edited; of a stored version, read when they are first asked for."""
        if self._edited is None:
            self._edited = self._logged("edits").edits()
        return self._edited

    def _become(self, stored: Stored) -> None:
        self._edited = None
        self._stored = stored
        self._drafting.finalize()
        self._drafting.close()

    # -- draft or logged --

    @property
    def stored(self) -> Stored | None:
        """The stored version; None for a draft."""
        return self._stored

    def _logged(self, member: str) -> Stored:
        if self._stored is None:
            raise ArtifactNotLoggedError(
                f"artifact '{self._name}' has no '{member}' before it is logged",
                hint="log it first: run.log_artifact(artifact), or artifact.save()",
            )
        return self._stored

    def _refuse_logged(self, member: str) -> None:
        if self._stored is not None:
            raise ArtifactFinalizedError(
                f"artifact '{self.name}' is logged: '{member}' would change a version, and versions never change",
                hint="`draft = artifact.new_draft()` begins the next version with its content",
            )

    def is_draft(self) -> bool:
        return self._stored is None

    @property
    def state(self) -> str:
        """PENDING (a draft), COMMITTED or DELETED."""
        if self._stored is None:
            return PENDING
        return DELETED if "deleted" in self._stored.found().version else COMMITTED

    @property
    def incremental(self) -> bool:
        return self._incremental

    def finalize(self) -> None:
        """Refuse further changes to the files. Logging does so by itself."""
        self._drafting.finalize()

    def wait(self, timeout: float | None = None) -> "Artifact":
        """This artifact: logging had returned only when it was safe on disk."""
        if not self._discarded:
            self._logged("wait")
        return self

    def discard(self) -> None:
        """Take the files no further: what a disabled run does instead of logging."""
        self._discarded = True
        self._drafting.finalize()
        self._drafting.close()

    # -- what it is called --

    @property
    def name(self) -> str:
        """`name`, once logged `name:vN`: looked up by id each time, since a pull may renumber."""
        return self._name if self._stored is None else self._stored.found().name

    @property
    def version(self) -> str:
        return f"v{self._logged('version').found().version['number']}"

    @property
    def entity(self) -> str:
        return self._logged("entity").path.entity

    @property
    def project(self) -> str:
        return self._logged("project").path.project

    @property
    def qualified_name(self) -> str:
        return self._logged("qualified_name").found().spec

    @property
    def collection(self) -> "ArtifactCollection[Artifact]":
        stored = self._logged("collection")
        return ArtifactCollection(stored.root, stored.found().state, Artifact.of)

    @property
    def source_name(self) -> str:
        return self.name

    @property
    def source_version(self) -> str:
        self._logged("source_version")
        return self.version

    @property
    def source_entity(self) -> str:
        self._logged("source_entity")
        return self.entity

    @property
    def source_project(self) -> str:
        self._logged("source_project")
        return self.project

    @property
    def source_qualified_name(self) -> str:
        self._logged("source_qualified_name")
        return self.qualified_name

    @property
    def source_collection(self) -> "ArtifactCollection[Artifact]":
        self._logged("source_collection")
        return self.collection

    @property
    def source_artifact(self) -> "Artifact":
        self._logged("source_artifact")
        return self

    @property
    def is_link(self) -> bool:
        return False

    @property
    def linked_artifacts(self) -> "list[Artifact]":
        self._logged("linked_artifacts")
        return []

    @property
    def type(self) -> str:
        return (self._type or "artifact") if self._stored is None else self._stored.found().state.type

    @property
    def id(self) -> str | None:
        """The digest of the version's record, hex; None for a draft."""
        return None if self._stored is None else self._stored.id

    @property
    def commit_hash(self) -> str:
        return self._logged("commit_hash").id

    @property
    def digest(self) -> str:
        """The digest of the root tree, hex: the same for the same paths and content."""
        return self._look(lambda draft: draft.folder().digest, EMPTY, lambda stored: stored.found().tree).hex()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._look(lambda draft: draft.folder().size, 0, lambda stored: int(stored.found().version["size"]))

    @property
    def file_count(self) -> int:
        return int(self._logged("file_count").found().version["files"])

    @property
    def created_at(self) -> str:
        """ISO 8601, UTC"""
        return moment(self._logged("created_at").found().version["created"])

    @property
    def updated_at(self) -> str:
        """When anything about it changed last: ISO 8601, UTC."""
        return str(self._logged("updated_at").found().version["updated"])

    @property
    def url(self) -> str:
        stored = self._logged("url")
        return f"file://{stored.root}#{self.qualified_name}"

    @property
    def history_step(self) -> int | None:
        self._logged("history_step")
        return None

    # -- what may be edited --

    @property
    def description(self) -> str | None:
        return self._edits.description

    @description.setter
    def description(self, text: str | None) -> None:
        if text is not None and not isinstance(text, str):
            raise InvalidType(f"a description is text, not a {text.__class__.__name__}")
        self._edits.description = text

    @property
    def metadata(self) -> dict[str, Any]:
        """Edit it in place or assign a dict; `save()` writes what differs, key by key."""
        return self._edits.metadata

    @metadata.setter
    def metadata(self, value: Any) -> None:
        self._edits.metadata = {} if value is None else normalise(value)

    @property
    def aliases(self) -> list[str]:
        """Edit the list in place or assign one; `save()` moves them here. `latest` comes and goes by itself."""
        self._logged("aliases")
        return self._edits.aliases

    @aliases.setter
    def aliases(self, aliases: list[str]) -> None:
        self._logged("aliases")
        self._edits.aliases = check_aliases(aliases)

    @property
    def tags(self) -> list[str]:
        self._logged("tags")
        return self._edits.tags

    @tags.setter
    def tags(self, tags: list[str]) -> None:
        self._logged("tags")
        self._edits.tags = check_tags([tags] if isinstance(tags, str) else tags)

    @property
    def ttl(self) -> TTL:
        """How long to keep it, from its creation: a timedelta, or None for ever."""
        return None if self._edits.ttl == INHERIT else self._edits.ttl

    @ttl.setter
    def ttl(self, ttl: TTL) -> None:
        ttl_seconds(ttl)
        self._edits.ttl = ttl

    # -- adding to a draft --

    def add_file(
        self,
        local_path: PathLike,
        name: PathLike | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        overwrite: bool = False,
    ) -> Entry:
        """Add one file, by default under its own name.

        `mutable`: its content as it is now is stored at once, later edits don't matter. `immutable`: it is hashed now
        and copied by the save, which fails if it differs then. `is_tmp` replaces its name up to the first dot by 20
        digits of its digest. Raises ValueError for what is no readable file, and, unless `overwrite`, for a path that
        has other content. `skip_cache` is accepted as W&B's and changes nothing.
        """
        self._refuse_logged("add_file")
        _check_policy(policy)
        path = os.fspath(local_path)
        if not os.path.isfile(path):
            problem = (
                "is a folder" if os.path.isdir(path) else "is no file" if os.path.lexists(path) else "is not there"
            )
            raise SourceError(
                f"Path is not a file: {printable(path)} {problem}",
                problems=[(path, problem)],
                hint="add_dir() adds a folder" if os.path.isdir(path) else None,
            )
        target = normal_path(name) if name is not None else os.path.basename(path)
        later = policy == "immutable"
        with self._drafting.changing() as draft:
            if is_tmp:
                target = _renamed(target, _digest_of(path))
            raw = draft.add_file(path, target, overwrite=overwrite, later=later)
            self._drafting.note_source(target, path)
        return Entry(self, target, raw)

    def add_dir(
        self,
        local_path: PathLike,
        name: PathLike | None = None,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        merge: bool = False,
        include: list[str] | str | None = None,
        exclude: list[str] | str | None = None,
    ) -> None:
        """Add all that a folder holds, at the root or below `name`, as it is now; empty folders and executable bits too.

        `include` and `exclude` are globs over paths below the folder; `.artifactsignore` files hold gitignore patterns.
        All or nothing: raises ValueError that lists every file that can't be read, or that has been added with other
        content, unless `merge` (which replaces and never removes). `skip_cache` and `policy` are accepted as W&B's and
        change nothing.
        """
        self._refuse_logged("add_dir")
        _check_policy(policy)
        path = os.fspath(local_path)
        if not os.path.isdir(path):
            problem = "is a file" if os.path.lexists(path) else "is not there"
            raise SourceError(f"Path is not a directory: {printable(path)} {problem}", problems=[(path, problem)])
        target = normal_path(name) if name not in (None, "") else ""
        chosen = Filter(_globs(include), _globs(exclude))
        with self._drafting.changing() as draft:
            draft.add_folder(path, target or None, chosen=chosen if chosen else None, overwrite=merge)
            self._drafting.note_folder(target, path)

    @contextmanager
    def new_file(
        self,
        name: str,
        mode: str = "x",
        encoding: str | None = None,
        policy: str | None = None,
        skip_cache: bool | None = None,
    ) -> Iterator[IO[Any]]:
        """A file to write, added under `name` when the block ends well. Mode "x" refuses a name that is taken, "w" and "a"
        replace it; all take "b" and "+". `policy` and `skip_cache` are accepted as W&B's and change nothing.
        """
        self._refuse_logged("new_file")
        kind = mode.translate({ord(c): None for c in "bt+"})
        if kind not in ("x", "w", "a"):
            raise InvalidValue(f"mode '{mode}' is not one of x, w, a, with b or + or without")
        target = normal_path(name)
        with self._drafting.changing() as draft:
            if kind == "x" and draft.entry(target) is not None:
                raise InvalidValue(f"File with name '{printable(target)}' already exists in this artifact")
            staged, pid = draft.staged_file(target), os.getpid()
        try:
            with open(staged, mode, encoding=encoding) as file:
                yield file
            with self._drafting.changing() as draft:
                draft.add_staged(staged, target, overwrite=kind != "x")
                self._drafting.note_source(target, None)
        except BaseException:
            if pid == os.getpid() and os.path.lexists(staged):  # a forked child may come by here, too
                os.unlink(staged)
            raise

    def add(self, obj: Any, name: str, overwrite: bool = False) -> Entry:
        """Add an object under a name. No kind of object is known yet: files are added by `add_file` and `new_file`."""
        self._refuse_logged("add")
        raise InvalidType(
            f"a {type(obj).__name__} can't be added to an artifact", hint="write it to a file with artifact.new_file()"
        )

    def __setitem__(self, name: str, obj: Any) -> None:
        self.add(obj, name)

    def remove(self, item: "PathLike | Entry") -> None:
        """Take out a file, or a folder with all below it. Raises FileNotFoundError when there is none."""
        self._refuse_logged("remove")
        name = item.path if isinstance(item, Entry) else normal_path(item)
        with self._drafting.changing() as draft:
            draft.remove(name)

    def get_added_local_path_name(self, local_path: PathLike) -> str | None:
        """The path under which a local file was added by `add_file`; None when it wasn't."""
        return next(iter(self._drafting.names_of(os.fspath(local_path))), None)

    def added_from(self, path: str) -> str | None:
        """The local file that was added under a path; None when none is known."""
        return self._drafting.source(path)

    # -- looking --

    def get_entry(self, name: PathLike) -> Entry:
        """The file at a path. Raises KeyError with near names."""
        path = normal_path(name)
        raw = self._look(lambda draft: draft.entry(path), None, lambda stored: stored.entry(path))
        if raw is None or raw[1] == DIRECTORY:
            none: list[str] = []
            names = self._look(
                lambda draft: [os.fsdecode(p) for p, _ in islice(draft.files(), 2000)], none, lambda _: none
            )
            raise NoEntry(f"{self.name} has no file '{printable(path)}'", hint=near(path, names))
        return Entry(self, path, raw)

    get_path = get_entry

    def get(self, name: str) -> Any:
        """The object that was added under a name; None when there is none."""
        self._logged("get")
        return None

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    @property
    def manifest(self) -> Manifest:
        """`manifest.entries` maps paths to entries; they are read as they are asked for."""
        entries = Entries(
            self,
            lambda: self._look(lambda draft: iter(list(draft.files())), iter(()), Stored.files),
            _or_none(lambda path: self._look(lambda d: d.entry(path), None, lambda stored: stored.find(path))),
            lambda: self._look(lambda d: d.folder().files, 0, lambda stored: int(stored.found().version["files"])),
        )
        return Manifest(entries)

    def _look(self, ask: Callable[[Draft], T], empty: T, ask_stored: Callable[[Stored], T]) -> T:
        """What the draft answers (`empty` before anything was added), or the stored version once it is logged."""
        if self._stored is None:
            with self._drafting.locked():
                if self._stored is None:  # else it was logged while this thread waited
                    return self._drafting.look(ask, empty)
        return ask_stored(self._stored)

    def files(self, names: list[str] | None = None, per_page: int | None = None) -> Listing[Entry]:
        """All files, or those of these names."""
        self._logged("files")
        entries = self.manifest.entries
        chosen = entries.values() if names is None else [self.get_entry(name) for name in names]
        return Listing(list(chosen), lambda entry: entry)

    def diff(self, other: "Artifact") -> VersionDiff:
        """What differs in `other` (the newer one) from this version."""
        if not isinstance(other, Artifact):
            raise InvalidType(f"an artifact is compared with another Artifact, not with a {other.__class__.__name__}")
        old, new = self._logged("diff"), other._logged("diff")
        changes = old.repository.diff(old.found(), new.found())
        return VersionDiff(self.name, other.name, differences(changes), old.edits().metadata, new.edits().metadata)

    # -- content --

    def download(
        self,
        root: PathLike | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: PathLike | None = None,
        multipart: bool | None = None,
        include: list[str] | str | None = None,
        exclude: list[str] | str | None = None,
        link: Link = "copy",
    ) -> str:
        """Put the files below `root` (default `./artifacts/<name>-vN`), every byte checked; the root's path.

        Right files stay untouched, wrong ones are replaced, others are left alone. `path_prefix` is a plain prefix of
        paths (`bike.png`, `images/bikes/`), `include` and `exclude` are globs; NotFound when nothing matches. `link`
        concerns files of 1 MiB and more: "copy", "hardlink" or "symlink" (linked ones are the store's: never edit
        them). `skip_cache` and `multipart` are accepted as W&B's and change nothing.
        """
        stored = self._logged("download")
        prefix = "" if path_prefix is None else os.fspath(path_prefix)
        selection = Selection(prefix, Filter(_globs(include), _globs(exclude)))
        done = stored.download(_text(root), selection=selection, link=link)
        return done.root if root is None else os.fspath(root)

    def checkout(self, root: PathLike | None = None) -> str:
        """As `download`, and what else is below `root` is removed, but for `.git` folders. Refused where a repository is."""
        done = self._logged("checkout").download(_text(root), delete=True)
        return done.root if root is None else os.fspath(root)

    def verify(self, root: PathLike | None = None) -> Verified:
        """Compare a folder (default: where `download` puts it) with this version, by content. Raises FilesDiffer (a
        ValueError) that lists what is missing, changed and extra.
        """
        result = self._logged("verify").verify(_text(root))
        if not result.ok:
            words = (("missing", result.missing), ("changed", result.changed), ("extra", result.extra))
            listed = "; ".join(f"{word}: {printable(', '.join(paths))}" for word, paths in words if paths)
            raise FilesDiffer(
                f"the folder is not as {self.name}: {listed}",
                missing=result.missing, changed=result.changed, extra=result.extra,
            )  # fmt: skip
        return result

    def file(self, root: PathLike | None = None) -> str:
        """Download the only file; its path. Raises ValueError when there is not exactly one."""
        entries = self._logged("file").found().version["files"]
        if entries != 1:
            raise InvalidValue(f"{self.name} holds {entries} files, not one", hint="use download() or get_entry(path)")
        only: Entry = next(iter(self.manifest.entries.values()))
        return only.download(root)

    # -- logging, and after --

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Log a draft through the active run, else through a run of its own (in `project`; a `new_draft()` in that of
        its origin); of a logged artifact, write what was edited. Returns when it is safe on disk.
        """
        if self._stored is not None:
            self._stored.save(self._edits)
            self._edited = None
            return
        entity, own = self._home or (None, None)
        with recording.current(entity, project or own) as run:
            self.log_to(run)

    def log_to(
        self, run: Recording, aliases: list[str] | str | None = None, tags: list[str] | str | None = None
    ) -> None:
        """Log a draft as output of a run. A logged artifact gets the aliases and tags, and the run that edge."""
        properties = Properties(aliases=tuple(check_aliases(aliases)), tags=_texts(tags)).checked()
        with self._drafting.locked():
            if self._stored is None:
                self._log(run, properties, str(run.path), reuse="latest")
            else:
                self._refuse_elsewhere(run, self._stored.root)
                self._add(properties)
        run.logged(self._logged("log").found())

    def use_in(self, run: Recording, aliases: list[str] | str | None = None, use_as: str | None = None) -> None:
        """Record it as input of a run; a draft is logged first, unless a live version has its content already."""
        properties = Properties(aliases=tuple(check_aliases(aliases))).checked()
        with self._drafting.locked():
            if self._stored is None:
                self._log(run, properties, None, reuse="any")
            else:
                self._refuse_elsewhere(run, self._stored.root)
                self._add(properties)
        run.used(self._logged("use").found(), use_as)

    def _add(self, properties: Properties) -> None:
        stored = self._logged("save")
        if "deleted" in stored.found().version:
            raise NotFound(
                f"{self.name} was deleted", hint=f"{typed('undelete', self.qualified_name)} may bring it back"
            )
        self._check_latest(properties)
        if properties.aliases or properties.tags:
            stored.repository.edit(stored.spec, properties)
            self._edited = None

    def _check_latest(self, properties: Properties) -> None:
        if "latest" in properties.aliases and not self._logged("save").is_newest:
            raise latest_is_ours()

    def _log(self, run: Recording, properties: Properties, producer: str | None, reuse: Any) -> None:
        if (root := self._drafting.root) is not None:
            self._refuse_elsewhere(run, root)
        edits = self._edits
        properties = properties._replace(
            description=edits.description,
            metadata=normalise(edits.metadata) if edits.metadata else None,
            ttl=None if edits.ttl == INHERIT else ttl_seconds(edits.ttl),
        ).checked()
        path = Path(*run.home, self._name)
        saved = self._drafting.begun().save(
            path, type=self._type, properties=properties, run=producer, incremental=self._incremental, reuse=reuse
        )
        repository = opened(run.root)
        self._become(Stored(run.root, repository.version(saved.path, saved.id)))
        repository.tidy()
        if not saved.is_new:
            self._check_latest(properties)

    def _refuse_elsewhere(self, run: Recording, root: str) -> None:
        if os.path.realpath(root) != os.path.realpath(run.root):
            raise InvalidValue(
                f"artifact '{self.name}' lies in the repository {printable(root)}, the run's is {printable(run.root)}",
                hint="make artifacts after init(), in one repository",
            )

    def new_draft(self) -> "Artifact":
        """A draft of the next version with this one's files, type, description and metadata, and it as parent. Aliases,
        tags and ttl stay behind.
        """
        stored = self._logged("new_draft")
        draft = Artifact(stored.path.name, self.type, self.description, normalise(self.metadata))
        draft._home = stored.path[:2]
        draft._drafting.start_from(stored.root, stored.path, stored.id)
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version; gc frees its space, its name, number, size and date stay on record. Refused while aliases
        but `latest` name it, unless `delete_aliases`.
        """
        stored = self._logged("delete")
        try:
            stored.repository.delete(stored.spec, delete_aliases=delete_aliases)
        except Conflict as error:
            raise Conflict(error.message, hint="delete(delete_aliases=True) gives them up") from error

    def logged_by(self) -> "RunRecord[Artifact] | None":
        """The run that logged this version first; None when none did, or its record is not here."""
        stored = self._logged("logged_by")
        producer = stored.found().version["run"]
        if producer is None:
            return None
        state = stored.repository.runs.read(RunPath(*str(producer).split("/")))
        return RunRecord(stored.root, state, Artifact.of) if state.number else None

    def used_by(self) -> "list[RunRecord[Artifact]]":
        """Runs that used this version, the latest started first. Cost: reads every run."""
        stored = self._logged("used_by")
        states = stored.repository.runs.all(damaged=[])
        return [RunRecord(stored.root, state, Artifact.of) for state in states if stored.id in state.used]

    # -- shown --

    def __repr__(self) -> str:
        if self._stored is None:
            return f"<Artifact {self._name} (draft)>"
        return f"<Artifact {self.qualified_name} ({self.type})>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Artifact) or self._stored is None or other._stored is None:
            return self is other
        mine, theirs = self._stored, other._stored
        return (mine.root, mine.path, mine.id) == (theirs.root, theirs.path, theirs.id)

    def __hash__(self) -> int:
        return hash(self._name)

    def _repr_html_(self) -> str:
        rows = [("type", self.type), ("state", self.state), ("size", human(self.size))]
        if self._stored is not None:
            rows += [("files", f"{self.file_count:,}"), ("aliases", ", ".join(self.aliases))]
            rows += [("tags", ", ".join(self.tags)), ("digest", self.digest), ("created", self.created_at)]
        rows += [("description", self.description)] if self.description else []
        rows += [(f"metadata {key}", repr(value)) for key, value in self.metadata.items()]
        return page(self.name if self._stored is None else self.qualified_name, definition_rows(rows))


def _or_none(find: Any) -> Any:
    def look(path: str) -> TreeEntry | None:
        try:
            raw: TreeEntry | None = find(path)
        except (NoEntry, InvalidValue, TypeError, AttributeError):
            return None  # no path at all
        return None if raw is None or path.endswith("/") or raw[1] == DIRECTORY else raw

    return look


def _check_policy(policy: str | None) -> None:
    if policy not in (None, "mutable", "immutable"):
        raise InvalidValue(f"policy '{policy}' is not 'mutable' or 'immutable'")


def _texts(texts: list[str] | str | None) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts or ())


def _text(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


def _globs(patterns: list[str] | str | None) -> list[str] | None:
    return [patterns] if isinstance(patterns, str) else patterns


def _renamed(name: str, digest: str) -> str:
    folder, base = os.path.split(name)
    return os.path.join(folder, ".".join([digest[:20], *base.split(".")[1:]]))


def _digest_of(path: str) -> str:
    fd = open_regular(path, follow=True)
    try:
        return hash_file(fd)[0].hex()
    finally:
        os.close(fd)
