"""The peers in turn: each does every operation once a round, timed beside artstore in one run."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.measure import Command, CommandError, measure, run_untimed
from benchmarks.peers import PEERS, Peer
from benchmarks.place import Bench, Place
from benchmarks.results import PeerResult
from benchmarks.workloads import AGE_SECONDS, Tree


def measure_peers(place: Place, rounds: int, *, cold: bool = False) -> list[PeerResult]:
    """Every peer does every operation once a round, in turn, each in a new folder with its own copy of the workload."""
    found = {
        (peer.name, operation): PeerResult(place.name, peer.name, operation, line, cold)
        for peer in PEERS
        for operation, line in peer.lines.items()
    }
    for turn in range(rounds):
        for peer in PEERS[turn % len(PEERS) :] + PEERS[: turn % len(PEERS)]:
            place.bench.make_room(place)
            _take_turn(place, peer, found, cold)
    return list(found.values())


def _take_turn(place: Place, peer: Peer, found: dict[tuple[str, str], PeerResult], cold: bool) -> None:
    home = place.new("peer")
    home.mkdir()
    tree = place.tree.copy(home / "data")
    for operation, line in peer.lines.items():
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
    env = {
        **peer.env,
        "HOME": str(home),
        "NEW": str(home / "new"),
        "ARTSTORE_DIR": str(home / "store"),
        "PATH": bench.settings.search_path(peer.venv),
    }
    return Command(("sh", "-c", line), env, home, reads=(home,))
