"""Examining this machine: versions of packages, clock, limits, the folder for temporary files, and the environment."""

import importlib.metadata
import os
import platform
import re
import resource
import tempfile
import time
from collections.abc import Iterator

from artstore.domain.names import MAX_DEPTH, printable
from artstore.domain.wording import human
from artstore.operations.doctor.filesystem import space
from artstore.operations.doctor.fitness import Finding
from artstore.store.variables import variables

_MADE = 1_767_225_600
"""2026-01-01, in seconds since 1970. A clock that shows an earlier time is wrong."""
_ENOUGH_FILES, _FEW_FILES = 2 * MAX_DEPTH, 64
"""Open files. The first number is enough for the deepest folders, and as many packs. With fewer than the second number,
folders that are not deep fail, too.
"""
_LITTLE = 256 << 20


def machine() -> Iterator[Finding]:
    """All findings on this machine."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.release()}")
    yield from _packages()
    if time.time() < _MADE:
        effect = "set the clock: versions get wrong times, and ttl and prune use it"
        yield Finding("problem", "clock", time.strftime("%Y-%m-%d %H:%M", time.gmtime()), effect)
    yield _open_files()
    yield from _umask()
    yield from _temporary_files()
    yield from _variables()


def _packages() -> Iterator[Finding]:
    """The findings on packages that artstore needs or can use: their versions, and those that are missing or too old."""
    try:
        needed = importlib.metadata.requires("artstore") or []
        found = [f"artstore {importlib.metadata.version('artstore')}"]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("note", "packages", "artstore is not installed as a package", "its packages can't be checked")
        return
    old = []
    for requirement in needed:
        match = re.match(r"([\w.-]+) *>= *([\d.]+) *(;.*cloud.*)?$", requirement)
        if match is None:
            continue
        name, least, optional = match.groups()
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if not optional:
                old.append(Finding("problem", "packages", f"{name} is missing", _install(name, least)))
            continue
        found.append(f"{name} {version}")
        if _numbers(version) < _numbers(least):
            old.append(Finding("problem", "packages", f"{name} {version} is older than {least}", _install(name, least)))
    yield Finding("ok", "packages", ", ".join(found))
    yield from old


def _install(name: str, least: str) -> str:
    return f"pip install '{name}>={least}'"


def _numbers(version: str) -> list[int]:
    """The numbers of a version: [4, 2, 11] for `4.2.11rc1`."""
    return [int(number) for number in re.findall(r"(?:^|\.)(\d+)", version)]


def _open_files() -> Finding:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY or most >= _ENOUGH_FILES:
        return Finding("ok", "open files", "any number" if most == resource.RLIM_INFINITY else f"up to {most:,}")
    effect = "each level of folders needs one: raise `ulimit -n`"
    return Finding("problem" if most < _FEW_FILES else "note", "open files", f"up to {most:,}", effect)


def _umask() -> Iterator[Finding]:
    """The finding on the umask. It is read from /proc: `os.umask` would change it for all threads."""
    try:
        with open("/proc/self/status") as lines:
            mask = next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))
    except (OSError, StopIteration):
        return
    if mask & 0o700:
        yield Finding("problem", "umask", f"{mask:03o}", "you can't open the files that artstore creates")
    elif not mask & 0o002:
        effect = "everybody on this host may change the files that artstore creates"
        yield Finding("note", "umask", f"{mask:03o}", effect)
    else:
        yield Finding("ok", "umask", f"{mask:03o}")


def _temporary_files() -> Iterator[Finding]:
    try:
        folder = tempfile.gettempdir()
        free = space(folder).free_bytes
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        yield Finding("problem", "temporary files", f"have no folder: {reason}", "set TMPDIR")
        return
    found = f"{printable(folder)}, {human(free)} free"
    wanted = os.environ.get("TMPDIR")
    if wanted and os.path.abspath(wanted) != os.path.abspath(folder):
        yield Finding("note", "temporary files", found, f"TMPDIR, {printable(wanted)}, can't be used")
    elif free < _LITTLE:
        yield Finding("note", "temporary files", found, "long tables and files of references are written there first")
    else:
        yield Finding("ok", "temporary files", found)


def _variables() -> Iterator[Finding]:
    for name, value in variables().items():
        yield Finding("ok", "variable", printable(f"{name}={value}" if value is not None else f"{name} (not shown)"))
