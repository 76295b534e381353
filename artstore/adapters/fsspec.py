"""`artstore://` paths for fsspec: pandas, pyarrow, polars, zarr and torch read files of versions without a download.

A path is `[entity/[project/]]name:alias/path`, with `:vN` or `@digest` instead of the alias as in any spec. The first
part that names a version ends the spec. Above the versions are the folders `entity` and `entity/project`, which lists
all versions.
"""

import errno
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from glob import has_magic
from typing import Any, BinaryIO, NoReturn

from fsspec import AbstractFileSystem

from artstore.api.handles import opened, root_of
from artstore.domain.collection import State
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, find
from artstore.errors import NotFound
from artstore.operations.finding.lookup import Version
from artstore.store.settings import require_root
from artstore.view import View

Info = dict[str, Any]

_BY_DIGEST = re.compile(r"[^@]+@[0-9a-f]{4,64}")


class ArtstoreFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A repository as a read-only file system. A read returns the right bytes, or raises `artstore.errors.Damage`.

    Small files are checked against their digests at each read. Large files are checked once, and again if they have
    changed since. An alias means the version that it names now: each operation sees earlier saves, at the cost of one
    `stat`. In a repository at a URL, a name is looked up once, until `invalidate_cache()`. Any thread may use it.
    """

    protocol = "artstore"
    root_marker = ""
    cachable = False  # the repository depends on the working directory and the environment

    def __init__(self, root: str | os.PathLike[str] | None = None, **options: Any) -> None:
        """Open a repository: its folder, a folder that holds it, or a URL.

        The default is the nearest, as on the command line.
        """
        super().__init__(**options)
        self.root = require_root() if root is None else root_of(os.fspath(root))
        self._known: dict[str, Version] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the repository's place, so that it is the same one where it is unpickled."""
        return type(self), (self.root,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArtstoreFileSystem) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    # -- finding --

    def info(self, path: str, **kwargs: Any) -> Info:
        """What is known about a file or folder.

        `name`, `size` in bytes (0 for a folder, None if a reference's is unknown) and `type`, as in all of fsspec; also
        `digest` for a stored file or folder, `uri` for a reference, and `created` for everything in a version.
        """
        path = self._strip_protocol(path)
        spec, inner = _split(path)
        if spec is None:
            return self._folder_info(path)
        _, found, entry = self._entry(spec, inner)
        return _info(path, found, entry)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a folder by name, or a file itself."""
        path = self._strip_protocol(path)
        spec, inner = _split(path)
        if spec is None:
            infos = self._folders(path)
        else:
            view, found, entry = self._entry(spec, inner)
            if entry.kind == DIRECTORY:
                below = view.folder(entry.digest)
                infos = [_info(f"{path}/{os.fsdecode(one[0])}", found, one) for one in below]
            else:
                infos = [_info(path, found, entry)]
        return infos if detail else [info["name"] for info in infos]

    def walk(self, path: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """As in all of fsspec, also for `find` and `glob`; but raises FileNotFoundError if there is no such version.

        An empty answer would hide a forgotten alias.
        """
        self._require(path)
        walked: Iterator[Any] = super().walk(path, *args, **kwargs)
        return walked

    def glob(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """As in all of fsspec; but raises FileNotFoundError if a path without wildcards names no version: see `walk`."""
        found = super().glob(path, *args, **kwargs)
        if not found and not has_magic(path):
            self._require(path)
        return found

    def _require(self, path: str) -> None:
        spec, _ = _split(self._strip_protocol(path))
        if spec is None:
            self._folder_info(self._strip_protocol(path))
        else:
            self._entry(spec, "")

    def created(self, path: str) -> datetime:
        """When the version was made that holds this file or folder."""
        moment: datetime | None = self.info(path).get("created")
        if moment is None:
            raise FileNotFoundError(errno.ENOENT, "it is not a file or folder of a version", path)
        return moment

    modified = created  # a version never changes

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget which versions names stand for."""
        self._known.clear()
        super().invalidate_cache(path)

    # -- reading --

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """A file's bytes, or those from `start` up to `end`. Negative positions count from the end."""
        path = self._strip_protocol(path)
        with self._open(path) as file:
            return file.read() if start is None and end is None else _piece(file, start, end)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> BinaryIO:
        if mode != "rb":
            _refuse(path)
        spec, inner = _split(path)
        if spec is None:
            self._folder_info(path)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        view, _, entry = self._entry(spec, inner)
        if entry.kind == DIRECTORY:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        file = view.open(entry)
        file.size = entry.size  # type: ignore[attr-defined]  # fsspec's users read it
        return file

    def _entry(self, spec: str, path: str) -> tuple[View, Version, Entry]:
        """The version of a spec, and the entry at a path in it. Raises FileNotFoundError."""
        view = opened(self.root)
        try:
            found = self._found(view, spec)
            if not path:
                return view, found, found.root
            entry = find(found.tree, os.fsencode(path).split(b"/"), view.objects.read_tree)
            if entry is None:
                entry = view.entry(found, path)  # raises an error that says what is wrong with the path
        except UnicodeEncodeError as error:
            raise FileNotFoundError(errno.ENOENT, "no version has such a name", f"{spec}/{path}") from error
        except NotFound as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise FileNotFoundError(errno.ENOENT, f"{error}{hint}", f"{spec}/{path}") from error
        return view, found, entry

    def _found(self, view: View, spec: str) -> Version:
        """The version that a spec names now."""
        found = self._known.get(spec)
        if found is None or not (view.storage.distant or view.refs.is_current(found.state)):
            found = self._known[spec] = view.find(spec)
        return found

    # -- the folders above versions --

    def _folder_info(self, path: str) -> Info:
        if path and not self._folders(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return _folder(path)

    def _folders(self, path: str) -> list[Info]:
        """The folders below the root (entities) or an entity (projects), or the live versions of a project."""
        parts = path.split("/") if path else []
        view = opened(self.root)
        states: list[State] = list(view.collections(*parts)) if len(parts) < 3 else []
        if not states and path:
            raise FileNotFoundError(
                errno.ENOENT, "nothing is there: a path begins with a version, as in artstore://data:latest/file", path
            )
        if len(parts) == 2:
            return [
                _info(f"{s.path}:v{v['number']}", Version(s, v), Version(s, v).root) for s in states for v in s.live()
            ]
        names = sorted({"/".join(state.path[: len(parts) + 1]) for state in states})
        return [_folder(name) for name in names]

    # -- refused changes --

    def _refuse(self, path: Any, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(path)

    mkdir = makedirs = rmdir = rm = rm_file = _rm = cp_file = mv = touch = put_file = pipe_file = _refuse


def _refuse(path: Any) -> NoReturn:
    raise OSError(errno.EROFS, "versions never change: save another one with `artstore put`, or in Python", str(path))


def _split(path: str) -> tuple[str | None, str]:
    """(spec, path in the version) of a path; (None, "") if no part names a version."""
    parts = path.split("/")
    for number, part in enumerate(parts[:3], 1):
        if ":" in part or _BY_DIGEST.fullmatch(part):
            return "/".join(parts[:number]), "/".join(parts[number:])
    return None, ""


def _info(path: str, found: Version, entry: Entry) -> Info:
    created = datetime.fromtimestamp(found.version["created"] / 1e9, UTC)
    if entry.kind == DIRECTORY:
        return _folder(path) | {"digest": entry.digest.hex(), "created": created}
    told = {"uri": entry.uri} if entry.kind == REFERENCE else {"digest": entry.digest.hex()}
    return {"name": path, "size": entry.size, "type": "file", **told, "created": created}


def _folder(path: str) -> Info:
    return {"name": path, "size": 0, "type": "directory"}


def _piece(file: BinaryIO, start: int | None, end: int | None) -> bytes:
    """The bytes of a file from `start` up to `end`."""
    size = file.size if file.size is not None else file.seek(0, os.SEEK_END)  # type: ignore[attr-defined]
    first, last, _ = slice(start, end).indices(size)
    file.seek(first)
    return file.read(max(0, last - first))
