"""`artstore://` paths for fsspec: pandas, pyarrow, polars, zarr and torch read files of versions without a download.

A path is `[entity/[project/]]name:alias/path`, with `:vN` or `@digest` in place of the alias as in any spec; the first
part that names a version ends the spec. Above versions stand folders: `entity`, and `entity/project`, which lists all.
"""

import errno
import os
import re
from datetime import UTC, datetime
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
    """A repository, read-only. Small files are checked against their digest at each reading, large ones once, and again
    when they changed since; so a read gives right bytes or raises `artstore.errors.Damage`.

    An alias names what it names now: each operation sees a save that came before it (one `stat`). Of a repository at a
    URL a name is looked up once, until `invalidate_cache()`. Any thread may ask.
    """

    protocol = "artstore"
    root_marker = ""
    cachable = False  # which repository is meant depends on the working directory and the environment

    def __init__(self, root: str | os.PathLike[str] | None = None, **options: Any) -> None:
        """`root` is a repository's folder, one that holds it, or a URL; by default the nearest, as for the command line."""
        super().__init__(**options)
        self.root = require_root() if root is None else root_of(os.fspath(root))
        self._known: dict[str, Version] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """The same repository, wherever it is unpickled."""
        return type(self), (self.root,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArtstoreFileSystem) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    # -- finding --

    def info(self, path: str, **kwargs: Any) -> Info:
        """`name`, `size` in bytes (None where a reference doesn't tell, 0 of a folder) and `type`, as everywhere in
        fsspec; `digest` of a stored file or folder, `uri` of a reference, `created` of the version.
        """
        path = self._strip_protocol(path)
        spec, inner = _split(path)
        if spec is None:
            return self._folder_info(path)
        _, found, entry = self._entry(spec, inner)
        return _info(path, found, entry)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder holds, by name; of a file itself."""
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

    def created(self, path: str) -> datetime:
        """When its version was saved."""
        moment: datetime | None = self.info(path).get("created")
        if moment is None:
            raise FileNotFoundError(errno.ENOENT, "it is no file or folder of a version", path)
        return moment

    modified = created  # nothing changes in a version

    def invalidate_cache(self, path: str | None = None) -> None:
        self._known.clear()
        super().invalidate_cache(path)

    # -- reading --

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """A file's bytes, or those from `start` to before `end`; negative ones count from its end."""
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
        file.size = entry.size  # type: ignore[attr-defined]  # which users of fsspec read
        return file

    def _entry(self, spec: str, path: str) -> tuple[View, Version, Entry]:
        """What is at a path of a version."""
        view = opened(self.root)
        try:
            found = self._found(view, spec)
            if not path:
                return view, found, found.root
            entry = find(found.tree, os.fsencode(path).split(b"/"), view.objects.read_tree)
            if entry is None:
                entry = view.entry(found, path)  # which says what is wrong with the path
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

    # -- what stands above versions --

    def _folder_info(self, path: str) -> Info:
        if path and not self._folders(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return _folder(path)

    def _folders(self, path: str) -> list[Info]:
        """Below the root entities, below these projects, below these all live versions."""
        parts = path.split("/") if path else []
        view = opened(self.root)
        states: list[State] = list(view.collections(*parts)) if len(parts) < 3 else []
        if not states and path:
            raise FileNotFoundError(
                errno.ENOENT, "there is none: a path begins with a version, as in artstore://data:latest/file", path
            )
        if len(parts) == 2:
            return [
                _info(f"{s.path}:v{v['number']}", Version(s, v), Version(s, v).root) for s in states for v in s.live()
            ]
        names = sorted({"/".join(state.path[: len(parts) + 1]) for state in states})
        return [_folder(name) for name in names]

    # -- what changes nothing here --

    def _refuse(self, path: Any, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(path)

    mkdir = makedirs = rmdir = rm = rm_file = _rm = cp_file = mv = touch = put_file = pipe_file = _refuse


def _refuse(path: Any) -> NoReturn:
    raise OSError(errno.EROFS, "versions never change: save another one with `artstore put`, or in Python", str(path))


def _split(path: str) -> tuple[str | None, str]:
    """The spec that a path begins with, None without one, and the path in its version."""
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
    size = file.size if file.size is not None else file.seek(0, os.SEEK_END)  # type: ignore[attr-defined]
    first, last, _ = slice(start, end).indices(size)
    file.seek(first)
    return file.read(max(0, last - first))
