"""The command line in forked children of a warm process: a real process each, without the price of Python's start.

The process that forks must stay single-threaded. BLAKE3 starts threads for large files, so whatever reads a repository
is done in a child as well.
"""

import ctypes
import importlib
import os
import pickle
import pkgutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import artstore
from artstore import cli

T = TypeVar("T")

TIMEOUT = 60
"""Seconds after which a child is ended by SIGALRM: it hangs."""

_NULL = "/dev/null"
_PR_SET_PTRACER = 0x59616D61  # prctl(2): where Yama restricts ptrace, let any process of ours attach
_LATER = (
    "concurrent.futures.thread", "configparser", "difflib", "filelock", "getpass", "mmap", "shlex",
    "anyio._backends._asyncio", "uvicorn.lifespan.on", "uvicorn.loops.auto",
)  # fmt: skip
"""What commands and servers import when they need it."""
_CALLS: dict[str, Callable[[int], object]] = {
    "openat": lambda fd: os.close(os.open(_NULL, os.O_RDONLY)),
    "read": lambda fd: os.read(fd, 1),
    "pread64": lambda fd: os.pread(fd, 1, 0),
    "readv": lambda fd: os.readv(fd, [bytearray(1)]),
    "write": lambda fd: os.write(fd, b""),
    "newfstatat": lambda fd: os.stat(_NULL),
    "fstat": os.fstat,
    "fsync": os.fsync,
    "copy_file_range": lambda fd: os.copy_file_range(fd, fd, 1),
}
"""A harmless call of each kind (a failing one counts too)."""


class Result(NamedTuple):
    code: int
    """negative: the signal that ended it"""
    out: str
    err: str
    reached: bool = True
    """whether the fault happened"""
    beside: tuple[str, ...] = ()
    """what was wrong with the server that the command talked to"""


class Started(NamedTuple):
    pid: int
    folder: Path

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def result(self) -> Result:
        """Wait for its end."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Result(code, out, err)


def start(
    arguments: list[str],
    environment: dict[str, str],
    folder: Path,
    *,
    stopped: bool = False,
    before: Callable[[], None] = lambda: None,
) -> Started:
    """Run the command line with its output in `folder`, `before` it something else; `stopped`: then it waits for SIGCONT."""
    if not (pid := os.fork()):
        _command(arguments, environment, folder, stopped, before)
    return Started(pid, folder)


def _command(
    arguments: list[str], environment: dict[str, str], folder: Path, stopped: bool, before: Callable[[], None]
) -> NoReturn:
    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir("/")  # so that traces show whole paths
        for fd, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)
        sys.argv = ["artstore", *arguments]
        signal.alarm(TIMEOUT)
        before()
        if stopped:
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
        code = _main()
    finally:
        os._exit(code)


def _main() -> int:
    """As Python ends a program: an exception that nobody caught is a traceback and 1."""
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        return 1
    sys.stdout.flush()
    return code if isinstance(code, int) else int(code is not None)


def pad_threads(call: str, count: int) -> None:
    """Let every thread but the first make so many harmless calls before it begins.

    strace counts per thread, with one number for all: without this, a fault for a thread's third `openat` would always
    meet the main thread's third.
    """
    start = threading.Thread.start

    def pad() -> None:
        fd = os.open(_NULL, os.O_RDWR)
        for _ in range(count - (call == "openat")):
            try:
                _CALLS[call](fd)
            except OSError:
                continue
        os.close(fd)

    def padded(self: threading.Thread) -> None:
        run = self.run  # that of the thread itself, whose class may have its own

        def both() -> None:
            pad()
            run()

        self.run = both  # type: ignore[method-assign]
        start(self)

    threading.Thread.start = padded  # type: ignore[method-assign]


def can_pad(call: str) -> bool:
    return call in _CALLS


def import_all() -> None:
    """Import the package, and what it imports when needed: faults are to meet the command, not Python's imports.

    Callbacks of frameworks, which no command imports, are left out: each needs its framework.
    """
    found = [module.name for module in pkgutil.walk_packages(artstore.__path__, "artstore.")]
    ours = [name for name in found if not any(f".{part}." in name for part in ("frameworks", "integration", "faces"))]
    for name in (*ours, *_LATER):
        if not name.endswith("__main__"):
            importlib.import_module(name)


def in_child(work: Callable[[], T]) -> T:
    """What `work` returns, in a forked child: the threads that it starts are none of ours."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        try:
            signal.alarm(TIMEOUT)
            with open(writer, "wb") as out:
                pickle.dump(work(), out)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read()
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise RuntimeError(f"a check failed: exit {code}")
    result: T = pickle.loads(data)
    return result
