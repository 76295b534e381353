"""Packers in the background: finding them, waiting for them, and saves that start one."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from artstore.operations.upkeep.packing_notes import PackingNotes
from artstore.repository import Repository
from tests.support.commands import environment

T = TypeVar("T")

SIZE = 65 << 20
"""Bytes of a file that is large enough for a packer to be started."""


def save(folder: Path, number: int, *, size: int = SIZE, **more: str) -> str:
    """`artstore put` of a file of zeros behind a number, as a process of its own. Returns what it printed."""
    with open(folder / f"file{number}", "wb") as file:
        file.write(b"%d" % number)
        file.truncate(size + number)
    command = [sys.executable, "-m", "artstore", "put", f"file{number}", "--name", "data"]
    variables = environment(folder, **{"CI": "", **more})
    return subprocess.check_output(command, cwd=folder, env=variables, stderr=subprocess.STDOUT, text=True, timeout=120)


def packers(root: Path) -> list[int]:
    """The packers of a repository that are running."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"packer_process" in b"".join(words) and os.fsencode(root) in words and b"/bin/sh" not in words:
            found.append(int(name))
    return found


def noted(root: Path) -> int:
    """The packer that has noted that it packs, once one has."""
    with Repository(str(root)) as repository:
        notes = PackingNotes(repository._folder)
        return wait_until(lambda: owner.pid if (owner := notes.packer) is not None else 0, "a packer has begun")


def wait_for_packers(root: Path) -> None:
    wait_until(lambda: not packers(root), "all packers have ended")


def wait_until(happened: Callable[[], T], what: str, seconds: float = 300) -> T:
    until = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < until, f"in {seconds} s it didn't happen that {what}"
        time.sleep(0.02)
    return found


def plain_files(root: Path) -> list[str]:
    return [path.name for path in (root / "objects/blobs").rglob("*") if path.is_file()]


@contextmanager
def held(root: Path) -> Iterator[None]:
    """A save that is open: until it ends, a packer waits."""
    with Repository.init(str(root)) as repository, repository.draft() as draft:
        draft.add_bytes(b"open", "open")
        yield
