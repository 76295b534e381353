"""Every command in places of odd kinds: what it answers, and that nothing is lost.

    python -m tests.guarantees.places [--places exfat,full] [--folder DIR]

The places are exFAT, NTFS and FAT by FUSE, a file system where everything is 777, a tmpfs that is filled to its last block,
a repository that may only be read, and an S3 server that accepts and never answers. Needs root and /dev/fuse. A command ends
with the code that is expected there, and if it fails with one sentence of ours.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.guarantees.faults.trial import scratch_folder
from tests.support.checks import check
from tests.support.commands import environment
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import fill

_SIZE = 64 << 20
_MOST_SECONDS = 120
"""What a command may take where a server is silent."""


class Missing(Exception):
    """Why a place can't be tried here."""


class Outcome(NamedTuple):
    """What a command did."""

    command: str
    code: int
    said: str
    """the first line on stderr, if it failed"""
    seconds: float
    wrong: str | None
    """why that isn't right there"""


def _call(*command: object) -> None:
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        raise Missing(f"{command[0]} is not installed") from error
    if done.returncode:
        raise Missing(f"`{' '.join(map(str, command))}` fails here: {(done.stderr or done.stdout).strip()[:200]}")


@contextmanager
def _mounted(folder: Path, *command: object) -> Iterator[Path]:
    if os.geteuid():
        raise Missing("only root may mount")
    folder.mkdir(exist_ok=True)
    _call(*command)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _image(folder: Path, *command: object) -> Path:
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(_SIZE)
    _call(*command, image)
    return image


@contextmanager
def _exfat(folder: Path) -> Iterator[Path]:
    image = _image(folder, "mkfs.exfat")
    device = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True).stdout.strip()
    if not device:
        raise Missing("there is no loop device")
    try:
        with _mounted(folder / "disk", "mount.exfat-fuse", device, folder / "disk") as disk:
            yield disk
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


@contextmanager
def _ntfs(folder: Path) -> Iterator[Path]:
    image = _image(folder, "mkfs.ntfs", "-F", "-Q")
    with _mounted(folder / "disk", "ntfs-3g", "-o", "windows_names", image, folder / "disk") as disk:
        yield disk


@contextmanager
def _fat(folder: Path) -> Iterator[Path]:
    """By the kernel alone: fusefat 0.1a loses what is in a folder that is renamed."""
    if "vfat" not in Path("/proc/filesystems").read_text():
        raise Missing("this kernel has no vfat")
    image = _image(folder, "mkfs.vfat")
    with _mounted(folder / "disk", "mount", "-o", "loop", image, folder / "disk") as disk:
        yield disk


@contextmanager
def _open_to_all(folder: Path) -> Iterator[Path]:
    (folder / "behind").mkdir()
    with _mounted(folder / "disk", "bindfs", "-p", "0777", folder / "behind", folder / "disk") as disk:
        yield disk


@contextmanager
def _full(folder: Path) -> Iterator[Path]:
    with _mounted(folder / "disk", "mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder / "disk") as disk:
        yield disk


@contextmanager
def _read_only(folder: Path) -> Iterator[Path]:
    (folder / "disk").mkdir()
    with _mounted(folder / "disk", "mount", "--bind", folder / "disk", folder / "disk") as disk:
        yield disk


def _make_read_only(disk: Path) -> None:
    _call("mount", "-o", "remount,bind,ro", disk)


COMMANDS = {
    "put": ["put", "{source}", "-n", "data"],
    "put again": ["put", "{source}", "-n", "data"],
    "put changed": ["put", "{changed}", "-n", "data"],
    "get here": ["get", "data", "--root", "{disk}/out"],
    "get again": ["get", "data", "--root", "{disk}/out"],
    "get away": ["get", "data", "--root", "{away}/out"],
    "verify": ["verify", "data", "{away}/out"],
    "ls": ["ls"],
    "show": ["show", "data"],
    "log": ["log", "data"],
    "cat": ["cat", "data", "a"],
    "diff": ["diff", "data:v0", "data:latest"],
    "status": ["status"],
    "export": ["export", "data", "-o", "{disk}/data.tar"],
    "alias": ["alias", "data:v0", "good"],
    "tag": ["tag", "data:v0", "t"],
    "edit": ["edit", "data:v0", "-d", "text"],
    "cp": ["cp", "data:v0", "copy"],
    "mv": ["mv", "copy", "moved"],
    "link": ["link", "data:v0", "registry-models/prod"],
    "remote add": ["remote", "add", "r", "{disk}/remote", "--init"],
    "remote allow": ["remote", "allow"],
    "push": ["push", "r"],
    "fetch": ["fetch", "r"],
    "pull": ["pull", "r"],
    "clone here": ["clone", "{store}", "{disk}/clone"],
    "clone away": ["clone", "{store}", "{away}/clone"],
    "bundle": ["bundle", "create", "{away}/all.bundle"],
    "lock": ["lock", "data", "--file", "{away}/artstore.lock"],
    "du": ["du"],
    "fsck": ["fsck"],
    "doctor": ["doctor"],
    "get odd names": ["get", "odd", "--root", "{disk}/odd"],
    "get other names": ["get", "odd", "--root", "{disk}/others", "--exclude", "*[?:]*"],
    "rm": ["rm", "data:v1"],
    "undelete": ["undelete", "data:v1"],
    "rm again": ["rm", "data:v1"],
    "gc": ["gc", "--now"],
    "gc, waiting": ["gc"],
    "prune": ["prune", "data", "--keep", "last:1, aliased"],
}

SILENT = {
    "remote add": ["remote", "add", "z", "s3://bucket/x"],
    "remote add --init": ["remote", "add", "z", "s3://bucket/x", "--init"],
    "push": ["push", "s"],
    "pull": ["pull", "s"],
    "fetch": ["fetch", "s"],
    "clone": ["clone", "s3://bucket/x", "{away}/clone"],
    "ls": ["ls", "--from", "s3://bucket/x"],
    "get": ["get", "data", "--from", "s3://bucket/x"],
    "put": ["put", "s3://bucket/key", "-n", "r"],
    "put all": ["put", "s3://bucket/below/", "-n", "r"],
    "fsck": ["fsck", "s"],
    "gc": ["gc", "s"],
    "du": ["du", "s"],
}


class Kind(NamedTuple):
    """A kind of place."""

    make: Callable[[Path], AbstractContextManager[Path]]
    expected: dict[str, int]
    """the codes of commands that don't end with 0"""
    spoil: Callable[[Path], object] = lambda disk: None
    """what is done to the place once it holds a repository with two versions"""


_NETWORK = {"gc": 3, "doctor": 1}
"""Others may write there, so nothing is collected without waiting."""
_NAMES = {"get odd names": 5}
_FULL = dict.fromkeys(
    ("put", "put again", "get here", "get again", "get odd names", "get other names", "export", "push", "clone here"), 9
) | {"doctor": 1}
_READ_ONLY = dict.fromkeys(
    (
        "put", "put again", "put changed", "get here", "get again", "get odd names", "get other names", "export", "alias", "tag", "edit", "cp", "link",
        "remote add", "clone here", "rm", "rm again", "gc", "gc, waiting", "prune",
    ), 9,
) | {"mv": 4, "push": 4, "fetch": 4, "pull": 4, "undelete": 5, "doctor": 1}  # fmt: skip
"""What the commands before them could not make is not there."""
KINDS = {
    "exfat": Kind(_exfat, _NETWORK | _NAMES),
    "ntfs": Kind(_ntfs, _NETWORK | _NAMES),
    "fat": Kind(_fat, _NAMES | {"doctor": 1}),
    "777": Kind(_open_to_all, _NETWORK),
    "full": Kind(_full, _FULL, fill),
    "read-only": Kind(_read_only, _READ_ONLY, _make_read_only),
}


def run(arguments: list[str], cwd: Path, store: Path, **more: str) -> tuple[int, str, float]:
    """Code, first line on stderr, seconds."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "artstore", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment(cwd, ARTSTORE_DIR=str(store), **more), capture_output=True, text=True,
        timeout=_MOST_SECONDS,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")] or done.stderr.splitlines()
    return done.returncode, lines[0] if lines and done.returncode else "", time.monotonic() - begun


def _judged(command: str, code: int, said: str, seconds: float, expected: int) -> Outcome:
    wrong = None
    if code != expected:
        wrong = f"exit {code}, expected {expected}"
    elif code not in (0, 1) and not said.startswith("error: "):
        wrong = "no sentence of ours"
    return Outcome(command, code, said, seconds, wrong)


def tried(name: str, folder: Path) -> Iterator[Outcome]:
    """All commands in one place. Raises Missing if there can't be such a place here."""
    kind = KINDS[name]
    (away := folder / "away").mkdir(parents=True)
    source = make_tree(folder / "source", {"a": "1", "b/c": "2" * 5000, "large": os.urandom(1 << 20)})
    changed = make_tree(folder / "changed", {"a": "2", "b/c": "2" * 5000, "large": os.urandom(1 << 20)})
    with kind.make(folder) as disk:
        store = disk / ".artifacts"
        odd = make_tree(folder / "odd", {"q?": "1", "sub/aa:b": "2", "plain": "3"})
        for content, name in ((source, "data"), (changed, "data"), (odd, "odd")):
            code, said, _ = run(["put", str(content), "-n", name], away, store)
            if code:
                yield Outcome("the first saves", code, said, 0.0, "nothing can be saved")
                return
        kind.spoil(disk)
        places = {"source": source, "changed": changed, "disk": disk, "away": away, "store": store}
        for command, arguments in COMMANDS.items():
            filled = [part.format(**places) for part in arguments]
            yield _judged(command, *run(filled, away, store), kind.expected.get(command, 0))
        yield _nothing_lost(source, store, away)


def _nothing_lost(source: Path, store: Path, away: Path) -> Outcome:
    code, said, seconds = run(["get", "data:v0", "--root", str(away / "last")], away, store)
    wrong = None
    if code or _contents(away / "last") != _contents(source):
        wrong = "data:v0 is not what was saved"
    else:
        check(store)
    return Outcome("v0 at the end", code, said, seconds, wrong)


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {path: found[1] if found else None for path, found in snapshot(folder).items()}


def silent(folder: Path) -> Iterator[Outcome]:
    """All commands that contact a bucket, at once, with a server that accepts and never answers."""
    (away := folder / "away").mkdir(parents=True)
    store = folder / ".artifacts"
    make_tree(folder / "source", {"a": "1"})
    run(["put", str(folder / "source"), "-n", "data"], away, store)
    with (store / "config").open("a") as config:
        config.write('[remote "s"]\nurl = s3://bucket/x\n')
    with _accepting() as endpoint, ThreadPoolExecutor(len(SILENT)) as pool:
        more = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        jobs = {
            command: pool.submit(run, [part.format(away=away) for part in arguments], away, store, **more)
            for command, arguments in SILENT.items()
        }
        for command, job in jobs.items():
            outcome = _judged(command, *job.result(), 9)
            if outcome.wrong is None and "did not answer in time" not in outcome.said:
                outcome = outcome._replace(wrong="it doesn't say that nobody answered")
            yield outcome


@contextmanager
def _accepting() -> Iterator[str]:
    """A server that accepts connections, and keeps them."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:

        def accept() -> None:
            try:
                while True:
                    kept.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            for connection in kept:
                connection.close()


def report(found: dict[str, list[Outcome]]) -> str:
    """The matrix: a row for each command, a column for each place; then each sentence, with where it was said."""
    names = list(found)
    commands = dict.fromkeys(outcome.command for outcomes in found.values() for outcome in outcomes)
    cells = {(name, outcome.command): outcome for name, outcomes in found.items() for outcome in outcomes}
    lines = [f"{'COMMAND':18}" + "".join(f"{name:>11}" for name in names)]
    for command in commands:
        codes = (f"{cells[name, command].code if (name, command) in cells else '-':>11}" for name in names)
        lines.append(f"{command:18}" + "".join(codes))
    lines += [f"{'SLOWEST, s':18}" + "".join(f"{max(o.seconds for o in found[name]):11.1f}" for name in names)]
    lines += [f"{name}, {outcome.command}: {outcome.said}" for name in names for outcome in found[name] if outcome.said]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--places", default=",".join([*KINDS, "silent"]), help="which, by commas (default: all)")
    parser.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    options = parser.parse_args()
    found: dict[str, list[Outcome]] = {}
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder(options.folder))
        for name in options.places.split(","):
            try:
                found[name] = list(silent(scratch / name) if name == "silent" else tried(name, scratch / name))
            except Missing as reason:
                print(f"{name} is not tried: {reason}", flush=True)
            shutil.rmtree(scratch / name, ignore_errors=True)
    wrong = [(name, outcome) for name, outcomes in found.items() for outcome in outcomes if outcome.wrong]
    if found:
        print(report(found))
    for name, outcome in wrong:
        print(f"WRONG: {name}, {outcome.command}: {outcome.wrong}")
    print(f"{sum(map(len, found.values()))} commands in {len(found)} places, {len(wrong)} wrong")
    return int(bool(wrong) or not found)


if __name__ == "__main__":
    sys.exit(main())
