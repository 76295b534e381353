"""Examining a repository's file system and set-up. Each finding says what it means for the user."""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, get_args

from artstore.backends.credentials import token_for
from artstore.backends.files import remove_if_there, remove_tree, write_file
from artstore.backends.owner import is_alive, parse, this_process
from artstore.backends.places import is_served, kind_of
from artstore.backends.storage import FolderStorage, is_url
from artstore.domain.names import printable
from artstore.domain.wording import count, human
from artstore.errors import ArtstoreError, translated
from artstore.operations.doctor.fitness import Finding, age, mounted, tried
from artstore.operations.doctor.machine import machine
from artstore.operations.upkeep.removal import is_left_over, is_of_dead
from artstore.progress import Monitor
from artstore.store.layout import FOLDERS, Operation, check_format, storage_at
from artstore.store.paths import PACKS, pack_path
from artstore.store.settings import FOLDER, Settings


class Examination(NamedTuple):
    """The result of an examination."""

    repository: str | None
    """its folder; None if there is none"""
    folder: str
    """the folder that was examined: the repository, or the folder in which one would be created"""
    findings: list[Finding]

    @property
    def problems(self) -> int:
        """The number of problems."""
        return sum(finding.mark == "problem" for finding in self.findings)

    @property
    def notes(self) -> int:
        """The number of notes."""
        return sum(finding.mark == "note" for finding in self.findings)


def examine(root: str, monitor: Monitor) -> Examination:
    """Examine a repository, its file system and this machine. A failure is a finding, not an error.

    Nothing changes except modification times of folders.

    Args:
        root: The folder of the repository. If there is none, the folder in which it would be created is examined.
    """
    there = os.path.isfile(f"{root}/format")
    folder = root if there else _nearest(os.path.dirname(root))
    findings = list(_repository(root)) if there else [_none(root)]
    monitor.start("trying the file system")
    findings += mounted(folder)
    try:
        with _own_folder(root if there else None, folder) as own:
            findings += tried(own)
    except ArtstoreError as error:
        findings.append(Finding("problem", "writing", str(error), error.hint or "nothing can be saved here"))
    findings += machine()
    return Examination(root if there else None, folder, findings)


def _none(root: str) -> Finding:
    """The finding for a folder without a repository."""
    try:
        os.stat(f"{root}/format")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        found = f"{printable(root)} can't be read: {(error.strerror or '').lower()}"
        return Finding("problem", "repository", found, "check who owns it and its permissions")
    if os.path.lexists(root):
        found = f"none: {printable(root)} has no format file"
        return Finding("note", "repository", found, "an unmounted share looks like this")
    return Finding("ok", "repository", f"none yet: it would be {printable(root)}", "the first save creates it")


def _nearest(folder: str) -> str:
    """A folder, or the nearest one above it that exists."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


@contextmanager
def _own_folder(root: str | None, folder: str) -> Iterator[str]:
    """Make a folder for probes, and remove it at the end. If this process is killed, the next save or `init`
    removes it.
    """
    own = f"{root}/tmp/{this_process()}" if root else f"{folder}/{FOLDER}.new-{this_process()}"
    with translated(f"write to {printable(folder)}"):
        os.mkdir(own)
    try:
        yield own
    finally:
        with translated(f"remove {printable(own)}"):
            remove_tree(own)


# -- the repository --------------------------------------------------------------------------------


def _repository(root: str) -> Iterator[Finding]:
    storage = FolderStorage(root)
    for what, look in _LOOKS:
        try:
            yield from look(storage)
        except (ArtstoreError, OSError) as error:
            yield Finding("problem", what, str(error), getattr(error, "hint", None) or "")


def _format(storage: FolderStorage) -> Iterator[Finding]:
    for operation in get_args(Operation):
        check_format(storage, operation)
    yield Finding("ok", "repository", printable(storage.root))


def _owner(storage: FolderStorage) -> Iterator[Finding]:
    status = os.stat(storage.root)
    mode, owner = stat.S_IMODE(status.st_mode), _user(status.st_uid)
    there = [folder for folder in (".", *FOLDERS) if os.path.isdir(storage.path(folder))]
    open_to_all = [folder for folder in there if os.stat(storage.path(folder)).st_mode & 0o002]
    if open_to_all:
        found = f"{owner}, writable by everybody: {', '.join(open_to_all)}"
        effect = f"anybody on this host can delete stored data: {_way_out(storage, 'o-w')}"
        yield Finding("problem", "owner", found, effect)
    elif mode & 0o2020 == 0o2020:
        yield Finding("ok", "owner", f"{owner}, shared with group {_group(status.st_gid)}")
    elif mode & 0o020:
        way_out = _way_out(storage, "g-w", ", or `init --shared`")
        effect = f"members may be unable to change files that another member created: {way_out}"
        yield Finding("note", "owner", f"{owner}, writable by group {_group(status.st_gid)}, but not setgid", effect)
    else:
        yield Finding("ok", "owner", f"{owner}, mode {mode:o}")
    if doubt := Settings(storage.root).doubt():
        yield Finding("note", "owner", doubt, "its remotes are contacted only after `artstore remote allow`")


def _way_out(storage: FolderStorage, mode: str, otherwise: str = "") -> str:
    """How others are kept from writing. On exFAT, for example, the options of the mount decide that for all files."""
    return f"chmod -R {mode}{otherwise}" if _keeps_modes(storage) else _BY_MOUNT


_BY_MOUNT = (
    "chmod has no effect on this file system, so mount it with the option umask=022 "
    "(SMB: file_mode=0644,dir_mode=0755; bindfs: -p go-w)"
)


def _keeps_modes(storage: FolderStorage) -> bool:
    try:
        with _own_folder(storage.root, storage.root) as own:
            os.chmod(own, 0o700)
            return not os.stat(own).st_mode & 0o022
    except PermissionError:  # of chmod: no modes are kept
        return False
    except ArtstoreError:  # nothing can be written here, and chmod may work where that can be mended
        return True


def _user(number: int) -> str:
    import pwd

    try:
        return printable(pwd.getpwuid(number).pw_name)
    except KeyError:
        return f"user {number}"


def _group(number: int) -> str:
    import grp

    try:
        return printable(grp.getgrgid(number).gr_name)
    except KeyError:
        return str(number)


def _folders(storage: FolderStorage) -> Iterator[Finding]:
    device = os.stat(storage.root).st_dev
    missing = [folder for folder in ("refs", PACKS, "tmp") if not os.path.isdir(storage.path(folder))]
    there = [folder for folder in FOLDERS if os.path.isdir(storage.path(folder))]
    elsewhere = [folder for folder in there if os.stat(storage.path(folder)).st_dev != device]
    if missing:
        effect = "restore them from a copy; `artstore fsck` lists what is lost"
        yield Finding("problem", "folders", f"missing: {', '.join(missing)}", effect)
    if elsewhere:
        effect = "files can't be linked or renamed between file systems: put the whole repository on one"
        yield Finding("problem", "folders", f"on another file system: {', '.join(elsewhere)}", effect)
    if not os.path.isfile(f"{storage.root}/.gitignore"):
        effect = "git would add the repository to your commits: write `*` into it"
        yield Finding("note", ".gitignore", "missing", effect)


def _settings(storage: FolderStorage) -> Iterator[Finding]:
    Settings(storage.root).check()
    yield Finding("ok", "settings", "valid")


def _at_work(storage: FolderStorage) -> Iterator[Finding]:
    dead, now = 0, storage.now(probe=True)
    for name in sorted(storage.names("tmp")):
        if is_of_dead(storage, name):
            dead += 1
        elif os.path.isdir(f"{storage.root}/tmp/{name}"):
            yield _transaction(name, now - (storage.stamp(f"tmp/{name}") or now))
    dead += sum(is_left_over(storage, name) for name in storage.names("trash"))
    if dead:
        effect = "the next save cleans up tmp/, and `artstore gc` the trash"
        yield Finding("note", "leftovers", count(dead, "dead process") + ("es" if dead > 1 else ""), effect)
    else:
        yield Finding("ok", "leftovers", "none")


def _transaction(name: str, since: float) -> Finding:
    owner, busy = parse(name), f"for {age(since)}"
    if owner is not None and is_alive(owner):
        return Finding("ok", "at work", f"process {owner.pid} on this host, {busy}", "gc frees nothing meanwhile")
    host = f"process {owner.pid} on {owner.host.rpartition('-')[0] or 'another host'}" if owner else printable(name)
    effect = f"gc frees nothing while it may be alive: `artstore gc --abandon {printable(name)}` declares it dead"
    return Finding("note", "at work", f"{host}, {busy}", effect)


def _damage(storage: FolderStorage) -> Iterator[Finding]:
    names = storage.names("bad")
    noted = [name for name in names if re.fullmatch(r"[0-9a-f]{64}\.([0-9a-f]{64}|pack)", name)]
    noted = [name for name in noted if storage.size(pack_path(name[:64])) is not None]
    kept = sum(re.fullmatch(r"[0-9a-f]{64}(\.pack)?\.[0-9a-f]{8}", name) is not None for name in names)
    if noted:
        effect = "`artstore fsck` lists what is lost; to repair it, save the same content again"
        yield Finding("problem", "damage", f"{count(len(noted), 'note')} of damaged copies in bad/", effect)
    elif kept:
        yield Finding("note", "damage", f"{count(kept, 'damaged file')} kept in bad/", "delete what you no longer need")
    else:
        yield Finding("ok", "damage", "none known", "`artstore fsck` looks for it")


def _clock(storage: FolderStorage) -> Iterator[Finding]:
    later = storage.now() - time.time()
    if later > _APART:
        effect = "set the clock: ttl and prune use it; the order of versions doesn't"
        yield Finding("note", "clock", f"the last write here was {age(later)} in the future", effect)


_APART = 60.0
"""Seconds. A smaller difference between clocks is not reported."""


def _remotes(storage: FolderStorage) -> Iterator[Finding]:
    settings = Settings(storage.root)
    for name, remote in settings.remotes().items():
        if settings.doubt() is None:
            yield _remote(f"remote {printable(name)}", remote.url, storage)


def _remote(what: str, url: str, storage: FolderStorage) -> Finding:
    """The finding on a remote: whether its folder holds a repository. A place that takes requests is not contacted."""
    place = printable(re.sub("//[^/]*@", "//", url.partition("?")[0]))
    try:
        if is_url(url) and (has_credentials := kind_of(url).has_credentials) is not None:
            if has_credentials():
                return Finding("ok", what, place, "not contacted; the environment has credentials")
            return Finding("note", what, place, "no credentials in the environment: this machine's own login is used")
        if is_served(url):
            if token_for(url, given=False) is not None:
                return Finding("ok", what, place, "not contacted; there is a token for it")
            return Finding("note", what, place, f"there is no token for it: `artstore login {place}` keeps one")
        if storage_at(url, storage).size("format") is None:
            effect = "push, pull and fetch fail; an unmounted share looks like this"
            return Finding("problem", what, f"no repository in {place}", effect)
        return Finding("ok", what, place)
    except ArtstoreError as error:
        return Finding("problem", what, str(error), error.hint or "")


def _cache(storage: FolderStorage) -> Iterator[Finding]:
    path = f"{storage.root}/cache/{this_process()}"
    try:
        storage.make_folder("cache")
        write_file(path, b"", sync=False)
        remove_if_there(path)
    except OSError as error:
        reason = (error.strerror or "").lower()
        yield Finding("note", "cache", f"can't be written: {reason}", "each save reads unchanged files again")
    else:
        size = sum(size for _, size in storage.below("cache"))
        yield Finding("ok", "cache", f"writable, {human(size)}", "may be deleted at any time")


_LOOKS: tuple[tuple[str, Callable[[FolderStorage], Iterator[Finding]]], ...] = (
    ("repository", _format),
    ("clock", _clock),
    ("owner", _owner),
    ("folders", _folders),
    ("settings", _settings),
    ("at work", _at_work),
    ("damage", _damage),
    ("remotes", _remotes),
    ("cache", _cache),
)
