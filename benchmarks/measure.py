"""Measuring one whole process: wall clock, processor time, bytes read and written, and its peak of anonymous memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.010


class CommandError(Exception):
    """A command ended with an error; the text is its exit code and the last line it wrote to stderr."""

    def __init__(self, exit_code: int, stderr: str) -> None:
        lines = stderr.strip().splitlines() or [""]
        super().__init__(f"exit code {exit_code}: {lines[-1][:500]}")


@dataclass(frozen=True)
class Command:
    """What to time: the process, what it shall find in the page cache, and the folder that it makes (removed later)."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    reads: tuple[Path, ...] = ()
    makes: Path | None = None


@dataclass(frozen=True)
class Run:
    """One timed run. `read` and `written` count system calls' bytes and pages made dirty, children included."""

    seconds: float
    user_seconds: float
    system_seconds: float
    read_bytes: int
    written_bytes: int
    peak_anon_bytes: int | None
    load: float


def warm(*roots: Path) -> None:
    """Read everything once, so that the page cache holds it."""
    for root in roots:
        for path in _files(root):
            with open(path, "rb", 0) as stream:
                while stream.read(1 << 24):
                    pass


def drop_page_cache() -> None:
    """Make the next run a cold one (needs root)."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def measure(command: Command, *, memory: bool = False, cold: bool = False, flush: bool = True) -> Run:
    """Time the command from its start until it has ended.

    What earlier runs wrote is flushed before, so that no command pays for another's; without `flush` it does pay.
    """
    if cold:
        drop_page_cache()
    elif flush:
        warm(*command.reads)
        os.sync()
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            env={**os.environ, **command.env},
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        sampler = AnonSampler(process.pid) if memory else None
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        seconds = time.perf_counter() - start
        counts = _io_counts(process.pid)  # a process that has ended keeps its counts until it is waited for
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = sampler.stop() if sampler else None
        if process.returncode:
            stderr.seek(0)
            raise CommandError(process.returncode, stderr.read().decode(errors="replace"))
    return Run(seconds, usage.ru_utime, usage.ru_stime, counts["rchar"], counts["write_bytes"], peak, load)


def run_untimed(command: Command) -> str:
    """Run a command that only prepares; returns what it printed."""
    env = {**os.environ, **command.env}
    done = subprocess.run(command.argv, check=False, env=env, cwd=command.cwd, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(done.returncode, done.stderr)
    return done.stdout


class AnonSampler:
    """Follows the anonymous memory (RssAnon) of a process and its children, every 10 ms, and keeps the highest sum."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, sum(_anon_bytes(pid) for pid in _family(self._pid)))

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak


def _family(pid: int) -> list[int]:
    pids = [pid]
    for parent in pids:  # grows while it is walked
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                pids.extend(int(child) for child in Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
        except OSError:
            continue  # it has ended meanwhile
    return pids


def _anon_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)
    except OSError:
        return 0


def _io_counts(pid: int) -> dict[str, int]:
    pairs = (line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return {key: int(value) for key, value in pairs}


def _files(root: Path) -> Iterator[str]:
    if root.is_file():
        yield str(root)
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield path
