"""The remotes of a project, in a text file beside its lock file: git keeps it, and others add a remote by its name."""

import os

from artstore.backends.files import open_regular, replace_file
from artstore.domain.names import REMOTES_FILE, printable
from artstore.errors import InvalidValue, translated
from artstore.operations.restoring.lockfile import check_remote

_HEAD = "# The remotes of this project: `artstore remote add NAME` adds one to your repository.\n"
_LONGEST = 1 << 16
"""Most characters of the file."""


def path_beside(root: str) -> str:
    """The path of the file, in the folder that holds the repository at `root`."""
    return os.path.join(os.path.dirname(root), REMOTES_FILE)


def read(path: str) -> dict[str, str]:
    """The URLs or paths of the remotes in the file, by name; empty if there is no file.

    Each line has a name, spaces or a tab, and a URL or a path, which may be relative to the file's folder. A name that
    has spaces ends at a tab. Raises InvalidValue for a name or URL that a lock file couldn't have either.
    """
    what = printable(path)
    if not os.path.lexists(path):
        return {}
    try:
        with translated(f"read {what}"), open(open_regular(path), encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{what} is not UTF-8 text", hint="mend or remove it") from error
    if len(text) > _LONGEST:
        raise InvalidValue(f"{what} is too long for a list of remotes", hint="mend or remove it")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, url = line.strip().partition("\t" if "\t" in line else " ")
        name, url = name.strip(), url.strip()
        check_remote(name, url, what)
        found[name] = url
    return found


def write(path: str, name: str, url: str) -> None:
    """Add a remote to the file, or give it another URL. Comments in the file are not kept."""
    check_remote(name, url, printable(path))
    known = read(path) | {name: url}
    lines = (f"{name}\t{url}\n" if " " in name else f"{name} {url}\n" for name, url in sorted(known.items()))
    text = _HEAD + "".join(lines)
    with translated(f"write {printable(path)}"):
        replace_file(path, text.encode(), f"{path}.{os.urandom(4).hex()}", sync=False)
