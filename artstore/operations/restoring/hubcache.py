"""Laying out a version in the cache of Hugging Face's libraries, which then find it there without a server."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from artstore.backends.confined import Confined, create_file
from artstore.backends.files import closing_fd, hash_file, open_regular, write_fully
from artstore.backends.owner import this_process
from artstore.domain.collection import State
from artstore.domain.digest import Digest, from_hex, is_hex
from artstore.domain.hub import commit_of, hub_id, kind_of, revisions_of
from artstore.domain.names import check_component, is_protected, printable
from artstore.domain.selection import select
from artstore.domain.tree import DIRECTORY, FILE, REFERENCE, Entry
from artstore.errors import InvalidValue, MissingReference, Refused, storage_error
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring.checkout import CheckedOut
from artstore.operations.restoring.obstacles import refuse_twins
from artstore.operations.restoring.options import Restore
from artstore.operations.restoring.writing import FileWriter, refuse_protected, small_among
from artstore.progress import Monitor
from artstore.store.outside import sweep_folder
from artstore.store.packs import LARGE
from artstore.store.sides import Objects

_Files = list[tuple[bytes, Entry]]


def lay_out(objects: Objects, found: Version, cache: str, how: Restore) -> CheckedOut:
    """Put a version into a folder that is such a cache, as these libraries would after a download.

    Each content is a file of its own in `blobs/`, a copy or clone of what is stored. The version is a folder of links
    to them, and its names in `refs/` lead to it. Only what is new is written, each file whole, the names last.

    Raises:
        InvalidValue: The name can't be an id of the hub, or the options don't go together.
    """
    if how.delete or how.link != "copy":
        raise InvalidValue("a cache has files of other versions, too, and none of the store's own files")
    root = os.path.join(os.path.abspath(cache), folder_of(found.state))
    try:
        os.makedirs(root, exist_ok=True)
        with _Layout(objects, root, how) as layout:
            return layout.run(found)
    except MissingReference:
        raise  # this is an OSError, but not an error of this folder
    except OSError as error:
        raise storage_error(error, f"write to {printable(root)}") from error


def folder_of(state: State) -> str:
    """The name of an artifact's folder in a cache, such as `models--vision--classifier`. Raises InvalidValue."""
    return "--".join([kind_of(state), *hub_id(state.path).split("/")])


class _Layout:
    """One artifact's folder in a cache, while a version is put there."""

    def __init__(self, objects: Objects, root: str, how: Restore) -> None:
        store = None if objects.storage.distant else objects.storage.root
        if store is not None and f"{os.path.realpath(root)}/".startswith(f"{os.path.realpath(store)}/"):
            raise Refused(f"{printable(root)} is in the repository; files can't be restored there")
        self._objects = objects
        self._how = how
        self._monitor = how.monitor or Monitor()
        self._target = Confined(root, store)
        self._made: list[bytes] = []
        """temporary names"""

    def __enter__(self) -> "_Layout":
        return self

    def __exit__(self, *_: object) -> None:
        self._target.close()

    def run(self, found: Version) -> CheckedOut:
        """Put a version there: first its contents, then the links to them, then its names."""
        commit = commit_of(found.id).encode()
        chosen = select(found.tree, self._objects.read_tree, self._how.selection)
        files = [(path, entry) for path, entry in chosen if entry.kind != DIRECTORY]
        refuse_twins(self._target, files)
        for path, _ in files:
            if any(map(is_protected, path.split(b"/"))):
                refuse_protected(path)
        with (
            closing_fd(self._target.open_folder((b"blobs",))) as fd,
            self._cleared(fd),
            closing(FileWriter(self._objects, self._how)) as writer,
        ):
            self._write(fd, files, writer)
            blobs = {path: _name_of(entry.digest) for path, entry in files if entry.kind != REFERENCE}
            blobs |= self._fetch(fd, commit, [one for one in files if one[1].kind == REFERENCE], writer)
        for path, blob in blobs.items():
            self._link(commit, path, blob)
        for revision in revisions_of(found.state, found.id):
            self._refer(revision, commit)
        snapshot = os.path.join(self._target.root, "snapshots", commit.decode())
        missing = tuple(sorted(map(os.fsdecode, writer.missing)))
        return CheckedOut(snapshot, len(blobs), writer.written, writer.written_bytes, missing=missing)

    # -- contents --

    @contextmanager
    def _cleared(self, fd: int) -> Iterator[None]:
        """Remove temporary files from an open folder: of dead processes before the block, this one's after it."""
        sweep_folder(fd, os.listdir(fd), local=self._objects.storage.local)
        try:
            yield
        finally:
            for name in self._made:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)

    def _temporary(self) -> bytes:
        self._made.append(f".artstore-{this_process()}-{os.urandom(8).hex()}".encode())
        return self._made[-1]

    def _write(self, fd: int, files: _Files, writer: FileWriter) -> None:
        """Write the stored contents of some files that aren't there, or are damaged."""
        contents = {entry.digest: (path, entry) for path, entry in files if entry.kind != REFERENCE}
        absent = [one for digest, one in contents.items() if not _is_right(fd, digest)]
        self._monitor.expect(len(absent), sum(entry.size for _, entry in absent))
        self._objects.expect(small_among(entry for _, entry in absent))
        written: dict[bytes, bytes] = {}
        for path, entry in absent:
            name = self._temporary()
            plain = Entry((entry.name, FILE, entry.size, entry.digest))  # in a cache no file is executable
            writer.write(fd, path[: -len(entry.name)], plain, name)
            self._monitor.advance(1, entry.size if entry.size < LARGE else 0)
            written[name] = _name_of(entry.digest)
        writer.finish()
        for name, blob in written.items():
            os.replace(name, blob, src_dir_fd=fd, dst_dir_fd=fd)

    def _fetch(self, fd: int, commit: bytes, files: _Files, writer: FileWriter) -> dict[bytes, bytes]:
        """Fetch references, but those that were fetched for this version before. Returns their contents, by path."""
        blobs = {path: blob for path, _ in files if (blob := self._linked(fd, commit, path)) is not None}
        fetched: dict[bytes, bytes] = {}
        for path, entry in files:
            if path not in blobs:
                name = self._temporary()
                fetched[name] = path
                writer.fetch(fd, path, Entry((name, *entry[1:])), self._temporary())
        writer.finish()
        for name, path in fetched.items():
            if path in writer.missing:
                continue
            with closing_fd(open_regular(name, dir_fd=fd)) as file:
                blobs[path] = _name_of(hash_file(file)[0])
            os.replace(name, blobs[path], src_dir_fd=fd, dst_dir_fd=fd)
        return blobs

    # -- links and names --

    def _linked(self, fd: int, commit: bytes, path: bytes) -> bytes | None:
        """The content to which the link of a file leads, if it is there and right."""
        *above, name = path.split(b"/")
        try:
            with closing_fd(self._target.open_folder((b"snapshots", commit, *above), create=False)) as folder:
                blob = os.readlink(name, dir_fd=folder).rpartition(b"/")[2]
        except OSError:
            return None
        return blob if is_hex(blob.decode("latin-1")) and _is_right(fd, from_hex(blob.decode())) else None

    def _link(self, commit: bytes, path: bytes, blob: bytes) -> None:
        """Make the link of a file, or replace what is in its place, unless it is right."""
        *above, name = path.split(b"/")
        target = b"../" * (len(above) + 2) + b"blobs/" + blob
        with closing_fd(self._target.open_folder((b"snapshots", commit, *above))) as folder:
            with suppress(OSError):
                if os.readlink(name, dir_fd=folder) == target:
                    return
            temporary = self._temporary()
            os.symlink(target, temporary, dir_fd=folder)
            _give_name(folder, temporary, name)

    def _refer(self, revision: str, commit: bytes) -> None:
        """Let a name lead to a version. An alias that can't be the name of a file has none."""
        try:
            name = check_component(revision.encode())
        except InvalidValue:
            return
        with closing_fd(self._target.open_folder((b"refs",))) as folder:
            temporary = self._temporary()
            with closing_fd(create_file(folder, temporary, False)) as file:
                write_fully(file, commit)
            _give_name(folder, temporary, name)


def _give_name(folder: int, temporary: bytes, name: bytes) -> None:
    try:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise


def _name_of(digest: Digest) -> bytes:
    """The name of a content, which a server gives as its ETag."""
    return digest.hex().encode()


def _is_right(fd: int, digest: Digest) -> bool:
    """Whether the open folder has a content whole. It may be a link to one that several caches share."""
    try:
        file = open_regular(_name_of(digest), dir_fd=fd, follow=True)
    except OSError:
        return False
    with closing_fd(file):
        return hash_file(file)[0] == digest
