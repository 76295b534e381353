"""Random histories of copies and real clones around one remote: all end the same, and nothing is lost."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from artstore.domain.collection import INHERIT, State
from artstore.domain.properties import NEVER, Properties
from artstore.errors import Conflict
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.copies import PATH, Copy, _clock, reads
from tests.support.folders import make_tree

ACTIONS = ["save", "alias", "unalias", "tag", "untag", "meta", "describe", "ttl", "delete", "undelete", "remove"]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*ACTIONS, "save", "alias", "push", "push", "pull", "pull", "push one", "pull one", "backup"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=40,
)
Step = tuple[int, str, int, int]


class InMemory:
    """A repository of a history: a `Copy`."""

    def __init__(self, name: str) -> None:
        self.copy = Copy(name)

    @property
    def state(self) -> State:
        return self.copy.state

    def act(self, action: str, id: str, n: int, m: int) -> str | None:
        copy, state = self.copy, self.copy.state
        version = state.versions.get(id, {})
        if action == "save":
            return copy.save()
        if action == "remove":
            copy.remove()
        elif action == "alias":
            copy.alias(f"alias{m % 2}", id)
        elif action == "unalias":
            copy.alias(f"alias{m % 2}", None)
        elif action == "tag":
            copy.tag(id if m % 2 else None, f"tag{m % 2}")
        elif action == "untag":
            copy.tag(id if m % 2 else None, remove=(f"tag{m % 2}",))
        elif action == "meta":
            copy.meta(id, **{f"k{m % 2}": n}) if n else copy.meta(id, remove=(f"k{m % 2}",))
        elif action == "describe":
            copy.describe(id if m % 2 else None, "abc"[:n] or None)
        elif action == "ttl":
            copy.ttl(id, (INHERIT, 60, None, 120)[n])
        elif action == "delete":
            copy.delete(id)
        elif action == "undelete":
            copy.undelete(version["id"])
        return None

    def push(self, remote: Any, *wanted: str) -> bool:
        return bool(self.copy.push(remote.copy, *wanted).changes)

    def pull(self, remote: Any, *wanted: str) -> bool:
        return bool(self.copy.pull(remote.copy, *wanted).changes)


class OnDisk:
    """A repository of a history: a real one, in a folder of its own; `remote` and `backup` are its remotes."""

    def __init__(self, folder: Path, name: str, remotes: dict[str, str]) -> None:
        self.name = name
        self.folder = folder / name
        self.root = self.folder / ".artifacts"
        self.repository = Repository.init(str(self.root))
        for remote, url in remotes.items():
            self.repository.remotes.add(remote, url)

    @property
    def state(self) -> State:
        return self.repository.refs.read(PATH)

    def act(self, action: str, id: str, n: int, m: int) -> str | None:
        repository, version = self.repository, f"a@{id}"
        if action == "save":
            make_tree(self.folder / "src", {"f": str(next(_clock)), "same": "same"})
            return repository.put(str(self.folder / "src"), "a", type="model").id
        if action == "remove":
            repository.delete_collection("a", delete_aliases=True)
        elif action == "alias":
            repository.set_aliases(version, (f"alias{m % 2}",))
        elif action == "unalias":
            holder = self.state.aliases.get(f"alias{m % 2}")
            if holder is not None:
                repository.set_aliases(f"a@{holder}", remove=(f"alias{m % 2}",))
        elif action == "tag":
            if m % 2:
                repository.set_tags(version, ("tag1",))
            else:
                repository.edit_collection("a", tags=("tag0",))
        elif action == "untag":
            if not m % 2:
                repository.edit_collection("a", no_tags=("tag0",))
            elif "tag1" in self.state.versions[id].get("tags", []):
                repository.set_tags(version, remove=("tag1",))
        elif action == "meta":
            long = "x" * 9000 if n == 3 else n
            values = Properties(metadata={f"k{m % 2}": long}) if n else Properties(no_metadata=(f"k{m % 2}",))
            repository.edit(version, values)
        elif action == "describe":
            if m % 2:
                repository.edit(version, Properties(description="abc"[:n]))
            else:
                repository.edit_collection("a", description="abc"[:n])
        elif action == "ttl":
            repository.edit(version, Properties(ttl=(INHERIT, 60, NEVER, 120)[n]))
        elif action == "delete":
            repository.delete(version, delete_aliases=True)
        elif action == "undelete":
            repository.undelete(f"a:v{self.state.versions[id]['number']}")
        return None

    def push(self, remote: Any, *wanted: str) -> bool:
        return self._exchanged(self.repository.push(remote.name, [f"a@{id}" for id in wanted]))

    def pull(self, remote: Any, *wanted: str) -> bool:
        return self._exchanged(self.repository.pull(remote.name, [f"a@{id}" for id in wanted]))

    def _exchanged(self, done: Any) -> bool:
        for moved in done.refused:
            raise moved.problem
        return any(moved.outcome == "moved" for moved in done.collections)


def play(steps: list[Step], clones: list[Any], remote: Any, backup: Any) -> None:
    """Act it out, then pull and push until nothing changes: all read the same, and nothing is lost."""
    saved: set[str] = set()
    deleted: set[str] = set()
    follows = False
    for who, action, n, m in steps:
        clone = clones[who % len(clones)]
        live = [version["id"] for version in clone.state.live()]
        dead = [id for id, version in clone.state.versions.items() if "deleted" in version]
        theirs = [version["id"] for version in remote.state.live()]
        if action in ("push", "pull", "push one", "pull one", "backup"):
            try:
                moved = False
                if action in ("push", "pull"):
                    moved = getattr(clone, action)(remote)
                elif action == "push one" and live:
                    moved = clone.push(remote, live[n % len(live)])
                elif action == "pull one" and theirs:
                    moved = clone.pull(remote, theirs[n % len(theirs)])
                elif action == "backup" and follows:  # else it would be the upstream, whose numbers are final
                    clones[0].push(backup)
                follows = follows or (moved and clone is clones[0])
            except Conflict as error:
                assert "pull" not in action, error
            continue
        among = dead if action == "undelete" else live
        if action != "save" and not among:
            continue
        id = among[n % len(among)] if among else ""
        if action in ("delete", "remove"):
            deleted |= {id} if action == "delete" else set(live)
        if (new := clone.act(action, id, n, m)) is not None:
            saved.add(new)
    for _ in range(10):
        moved = [[clone.pull(remote), clone.push(remote)] for clone in clones]
        if not any(map(any, moved)):
            break
    else:
        pytest.fail("pull and push never come to rest")
    expected = reads(remote.state)
    for clone in clones:
        assert reads(clone.state) == expected
    assert saved <= expected["versions"].keys()
    lost = {id for id in saved - deleted if "deleted" in remote.state.versions[id]}
    assert not lost, "what nobody deleted lives"


QUICK = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@settings(QUICK, max_examples=400)
@given(st.integers(1, 3), STEPS)
def test_clones_and_their_upstream_end_the_same_whatever_was_done(clones: int, steps: list[Step]) -> None:
    play(steps, [InMemory(name) for name in ("anna", "bob", "carl")[:clones]], InMemory("remote"), InMemory("backup"))


def play_on_disk(clones: int, steps: list[Step]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="artstore-remotes-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    sides: list[OnDisk] = []
    try:
        remotes = [OnDisk(folder, name, {}) for name in ("remote", "backup")]
        places = {remote.name: str(remote.root) for remote in remotes}
        sides += remotes
        sides += [OnDisk(folder, name, places) for name in ("anna", "bob", "carl")[:clones]]
        play(steps, sides[2:], *remotes)
        for side in sides:
            side.repository.close()
            check(side.root)
    finally:
        for side in sides:
            side.repository.close()
        shutil.rmtree(folder)


@settings(QUICK, max_examples=15)
@given(st.integers(2, 3), STEPS)
@example(2, [(0, "save", 0, 0), (0, "push", 0, 0), (1, "pull", 0, 0), (0, "save", 0, 0), (1, "save", 0, 0), (0, "push", 0, 0), (0, "backup", 0, 0)])  # fmt: skip
def test_real_clones_and_their_upstream_end_the_same_whatever_was_done(clones: int, steps: list[Step]) -> None:
    play_on_disk(clones, steps)


if __name__ == "__main__":  # python -m tests.guarantees.histories.test_random_exchanges 2000
    settings(QUICK, max_examples=int(sys.argv[1]))(given(st.integers(2, 3), STEPS)(play_on_disk))()
