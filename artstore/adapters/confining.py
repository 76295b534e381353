"""Reading the folder of another tool, which somebody else may have made: only what is really below it is read."""

import os
from urllib.parse import unquote, urlsplit

from artstore.adapters.plain import LONGEST
from artstore.backends.files import open_regular
from artstore.domain.names import printable
from artstore.errors import Damage
from artstore.operations.saving.draft import Draft


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
            raise Damage(f"{printable(place)} leads out of {printable(self.root)}, so it is not read")
        return place

    def small_file(self, path: str) -> bytes:
        """A regular file's bytes. Raises OSError, and Damage if it is too long, a link, or elsewhere."""
        with open(open_regular(self.require(path)), "rb") as file:
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
        """Add all files of a folder to a draft. Raises Damage if a link in it leads out of the imported folder."""
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
        draft.add_folder(folder)

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
