"""A collector at a remote beside pushers: each step of the one meets each step of the other, in both orders."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.storage import FolderStorage
from artstore.errors import ArtstoreError
from artstore.operations.upkeep import removal
from artstore.operations.upkeep.removal import Removal
from artstore.repository import Repository
from artstore.store.transaction import Transaction
from artstore.sync.exchange import Exchange
from artstore.sync.transfer import Transfer
from artstore.view import view_of
from tests.support.checks import check
from tests.support.folders import make_tree, snapshot
from tests.support.marks import long
from tests.support.servers import SeaweedFS

MIB = 1 << 20
PUSH = {
    "began": (Transaction, "__init__"),
    "relies": (Transfer, "plan"),
    "sent": (Transfer, "send"),
    "published": (Transaction, "publish"),
    "told": (Exchange, "_commit"),
    "looked again": (Transaction, "ensure"),
    "ended": (Transaction, "close"),
}
"""After which call a push has come so far."""
GC = {
    "began": (Removal, "__init__"),
    "took a pack": (Removal, "take_pack"),
    "took a blob": (Removal, "take_blob"),
    "read refs": (Removal, "_give_back"),
    "saw who is at work": (removal, "open_transactions"),
    "unlinked": (Removal, "finish"),
}
CROSSINGS_S3 = [
    ("relies", "took a blob"),
    ("told", "took a blob"),
    ("relies", "read refs"),
    ("published", "saw who is at work"),
]
"""Steps of a push and of a collector that meet at a server: few, for time."""
WAIT = 30.0


class Steps:
    """Calls `act` once, in its own thread, when a thread that `works` has come to a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._acts: dict[tuple[int, str], Callable[[], object]] = {}
        self._hooked: set[str] = set()

    def at(self, steps: dict[str, tuple[Any, str]], step: str, act: Callable[[], object]) -> None:
        """In the calling thread, after that step."""
        owner, name = steps[step]
        key = f"{owner.__name__}.{name}"
        self._acts[threading.get_ident(), key] = act
        if key in self._hooked:
            return
        self._hooked.add(key)
        real = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            result = real(*args, **options)
            if (act := self._acts.pop((threading.get_ident(), key), None)) is not None:
                act()
            return result

        self._monkeypatch.setattr(owner, name, call)


class Scene:
    """A repository whose next push relies on what nobody needs at the remote, and which a collector there would take."""

    def __init__(self, tmp_path: Path, url: str, *, rewrite: bool) -> None:
        self.tmp_path, self.url = tmp_path, url
        self.source = make_tree(
            tmp_path / "again", {"a": "a" * 999, "b/c": "c" * 9999, "large": b"L" * MIB, "other": b"M" * (MIB + 1)}
        )
        self.root = str(tmp_path / "here/.artifacts")
        with Repository.init(self.root) as repository:
            repository.remotes.add("origin", url, make=True)
            if rewrite:  # its pack has a live object, too
                repository.put(str(make_tree(tmp_path / "mixed", {"keep": "kept", **_files(self.source)})), "old")
                repository.put(str(make_tree(tmp_path / "kept", {"keep": "kept"})), "old")
            else:
                repository.put(str(self.source), "old")
            repository.push()
            if rewrite:
                repository.delete("old:v0")
            else:
                repository.delete_collection("old", delete_aliases=True)
            repository.push()
            repository.put(str(self.source), "again")

    def push(self) -> ArtstoreError | None:
        with Repository(self.root) as repository:
            try:
                done = repository.push()
            except ArtstoreError as error:
                return error
            assert not done.refused, done.refused
            return None

    def gc(self) -> Any:
        with view_of(self.url, FolderStorage(self.root), writing=True) as view:
            return view.gc(now=True)

    def is_whole(self) -> None:
        """What was acknowledged is at the remote, for anybody; and nothing was lost here."""
        name = os.urandom(4).hex()
        clone, _ = Repository.clone(self.url, str(self.tmp_path / name / ".artifacts"))
        with clone:
            clone.get(clone.find("again:v0"), str(self.tmp_path / name / "out"))
            assert snapshot(self.tmp_path / name / "out") == snapshot(self.source)
        with view_of(self.url, FolderStorage(self.root), writing=True) as view:
            assert view.fsck().problems == []
        check(Path(self.root))

    def here_is_whole(self) -> None:
        with Repository(self.root) as repository:
            out = str(self.tmp_path / f"out-{os.urandom(4).hex()}")
            repository.get(repository.find("again:v0"), out)
            assert snapshot(Path(out)) == snapshot(self.source)


def _files(folder: Path) -> dict[str, Any]:
    return {name: value[1] for name, value in snapshot(folder).items() if value is not None}


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=long)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "remote")
    pytest.importorskip("obstore")
    if request.param == "memory":
        return f"memory://{os.urandom(8).hex()}/remote"
    server: SeaweedFS = request.getfixturevalue("server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    return f"s3://{server.bucket}/{os.urandom(8).hex()}?endpoint={server.endpoint}&region={server.region}"


def settle(scene: Scene, refused: ArtstoreError | None) -> None:
    """An acknowledged push is whole; one that failed left all here as it was, and the next one is."""
    if refused is not None:
        scene.here_is_whole()
        with Repository(scene.root) as repository:
            repository.pull()
        scene.here_is_whole()
        assert scene.push() is None
    scene.is_whole()
    scene.gc()
    scene.is_whole()


@pytest.mark.diagonal("step", "url", "rewrite")
@pytest.mark.parametrize("rewrite", [False, True], ids=["dead", "half dead"])
@pytest.mark.parametrize("step", PUSH)
def test_a_whole_gc_at_each_step_of_a_push(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, rewrite: bool
) -> None:
    """Case 65: the pusher has found what the collector takes."""
    scene = Scene(tmp_path, url, rewrite=rewrite)
    Steps(monkeypatch).at(PUSH, step, scene.gc)
    settle(scene, scene.push())


@pytest.mark.diagonal("step", "url", "rewrite")
@pytest.mark.parametrize("rewrite", [False, True], ids=["dead", "half dead"])
@pytest.mark.parametrize("step", GC)
def test_a_whole_push_at_each_step_of_a_gc(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, rewrite: bool
) -> None:
    """Case 65: the collector has taken, or is about to take, what the pusher looks for."""
    scene = Scene(tmp_path, url, rewrite=rewrite)
    refused: list[ArtstoreError | None] = []
    Steps(monkeypatch).at(GC, step, lambda: refused.append(scene.push()))
    scene.gc()
    assert len(refused) == 1
    settle(scene, refused[0])


@pytest.mark.diagonal("push_step", "gc_step", "first")
@pytest.mark.parametrize("first", ["push", "gc"])
@pytest.mark.parametrize("push_step", PUSH)
@pytest.mark.parametrize("gc_step", GC)
@pytest.mark.parametrize("url", ["folder", "memory"], indirect=True)
def test_each_step_of_a_gc_meets_each_step_of_a_push(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, push_step: str, gc_step: str
) -> None:
    """Case 65: one stops half-way, the other goes as far as its step, the first ends, then the other."""
    cross(url, tmp_path, monkeypatch, first, push_step, gc_step)


@pytest.mark.diagonal("crossing", "first")
@pytest.mark.parametrize("first", ["push", "gc"])
@pytest.mark.parametrize("crossing", CROSSINGS_S3, ids="-".join)
@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_a_gc_and_a_push_meet_at_a_server(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, crossing: tuple[str, str]
) -> None:
    """Case 65: the same, where what the one did and the other sees is a real server's."""
    cross(url, tmp_path, monkeypatch, first, *crossing)


def cross(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, push_step: str, gc_step: str) -> None:
    scene, steps = Scene(tmp_path, url, rewrite=False), Steps(monkeypatch)
    stopped, go = threading.Event(), threading.Event()
    results: dict[str, Any] = {}
    works: dict[str, tuple[Any, str, Callable[[], Any]]] = {
        "push": (PUSH, push_step, scene.push),
        "gc": (GC, gc_step, scene.gc),
    }
    second = "gc" if first == "push" else "push"

    def stop() -> None:
        stopped.set()
        assert go.wait(WAIT)

    def begin() -> None:
        known, step, work = works[first]
        steps.at(known, step, stop)
        try:
            results[first] = work()
        except BaseException as error:
            results[first] = error
        finally:
            stopped.set()

    thread = threading.Thread(target=begin)
    thread.start()
    assert stopped.wait(WAIT)

    def let_go() -> None:
        go.set()
        thread.join(WAIT)
        assert not thread.is_alive()

    known, step, work = works[second]
    steps.at(known, step, let_go)
    try:
        results[second] = work()
    finally:
        go.set()
        thread.join(WAIT)
    assert not isinstance(results["gc"], BaseException), results
    assert results["push"] is None or isinstance(results["push"], ArtstoreError), results
    settle(scene, results["push"])
