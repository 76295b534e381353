"""Faults for tests: commands in processes of their own with limits, signals and injected errors, and file systems to mount."""

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from artstore.backends import naming
from tests.support.commands import Result, environment

MAIN = "import sys\nfrom artstore.cli import main\nmain()"

# Without these two capabilities root is told `permission denied` as anybody else.
UNPRIVILEGED = """
import ctypes, os, sys
if os.geteuid() == 0 and not os.environ.get('DROPPED'):
    for capability in (1, 2, 3, 9):  # DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, LINUX_IMMUTABLE
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
    os.environ['DROPPED'] = '1'
    os.execv(sys.executable, sys.orig_argv)
"""


def limited(name: str, value: int) -> str:
    return f"import resource\nresource.setrlimit(resource.{name}, ({value}, {value}))\n"


def at_call(name: str, number: int, action: str, condition: str = "True") -> str:
    """Setup code: at the number-th call of os.NAME for which `condition` (of its `args`) holds, `action` runs first."""
    return f"""
import os, signal, sys, time  # used by actions
_real, _seen = os.{name}, [0]
def _hooked(*args, **kwargs):
    if {condition}:
        _seen[0] += 1
        if _seen[0] == {number}:
            {action}
    return _real(*args, **kwargs)
os.{name} = _hooked
"""


def start(
    tmp_path: Path, *args: Any, setup: str = "", prefix: tuple[str, ...] = (), **more: str
) -> "subprocess.Popen[str]":
    """Begin `artstore ARGS…` as a process that first runs `setup`."""
    command = [*prefix, sys.executable, "-c", f"{setup}\n{MAIN}", *map(str, args)]
    return subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="surrogateescape",
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]", timeout: float = 60) -> Result:
    """Its result; a command that hangs is killed and fails the test."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail(f"hung for {timeout} s: {process.args[-3:]}")  # type: ignore[index]
    assert "Traceback" not in err, err
    return Result(subprocess.CompletedProcess(process.args, process.returncode, out, err))


def run(tmp_path: Path, *args: Any, timeout: float = 60, **options: Any) -> Result:
    return finish(start(tmp_path, *args, **options), timeout)


def injected(what: str, path: Path | None = None, log: Path | None = None) -> tuple[str, ...]:
    """A command prefix that makes the kernel's answers be `what` (strace's --inject), for calls on `path` only; skips without strace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    call = what.partition(":")[0]
    where = ("-P", str(path)) if path else ()
    return ("strace", "-f", "-qq", "-o", str(log or os.devnull), *where, "-e", f"trace={call}", "-e", f"inject={what}")


# -- file systems --------------------------------------------------------------------------------


def _mounting(*command: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"`{' '.join(command[:3])}` is not permitted here: {done.stderr.strip()}")


@contextmanager
def mounted(target: Path, *options: str, by: str = "mount") -> Iterator[Path]:
    """`mount OPTIONS TARGET`, or another program than `mount`, until the block ends."""
    target.mkdir(parents=True, exist_ok=True)
    _mounting(by, *options, str(target))
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


def small_disk(target: Path, size: str = "8m") -> Any:
    return mounted(target, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder that is read-only in place, by a bind mount upon itself."""
    with mounted(folder, "--bind", str(folder)):
        _mounting("mount", "-o", "remount,bind,ro", str(folder))
        yield folder


@contextmanager
def disk_image(image: Path, kind: str, size: int, target: Path) -> Iterator[Path]:
    """A fresh file system of its own in a file."""
    with image.open("wb") as file:
        file.truncate(size)
    _mounting(f"mkfs.{kind}", "-q", str(image))
    with loop_mounted(image, target):
        yield target


def loop_mounted(image: Path, target: Path) -> Any:
    return mounted(target, "-o", "loop", str(image))


def cut_power(folder: Path) -> None:
    """What was not synced is lost and every later write fails, as when the machine stops (ext4 and XFS: GOINGDOWN without flushing the log)."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))
    except OSError as error:
        pytest.skip(f"this file system can't be shut down: {error}")
    finally:
        os.close(fd)


def fill(disk: Path) -> Path:
    """Take all space that is left; the file that does."""
    hog = disk / "hog"
    with hog.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            pass
    return hog


MIB = 1 << 20


def image(tmp_path: Path, kind: str, size: int, *options: str, mount: str = "loop") -> Any:
    """A fresh file system in a file, mounted; skips where that can't be."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(size)
    try:
        done = subprocess.run([f"mkfs.{kind}", *options, str(path)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"mkfs.{kind} is not installed")
    if done.returncode:
        pytest.skip(f"mkfs.{kind} {' '.join(options)} is not possible here: {done.stderr.strip()}")
    return mounted(tmp_path / "disk", "-t", kind, "-o", mount, str(path))


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, file systems have neither hard links nor renames that refuse to replace, like exFAT by FUSE."""

    def refuse(number: int) -> Any:
        def call(*_: Any, **__: Any) -> None:
            raise OSError(number, os.strerror(number))

        return call

    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    monkeypatch.setattr(naming, "rename_new", refuse(errno.EINVAL))
