"""The peers: other tools doing the same work, each as a few shell lines, timed beside artstore in one run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Command, CommandError, measure, run_untimed
from benchmarks.place import Bench, Place
from benchmarks.results import PeerResult
from benchmarks.workloads import AGE_SECONDS, Tree

OPERATIONS = ("save", "re-save", "save v2", "restore", "restore again")


@dataclass(frozen=True)
class Peer:
    """A tool's lines, run in a folder that holds the workload as `data`; `$NEW` is a folder that does not exist yet.

    `prepare` and `prepare_restore` are not timed. A line left empty is something that the tool does not do.
    """

    name: str
    save: str
    save_again: str
    save_next: str
    restore: str
    restore_again: str
    prepare: str = "true"
    prepare_restore: str = "true"
    syncs: bool = False
    env: dict[str, str] = field(default_factory=dict)


GIT_SETUP = (
    "git init -q . && git config user.name bench && git config user.email bench@example.org"
    " && git config core.compression 0 && git config core.looseCompression 0"
    " && git config gc.auto 0 && git config maintenance.auto false"
)
GIT = Peer(
    "git",
    prepare=GIT_SETUP,
    save="git add -A data && git commit -qm save",
    save_again="git add -A data && git diff --cached --quiet",
    save_next="git add -A data && git commit -qm save",
    restore='git worktree add -q --detach "$NEW"',
    restore_again='git -C "$NEW" checkout -qf HEAD',
    env={"GIT_CONFIG_NOSYSTEM": "1"},
)
GIT_FSYNC = Peer(
    "git, core.fsync=all",
    prepare=f"{GIT_SETUP} && git config core.fsync all",
    save=GIT.save,
    save_again=GIT.save_again,
    save_next=GIT.save_next,
    restore=GIT.restore,
    restore_again=GIT.restore_again,
    syncs=True,
    env=GIT.env,
)
ARTSTORE = Peer(
    "artstore",
    save="artstore put data --name bench",
    save_again="artstore put data --name bench",
    save_next="artstore put data --name bench",
    restore='artstore get bench:latest --root "$NEW"',
    restore_again='artstore get bench:latest --root "$NEW"',
    syncs=True,
)
DVC = Peer(
    "dvc",
    prepare=(
        "dvc init -q --no-scm && dvc config core.analytics false && dvc config core.check_update false"
        " && dvc config cache.type copy"
        ' && dvc config cache.dir "$PWD/cache" && dvc config core.site_cache_dir "$PWD/site"'
    ),
    save="dvc add -q data",
    save_again="dvc add -q data",
    save_next="dvc add -q data",
    prepare_restore='mkdir -p "$NEW/.dvc" && cp .dvc/config "$NEW/.dvc/" && cp data.dvc "$NEW/"',
    restore='cd "$NEW" && dvc checkout -q',
    restore_again='cd "$NEW" && dvc checkout -q',
    env={"DVC_NO_ANALYTICS": "1"},
)
RESTIC = Peer(
    "restic",
    prepare="restic init -q -r repo",
    save="restic -r repo -q --compression off backup data",
    save_again="restic -r repo -q --compression off backup data",
    save_next="restic -r repo -q --compression off backup data",
    restore='restic -r repo -q restore latest --target "$NEW"',
    restore_again='restic -r repo -q restore latest --target "$NEW"',
    syncs=True,
    env={"RESTIC_PASSWORD": "bench"},
)
CP = Peer("cp -r", "cp -r data copy", "", "cp -r data copy2", 'cp -r copy2 "$NEW"', "")
RSYNC = Peer(
    "rsync -a",
    save="rsync -a data/ copy/",
    save_again="rsync -a data/ copy/",
    save_next="rsync -a --delete data/ copy/",
    restore='rsync -a copy/ "$NEW/"',
    restore_again='rsync -a copy/ "$NEW/"',
)
PEERS = (CP, RSYNC, GIT, GIT_FSYNC, DVC, RESTIC, ARTSTORE)


def measure_peers(place: Place, rounds: int, *, cold: bool = False) -> list[PeerResult]:
    """Every peer does every operation once a round, in turn, each in a new folder with its own copy of the workload."""
    found = {
        (peer.name, operation): PeerResult(place.name, peer.name, operation, line, cold)
        for peer in PEERS
        for operation, line in _lines(peer)
    }
    for turn in range(rounds):
        for peer in PEERS[turn % len(PEERS) :] + PEERS[: turn % len(PEERS)]:
            place.bench.make_room(place)
            _take_turn(place, peer, found, cold)
    return list(found.values())


def _lines(peer: Peer) -> list[tuple[str, str]]:
    lines = (peer.save, peer.save_again, peer.save_next, peer.restore, peer.restore_again)
    return [(operation, line) for operation, line in zip(OPERATIONS, lines, strict=True) if line]


def _take_turn(place: Place, peer: Peer, found: dict[tuple[str, str], PeerResult], cold: bool) -> None:
    home = place.new("peer")
    home.mkdir()
    tree = place.tree.copy(home / "data")
    for operation, line in _lines(peer):
        result = found[peer.name, operation]
        try:
            _get_ready(place.bench, peer, home, tree, operation)
            result.runs.append(measure(_shell(place.bench, peer, home, line), cold=cold))
        except CommandError as error:
            result.error = place.bench.without_paths(str(error))
            break  # what follows builds on it
        if operation in ("save", "save v2") and not peer.syncs:
            result.sync_runs.append(measure(Command(("sync", "-f", str(home))), flush=False))
    place.remove_if_few_files(home)


def _get_ready(bench: Bench, peer: Peer, home: Path, tree: Tree, operation: str) -> None:
    """Everything that an operation needs and that is not timed."""
    if operation == "save":
        run_untimed(_shell(bench, peer, home, peer.prepare))
    elif operation == "save v2":
        tree.next_version()
    elif operation == "restore":
        run_untimed(_shell(bench, peer, home, peer.prepare_restore))
    elif operation == "restore again":
        time.sleep(AGE_SECONDS)
    tree.age()


def _shell(bench: Bench, peer: Peer, home: Path, line: str) -> Command:
    """The line in the peer's folder, with a home of its own, so that no setting or cache of the user is touched."""
    tools = [os.path.dirname(tool) for tool in (bench.settings.artstore, bench.settings.dvc)]
    env = {
        **peer.env,
        "HOME": str(home),
        "NEW": str(home / "new"),
        "ARTSTORE_DIR": str(home / "store"),
        "PATH": os.pathsep.join([*tools, os.environ["PATH"]]),
    }
    return Command(("sh", "-c", line), env, home, reads=(home,))
