"""The files of an artifact: added while it is a draft, looked at and downloaded then and later."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import IO, Any, Self
from urllib.parse import unquote_to_bytes

from artstore.api.drafting import Drafting
from artstore.api.entries import ENTRY_SCHEME, Entries, Entry, Files, Manifest, place_in
from artstore.api.handles import opened
from artstore.api.listing import Listing
from artstore.api.recording import session
from artstore.api.stored import Stored
from artstore.api.tables.file import ENDING, SUFFIX
from artstore.api.tables.table import Table
from artstore.backends import references
from artstore.backends.files import hash_file, open_regular, remove_if_there
from artstore.backends.references import MAX_OBJECTS, Target
from artstore.domain.ignore import PathFilter
from artstore.domain.names import normal_path, parse_spec, printable
from artstore.domain.selection import Selection
from artstore.domain.tree import REFERENCE
from artstore.domain.tree import Entry as TreeEntry
from artstore.domain.wording import near
from artstore.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    FilesDiffer,
    InvalidType,
    InvalidValue,
    NoEntry,
    SourceError,
)
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring.options import Link, Restore
from artstore.operations.restoring.verify import Verified

_NEAR_AMONG = 2000
"""Files of a draft whose names are compared with one that is not there."""
PathLike = str | os.PathLike[str]


def _opened(path: str, mode: str, encoding: str | None) -> IO[Any]:
    """A new file; none is left where it can't be opened so."""
    try:
        return open(path, mode, encoding=encoding)
    except BaseException:
        remove_if_there(path)
        raise


class Contents:
    """The files under a name: a draft's, to which they are added, then those of the version that it became."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._drafting = Drafting(name, session.place)
        self._stored: Stored | None = None

    @classmethod
    def of(cls, root: str, found: Version) -> Self:
        """The artifact of a stored version."""
        self = cls(found.state.path.name)
        self._become(Stored(root, found))
        return self

    def _become(self, stored: Stored) -> None:
        self._stored = stored
        self._drafting.close()

    @contextmanager
    def held(self) -> Iterator[Files]:
        """What holds the files: the draft, for one thread at a time, or the stored version once it is logged."""
        if self._stored is None:
            with self._drafting.locked():
                if self._stored is None:  # else it was logged while this thread waited
                    yield self._drafting
                    return
        yield self._stored

    @property
    def name(self) -> str:
        """`name`, once logged `name:vN`: looked up by id each time, since a pull may renumber."""
        return self._name if self._stored is None else self._stored.found().name

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

    def finalize(self) -> None:
        """Refuse further changes to the files. Logging does so by itself."""
        self._drafting.finalize()

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
        chosen = PathFilter(globs_of(include), globs_of(exclude))
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
            file = _opened(staged, mode, encoding)  # here: once another thread logs the draft, its folder is gone
        try:
            with file:
                yield file
            with self._drafting.changing() as draft:
                draft.add_staged(staged, target, overwrite=kind != "x")
                self._drafting.note_source(target, None)
        except BaseException:
            if pid == os.getpid():  # a forked child may come by here, too
                remove_if_there(staged)
            raise

    def add_reference(
        self,
        uri: "str | PathLike | Entry",
        name: PathLike | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> list[Entry]:
        """Add what a URI names, whose bytes stay there: a file or all below a folder (`file://`), a web page (`http://`,
        `https://`), an object or all below a prefix (`s3://`, `gs://`, `az://`); or an entry of a logged artifact, whose
        bytes are shared. All or none.

        One object is added under `name` (by default its own), several below it. With `checksum` their content is told as
        it is now, and checked when they are downloaded. Of a scheme that nobody knows the URI alone is kept; that needs a
        `name`. Raises ValueError for more than `max_objects` (10 million).
        """
        self._refuse_logged("add_reference")
        if isinstance(uri, Entry):
            return [self._add_entry_of(uri, name)]
        if not isinstance(uri, str):
            uri = os.fspath(uri)
        if references.scheme_of(uri) in (ENTRY_SCHEME, "wandb-artifact"):
            return [self._add_entry_of(self._entry_at(uri), name)]
        most = MAX_OBJECTS if max_objects is None else max_objects
        below = None if name is None else normal_path(name)
        return self._add_targets(*references.named_targets(uri, below, checksum=checksum, most=most))

    def _add_targets(self, name: str | None, targets: list[Target], *, overwrite: bool = False) -> list[Entry]:
        with self._drafting.changing() as draft:
            added = draft.add_references(name, targets, overwrite=overwrite)
        return [Entry(self, os.fsdecode(path), raw) for path, raw in added]

    def _add_entry_of(self, entry: Entry, name: PathLike | None, *, overwrite: bool = False) -> Entry:
        """Another version's file: its bytes are stored already."""
        stored, raw = entry.stored_in("be referenced"), entry.raw
        target = normal_path(name) if name is not None else os.path.basename(entry.path)
        if raw[1] == REFERENCE:
            return self._add_targets(target, [Target("", references.Reference.of(raw))], overwrite=overwrite)[0]
        with self._drafting.changing() as draft:
            root = self._drafting.root or ""
            if os.path.realpath(root) != os.path.realpath(stored.root):
                raise InvalidValue(
                    f"'{printable(entry.path)}' lies in {printable(stored.root)}, this artifact in {printable(root)}",
                    hint="pull that version into this repository first",
                )
            found = stored.found()
            new = draft.add_entry_of(found.state.path, found.version, raw, target, overwrite=overwrite)
            self._drafting.note_origin(target, place_in(found, entry.path), raw[3])
        return Entry(self, target, new)

    def _entry_at(self, uri: str) -> Entry:
        """The entry that `Entry.ref_url()` names."""
        parts = [os.fsdecode(unquote_to_bytes(part)) for part in uri.partition("://")[2].split("/")]
        if len(parts) < 4 or "@" not in parts[2]:
            raise InvalidValue(
                f"'{printable(uri)}' names no entry of an artifact", hint="Entry.ref_url() gives such a URI"
            )
        with self._drafting.changing():
            root = self._drafting.root or ""
        spec = "/".join(parts[:3])
        parse_spec(spec)
        found = opened(root).find(spec)
        return Contents.of(root, found).get_entry("/".join(parts[3:]))

    def add(self, obj: Any, name: str, overwrite: bool = False) -> Entry:
        """Add a Table, stored as `<name>.table.json`; or an entry of a logged artifact, as `add_reference` does. Raises
        ValueError for a name that has other content, unless `overwrite`, TypeError for anything else.
        """
        self._refuse_logged("add")
        if isinstance(obj, Entry):
            return self._add_entry_of(obj, name, overwrite=overwrite)
        if not isinstance(obj, Table):
            raise InvalidType(
                f"a {type(obj).__name__} can't be added to an artifact: a Table or an entry can",
                hint="write it to a file with artifact.new_file()",
            )
        target = normal_path(name)
        target = target if target.endswith(ENDING) else target + SUFFIX
        with self._drafting.changing() as draft:
            staged = draft.staged_file(target)
            beside: dict[str, bytes] = {}
            with open(staged, "wb") as file:
                obj.write(file, beside.__setitem__)
            raw = draft.add_staged(staged, target, overwrite=overwrite)
            for path, data in beside.items():
                draft.add_bytes(data, path)
            self._drafting.note_source(target, None)
        return Entry(self, target, raw)

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

    def origin_of(self, path: str) -> dict[str, Any] | None:
        """Which other version's file an entry is: that version's place, id and number, and the path there."""
        with self.held() as held:
            return held.origin(path)

    def added_from(self, path: str) -> str | None:
        """The local file that was added under a path; None when none is known."""
        return self._drafting.source(path)

    # -- looking --

    def get_entry(self, name: PathLike) -> Entry:
        """The file at a path, or the table of that name. Raises KeyError with near names."""
        path = normal_path(name)
        found = self._find(path)
        if found is None and (table := self._find(path + SUFFIX)) is not None:
            path, found = path + SUFFIX, table
        if found is None:
            with self.held() as held:
                if isinstance(held, Stored):
                    held.entry(path)  # says what is near
                    names = []
                else:
                    names = [os.fsdecode(other) for other, _ in islice(held.files(), _NEAR_AMONG)]
            raise NoEntry(f"{self.name} has no file '{printable(path)}'", hint=near(path, names))
        return Entry(self, path, found)

    get_path = get_entry

    def _find(self, path: str) -> TreeEntry | None:
        with self.held() as held:
            return held.find(path)

    def get(self, name: str) -> Any:
        """The Table that was added under a name; None when there is none."""
        stored = self._logged("get")
        path = normal_path(name)
        for candidate in (path, path + SUFFIX):
            raw = self._find(candidate)
            if raw is not None and candidate.endswith(ENDING):
                return Table.read(
                    partial(stored.open, raw),
                    lambda other: stored.open(stored.entry(other)),
                    f"'{printable(candidate)}' of {self.name}",
                )
        return None

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    @property
    def manifest(self) -> Manifest:
        """`manifest.entries` maps paths to entries; they are read as they are asked for."""
        return Manifest(Entries(self))

    @property
    def digest(self) -> str:
        """The digest of the root tree, hex: the same for the same paths and content."""
        with self.held() as held:
            return held.folder().digest.hex()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        with self.held() as held:
            return held.folder().size

    @property
    def file_count(self) -> int:
        return self._logged("file_count").folder().files

    def files(self, names: list[str] | None = None, per_page: int | None = None) -> Listing[Entry]:
        """All files, or those of these names."""
        self._logged("files")
        entries = self.manifest.entries
        chosen = entries.values() if names is None else [self.get_entry(name) for name in names]
        return Listing(list(chosen), lambda entry: entry)

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
        them). A reference whose bytes are gone is a FileNotFoundError, or with `allow_missing_references` left out with a
        warning. `skip_cache` and `multipart` are accepted as W&B's and change nothing.
        """
        stored = self._logged("download")
        prefix = "" if path_prefix is None else os.fspath(path_prefix)
        selection = Selection(prefix, PathFilter(globs_of(include), globs_of(exclude)))
        how = Restore(selection, link, allow_missing_references=allow_missing_references)
        done = stored.repository.get(stored.found(), _text(root), how)
        for path in done.missing:
            warnings.warn(f"'{printable(path)}' of {self.name} is left out: what it references is gone", stacklevel=2)
        return done.root if root is None else os.fspath(root)

    def checkout(self, root: PathLike | None = None) -> str:
        """As `download`, and what else is below `root` is removed, but for `.git` folders. Refused where a repository is."""
        stored = self._logged("checkout")
        done = stored.repository.get(stored.found(), _text(root), Restore(delete=True))
        return done.root if root is None else os.fspath(root)

    def verify(self, root: PathLike | None = None) -> Verified:
        """Compare a folder (default: where `download` puts it) with this version, by content. Raises FilesDiffer (a
        ValueError) that lists what is missing, changed and extra.
        """
        stored = self._logged("verify")
        result = stored.repository.verify(stored.found(), _text(root))
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


def _text(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


def _check_policy(policy: str | None) -> None:
    if policy not in (None, "mutable", "immutable"):
        raise InvalidValue(f"policy '{policy}' is not 'mutable' or 'immutable'")


def globs_of(patterns: list[str] | str | None) -> list[str] | None:
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
