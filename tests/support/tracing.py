"""System calls of a command, as strace prints them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from artstore.store.statcache import clock_tick
from tests.support.commands import environment


def trace(tmp_path: Path, calls: str, *args: object, code: int = 0) -> list[str]:
    """The lines that strace prints of the calls of a command, which ends with this exit code."""
    log = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-y",
        "-o",
        str(log),
        "-e",
        f"trace={calls}",
        sys.executable,
        "-m",
        "artstore",
        *map(str, args),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("ptrace is not permitted here")
    assert done.returncode == code, done.stderr
    return log.read_text(errors="replace").splitlines()


def opened_below(lines: list[str], folder: Path) -> list[str]:
    """Regular files opened below a folder (folders are opened to be listed)."""
    return [line for line in lines if f"<{folder}" in line.partition("= ")[2] and "O_DIRECTORY" not in line]


def age(folder: Path) -> None:
    time.sleep(4 * clock_tick(str(folder)) / 1e9)
