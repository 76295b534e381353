"""The cases of remotes in a folder: push, and clone with a download, each beside `cp -r` of the same."""

from __future__ import annotations

from pathlib import Path

from benchmarks import sides
from benchmarks.cases import Case
from benchmarks.measure import Command, run_untimed
from benchmarks.place import Place
from benchmarks.sides import Side
from benchmarks.steps import stepped_remote

CLONE_AND_GET = 'artstore=$1; "$artstore" clone "$2" "$3" && "$artstore" get data --root "$3/data"'


def _add_remote(place: Place, store: Path, remote: Path) -> None:
    run_untimed(place.bench.artstore(store, "remote", "add", "origin", remote, "--init"))


def _save_alone(place: Place, store: Path, remote: Path) -> None:
    """The tree as it is now in a store of its own: what others did to the place's store is not pushed."""
    run_untimed(place.put(store))
    _add_remote(place, store, remote)


def _pushed_once(place: Place) -> tuple[Path, Path]:
    """A store of its own with the tree saved in it, and a remote to which it was pushed; both at their first version."""
    store, remote = place.root / "pushing", place.root / "pushed"
    if not store.exists():
        _save_alone(place, store, remote)
        run_untimed(place.bench.artstore(store, "push"))
    return store, remote


def _pushed_in_one(place: Place) -> Path:
    """A remote that nobody pushes to any more."""
    remote = place.root / "pushed-in-one"
    if not remote.exists():
        store = place.new("store")
        _save_alone(place, store, remote)
        run_untimed(place.bench.artstore(store, "push"))
    return remote


# Each push is of a new store that holds the tree and nothing else, to a new remote.


def _push(place: Place, run: int) -> Command:
    store, remote = place.new("store"), place.new("remote")
    _save_alone(place, store, remote)
    return place.bench.artstore(store, "push", reads=(store,), makes=remote)


def _push_next(place: Place, run: int) -> Command:
    store, _ = _pushed_once(place)
    place.tree.next_version()
    run_untimed(place.put(store))
    return place.bench.artstore(store, "push", reads=(store,))


def _push_nothing(place: Place, run: int) -> Command:
    store, _ = _pushed_once(place)
    run_untimed(place.bench.artstore(store, "push"))
    return place.bench.artstore(store, "push")


def _clone(place: Place, remote: Path) -> Command:
    target = place.new("clone")
    argv = ("sh", "-c", CLONE_AND_GET, "sh", place.bench.settings.artstore, str(remote), str(target))
    env = {"ARTSTORE_DIR": str(target / ".artifacts")}
    return Command(argv, env, place.bench.work, reads=(remote,), makes=target)


def _clone_of_one(place: Place, run: int) -> Command:
    return _clone(place, _pushed_in_one(place))


def _clone_of_steps(place: Place, run: int) -> Command:
    return _clone(place, stepped_remote(place))


PUSH = Side("push to a folder", _push)
PUSH_NEXT = Side("push v2", _push_next)
PUSH_NOTHING = Side("push, up to date", _push_nothing)
CLONE = Side("clone + download", _clone_of_one)
CLONE_OF_STEPS = Side("clone + download, pushed in steps of 50 files", _clone_of_steps)

REMOTES = [
    Case("push-small", "small", PUSH, 0.4, sides.CP),
    Case("push-small-v2", "small", PUSH_NEXT, 3, sides.START, short=True),
    Case("push-small-again", "small", PUSH_NOTHING, 3, sides.START, short=True),
    Case("clone-small", "small", CLONE, 1.7, sides.CP),
    Case("clone-steps", "small", CLONE_OF_STEPS, 2, CLONE),
]
