"""Power cuts: a file system's image is copied in one instant while a writer is at work in it; the copy is what a cut leaves.

    python -m tests.guarantees.faults.powercut [--cuts 10] [--file-systems ext4,xfs,btrfs] [--served] [--folder DIR]

Needs root, loop devices and the mkfs programs. The images lie on a btrfs of their own, so that `cp --reflink=always`
copies them at one point of time, with every block that the device was given by then (a drive that keeps its order). What
was acknowledged before that moment must be in the copy, whole, once its journal is replayed. With `--served` the
repository in the image is served, and the writer pushes to it from one of its own elsewhere.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from artstore.backends.credentials import ADDRESS, TOKEN
from artstore.domain.roles import Role
from artstore.server.audit import Audit
from artstore.server.tokens import Tokens
from tests.guarantees.faults import process, strace
from tests.guarantees.faults.place import Findings, Ledger, Place
from tests.guarantees.faults.trial import scratch_folder
from tests.guarantees.faults.writer import NAMES, acknowledged, files
from tests.support.served import serving

_HOST_SIZE, _GUEST_SIZE = 12 << 30, 600 << 20
_OF_ONE = 25
"""Cuts of one writer, which fills its image in about a hundred seconds."""
_SPACE = 3 << 30
"""Bytes of the images that the scratch folder must have room for (they are sparse)."""
_MKFS = {"ext4": ["-q", "-F"], "xfs": ["-q", "-f"], "btrfs": ["-q", "-f"]}


class Cut(NamedTuple):
    acknowledged: int
    """versions that must be there"""
    findings: Findings


def missing() -> str | None:
    if os.geteuid() != 0:
        return "only root may mount images"
    programs = ("mount", "umount", "losetup", "cp", *(f"mkfs.{name}" for name in _MKFS))
    absent = [name for name in programs if subprocess.run(["which", name], capture_output=True).returncode]
    return f"{', '.join(absent)} not installed" if absent else None


def _call(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """An image mounted by a loop device, which goes with the mount."""
    folder.mkdir(exist_ok=True)
    _call("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        for _ in range(50):
            if subprocess.run(["umount", folder], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)  # somebody who was just killed still holds it
        else:
            _call("umount", "--lazy", folder)


def make_image(path: Path, kind: str, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    _call(f"mkfs.{kind}", *_MKFS[kind], path)
    return path


@contextmanager
def writing(store: Path, ledger: Path, seed: str, *, by_server: bool) -> Iterator["subprocess.Popen[str]"]:
    """A writer at work, maybe as a client of a server; killed in the end."""
    with ExitStack() as stack:
        told = {}
        if by_server:
            server = stack.enter_context(serving(store.parent, dies=True))
            told = {TOKEN: server.token("writer", Role.ADMIN).secret or "", ADDRESS: server.url}
        module = f"tests.guarantees.faults.{'pusher' if by_server else 'writer'}"
        command = [sys.executable, "-m", module, str(store), str(ledger), seed]
        writer = stack.enter_context(
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **told})
        )
        try:
            yield writer
        finally:
            writer.send_signal(signal.SIGKILL)


def cuts(kind: str, count: int, scratch: Path, host: Path, *, by_server: bool = False) -> Iterator[Cut]:
    """Cut `count` times: a few while one writer works, then a few of another in a new image, which would be full."""
    for done in range(0, count, _OF_ONE):
        yield from _cuts_of_one(kind, min(_OF_ONE, count - done), scratch, host, by_server)


def _cuts_of_one(kind: str, count: int, scratch: Path, host: Path, by_server: bool) -> Iterator[Cut]:
    """Cut while one writer works, then look at each copy."""
    ledger = scratch / f"{kind}.ledger"
    ledger.write_text("")
    image = make_image(host / f"{kind}.image", kind, _GUEST_SIZE)
    copies: list[tuple[Path, list[str], list[str]]] = []
    chance = random.Random(kind)
    with mounted(image, scratch / kind) as guest:
        place = Place(guest / "place")
        place.folder.mkdir()
        strace.run(["init"], place)
        _call("sync", "-f", guest)
        with writing(place.store, ledger, f"{kind}{time.time_ns()}", by_server=by_server) as writer:
            for number in range(count):
                time.sleep(chance.uniform(0.3, 3))
                if writer.poll() is not None:
                    raise RuntimeError(f"the writer ended: {writer.communicate()[1][-2000:]}")
                before = _lines(ledger)
                copy = host / f"{kind}.{number}"
                _call("cp", "--reflink=always", image, copy)
                copies.append((copy, before, _lines(ledger)[len(before) :]))
    for copy, lines, later in copies:  # btrfs knows devices by an id that copies share: only when the original is away
        with mounted(copy, scratch / f"{kind}.copy") as guest:
            cut = look(Place(guest / "place"), acknowledged(lines, later))
            yield cut._replace(findings=cut.findings.and_wrong(of_server(guest / "place", lines) if by_server else []))
        if kind == "btrfs":
            _call("btrfs", "device", "scan", "--forget")
        copy.unlink()
    image.unlink()


def _lines(ledger: Path) -> list[str]:
    return ledger.read_text().rpartition("\n")[0].splitlines()


def look(place: Place, ledger: Ledger) -> Cut:
    """All acknowledged is there; then it is written to and collected, and all is there still."""
    found = process.in_child(lambda: place.check(ledger))
    place.write(files("after the cut"))
    wrong = []
    for arguments in (["put", str(place.source), "-n", NAMES[0]], ["gc", "--now"]):
        done = strace.run(arguments, place)
        if done.code or "because of open work" in done.out:
            wrong.append(f"{arguments[0]} after the cut: exit {done.code}, {done.out}{done.err}".strip())
    again = process.in_child(lambda: place.check(ledger))
    lost = list(dict.fromkeys(found.lost + again.lost))
    return Cut(len(ledger.versions), Findings(lost, list(dict.fromkeys(found.wrong + wrong + again.wrong))))


def of_server(folder: Path, lines: list[str]) -> list[str]:
    """What is wrong with what the server of a repository keeps: its tokens, and an audit with all it acknowledged."""
    server = str(folder / ".artifacts.server")
    audit = Audit(server)
    problems = [f"audit: {problem}" for problem in audit.check()]
    if [token.name for token in Tokens(server).all()] != ["writer"]:
        problems.append("the tokens are gone")
    told = {
        (record.subject or "").partition(":")[0].rpartition("/")[2] + word.strip(",")
        for record in audit.records(operation="append")
        if record.outcome == "201"
        for word in (record.subject or "").split()
    }
    saved = [values for values in map(json.loads, lines) if values[0] == "saved"]
    return problems + [f"audit: it doesn't tell of {name}:v{n}" for _, name, n, _ in saved if f"{name}v{n}" not in told]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", type=int, default=10, help="per file system (default: 10)")
    parser.add_argument("--file-systems", default=",".join(_MKFS), help="which, by commas (default: all)")
    parser.add_argument("--served", action="store_true", help="of a server, to which the writer pushes")
    parser.add_argument("--folder", help="where to put the images (default: the system's folder for temporary files)")
    options = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    signal.signal(signal.SIGTERM, _interrupt)
    process.import_all()
    rows, failed = [f"{'FILE SYSTEM':11} {'CUTS':>5} {'ACKNOWLEDGED':>12} {'LOST':>5} {'DANGLING':>8}"], False
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder(options.folder))
        status = os.statvfs(scratch)
        if status.f_bavail * status.f_frsize < _SPACE:
            sys.exit(f"{scratch} has no room for the images")
        host = stack.enter_context(mounted(make_image(scratch / "host", "btrfs", _HOST_SIZE), scratch / "mounted"))
        for kind in options.file_systems.split(","):
            done = []
            for cut in cuts(kind, options.cuts, scratch, host, by_server=options.served):
                done.append(cut)
                for problem in (*cut.findings.lost, *cut.findings.wrong):
                    print(f"{kind}, cut {len(done)}: {problem}", flush=True)
            lost = sum(
                len({text.split()[0] for text in cut.findings.lost}) for cut in done
            )  # by version, not by reader
            wrong = sum(len(cut.findings.wrong) for cut in done)
            versions = sum(cut.acknowledged for cut in done)
            rows.append(f"{kind:11} {len(done):5} {versions:12} {lost:5} {wrong:8}")
            failed |= bool(lost or wrong or not done)
    print("\n".join(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
