"""Commands and scripts on a pseudo-terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from artstore.domain.screen import Screen
from tests.support.commands import environment

CLOCK = """
import artstore.api.progress.bar as bar
class time:
    now = 0.0
    @classmethod
    def monotonic(cls):
        cls.now += 0.3
        return cls.now
bar.time = time
"""
"""A clock on which every look of a progress bar takes 0.3 s. Code to run before a script or command."""


def on_terminal(work: Path, *args: str, columns: int = 80, setup: str = "", **more: str) -> tuple[int, str]:
    """Exit code of a command, and all that appears on a pseudo-terminal."""
    code = f"{setup}\nimport sys\nfrom artstore.cli import main\nmain()"
    return script_on_terminal(work, code, *args, COLUMNS=str(columns), **more)


def script_on_terminal(work: Path, code: str, *args: str, **more: str) -> tuple[int, str]:
    """Exit code of a Python script, and all that appears on a pseudo-terminal."""
    master, slave = pty.openpty()
    env = environment(work, **{"NO_COLOR": "", "TERM": "xterm", "COLUMNS": "80"} | more)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args], cwd=work, env=env, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b"".join(_read(master, process))
    return process.wait(10), shown.decode().replace("\r\n", "\n")


def screen_of(text: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    screen = Screen()
    return [line.rstrip() for line in [*screen.feed(text), *screen.lines]]


def _read(master: int, process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                yield os.read(master, 1 << 16)
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(master)
        if process.poll() is None and time.monotonic() >= deadline:
            process.kill()
