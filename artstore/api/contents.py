"""The contents of a draft: files, folders, references and tables are added and removed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from artstore.api.entries import ENTRY_SCHEME, Entry, origin_in
from artstore.api.files import ArtifactFiles, PathLike, Texts, globs_of
from artstore.api.handles import opened
from artstore.api.media.content import Content, Reference, StoredFile
from artstore.api.media.layout import ArtifactPlace
from artstore.api.media.value import Media
from artstore.api.objects import put_files
from artstore.api.tables.joined import TableGroup
from artstore.api.tables.naming import SUFFIX, is_table
from artstore.api.tables.table import Table
from artstore.backends import references
from artstore.backends.callers import warn_caller
from artstore.backends.files import hash_file, open_regular, remove_if_there
from artstore.backends.references import MAX_OBJECTS, Target
from artstore.domain.digest import is_hex
from artstore.domain.ignore import NotingFilter
from artstore.domain.names import normal_path, printable
from artstore.domain.tree import REFERENCE
from artstore.domain.tree import Entry as TreeEntry
from artstore.errors import (
    ArtifactFinalizedError,
    InvalidType,
    InvalidValue,
    SourceError,
)
from artstore.operations.saving.draft import Draft


def _opened(path: str, mode: str, encoding: str | None) -> IO[Any]:
    """Open a new file for writing. If that fails, the file is removed."""
    try:
        return open(path, mode, encoding=encoding)
    except BaseException:
        remove_if_there(path)
        raise


class Contents(ArtifactFiles):
    """The files under a name, which can be added and removed until the artifact is logged."""

    def _refuse_logged(self, member: str) -> None:
        """Raises ArtifactFinalizedError, which names the `member` that was called, if it is logged, or finalized."""
        if self._stored is not None:
            raise ArtifactFinalizedError(
                f"'Artifact.{member}' used on logged artifact '{self.name}': versions never change",
                hint="`draft = artifact.new_draft()` starts the next version with its content",
            )
        self._drafting.refuse_finalized()

    def finalize(self) -> None:
        """Refuse further changes to the files. Logging does this too."""
        self._drafting.finalize()

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

        Args:
            local_path: The file.
            name: The path in the artifact.
            is_tmp: Replace the file's name, up to the first dot, with 20 digits of its digest.
            skip_cache: Accepted as in W&B; it changes nothing.
            policy: With `mutable` the content is stored at once, so later edits of the file don't matter. With
                `immutable` the file is hashed now and stored by the save, which fails if it has changed.
            overwrite: Replace a file with other content at that path.

        Returns:
            The new entry.

        Raises:
            SourceError: If the file can't be read (also a ValueError).
            InvalidValue: If the path has other content, and `overwrite` is False.
            ArtifactFinalizedError: If the artifact is logged or finalized.

        Example:
            >>> images = wandb.Artifact("images", type="dataset")
            >>> images.add_file("data/labels.csv")
            <Entry 'labels.csv' digest=a977d534b6b9 size=28>
            >>> images.add_file("data/images/2.png", "scans/b.png").path
            'scans/b.png'
        """
        self._refuse_logged("add_file")
        _check_policy(policy)
        path = os.fspath(local_path)
        if not os.path.isfile(path):
            problem, hint = "is not a file" if os.path.lexists(path) else "does not exist", None
            if os.path.isdir(path):
                problem, hint = "is a folder", "add_dir() adds a folder"
            message = f"Path is not a file: {printable(path)} {problem}"
            raise SourceError(message, problems=[(path, problem)], hint=hint)
        target = normal_path(name) if name is not None else os.path.basename(path)
        with self._drafting.adding(os.path.basename(path)) as draft:
            if is_tmp:
                target = _renamed(target, _digest_of(path))
            raw = draft.add_file(path, target, overwrite=overwrite, later=policy == "immutable")
            self._drafting.note_source(target, path)
        return Entry(self, target, raw)

    def add_dir(
        self,
        local_path: PathLike,
        name: PathLike | None = None,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        merge: bool = False,
        include: Texts = None,
        exclude: Texts = None,
    ) -> None:
        """Add all files of a folder, as they are now. Empty folders and executable bits are kept.

        If a file can't be added, none is. `.artifactsignore` files in the folder hold gitignore patterns of files to
        leave out.

        Args:
            local_path: The folder.
            name: The folder in the artifact; by default its root.
            skip_cache: Accepted as in W&B; it changes nothing.
            policy: Accepted as in W&B; it changes nothing.
            merge: Replace files that have been added with other content. Nothing is removed.
            include: Globs, relative to the folder: add only files that match one.
            exclude: Globs, relative to the folder: leave out files that match one.

        Raises:
            SourceError: If files can't be read (also a ValueError). It lists all of them.
            InvalidValue: If files have been added with other content, and `merge` is False. It lists all of them.
            ArtifactFinalizedError: If the artifact is logged or finalized.

        Example:
            >>> images = wandb.Artifact("images", type="dataset")
            >>> images.add_dir("data", exclude="*.csv")
            >>> list(images.manifest.entries)
            ['images/1.png', 'images/2.png']
        """
        self._refuse_logged("add_dir")
        _check_policy(policy)
        path = os.fspath(local_path)
        if not os.path.isdir(path):
            problem = "is a file" if os.path.lexists(path) else "does not exist"
            raise SourceError(f"Path is not a directory: {printable(path)} {problem}", problems=[(path, problem)])
        target = normal_path(name) if name not in (None, "") else ""
        chosen = NotingFilter(globs_of(include), globs_of(exclude))
        with self._drafting.adding(path) as draft:
            draft.add_folder(path, target or None, chosen=chosen if chosen else None, overwrite=merge)
            self._drafting.note_folder(target, path)
        for glob in chosen.unmatched:
            warn_caller(chosen.told(glob))

    @contextmanager
    def new_file(
        self,
        name: str,
        mode: str = "x",
        encoding: str | None = None,
        policy: str | None = None,
        skip_cache: bool | None = None,
    ) -> Iterator[IO[Any]]:
        """Open a new file for writing. It is added when the `with` block ends without an error.

        Args:
            name: The path in the artifact.
            mode: `x` fails if the path is taken; `w` and `a` replace the file. Each may have `b` and `+`.
            encoding: The encoding of a text file.
            policy: Accepted as in W&B; it changes nothing.
            skip_cache: Accepted as in W&B; it changes nothing.

        Yields:
            The open file.

        Raises:
            InvalidValue: If the mode isn't one of these, or if it is `x` and the path is taken.
            ArtifactFinalizedError: If the artifact is logged or finalized.

        Example:
            >>> notes = wandb.Artifact("notes", type="text")
            >>> with notes.new_file("readme.txt") as file:
            ...     _ = file.write("scanned in May")
            >>> notes.size
            14
        """
        self._refuse_logged("new_file")
        kind = mode.translate(dict.fromkeys(map(ord, "bt+")))
        if kind not in ("x", "w", "a"):
            raise InvalidValue(f"mode '{mode}' is not x, w or a, with or without b and +")
        target = normal_path(name)
        with self._drafting.changing() as draft:
            if kind == "x" and draft.entry(target) is not None:
                raise InvalidValue(f"File with name '{printable(target)}' already exists in this artifact")
            staged, pid = draft.staged_file(target), os.getpid()
            file = _opened(staged, mode, encoding)  # in here, before another thread can log the draft
        try:
            with file:
                yield file
            with self._drafting.adding(target) as draft:
                draft.add_staged(staged, target, overwrite=kind != "x")
                self._drafting.note_source(target, None)
        except BaseException:
            if pid == os.getpid():  # a forked child may get here too
                remove_if_there(staged)
            raise

    def add_reference(
        self,
        uri: "str | PathLike | Entry",
        name: PathLike | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> list[Entry]:
        """Add references: entries for content that stays where it is. All objects are added, or none.

        Args:
            uri: A file or all files below a folder (`file://`), a web page (`http://`, `https://`), an object or all
                objects below a prefix (`s3://`, `gs://`, `az://`), or an entry of a logged artifact, whose content is
                shared. For any other scheme only the URI is recorded.
            name: The path for one object (by default its own name), or the folder for several. A scheme that artstore
                doesn't know needs it.
            checksum: Record digests or ETags now, and check them at each download.
            max_objects: The most objects to add; by default 10 million.

        Returns:
            The new entries.

        Raises:
            InvalidValue: If the URI isn't valid, has more objects than `max_objects`, or a path has other content.
            SourceError: If the URI names nothing (also a ValueError).
            ArtifactFinalizedError: If the artifact is logged or finalized.

        Example:
            >>> import pathlib
            >>> raw = wandb.Artifact("raw", type="dataset")
            >>> added = raw.add_reference(pathlib.Path("data/images").absolute().as_uri())
            >>> [entry.path for entry in added]
            ['1.png', '2.png']
            >>> added[0].ref
            'file:///.../data/images/1.png'
        """
        self._refuse_logged("add_reference")
        if isinstance(uri, Entry):
            return [self.add_entry_of(uri, name)]
        if not isinstance(uri, str):
            uri = os.fspath(uri)
        if references.scheme_of(uri) in (ENTRY_SCHEME, "wandb-artifact"):
            return [self.add_entry_of(self._entry_at(uri), name)]
        most = MAX_OBJECTS if max_objects is None else max_objects
        below = None if name is None else normal_path(name)
        return self._add_targets(*references.named_targets(uri, below, checksum=checksum, most=most))

    def add_uri(self, uri: str, path: str, *, overwrite: bool) -> Entry:
        """Add a reference of which only the URI is recorded, at this path."""
        self._refuse_logged("add_entry")
        targets = references.named_targets(uri, normal_path(path), checksum=False, most=1)
        return self._add_targets(*targets, overwrite=overwrite)[0]

    def _add_targets(self, name: str | None, targets: list[Target], *, overwrite: bool = False) -> list[Entry]:
        with self._drafting.changing() as draft:
            added = draft.add_references(name, targets, overwrite=overwrite)
        return [Entry(self, os.fsdecode(path), raw) for path, raw in added]

    def add_entry_of(self, entry: Entry, name: PathLike | None, *, overwrite: bool = False) -> Entry:
        """Add an entry of another version. Its content is stored already, so nothing is copied."""
        self._refuse_logged("add_entry")
        stored, raw = entry.stored_in("be referenced"), entry.raw
        target = normal_path(name) if name is not None else os.path.basename(entry.path)
        if raw[1] == REFERENCE:
            return self._add_targets(target, [Target("", references.Reference.of(raw))], overwrite=overwrite)[0]
        with self._drafting.changing() as draft:
            root = self._drafting.root or ""
            if os.path.realpath(root) != os.path.realpath(stored.root):
                raise InvalidValue(
                    f"'{printable(entry.path)}' is in {printable(stored.root)}, but this artifact is in {printable(root)}",
                    hint="pull that version into this repository first",
                )
            found = stored.found()
            new = draft.add_entry_of(found.state.path, found.version, raw, target, overwrite=overwrite)
            self._drafting.note_origin(target, origin_in(found, entry.path), raw[3])
        return Entry(self, target, new)

    def _entry_at(self, uri: str) -> Entry:
        """The entry that a URI from `Entry.ref_url()` names."""
        parts = [os.fsdecode(unquote_to_bytes(part)) for part in uri.partition("://")[2].split("/")]
        with self._drafting.changing():
            root = self._drafting.root or ""
        if len(parts) > 1 and is_hex(parts[0]):  # W&B's URIs have the id alone
            found = opened(root).lookup.of_id(parts.pop(0))
        elif len(parts) < 4 or "@" not in parts[2]:
            raise InvalidValue(
                f"'{printable(uri)}' does not name an entry of an artifact", hint="Entry.ref_url() gives such a URI"
            )
        else:
            found, parts = opened(root).find("/".join(parts[:3])), parts[3:]
        return Contents.of(root, found).get_entry("/".join(parts))

    def add(self, obj: Any, name: str, overwrite: bool = False) -> Entry:
        """Add a Table, an image or other media, or an entry of a logged artifact.

        Args:
            obj: The Table, which is stored as `<name>.table.json`; media, such as an Image, which is stored as
                `<name>.image-file.json` and a file below `media/`; a JoinedTable or PartitionedTable; or the entry,
                whose content is shared.
            name: The path in the artifact.
            overwrite: Replace other content at that path.

        Returns:
            The new entry.

        Raises:
            InvalidType: If `obj` is anything else (a TypeError).
            InvalidValue: If the path has other content, and `overwrite` is False.
            ArtifactFinalizedError: If the artifact is logged or finalized.

        Example:
            >>> results = wandb.Artifact("results", type="evaluation")
            >>> results.add(wandb.Table(columns=["digit", "right"], data=[[7, True]]), "answers").path
            'answers.table.json'
            >>> results.add(wandb.Html("<p>7 of 8 are right</p>"), "report").path
            'report.html-file.json'
        """
        self._refuse_logged("add")
        if isinstance(obj, Entry):
            return self.add_entry_of(obj, name, overwrite=overwrite)
        if isinstance(obj, TableGroup):
            return self._add_group(obj, name, overwrite=overwrite)
        if not isinstance(obj, Table | Media):
            raise InvalidType(
                f"only a Table, media or an entry can be added to an artifact, not {type(obj).__name__}",
                hint="write it to a file with artifact.new_file()",
            )
        target, place = normal_path(name), ArtifactPlace()
        with self._drafting.adding(target) as draft:
            if isinstance(obj, Table):
                target = target if is_table(target) else target + SUFFIX
                raw = self._add_table(draft, obj, target, place, overwrite=overwrite)
            else:
                target = obj.with_suffix(target)
                told = json.dumps(obj.to_json(place), sort_keys=True)
                raw = draft.add_bytes(told.encode(), target, overwrite=overwrite)
            self._add_media(draft, place, target)
            self._drafting.note_source(target, None)
            self._note_origin_of(obj, target, raw[3])
        obj.added = self, target
        return Entry(self, target, raw)

    def _add_group(self, group: TableGroup, name: str, *, overwrite: bool) -> Entry:
        target = group.with_suffix(normal_path(name))
        told = json.dumps(group.told(self, target), sort_keys=True)
        with self._drafting.changing() as draft:
            raw = draft.add_bytes(told.encode(), target, overwrite=overwrite)
            self._drafting.note_source(target, None)
        return Entry(self, target, raw)

    def _add_table(
        self, draft: Draft, table: Table, target: str, place: ArtifactPlace, *, overwrite: bool
    ) -> TreeEntry:
        staged = draft.staged_file(target)
        beside: dict[str, bytes] = {}
        with open(staged, "wb") as file:
            table.write(file, beside.__setitem__, place)
        raw = draft.add_staged(staged, target, overwrite=overwrite)
        for path, data in beside.items():
            draft.add_bytes(data, path)
        return raw

    def _add_media(self, draft: Draft, place: ArtifactPlace, target: str) -> None:
        """Add the files of the object at `target`. If one can't be added, the object is removed."""
        try:
            put_files(draft, place.files, self._add_shared)
        except BaseException:
            draft.remove(target)
            raise
        for path in place.files:
            self._drafting.note_source(path, None)

    def _add_shared(self, content: Content, path: str) -> bool:
        """Add a file that is in another artifact of this repository, or a reference. False if it is neither."""
        if isinstance(content, Reference):
            self.add_reference(content.uri, path)
            return True
        entry = content.entry() if isinstance(content, StoredFile) else None
        if entry is None or not self._is_here(entry):
            return False
        self.add_entry_of(entry, path)
        return True

    def _is_here(self, entry: Entry) -> bool:
        root = self._drafting.root or ""
        return os.path.realpath(root) == os.path.realpath(entry.stored_in("be added").root)

    def _note_origin_of(self, obj: Table | Media, target: str, digest: bytes) -> None:
        """Record that an object came from another artifact, if it is as it was there."""
        entry: Entry | None = obj.entry or _entry_where_added(obj)
        if entry is not None and entry.raw[3] == digest and self._is_here(entry):
            self._drafting.note_origin(target, origin_in(entry.stored_in("be added").found(), entry.path), digest)

    def __setitem__(self, name: str, obj: Any) -> None:
        self.add(obj, name)

    def remove(self, item: "PathLike | Entry") -> None:
        """Remove a file, or a folder with everything below it, from a draft.

        Args:
            item: The path, or the entry.

        Raises:
            FileNotFoundError: If nothing is there.
            ArtifactFinalizedError: If the artifact is logged or finalized.

        Example:
            >>> images = wandb.Artifact("images", type="dataset")
            >>> images.add_dir("data")
            >>> images.remove("images")
            >>> list(images.manifest.entries)
            ['labels.csv']
        """
        self._refuse_logged("remove")
        name = item.path if isinstance(item, Entry) else normal_path(item)
        with self._drafting.changing() as draft:
            draft.remove(name)

    def get_added_local_path_name(self, local_path: PathLike) -> str | None:
        """The path in the artifact at which `add_file` added a local file; None if it didn't."""
        return next(iter(self._drafting.names_of(os.fspath(local_path))), None)


def _entry_where_added(obj: Table | Media) -> Entry | None:
    """The entry of the artifact to which an object was added last. None if that isn't logged, or is gone."""
    artifact, path = obj.added or (None, "")
    return None if artifact is None or artifact.is_draft() else artifact.manifest.entries.get(path)


def _check_policy(policy: str | None) -> None:
    if policy not in (None, "mutable", "immutable"):
        raise InvalidValue(f"policy '{policy}' is not 'mutable' or 'immutable'")


def _renamed(name: str, digest: str) -> str:
    folder, base = os.path.split(name)
    return os.path.join(folder, ".".join([digest[:20], *base.split(".")[1:]]))


def _digest_of(path: str) -> str:
    fd = open_regular(path, follow=True)
    try:
        return hash_file(fd)[0].hex()
    finally:
        os.close(fd)
