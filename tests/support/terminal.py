"""Commands on a pseudo-terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.commands import environment


def on_terminal(work: Path, *args: str, columns: int = 80, setup: str = "", **more: str) -> tuple[int, str]:
    """Exit code and all that appears on a pseudo-terminal."""
    master, slave = pty.openpty()
    env = environment(work, **{"NO_COLOR": "", "TERM": "xterm", "COLUMNS": str(columns)} | more)
    code = f"{setup}\nimport sys\nfrom artstore.cli import main\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args], cwd=work, env=env, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b"".join(_read(master, process))
    return process.wait(10), shown.decode().replace("\r\n", "\n")


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
