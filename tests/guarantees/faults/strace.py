"""Commands under strace: which calls touch the place of a run, and one run with a fault at one of them."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from tests.guarantees.faults import process
from tests.guarantees.faults.place import Place
from tests.guarantees.faults.process import Result

CALLS = (
    "openat", "read", "readv", "pread64", "write", "writev", "pwrite64", "copy_file_range", "ftruncate",
    "fsync", "fdatasync", "syncfs", "link", "linkat", "symlinkat", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "getdents64", "newfstatat", "fstat", "statx", "flock",
)  # fmt: skip
"""Every call by which the package reads or changes a file system."""

READING = ("read", "readv", "pread64", "getdents64", "newfstatat", "fstat", "statx")
"""Those that only read."""
ANSWER = "sendto"
"""The call by which a server answers."""

_BEGIN = re.compile(r"(\d+) +(\w+)\((.*)")
_VARIES = re.compile(r"\.[0-9a-f]{12}\.\d+\.\d+\.\d+\.[0-9a-f]{8}|[0-9a-f]{56,}|\.new-[0-9a-f]+")


class Point(NamedTuple):
    """One call of one command: where a fault goes."""

    call: str
    number: int
    """which call of this kind it is in its thread, as strace counts"""
    padding: int
    """calls that every thread but the first makes before, so that `number` means one of theirs; 0 for the first thread"""
    what: str
    """its arguments, for people"""

    def __str__(self) -> str:
        return f"{self.call}:{self.number}:{self.padding} ({self.what})"


@lru_cache(maxsize=1)
def missing() -> str | None:
    """Why commands can't be run under strace here; None when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, timeout=60)
    return None if done.returncode == 0 else f"ptrace is not permitted: {done.stderr.strip()}"


def environment(place: Place) -> dict[str, str]:
    """Nothing of the caller's."""
    home = str(place.folder.parent)
    return {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "ARTSTORE_DIR": str(place.store)}


def run(arguments: list[str], place: Place) -> Result:
    """Run the command line without any fault."""
    return process.start(arguments, environment(place), place.folder.parent).result()


Traced = Callable[[list[str], Callable[[], None]], tuple[Result, list[str]]]
"""Runs something under strace: from strace's options, and what is done first, its result and the lines of the trace."""


def traced(
    arguments: list[str], place: Place, options: list[str], before: Callable[[], None]
) -> tuple[Result, list[str]]:
    """Run the command line under strace."""
    folder = place.folder.parent
    started = process.start(arguments, environment(place), folder, stopped=True, before=before)
    with attached(started.pid, options, folder / "trace") as lines:
        result = started.result()
    return result._replace(reached=result.code == -signal.SIGKILL), lines


@contextmanager
def attached(pid: int, options: list[str], trace: Path) -> Iterator[list[str]]:
    """Let a process that has stopped itself go on under strace; it must end in the block. Then the lines are there."""
    os.waitpid(pid, os.WUNTRACED)
    lines: list[str] = []
    command = ["strace", "-f", "-qq", "-p", str(pid), "-o", str(trace), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracer:
        while _tracer_of(pid) == "0" and tracer.poll() is None:
            time.sleep(0.001)
        os.kill(pid, signal.SIGCONT)
        yield lines
        _, err = tracer.communicate(timeout=process.TIMEOUT)
    if tracer.returncode:
        raise RuntimeError(f"strace: {err}")
    lines += trace.read_text(errors="replace").splitlines()


def _tracer_of(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    return status.partition("TracerPid:")[2].split()[0]


def points(run: Traced, place: Place) -> list[Point]:
    """Every call that touches the place, in order, and every answer of a server; it has to work on this copy."""
    done, lines = run(["-y", "-e", "trace=" + ",".join((*CALLS, ANSWER))], lambda: None)
    if done.code or done.beside:
        raise RuntimeError(f"it fails without any fault: {done}")
    counts: dict[tuple[str, str], int] = {}
    found: list[tuple[str, str, int, str]] = []
    for line in lines:
        if (match := _BEGIN.match(line)) is None:
            continue  # the second half of a call, or a signal
        thread, call, rest = match.groups()
        counts[thread, call] = number = counts.get((thread, call), 0) + 1
        if str(place.folder) in rest or call == ANSWER:
            found.append((thread, call, number, _readable(rest, place)))
    first = next(iter(counts))[0]
    return _pointed(found, first, {call: number for (thread, call), number in counts.items() if thread == first})


def _pointed(found: list[tuple[str, str, int, str]], first: str, in_first: dict[str, int]) -> list[Point]:
    """Calls of other threads are numbered behind all of the first thread's; each number once, whichever thread it is."""
    unique: dict[tuple[str, int], Point] = {}
    for thread, call, number, what in found:
        padding = in_first.get(call, 0) + 20 if thread != first and process.can_pad(call) else 0
        unique.setdefault((call, number + padding), Point(call, number + padding, padding, what))
    return list(unique.values())


def _readable(rest: str, place: Place) -> str:
    folder = str(place.folder)
    if folder not in rest:
        return "an answer"
    shown = [part.removeprefix(folder) for part in re.findall(r'[<"]([^>"]*)[>"]', rest) if folder in part]
    return _VARIES.sub("…", " → ".join(shown))[:110]


def _pad(point: Point) -> None:
    if point.padding:
        process.pad_threads(point.call, point.padding)


def inject(run: Traced, point: Point, fault: str, *, from_then_on: bool = False) -> Result:
    """Run it with a fault (`signal=KILL`, `error=EIO`) at a point."""
    when = f"{point.number}+" if from_then_on else str(point.number)
    options = ["-e", f"trace={point.call}", "-e", f"inject={point.call}:{fault}:when={when}"]
    done, lines = run(options, partial(_pad, point))
    return done._replace(reached=done.reached or any("(INJECTED)" in line for line in lines))
