"""Reading the folder of another tool, which somebody else may have made: only what is really below it is read."""

import os
from hashlib import md5
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from blake3 import blake3

from artstore.backends.files import closing_fd, open_regular
from artstore.domain.digest import Digest
from artstore.domain.names import printable
from artstore.domain.plain import LONGEST
from artstore.errors import Damage
from artstore.operations.saving.draft import Draft

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Checked(NamedTuple):
    """The digests of a file's bytes, all from one reading of it."""

    md5: bytes
    digest: Digest


def checked(fd: int) -> Checked:
    """Read an open file once, and close it."""
    old, new = md5(usedforsecurity=False), blake3()
    with open(fd, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            old.update(piece)
            new.update(piece)
    return Checked(old.digest(), Digest(new.digest()))


def add_checked(draft: Draft, path: str, name: str, digest: Digest) -> None:
    """Add a file to a draft. Raises Damage if its bytes are not those that were checked, which had this digest."""
    if draft.add_file(path, name).digest != digest:
        raise Damage(f"{printable(path)} was changed while it was imported")


class Source:
    """A folder to import from. The user named it, so it may be a link itself; no link below it may lead out of it."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    def holds(self, place: str) -> bool:
        """Whether a path is really below this folder."""
        return os.path.commonpath([self.root, os.path.realpath(place)]) == self.root

    def require(self, place: str) -> str:
        """The same path. Raises Damage if it leads out of the folder by a link or by `..`."""
        if not self.holds(place):
            raise self._leads_out(place)
        return place

    def _leads_out(self, place: str) -> Damage:
        return Damage(f"{printable(place)} leads out of {printable(self.root)}, so it is not read")

    def open(self, place: str) -> int:
        """A descriptor of a regular file. Raises OSError, and Damage if it is elsewhere.

        Links to folders are resolved first. Then each folder is opened from the one above it, and no link is followed:
        so nothing that changes meanwhile leads out.
        """
        folder, name = os.path.split(self.require(place))
        parts = os.path.relpath(os.path.realpath(folder), self.root).split(os.sep)
        if ".." in parts:
            raise self._leads_out(place)
        fd = os.open(self.root, _FOLDER)
        for part in parts:
            with closing_fd(fd):
                fd = os.open(part, _FOLDER, dir_fd=fd)
        with closing_fd(fd):
            return open_regular(name, dir_fd=fd)

    def small_file(self, path: str) -> bytes:
        """A regular file's bytes. Raises OSError, and Damage if it is too long, a link, or elsewhere."""
        with open(self.open(path), "rb") as file:
            data = file.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise Damage(f"{printable(path)} has more than {LONGEST >> 20} MiB")
        return data

    def texts(self, folder: str) -> dict[str, str]:
        """The text of every small file below a folder, by path."""
        found = {}
        for place, folders, names in os.walk(self.require(folder)):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(place, name)
                found[os.path.relpath(path, folder)] = self.small_file(path).decode("utf-8", "replace")
        return found

    def add_folder(self, draft: Draft, folder: str) -> None:
        """Add all files of a folder to a draft. Raises Damage if a link in it leads out of the imported folder.

        Whatever is opened is looked at once more: a link may have come meanwhile.
        """
        self.require(folder)
        pending, seen = [folder], {os.path.realpath(folder)}
        while pending:
            with os.scandir(pending.pop()) as listed:
                for entry in listed:
                    if entry.is_symlink():
                        self.require(entry.path)
                    if entry.is_dir() and (inner := os.path.realpath(entry.path)) not in seen:
                        seen.add(inner)
                        pending.append(entry.path)
        draft.add_folder(folder, inside=self.root)

    def located(self, uri: str, above: tuple[str, ...]) -> str | None:
        """The folder that a URI or path of the tool names, if it is below this one; None if it isn't.

        The store may have been moved since: so what follows a folder of `above` in the path is looked for below
        the folders of that name here.
        """
        parts = urlsplit(uri)
        path = unquote(parts.path) if parts.scheme else uri
        names = [name for name in path.split("/") if name not in ("", ".")]
        if ".." in names:
            return None
        found = [path] if parts.scheme in ("", "file") and os.path.isabs(path) else []
        for start, name in enumerate(names):
            if name in above:
                found.append(os.path.join(self.root, *names[start:]))
        if parts.scheme == "mlflow-artifacts":
            found += [os.path.join(self.root, name, *names) for name in above]
        return next((place for place in found if os.path.isdir(place) and self.holds(place)), None)
