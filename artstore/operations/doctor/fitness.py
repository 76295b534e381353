"""The fitness of a file system for a repository: the findings that follow from probes, and what each one means."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from artstore.backends.mounts import IN_MEMORY, UNKNOWN, is_local, mount_of
from artstore.domain.names import printable
from artstore.domain.wording import count, human
from artstore.errors import ArtstoreError
from artstore.operations.doctor import filesystem
from artstore.operations.doctor.filesystem import Copying, Locking, Modes, Names, Naming, Space, Syncing, Times
from artstore.store.settings import GRACE_NETWORK
from artstore.store.statcache import clock_tick

Mark = Literal["ok", "note", "problem"]

_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
_SECOND = 1_000_000_000
_LITTLE, _NONE = 256 << 20, 1 << 20
"""Free bytes. With less than _LITTLE, a full pack may not fit; with less than _NONE, not even a small save."""
_FEW_FILES = 1000
_LONGEST_OWN = 240
"""Bytes of the longest name of a file in a repository: the percent-encoded name of an artifact."""


class Finding(NamedTuple):
    """One line of the doctor's report. A problem can lose work, or makes commands fail. A note is good to know."""

    mark: Mark
    what: str
    """the ability or thing that was examined"""
    found: str
    effect: str = ""
    """what artstore does because of it, or what the user can do"""


def mounted(folder: str) -> Iterator[Finding]:
    """The findings that need no writing: how the folder is mounted, and how much space is free."""
    mount, local = mount_of(folder), is_local(folder)
    where = "of an unknown kind" if mount == UNKNOWN else f"{mount.type}, mounted on {printable(mount.point)}"
    if mount.type in _MEMORY:
        yield Finding("problem", "file system", where, "all files are lost when the machine stops")
    elif mount.type == "overlay":
        yield Finding("note", "file system", where, "a container's own layer is deleted with the container")
    elif not local:
        effect = (
            f"other hosts may write here: gc keeps its trash for {GRACE_NETWORK // 86400} days (see gc.grace), "
            "gc --now is refused, and modification times of logs are not trusted"
        )
        yield Finding("note", "file system", f"{where}, treated as a network file system", effect)
    else:
        yield Finding("ok", "file system", where, "treated as local: all processes see every change at once")
    if weak := sorted(mount.options & {"nobarrier", "barrier=0"}):
        yield Finding("problem", "barriers", f"off ({weak[0]})", "a power cut may lose data that was synced")
    yield from _judged("free space", filesystem.space, _space, folder)


def tried(folder: str) -> Iterator[Finding]:
    """The findings of all probes in an empty folder. Their files are left in it."""
    for what, probe, judge in _TRIED:
        yield from _judged(what, probe, judge, folder)


def _judged(
    what: str, probe: Callable[[str], Any], judge: Callable[[Any, str], Iterator[Finding]], folder: str
) -> Iterator[Finding]:
    """The findings of one probe, or one that it failed."""
    try:
        measured = probe(folder)
    except (OSError, ArtstoreError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        yield Finding("problem", what, f"failed when it was tried: {printable(reason)}", "commands may fail, too")
        return
    yield from judge(measured, folder)


def _naming(naming: Naming, folder: str) -> Iterator[Finding]:
    if naming.links:
        yield Finding("ok", "hard links", "yes", "a stored file gets its final name by a link")
    else:
        how = "an exclusive rename" if naming.renames else "a plain rename, under a claim: a folder in cache/claims"
        effect = f"a stored file gets its final name by {how}; `get --link hardlink` copies"
        yield Finding("note", "hard links", "none", effect)
    if not naming.counted:
        yield Finding("note", "link counts", "wrong", "gc may report a wrong number of freed bytes")
    if naming.exclusive:
        yield Finding("ok", "exclusive create", "works", "two writers can't take the number of one log entry")
    else:
        effect = "of two writers one loses its work: don't keep a repository here"
        yield Finding("problem", "exclusive create", "fails: an existing file is replaced", effect)
    if naming.links and not naming.renames:
        effect = "a file that has the maximum number of links is renamed under a claim"
        yield Finding("note", "exclusive renames", "none", effect)


def _copying(copying: Copying, folder: str) -> Iterator[Finding]:
    if copying.clones:
        yield Finding("ok", "clones", "yes", "large files share their blocks with the store: hashed, but not copied")
    else:
        how = "by the kernel (copy_file_range)" if copying.in_kernel else "by reads and writes"
        yield Finding("ok", "clones", "none", f"large files are copied, {how}")
    if copying.holes:
        yield Finding("ok", "sparse files", "yes", "holes of large files stay holes")
    else:
        yield Finding("note", "sparse files", "none", "holes of large files take space here")


def _locking(locking: Locking, folder: str) -> Iterator[Finding]:
    effect = "nothing relies on locks: two processes may merge packs at the same time, one of them in vain"
    if not locking.works:
        yield Finding("note", "locks", f"fail: {printable(locking.reason).lower()}", effect)
    elif not locking.excludes:
        yield Finding("note", "locks", "two processes can hold one at the same time", effect)
    else:
        yield Finding("ok", "locks", "work between processes of this host", "only one of them merges packs at a time")


def _syncing(syncing: Syncing, folder: str) -> Iterator[Finding]:
    found = f"a file {_span(syncing.file)}"
    if syncing.folder is None:
        mark: Mark = "problem" if is_local(folder) else "note"
        effect = "whether names of new files survive a power cut depends on the file system"
        yield Finding(mark, "sync", f"{found}, folders can't be synced", effect)
    else:
        effect = f"a small save waits for two of each: {_span(syncing.small_save)}"
        yield Finding("ok", "sync", f"{found}, a folder {_span(syncing.folder)}", effect)
    if syncing.whole is None:
        yield Finding("ok", "sync of all", "not done here", "large files are synced one by one")
    else:
        effect = "two of these sync many large files together, and also the data of other programs"
        yield Finding("ok", "sync of all", _span(syncing.whole), effect)


def _names(names: Names, folder: str) -> Iterator[Finding]:
    refused = "`get` of a version with both names fails, and writes neither"
    if names.spelling.folds_case:
        yield Finding("note", "case", "'a' and 'A' are the same name", refused)
    else:
        yield Finding("ok", "case", "'a' and 'A' are different names")
    if names.spelling.merges_forms:
        yield Finding("note", "Unicode", "composed and decomposed names are the same", refused)
    elif names.kept:
        yield Finding("ok", "Unicode", "composed and decomposed names are different")
    if not names.kept:
        effect = "a save stores the listed names; `verify` and `status` report such files as missing and extra"
        yield Finding("note", "Unicode", "names are listed in another form than they were given", effect)
    if not names.any_bytes:
        yield Finding("note", "names", "must be UTF-8", "`get` of a version with other names fails here")
    short = names.longest < _LONGEST_OWN
    effect = "artifacts and files with longer names can't be kept here" if short else ""
    yield Finding("note" if short else "ok", "name length", f"up to {names.longest} bytes", effect)


def _modes(modes: Modes, folder: str) -> Iterator[Finding]:
    if modes.executable:
        yield Finding("ok", "executable bits", "kept")
    else:
        every = "every file" if modes.all_executable else "no file"
        effect = (
            f"in versions that are saved here, {every} is executable; for other versions, `verify` and `status` report "
            "the other files as changed, and `get` writes them again each time"
        )
        yield Finding("note", "executable bits", "not kept", effect)
    if not modes.read_only:
        effect = "stored files can be changed by mistake; `fsck` would find out"
        yield Finding("note", "read-only files", "not kept", effect)


def _times(times: Times, folder: str) -> Iterator[Finding]:
    tick = clock_tick(folder)
    step = max(times.kept_ns, times.mtime_ns or 0, times.ctime_ns or 0)
    stamped = times.mtime_ns or 0
    seen = f", stamped every {_span(stamped / 1e9)}" if stamped > times.kept_ns else ""
    found = f"kept to {_span(times.kept_ns / 1e9)}{seen}"
    if times.kept_ns >= _SECOND:  # statcache.is_old adds as much where seconds are whole
        tick += 2 * _SECOND
    if step <= tick:
        changed = f"files that changed within {_span(tick / 1e9)} of a save"
        every = mount_of(folder).type in IN_MEMORY
        effect = f"{'all files, whatever their times,' if every else changed} are read again by the next"
        yield Finding("note" if step >= _SECOND else "ok", "timestamps", found, effect)
    else:
        effect = (
            f"artstore expects at most {_span(tick / 1e9)}: if a file changes twice within one step of the clock, and "
            "keeps its size, a save may miss the change"
        )
        yield Finding("problem", "timestamps", found, effect)
    yield from _ahead(times.ahead_ns, tick, _SECOND + times.kept_ns)


def _ahead(ahead: int, tick: int, natural: int) -> Iterator[Finding]:
    """The finding on the file system's clock. All arguments are nanoseconds.

    Args:
        ahead: How far it is ahead of this machine's clock; negative if it is behind.
        tick: How far it may be behind without harm.
        natural: Differences up to this mean nothing.
    """
    if abs(ahead) <= natural:
        yield Finding("ok", "its clock", "as this machine's, within a second")
    elif ahead > 0:
        effect = "files look new for that long, and each save reads them again"
        yield Finding("note", "its clock", f"{_span(ahead / 1e9)} ahead of this machine's", effect)
    elif -ahead <= tick:
        yield Finding("note", "its clock", f"{_span(-ahead / 1e9)} behind this machine's", "saves allow for this much")
    else:
        effect = "if a file changes while it is saved, the next save may miss the change: set both clocks"
        yield Finding("problem", "its clock", f"{_span(-ahead / 1e9)} behind this machine's", effect)


def _space(space: Space, folder: str) -> Iterator[Finding]:
    files = "" if space.free_files is None else f", {count(space.free_files, 'more file')}"
    found = f"{human(space.free_bytes)} of {human(space.total_bytes)}{files}"
    if space.free_bytes < _NONE or space.free_files == 0:
        effect = "saves fail, without losing anything; `artstore gc` deletes data that no version uses"
        yield Finding("problem", "free space", found, effect)
    elif space.free_bytes < _LITTLE or (space.free_files is not None and space.free_files < _FEW_FILES):
        yield Finding("note", "free space", found, "a save may fail, without losing anything")
    else:
        yield Finding("ok", "free space", found)


def age(seconds: float) -> str:
    """A duration in words, in its greatest unit: days, hours or minutes."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return count(int(seconds // size), unit)
    return "less than a minute"


_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def _span(seconds: float) -> str:
    """A duration in words, with about two digits, in the unit that suits it."""
    if seconds >= 60:
        return age(seconds)
    unit, size = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    number = seconds / size
    return f"{f'{number:.1f}'.removesuffix('.0') if number < 9.95 else f'{number:.0f}'} {unit}"


_TRIED: tuple[tuple[str, Callable[[str], Any], Callable[[Any, str], Iterator[Finding]]], ...] = (
    ("names of files", filesystem.naming, _naming),
    ("copies", filesystem.copying, _copying),
    ("locks", filesystem.locking, _locking),
    ("sync", filesystem.syncing, _syncing),
    ("names", filesystem.names, _names),
    ("modes", filesystem.modes, _modes),
    ("timestamps", filesystem.times, _times),
)
