"""Obstacles to a checkout: things of another kind, names that are the same here, files that no version holds.

Also finds and removes extra files: those that the version doesn't have.
"""

import errno
import os
import unicodedata
from typing import NamedTuple

from artstore.backends.confined import Confined, create_file, kind_at, open_child
from artstore.backends.files import closing_fd, hash_file, open_regular
from artstore.backends.owner import this_process
from artstore.domain.digest import Digest, from_hex, is_hex
from artstore.domain.ignore import IGNORE_FILE, Rules, ignored
from artstore.domain.names import is_protected, printable
from artstore.domain.tree import DIRECTORY, check_depth
from artstore.domain.wording import first_of
from artstore.errors import Conflict, Refused
from artstore.operations.restoring.compare import AbsentFolder, ComparedFolder, Todo, rules_in
from artstore.store.packs import LARGE
from artstore.store.paths import BLOBS
from artstore.store.sides import Objects

Extra = list[tuple[bytes, bool]]
"""(path, whether it is a folder) of files and folders to remove, sorted so that a folder comes before its files."""


def refuse_other_kinds(target: Confined, todo: Todo, root: str) -> None:
    """Raise Refused if a folder has the name of a file to write, or something else has the name of a folder to make."""
    blocked: set[bytes] = set()
    for path, entry in todo:
        parts = tuple(path.split(b"/"))
        if any(b"/".join(parts[:n]) in blocked for n in range(1, len(parts))):
            continue
        there = target.kind(parts)
        in_the_way = there not in (None, "folder") if entry.kind == DIRECTORY else there == "folder"
        if in_the_way:
            blocked.add(path)
    if blocked:
        kinds = {path: target.kind(tuple(path.split(b"/"))) for path in sorted(blocked)[:5]}
        listed = ", ".join(f"'{printable(path)}' is a {kind}" for path, kind in kinds.items())
        hint = "move it away, or choose another --root"
        raise Refused(f"in {printable(root)}, {listed}, and the version has something else there", hint=hint)


_LISTED = 10
"""Most names in a message."""


class Spelling(NamedTuple):
    """Which different spellings of a name a file system takes for the same name."""

    folds_case: bool
    merges_forms: bool
    """whether the composed (NFC) and decomposed (NFD) forms of a character are the same"""

    def are_one(self, first: bytes, second: bytes) -> bool:
        """Whether two names are the same name here. They must be equal when `folded`."""
        one, other = os.fsdecode(first), os.fsdecode(second)
        by_case = one.casefold() == other.casefold()
        by_form = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
        return (self.folds_case or by_form) and (self.merges_forms or by_case)


def refuse_twins(target: Confined, todo: Todo) -> None:
    """Raise Conflict, which names all, if paths to write are the same here: the second file would overwrite the first."""
    spelled: dict[str, bytes] = {}
    twins: dict[tuple[bytes, bytes], None] = {}
    spelling: Spelling | None = None
    for path, _ in todo:
        end = 0
        while end >= 0:
            end = path.find(b"/", end + 1)
            prefix = path if end < 0 else path[:end]
            first = spelled.setdefault(folded(prefix), prefix)
            if first != prefix:
                spelling = spelling or spelling_at(target)
                if spelling.are_one(first, prefix):
                    twins[first, prefix] = None
    if twins:
        raise one_name(list(twins))


def spelling_at(target: Confined) -> Spelling:
    """How the target's file system compares names."""
    with closing_fd(target.open_folder(())) as fd:
        return spelling_in(fd)


def spelling_in(fd: int) -> Spelling:
    """Find out how the file system of an open folder compares names, by creating two files with temporary names."""
    name = f".artstore-{this_process()}-case"
    composed, decomposed = (os.fsdecode(f"{name}{form}".encode()) for form in ("\u00e9", "e\u0301"))  # in any locale
    return Spelling(_are_one(fd, name, name.upper()), _are_one(fd, composed, decomposed))


def _are_one(fd: int, first: str, second: str) -> bool:
    os.close(create_file(fd, os.fsencode(first), False))
    try:
        os.stat(second, dir_fd=fd, follow_symlinks=False)
        return True
    except FileNotFoundError:
        return False
    finally:
        os.unlink(first, dir_fd=fd)


class Extras:
    """What to remove from a folder so that a version fits in: things that are in the way, and extra files if asked for."""

    def __init__(self, *, delete: bool) -> None:
        """With `delete`, everything that is not in the version is extra."""
        self._delete = delete
        self.found: Extra = []
        self.stays: list[bytes] = []
        """protected and ignored files that are in the way, or in a folder that is in the way: they are never removed"""

    def look_into(self, folder: ComparedFolder | AbsentFolder, wrong: Todo) -> None:
        """Add what is in the way of the missing and changed entries of a folder (`wrong`), and what is extra in it."""
        if isinstance(folder, AbsentFolder):
            above, names = folder.parent, [folder.entry.name] if folder.parent.has(folder.entry.name) else []
        else:
            above, names = folder, [entry.name for _, entry in wrong if folder.has_folder(entry.name)]
        for name in names:
            self._add(above, name, self.stays)
        for name in folder.extra() if self._delete and isinstance(folder, ComparedFolder) else ():
            self._add(above, name, [])

    def _add(self, folder: ComparedFolder, name: bytes, stays: list[bytes]) -> None:
        if folder.is_ignored:
            stays.append(folder.path + name)
        else:
            self._add_all(folder.fd, folder.path, name, folder.has_folder(name), folder.rules, stays)

    def _add_all(
        self, fd: int, path: bytes, name: bytes, is_folder: bool, rules: list[Rules], stays: list[bytes]
    ) -> None:
        """Add a file or folder in an open folder, and everything below it; to `stays` what is protected or ignored."""
        check_depth(path)
        if is_protected(name) or ignored(rules, os.fsdecode(path + name), is_folder):
            stays.append(path + name)
            return
        self.found.append((path + name, is_folder))
        if not is_folder:
            return
        with closing_fd(open_child(fd, name, create=False)) as child:
            with os.scandir(child) as listed:
                inside = {item.name: item.is_dir(follow_symlinks=False) for item in listed}
            below = path + name + b"/"
            own = rules_in(child, below, strict=self._delete) if IGNORE_FILE in inside else []
            for inner, is_inner_folder in inside.items():
                self._add_all(child, below, os.fsencode(inner), is_inner_folder, [*rules, *own], stays)


def remove(target: Confined, extra: Extra) -> int:
    """Remove files and folders. A folder that isn't empty stays. Returns the number of files."""
    removed = 0
    for path, is_folder in reversed(extra):
        parts = tuple(path.split(b"/"))
        with closing_fd(target.open_folder(parts[:-1], create=False)) as fd:
            try:
                (os.rmdir if is_folder else os.unlink)(parts[-1], dir_fd=fd)
                removed += not is_folder
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):  # it may hold a .git
                    raise
    return removed


def refuse_unknown(unknown: list[bytes], extra: Extra, root: str) -> None:
    """Raise Refused if there are `unknown_files` to replace or remove."""
    if unknown:
        lost = "overwritten or removed" if extra else "overwritten"
        listed = first_of([printable(path) for path in unknown])
        raise Refused(
            f"in {printable(root)}, files that no version here holds would be {lost}: {listed}",
            hint="save them first, or use --force",
        )


def unknown_files(objects: Objects, target: Confined, paths: list[bytes]) -> list[bytes]:
    """The files among these paths whose content is in no version here. A file that can't be read counts as one.

    Cost: reads and hashes each of these files. All are looked for at once, because each search opens all packs in the
        trash for what isn't stored.
    """
    found = {path: content for path in paths if (content := _content(target, tuple(path.split(b"/")))) is not None}
    small = {digest for digest, size in found.values() if digest is not None and size < LARGE}
    large = {digest for digest, size in found.values() if digest is not None and size >= LARGE}
    here = objects.readable(small).keys() | objects.large.readable(large).keys()
    return [path for path, (digest, _) in found.items() if digest not in here]


def _content(target: Confined, parts: tuple[bytes, ...]) -> tuple[Digest | None, int] | None:
    """The digest and size of a file's content; no digest if it can't be read, and None if there is no file."""
    try:
        fd = target.open_folder(parts[:-1], create=False)
    except (FileNotFoundError, Refused):  # no folder is there, or something else is
        return None
    with closing_fd(fd):
        if kind_at(fd, parts[-1]) in ("something else", "folder"):  # nothing, or what is in the folder is asked for
            return None
        try:
            source = open_regular(parts[-1], dir_fd=fd)
        except OSError:
            return _linked(fd, parts[-1]), LARGE
        with closing_fd(source):
            return hash_file(source)


def _linked(fd: int, name: bytes) -> Digest | None:
    """The digest of the blob in a store that a symlink leads to. The store may have been moved since."""
    try:
        target = os.fsdecode(os.readlink(name, dir_fd=fd))
    except OSError:
        return None
    store, _, digest = target.rpartition("/")
    is_blob = is_hex(digest) and f"{store}/".endswith(f"/{BLOBS}/{digest[:2]}/")
    return from_hex(digest) if is_blob else None


def one_name(twins: list[tuple[bytes, bytes]]) -> Conflict:
    """The error for pairs of names that are the same name on the target's file system."""
    pairs = [f"'{printable(first)}' and '{printable(second)}'" for first, second in twins[:_LISTED]]
    more = f", and {len(twins) - _LISTED} more pairs" if len(twins) > _LISTED else ""
    message = f"{', '.join(pairs)}{more} are the same name on the target's file system"
    return Conflict(message, hint="choose a --root on a file system that tells them apart, or get them one by one")


def folded(name: bytes) -> str:
    """A key that is equal for names that some file system takes for the same name: without case, and normalised."""
    return unicodedata.normalize("NFC", os.fsdecode(name)).casefold()
