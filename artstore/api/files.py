"""The files of an artifact, before and after it is logged: listed, read, downloaded and verified."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Any, Self

from artstore.api.drafting import Drafting
from artstore.api.entries import Entries, Entry, Files
from artstore.api.listed import File
from artstore.api.listing import Listing
from artstore.api.media.value import MediaSource
from artstore.api.objects import group_at, media_at, object_paths
from artstore.api.progress.scripts import shown
from artstore.api.recording import session
from artstore.api.stored import Stored
from artstore.api.tables.file import increment_of
from artstore.api.tables.naming import is_table
from artstore.api.tables.table import Table
from artstore.backends.callers import warn_caller
from artstore.domain.ignore import PathFilter
from artstore.domain.names import normal_path, printable
from artstore.domain.selection import Selection
from artstore.domain.tree import Entry as TreeEntry
from artstore.domain.wording import near
from artstore.errors import (
    ArtifactNotLoggedError,
    FilesDiffer,
    InvalidValue,
    NoEntry,
)
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring.downloads import kept_out_of_git
from artstore.operations.restoring.options import Link, Restore
from artstore.operations.restoring.verify import Verified

_NEAR_AMONG = 2000
"""How many of a draft's files are compared with a name that isn't there, to suggest similar ones."""
PathLike = str | os.PathLike[str]
"""A path, as text or as an object such as `pathlib.Path`."""
Texts = list[str] | str | None
"""Several texts, such as aliases, or one, or none."""


class ArtifactFiles:
    """The files under a name: a draft's at first, then those of the version that it became."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._drafting = Drafting(name, session.place)
        self._stored: Stored | None = None

    @classmethod
    def of(cls, root: str, found: Version, number: int | None = None) -> Self:
        """The artifact of a stored version, which was named by a number or not."""
        self = cls(found.state.path.name)
        self._become(Stored(root, found, number))
        return self

    def _become(self, stored: Stored) -> None:
        self._stored = stored
        self._drafting.close()

    @contextmanager
    def held(self) -> Iterator[Files]:
        """Hold the files: the draft's, for one thread at a time, or the stored version's once it is logged."""
        if self._stored is None:
            with self._drafting.locked():
                if self._stored is None:  # else it was logged while this thread waited
                    yield self._drafting
                    return
        yield self._stored

    @property
    def name(self) -> str:
        """The name; once logged `name:vN`. It is looked up by id each time, because a pull may change the number."""
        return self._name if self._stored is None else self._stored.found().name

    @property
    def stored(self) -> Stored | None:
        """The stored version; None for a draft."""
        return self._stored

    def _logged(self, member: str) -> Stored:
        """The stored version. Raises ArtifactNotLoggedError, which names the `member` that was asked for."""
        if self._stored is None:
            raise ArtifactNotLoggedError(
                f"'Artifact.{member}' used prior to logging artifact '{self._name}'",
                hint="log it first: run.log_artifact(artifact), or artifact.save()",
            )
        return self._stored

    def is_draft(self) -> bool:
        """Whether the artifact hasn't been logged yet."""
        return self._stored is None

    def origin_of(self, path: str) -> dict[str, Any] | None:
        """Where an entry of another version came from; None for any other entry.

        The fields are that version's collection, id and number, and the path there.
        """
        with self.held() as held:
            return held.origin(path)

    def added_from(self, path: str) -> str | None:
        """The local file that was added at a path; None if there is none."""
        return self._drafting.source(path)

    def get_entry(self, name: PathLike) -> Entry:
        """The entry of a file, or of the table or media with this name.

        Args:
            name: The path in the artifact, or the name of an object without its ending, such as `.table.json`.

        Raises:
            NoEntry: If nothing is there (also a KeyError). Its hint names similar paths.

        Example:
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.get_entry("labels.csv").download()
            '.../artifacts/images-v0/labels.csv'
        """
        path = normal_path(name)
        found = self._find(path)
        if found is None:
            objects = ((other, self._find(other)) for other in object_paths(path))
            path, found = next(((other, raw) for other, raw in objects if raw is not None), (path, None))
        if found is None:
            with self.held() as held:
                if isinstance(held, Stored):
                    held.entry(path)  # raises NoEntry with similar paths
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
        """The Table, image or other media that was added under a name; None if there is none.

        Example:
            >>> results = wandb.Artifact("results", type="evaluation")
            >>> _ = results.add(wandb.Table(columns=["digit", "right"], data=[[7, True]]), "answers")
            >>> results.save()
            >>> results.get("answers").data
            [[7, True]]
        """
        stored = self._logged("get")
        for path in object_paths(normal_path(name)):
            if (raw := self._find(path)) is not None:
                what = f"'{printable(path)}' of {self.name}"
                found = self._object_at(stored, path, raw, what)
                found.entry = Entry(self, path, raw)
                return found
        return None

    def _object_at(self, stored: Stored, path: str, raw: TreeEntry, what: str) -> Any:
        def entry_at(other: str) -> Entry:
            return Entry(self, other, stored.entry(other))

        source = MediaSource(lambda other: stored.open(stored.entry(other)), entry_at)
        if is_table(path):
            table = Table.read(partial(stored.open, raw), source, what)
            return table if table.increment is None else self._with_all_increments(table, stored, source)
        group = group_at(path, partial(stored.open, raw), self, what)
        return media_at(path, partial(stored.open, raw), source, what) if group is None else group

    def _with_all_increments(self, table: Table, stored: Stored, source: MediaSource) -> Table:
        """A table that was logged bit by bit, with the rows of all increments in this version."""
        paths = [path for path in Entries(self) if is_table(path)]
        whole: Table | None = None
        for path in sorted(paths, key=increment_of):
            part = Table.read(partial(stored.open, stored.entry(path)), source, f"'{printable(path)}' of {self.name}")
            if whole is None:
                whole = part
            else:
                whole.join(part)
        assert whole is not None, "the table itself is an increment"
        whole.increment = None
        return whole

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    @property
    def digest(self) -> str:
        """The digest of the root tree, in hex. The same paths with the same content have the same digest."""
        with self.held() as held:
            return held.folder().digest.hex()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        with self.held() as held:
            return held.folder().size

    @property
    def file_count(self) -> int:
        """The number of files. Raises ArtifactNotLoggedError for a draft."""
        return self._logged("file_count").folder().files

    def files(
        self, names: list[str] | None = None, per_page: int | None = None, start: str | None = None
    ) -> Listing[File]:
        """List the files.

        Args:
            names: The paths to list; by default all. Paths that aren't in the artifact are left out.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.

        Example:
            >>> [file.name for file in wandb.Api().artifact("digits/images:latest").files()]
            ['images/1.png', 'labels.csv']
        """
        self._logged("files")
        entries = Entries(self)
        listed = entries.values() if names is None else filter(None, map(entries.get, map(normal_path, names)))
        return Listing(list(listed), File, per_page, start)

    def download(
        self,
        root: PathLike | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: PathLike | None = None,
        multipart: bool | None = None,
        include: Texts = None,
        exclude: Texts = None,
        link: Link = "copy",
    ) -> str:
        """Restore the files to a folder, every byte checked.

        Files that already match aren't touched, files that differ are replaced, and other files in the folder stay.

        Args:
            root: The folder; by default `./artifacts/<name>-vN`. A link has its source's.
            allow_missing_references: Skip references whose content is gone, with a warning.
            skip_cache: Accepted as in W&B; it changes nothing.
            path_prefix: Only paths that start with this text, such as `bike.png` or `images/bikes/`.
            multipart: Accepted as in W&B; it changes nothing.
            include: Globs: only files that match one.
            exclude: Globs: no files that match one.
            link: How to restore files of 1 MiB and more: `copy`, `hardlink` or `symlink`. Linked files are the store's
                own, so never edit them.

        Returns:
            The folder: an absolute path by default, or `root` as it was given.

        Raises:
            NotFound: If no file matches the selection.
            MissingReference: If a reference's content is gone (also a FileNotFoundError).
            Damage: If stored content is damaged.

        Example:
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.download()
            '.../artifacts/images-v0'
            >>> images.download("some", path_prefix="images/")
            'some'
        """
        stored = self._logged("download")
        prefix = "" if path_prefix is None else os.fspath(path_prefix)
        selection = Selection(prefix, PathFilter(globs_of(include), globs_of(exclude)))
        with shown("getting", "got", self.name) as bar:
            how = Restore(selection, link, allow_missing_references=allow_missing_references, monitor=bar)
            done = stored.repository.get(found := stored.found(), _text(root), how)
        for glob in selection.unmatched([found.tree], stored.repository.objects.read_tree):
            warn_caller(selection.chosen.told(glob))
        for path in done.missing:
            warn_caller(f"skipped '{printable(path)}' of {self.name}: what it refers to is gone")
        return os.fspath(root) if root else done.root

    def checkout(self, root: PathLike | None = None) -> str:
        """Make a folder equal to this version: restore the files as `download` does, and remove all others.

        `.git` folders stay.

        Args:
            root: The folder; by default `./artifacts/<name>`, without the version.

        Returns:
            The folder: an absolute path by default, or `root` as it was given.

        Raises:
            Refused: If the folder holds a repository.

        Example:
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.checkout("data")
            'data'
            >>> import os
            >>> os.listdir("data/images")
            ['1.png']
        """
        stored = self._logged("checkout")
        target = _text(root) or stored.repository.download_folder(stored.found(), numbered=False)
        kept = nullcontext() if root else kept_out_of_git(os.path.dirname(target))
        with kept, shown("getting", "got", self.name) as bar:
            done = stored.repository.get(stored.found(), target, Restore(delete=True, monitor=bar))
        return os.fspath(root) if root else done.root

    def verify(self, root: PathLike | None = None) -> Verified:
        """Compare a folder with this version, by content.

        Args:
            root: The folder; by default `./artifacts/<name>-vN`.

        Returns:
            The result, with the number of files in `files`.

        Raises:
            FilesDiffer: If files are missing, changed or extra (also a ValueError). It lists them.

        Example:
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.verify(images.download()).files
            2
            >>> try:
            ...     images.verify("data")
            ... except ValueError as error:
            ...     print(error)
            the folder differs from images:v0: extra: images/2.png
        """
        stored = self._logged("verify")
        with shown("verifying", "verified", self.name) as bar:
            result = stored.repository.verify(stored.found(), _text(root), monitor=bar)
        if not result.ok:
            words = (("missing", result.missing), ("changed", result.changed), ("extra", result.extra))
            listed = "; ".join(f"{word}: {printable(', '.join(paths))}" for word, paths in words if paths)
            raise FilesDiffer(
                f"the folder differs from {self.name}: {listed}",
                missing=result.missing, changed=result.changed, extra=result.extra,
            )  # fmt: skip
        return result

    def file(self, root: PathLike | None = None) -> str:
        """Download the only file.

        Args:
            root: The folder to restore it to; by default `./artifacts/<name>-vN`.

        Returns:
            The path of the file.

        Raises:
            InvalidValue: If the artifact doesn't have exactly one file (a ValueError).
        """
        entries = self._logged("file").found().version["files"]
        if entries != 1:
            raise InvalidValue(f"{self.name} has {entries} files, not one", hint="use download() or get_entry(path)")
        only: Entry = next(iter(Entries(self).values()))
        return only.download(root)


def _text(path: PathLike | None) -> str | None:
    """A folder as text. An empty path means the default, as in W&B."""
    return os.fspath(path) or None if path is not None else None


def globs_of(patterns: Texts) -> list[str] | None:
    """One glob as a list of one."""
    return [patterns] if isinstance(patterns, str) else patterns
