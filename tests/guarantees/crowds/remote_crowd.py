"""Two clones of one remote and many processes that save, edit, pack, push and pull at random, with kills; a ledger outside
notes what was acknowledged, and then all is accounted for.

    python -m tests.guarantees.crowds.remote_crowd --processes 8 --seconds 120 [--s3]

`--s3` puts the remote into a bucket of a SeaweedFS of its own instead of a folder.
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
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from artstore.domain.collection import Path as Collection
from artstore.domain.collection import State
from artstore.domain.properties import Properties
from artstore.errors import ArtstoreError, Conflict, MissingObject, NotFound
from artstore.repository import Repository
from artstore.view import View, view_of
from tests.guarantees.crowds.crowd_accounts import checkpoint
from tests.support.reader import Reader

NAME = "data"
COLLECTION = Collection("local", "uncategorized", NAME)


class Worker:
    """One process: random operations on its clone until it is told to end (or killed)."""

    def __init__(self, root: Path, ledger: Path, seed: int) -> None:
        self._repository = Repository(str(root))
        self._random = random.Random(seed)
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def run(self, seconds: float) -> None:
        operations = (
            [self._save] * 5
            + [self._edit] * 3
            + [self._alias] * 2
            + [self._delete]
            + [self._push, self._pull] * 3
            + [self._pack, self._pack_there]
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self._random.choice(operations)()
            except (Conflict, NotFound, MissingObject) as error:
                self._note("refused", error=str(error))

    def _note(self, what: str, **more: Any) -> None:
        """One line, written at once: a line is whole or not there."""
        os.write(self._ledger, json.dumps({"what": what, **more}).encode() + b"\n")

    def _some(self) -> str:
        """A live version."""
        live = self._repository.collection(NAME).live()
        if not live:
            raise NotFound("nothing is live")
        return f"{NAME}@{self._random.choice(live[-20:])['id']}"

    def _save(self) -> None:
        with self._repository.draft() as draft:
            for number in range(self._random.randrange(1, 30)):
                draft.add_bytes(b"shared %d" % self._random.randrange(200), f"d{number % 3}/f{number}")
            draft.add_bytes(os.urandom(16), "unique")
            if self._random.random() < 0.3:
                draft.add_bytes(checkpoint(self._random.randrange(24)), "large")
            saved = draft.save(COLLECTION)
        self._note("saved", id=saved.id, digest=saved.digest)
        self._repository.tidy()

    def _edit(self) -> None:
        key = f"k{os.urandom(6).hex()}"
        found = self._repository.edit(self._some(), Properties(metadata={key: 1}))
        self._note("edited", id=found.version["id"], key=key)

    def _alias(self) -> None:
        self._repository.set_aliases(self._some(), (self._random.choice(["a", "b", "c"]),))

    def _delete(self) -> None:
        live = self._repository.collection(NAME).live()
        if len(live) > 30:
            id = live[0]["id"]
            self._note("deleting", id=id)
            self._repository.delete(f"{NAME}@{id}", delete_aliases=True)

    def _push(self) -> None:
        before = self._repository.refs.read(COLLECTION).versions
        done = self._repository.push("origin")
        for moved in done.refused:
            raise moved.problem or Conflict("refused")
        self._note("pushed", ids={id: version["digest"] for id, version in before.items()})

    def _pack(self) -> None:
        self._note("packed", blobs=self._repository.pack().blobs)

    def _pack_there(self) -> None:
        url = self._repository.remotes.all()["origin"].url
        with view_of(url, None, writing=True) as remote:
            self._note("packed", blobs=remote.pack().blobs)

    def _pull(self) -> None:
        done = self._repository.pull("origin")
        for moved in done.refused:
            raise moved.problem or Conflict("refused")
        self._note("pulled")


def crowd(folder: Path, url: str, processes: int, seconds: float, seed: int = 1) -> dict[str, int]:
    """Let them work, then check everything; counts of what was done. AssertionError for anything lost."""
    roots = [folder / "a/.artifacts", folder / "b/.artifacts"]
    with Repository.init(str(roots[0])) as first:
        with first.draft() as draft:
            draft.add_bytes(b"first", "f")
            draft.save(COLLECTION)
        first.remotes.add("origin", url, make=True)
        first.push("origin")
    Repository.clone(url, str(roots[1]))[0].close()
    ledger = folder / "ledger"
    kills = _let_work(roots, ledger, processes, seconds, random.Random(seed))
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    counts = {
        what: sum(line["what"] == what for line in lines)
        for what in ("saved", "edited", "pushed", "pulled", "packed", "refused")
    }
    _account(roots, url, lines)
    blobs = sum(line["blobs"] for line in lines if line["what"] == "packed")
    return counts | {"files packed": blobs, "kills": kills}


def _let_work(roots: list[Path], ledger: Path, processes: int, seconds: float, chance: random.Random) -> int:
    deadline, kills, number = time.monotonic() + seconds, 0, 0
    running: list[subprocess.Popen[bytes]] = []

    def start(root: Path) -> subprocess.Popen[bytes]:
        left = max(1.0, deadline - time.monotonic())
        arguments = ["--worker", str(root), str(ledger), str(number), str(left)]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.guarantees.crowds.remote_crowd", *arguments], cwd=Path(__file__).parents[3]
        )

    places = [roots[i % len(roots)] for i in range(processes)]
    for root in places:
        number += 1
        running.append(start(root))
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(0.3, 1.5))
        victim = chance.randrange(processes)
        if chance.random() < 0.5:
            running[victim].send_signal(signal.SIGKILL)
            kills += 1
            running[victim].wait()
        if running[victim].poll() is not None:
            number += 1
            running[victim] = start(places[victim])
    codes = [process.wait(timeout=300) for process in running]
    assert all(code in (0, -signal.SIGKILL) for code in codes), codes
    return kills


def _account(roots: list[Path], url: str, lines: list[dict[str, Any]]) -> None:
    repositories = [Repository(str(root)) for root in roots]
    _settle(repositories)
    with view_of(url, None, writing=True) as remote:
        assert remote.fsck().problems == []
        there = remote.refs.read(COLLECTION)
        deleted = {line["id"] for line in lines if line["what"] == "deleting"}
        for line in lines:
            if line["what"] == "pushed":
                for id, digest in line["ids"].items():
                    assert there.versions[id]["digest"] == digest, f"{id} was acknowledged as pushed"
            if line["what"] == "saved":
                assert line["id"] in there.versions, f"{line['id']} was acknowledged as saved, then all was pushed"
                assert line["id"] in deleted or "deleted" not in there.versions[line["id"]]
            if line["what"] == "edited" and line["id"] not in deleted:
                assert line["key"] in there.versions[line["id"]]["metadata"], f"{line['key']} of {line['id']}"
        _whole(remote, there)
        for entry_ids in (_change_ids(remote), *map(_change_ids, repositories)):
            assert len(entry_ids) == len(set(entry_ids)), "a change stands twice in a log"
        for repository, root in zip(repositories, roots, strict=True):
            assert repository.fsck().problems == []
            assert Reader(root).check() == []
            assert _said(repository.refs.read(COLLECTION)) == _said(there)
            repository.close()


def _settle(repositories: list[Repository]) -> None:
    for _ in range(4):
        for repository in repositories:
            for exchange in (repository.pull, repository.push):
                assert not exchange("origin").refused


def _whole(view: View, state: State) -> None:
    """Every file of every live version can be read."""
    for version in state.live():
        for path, entry in view.walk(view.version(COLLECTION, version["id"]).tree):
            if entry[1] < 2:
                assert sum(map(len, view.content(entry))) == entry[2], path


def _change_ids(view: View) -> list[str]:
    return [change["change"] for entry in view.refs.history(COLLECTION) for change in entry.changes]


def _said(state: State) -> Any:
    """What must be the same on all sides."""
    fields = ("number", "digest", "tags", "metadata", "description", "ttl", "extras")
    versions = {v["id"]: {field: v.get(field) or None for field in fields} for v in state.live()}
    return versions, state.aliases


def remotes(folder: Path, s3: bool, stack: ExitStack) -> Iterator[str]:
    """The place of the remote; of a bucket the server runs until the stack is closed."""
    if not s3:
        yield str(folder / "remote")
        return
    from tests.support.servers import seaweedfs

    server = stack.enter_context(seaweedfs(folder / "weed"))
    server.make_bucket("crowd")
    os.environ |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    yield f"s3://crowd/store?endpoint={server.endpoint}&region={server.region}"


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        root, ledger, seed, seconds = sys.argv[2:]
        try:
            Worker(Path(root), Path(ledger), int(seed)).run(float(seconds))
        except ArtstoreError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--s3", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="remote-crowd") as folder, ExitStack() as stack:
        (Path(folder) / "weed").mkdir()
        for url in remotes(Path(folder), given.s3, stack):
            print(crowd(Path(folder), url, given.processes, given.seconds, given.seed))
    print("nothing lost, nothing doubled, nothing dangling")
    return 0


if __name__ == "__main__":
    sys.exit(main())
