"""Processes in the background: each runs a function of this package, and outlives the process that started it."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from artstore.errors import StorageError

_PYTHONS = "python", "pypy"
"""Beginnings of the names of interpreters. Another program, which only embeds Python, would start itself again."""


def start(module: str, arguments: list[str], stdin: int, environment: Mapping[str, str]) -> None:
    """Call `main` of a module of this package in a process of its own session. Cost: two processes.

    A shell puts it into the background and ends. So it isn't a child of this process, and leaves no zombie. A shell
    gives a background process no standard input: therefore descriptor 3 carries it. With `-P`, nothing is imported from
    the working folder. The process calls `close_inherited` first: a shell can't.

    Args:
        arguments: `sys.argv` from 2 on.
        stdin: A descriptor. The other two streams are /dev/null: whoever reads ours must not wait for this process.

    Raises:
        StorageError: There is no Python to start, or the system refuses another process.
    """
    if (python := _python()) is None:
        raise StorageError("this program embeds Python, and there is none to start in the background")
    root = sys.modules[__name__.partition(".")[0]].__path__[0]
    program = f"import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"
    worker = [python, "-P", "-c", program, os.path.dirname(root), *arguments]
    command = ["/bin/sh", "-c", '{ "$@" <&3 3<&- & } 3<&0', "sh", *worker]
    actions: list[Any] = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    try:
        try:
            shell = os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)
        except NotImplementedError:  # this C library has no setsid for posix_spawn
            shell = os.posix_spawn(command[0], command, environment, file_actions=actions, setpgroup=0)
    except OSError as error:
        raise StorageError(f"no process could be started in the background: {error.strerror}") from error
    try:
        os.waitpid(shell, 0)
    except ChildProcessError:
        pass  # this process ignores SIGCHLD: then there is no child to wait for


def close_inherited() -> None:
    """Close inherited descriptors but for the three streams: another process may wait for a pipe's end, or for a lock."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass  # the descriptor with which the folder was listed


def _python() -> str | None:
    """The interpreter that runs this process, or the one beside which its library is. None if there is none."""
    if getattr(sys, "frozen", False):  # a program that was made of a script and Python
        return None
    for path in (sys.executable, f"{sys.exec_prefix}/bin/python3"):
        if path and os.path.basename(path).lower().startswith(_PYTHONS) and os.access(path, os.X_OK):
            return path
    return None


def give_way() -> None:
    """Let all other processes go first, for good: with the processor and the disk, and when memory runs out.

    Each is done where the system can. A session of its own has a share of the processor of its own on most desktops
    (autogroup), in which `nice` counts among its own processes alone: so the session is made as nice.
    """
    os.nice(19)
    for path, value in (("/proc/self/autogroup", b"19"), ("/proc/self/oom_score_adj", b"1000")):
        try:
            with open(path, "wb", buffering=0) as file:
                file.write(value)
        except OSError:
            pass
    if (number := _IOPRIO_SET.get((sys.platform, os.uname().machine))) is not None:
        import ctypes

        ctypes.CDLL(None).syscall(number, _THIS_PROCESS, 0, _IDLE)


_IOPRIO_SET = {("linux", "x86_64"): 251, ("linux", "aarch64"): 30, ("linux", "riscv64"): 30}
"""The number of the system call that sets the priority of reads and writes, for which C libraries have no function."""
_THIS_PROCESS, _IDLE = 1, 3 << 13
"""Two of its arguments: what the second argument numbers, and the class of those who wait for an idle disk."""
