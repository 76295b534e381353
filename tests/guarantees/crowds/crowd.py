"""Many processes at work on one repository, each noting in a ledger outside it what was acknowledged; then all is accounted for.

    python -m tests.guarantees.crowds.crowd --processes 8 --operations 100 [--no-locks] [--kill]
    python -m tests.guarantees.crowds.crowd --processes 8 --mixed 60 [--packers] [--no-locks]

The first form: saves, metadata edits and alias moves on one collection. `--kill` ends random workers with SIGKILL and
starts others in their place. The second: all of these, deletions, `gc --now` and merges on three collections that share
content, for so many seconds, with kills. `--packers`: the workers pack, too, and save checkpoints. `--no-locks` makes every file lock fail: flock(2) by injection, lockf in
Python, and half of the workers have a `filelock` that does nothing.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from artstore.domain.properties import Properties
from artstore.domain.tree import DIRECTORY
from artstore.errors import Conflict, Damage, MissingObject, NotFound
from artstore.operations.finding.lookup import Version
from artstore.operations.upkeep.merge import merge
from artstore.repository import Repository
from tests.guarantees.crowds.crowd_accounts import Accounts, content, read_ledgers

_STRACE = (
    "strace",
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "-e",
    "trace=flock",
    "-e",
    "inject=flock:error=ENOLCK",
)
_NO_LOCKF = """import errno, fcntl
def _fails(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = fcntl.lockf = _fails
"""
_NO_FILELOCK = """class Timeout(Exception):
    pass
class FileLock:
    def __init__(self, *_, **__): pass
    def acquire(self, *_, **__): pass
    def release(self, *_, **__): pass
"""
COLLECTIONS = ("one", "two", "three")
_MIX = {"save": 8, "edit": 4, "alias": 4, "rm": 6, "undelete": 2, "read": 4, "gc": 3, "merge": 2}
_PACKERS = {**_MIX, "pack": 6}
CONTENTS = 24
"""Different contents that a mixed crowd saves: few, so that what is collected is wanted again at once."""


# -- a worker ------------------------------------------------------------------------------------


class Worker:
    def __init__(self, root: Path, ledger: Path, name: str) -> None:
        self.repository = Repository(str(root))
        self.name = name
        self.random = random.Random()  # another history after each kill
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.note("begin", pid=os.getpid())

    def note(self, what: str, **fields: Any) -> None:
        """Acknowledge: the line is on the medium when this returns."""
        os.write(self._ledger, (json.dumps({"what": what, **fields}) + "\n").encode())
        os.fsync(self._ledger)

    def save(self, collection: str, key: str) -> None:
        with self.repository.draft() as draft:
            for path, data in content(key).items():
                draft.add_bytes(data, path)
            saved = draft.save(self.repository.path_of(collection)[0])
        self.note(
            "save",
            collection=collection,
            id=saved.id,
            digest=saved.digest,
            number=saved.number,
            key=key,
            new=saved.is_new,
        )
        self.repository.tidy()

    def edit(self, spec: str, key: str) -> None:
        found = self.repository.edit(spec, Properties(metadata={key: self.name}))
        self.note("edit", collection=spec.partition(":")[0], id=found.version["id"], key=key, value=self.name)

    def alias(self, spec: str, alias: str) -> None:
        found = self.repository.set_aliases(spec, (alias,))
        self.note("alias", collection=spec.partition(":")[0], id=found.version["id"], alias=alias)

    def count(self, operations: int, done: int) -> None:
        """So many operations on one collection, the first a save; `done` of them by those whose place this takes."""
        own: list[int] = []
        for number in range(done, operations):
            tag = f"{self.name}-{number}-{self.random.getrandbits(32):x}"
            kind = self.random.choice(("save", "edit", "alias")) if own else "save"
            if kind == "save":
                with self.repository.draft() as draft:
                    draft.add_bytes(tag.encode(), "small")
                    saved = draft.save(self.repository.path_of("data")[0])
                self.note(
                    "save", collection="data", id=saved.id, digest=saved.digest, number=saved.number, key=tag, new=True
                )
                own.append(saved.number)
                self.repository.tidy()
            elif kind == "edit":
                self.edit(f"data:v{self.random.choice((own[0], 0))}", tag)
            else:
                # `best` is everybody's, the other one only this worker's
                self.alias(f"data:v{self.random.choice(own)}", self.random.choice(("best", f"own-{self.name}")))

    def mix(self, until: float, mix: dict[str, int]) -> None:
        self._contents = "checkpoint" if "pack" in mix else "content"
        while time.time() < until:
            collection = self.random.choice(COLLECTIONS)
            kind = self.random.choices(*zip(*mix.items(), strict=True))[0]
            try:
                self._one(kind, collection)
            except (
                NotFound,
                Conflict,
                MissingObject,
            ) as error:  # somebody else deleted it meanwhile, or took it up again
                self.note("refused", kind=kind, error=type(error).__name__, message=str(error))
            except Exception as error:
                self.note("bug", kind=kind, error=repr(error))
            time.sleep(self.random.random() * 0.02)

    def _one(self, kind: str, collection: str) -> None:
        repository = self.repository
        if kind == "save":
            return self.save(collection, f"{self._contents} {self.random.randrange(CONTENTS)}")
        if kind == "gc":
            result = repository.gc(now=True)
            return self.note("gc", freed=result.freed_bytes, waited=bool(result.waits_for))
        if kind == "pack":
            return self._pack()
        if kind == "merge":
            return self.note("merge", packs=merge(repository.objects))
        state = repository.collection(collection)
        if kind == "undelete":
            gone = [version for version in state.versions.values() if "deleted" in version]
            if gone:
                found = repository.undelete(f"{collection}:v{self.random.choice(gone[-5:])['number']}")
                self.note("undelete", collection=collection, id=found.version["id"])
            return None
        live = state.live()
        if not live:
            return None
        version = self.random.choice(live)
        spec = f"{collection}:v{version['number']}"
        if kind == "edit":
            return self.edit(spec, f"{self.name}-{self.random.getrandbits(40):x}")
        if kind == "alias":
            return self.alias(spec, self.random.choice(("best", "prod")))
        if kind == "rm":
            if len(live) > 2:
                found = repository.delete(spec, delete_aliases=True)
                self.note("rm", collection=collection, id=found.version["id"])
            return None
        return self._read(Version(state, version), spec)

    def _pack(self) -> None:
        result = self.repository.pack()
        for problem in result.problems:  # a blob may have been collected since it was listed
            self.note("refused", kind="pack", error="problem", message=problem)
        self.note("pack", blobs=result.blobs)

    def _read(self, found: Version, spec: str) -> None:
        """What is read is right; what can't be read was deleted meanwhile."""
        try:
            for path, entry in self.repository.walk(found.tree):
                if entry[1] != DIRECTORY and blake3(b"".join(self.repository.content(entry))).digest() != entry[3]:
                    self.note("bug", kind="read", error=f"{spec} gave wrong bytes of {path!r}")
        except Damage as error:
            log = [c for entry in self.repository.history(spec.partition(":")[0]) for c in entry.changes]
            if not any(c["kind"] == "delete" and c["id"] == found.version["id"] for c in log):
                self.note("bug", kind="read", error=f"{spec} was never deleted: {error}")
            raise
        self.note("read", collection=found.state.path.name)


# -- the crowd -----------------------------------------------------------------------------------


class Crowd:
    """Starts workers, kills some, starts others in their place, until all is done."""

    def __init__(self, folder: Path, processes: int, *, no_locks: bool) -> None:
        self.folder, self.processes, self.no_locks = folder, processes, no_locks
        self.root = folder / ".artifacts"
        self.ledgers = folder / "ledgers"
        self.ledgers.mkdir()
        self.kills = 0
        self.crashes: list[str] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        Repository.init(str(self.root)).close()
        for name, files in (
            ("no-lockf", {"sitecustomize.py": _NO_LOCKF}),
            ("no-filelock", {"filelock.py": _NO_FILELOCK}),
        ):
            (folder / name).mkdir()
            for file, text in files.items():
                (folder / name / file).write_text(text)

    def _start(self, number: int, *task: str) -> None:
        name = f"w{number}"
        command = [
            sys.executable,
            "-m",
            "tests.guarantees.crowds.crowd",
            "--worker",
            name,
            "--folder",
            str(self.folder),
            *task,
        ]
        paths = [str(Path(__file__).parents[3])]
        if self.no_locks:
            command = [*_STRACE, *command]
            paths = [*paths, str(self.folder / "no-lockf"), *([str(self.folder / "no-filelock")] if number % 2 else [])]
        self._running[name] = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})

    def _acknowledged(self, name: str) -> int:
        return sum(line["what"] not in ("begin", "refused", "bug") for line in read_ledgers(self.ledgers, name))

    def _kill_one(self) -> None:
        """SIGKILL to a worker (under strace: to the worker, not to the tracer) that has noted something since it began: on a
        loaded machine others would come to nothing.
        """
        name, process = random.choice(list(self._running.items()))
        lines = read_ledgers(self.ledgers, name)
        begun = [line for line in lines if line["what"] == "begin"]
        if process.poll() is not None or not begun or lines[-1] is begun[-1]:
            return
        pid = begun[-1]["pid"]  # can't have been used again: its parent (we, or the tracer) has not reaped it
        if Path(f"/proc/{pid}").exists() if self.no_locks else pid == process.pid:
            os.kill(pid, signal.SIGKILL)
            self.kills += 1

    def run(self, task: Callable[[str], list[str] | None], *, kill_every: float = 0.0) -> None:
        """`task` says what a worker has still to do (arguments), or None."""
        next_kill = time.monotonic() + kill_every
        try:
            for number in range(self.processes):
                self._start(number, *(task(f"w{number}") or []))
            while self._running:
                time.sleep(0.05)
                if kill_every and time.monotonic() > next_kill:
                    self._kill_one()
                    next_kill = time.monotonic() + random.uniform(0.5, 1.5) * kill_every
                for name, process in list(self._running.items()):
                    if process.poll() is not None:
                        self._ended(name, process.returncode, task)
        finally:
            for process in self._running.values():
                process.kill()
                process.wait()

    def _ended(self, name: str, code: int, task: Callable[[str], list[str] | None]) -> None:
        del self._running[name]
        if code not in (0, -signal.SIGKILL, 128 + signal.SIGKILL):
            self.crashes.append(f"{name} ended with exit code {code}")
        elif code and (more := task(name)) is not None:
            self._start(int(name[1:]), *more)

    def accounts(self) -> Accounts:
        return Accounts(self.root, self.ledgers, kills=self.kills, crashes=self.crashes)


def counted(folder: Path, processes: int, operations: int, *, no_locks: bool = False, kill: bool = False) -> Accounts:
    """N processes × M operations on one collection; every acknowledged one is accounted for by the independent reader."""
    crowd = Crowd(folder, processes, no_locks=no_locks)

    def task(name: str) -> list[str] | None:
        done = crowd._acknowledged(name)
        return ["--operations", str(operations), "--done", str(done)] if done < operations else None

    crowd.run(task, kill_every=0.15 if kill else 0.0)
    return crowd.accounts()


def mixed(
    folder: Path,
    processes: int,
    seconds: float,
    *,
    packers: bool = False,
    no_locks: bool = False,
    kill_every: float = 0.5,
) -> Accounts:
    crowd = Crowd(folder, processes, no_locks=no_locks)
    until = time.time() + seconds

    def task(name: str) -> list[str] | None:
        return ["--until", str(until), *(["--packers"] if packers else [])] if time.time() < until else None

    crowd.run(task, kill_every=kill_every)
    return crowd.accounts()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--operations", type=int, default=100)
    parser.add_argument("--mixed", type=float, metavar="SECONDS")
    parser.add_argument("--packers", action="store_true")
    parser.add_argument("--no-locks", action="store_true")
    parser.add_argument("--kill", action="store_true")
    for hidden in ("--worker", "--folder", "--done", "--until"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        folder = Path(given.folder)
        worker = Worker(folder / ".artifacts", folder / "ledgers" / given.worker, given.worker)
        if given.until:
            worker.mix(float(given.until), _PACKERS if given.packers else _MIX)
        else:
            worker.count(given.operations, int(given.done))
        return 0
    with tempfile.TemporaryDirectory() as folder_name:
        begun = time.monotonic()
        if given.mixed:
            accounts = mixed(
                Path(folder_name), given.processes, given.mixed, packers=given.packers, no_locks=given.no_locks
            )
        else:
            accounts = counted(
                Path(folder_name), given.processes, given.operations, no_locks=given.no_locks, kill=given.kill
            )
        print(accounts.report() + f"; {time.monotonic() - begun:.0f} s")
    return 1 if accounts.problems else 0


if __name__ == "__main__":
    sys.exit(main())
