"""Random histories of clones around one remote against a naive model: a value that was settled once never comes back.

python -m tests.guarantees.histories.test_clone_histories 2000      (so many histories, long ones)
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artstore.domain.collection import INHERIT, State
from artstore.domain.collection import Path as Collection
from artstore.domain.properties import NEVER, Properties
from artstore.errors import Conflict, MissingObject
from artstore.repository import Repository
from artstore.sync.exchange import Exchanged
from tests.guarantees.histories.clone_model import ALIASES, KEYS, TAGS, Model, Reading, Side, reading
from tests.support.checks import check
from tests.support.folders import make_tree

ACTS = ["save", "release", "alias", "unalias", "tag", "untag", "meta", "describe", "about", "ttl", "delete", "undelete"]
ACTS += ["keep", "make", "rename", "extras"]
EXCHANGES = ["push", "push", "push", "pull", "pull", "pull", "fetch"]
Step = tuple[int, str, int, int]


def steps(longest: int) -> st.SearchStrategy[list[Step]]:
    acts = st.sampled_from([*ACTS, "release", "alias", "rename", *EXCHANGES])
    return st.lists(
        st.tuples(st.integers(0, 2), acts, st.integers(0, 5), st.integers(0, 1)), min_size=8, max_size=longest
    )


class Clone:
    def __init__(self, folder: Path, name: str, url: str) -> None:
        self.repository, _ = Repository.clone(url, str(folder / name / ".artifacts"))
        self.root = folder / name / ".artifacts"
        self.side = Side(name)


class History:
    """Clones and their remote in a folder, acting as the model does."""

    def __init__(self, folder: Path, clones: int) -> None:
        self.folder = folder
        self.model = Model()
        self.remote_root = folder / "remote" / ".artifacts"
        self.remote = Repository.init(str(self.remote_root))
        self.there = Side("remote")
        self._count = 0
        self._save(self.remote, "n")
        self.model.acted(self.there, "n", reading(self.remote.collection("n")))
        names = ("anna", "bob", "carl")[:clones]
        self.clones = [Clone(folder, name, str(self.remote_root)) for name in names]
        for clone in self.clones:
            self.model.pulled(clone.side, self.there, self._reads(clone.repository))

    def close(self) -> None:
        for repository in (self.remote, *(clone.repository for clone in self.clones)):
            repository.close()

    def check(self) -> None:
        for root in (self.remote_root, *(clone.root for clone in self.clones)):
            check(root)

    def _reads(self, repository: Repository) -> dict[str, Any]:
        return {state.path.name: reading(state) for state in repository.collections()}

    def _new(self) -> int:
        self._count += 1
        return self._count

    def _save(self, repository: Repository, name: str, **more: Any) -> None:
        repository.put(str(make_tree(self.folder / "src", {"f": str(self._new())})), name, **more)

    def _save_with_extras(self, repository: Repository, path: Collection, n: int) -> None:
        with repository.draft() as draft:
            draft.add_bytes(str(self._new()).encode(), "f")
            draft.extra("f")["count"] = [self._count] * (1 if n else 2000)
            draft.save(path)

    def step(self, who: int, action: str, n: int, m: int) -> None:
        clone = self.clones[who % len(self.clones)]
        if action in ("push", "pull"):
            getattr(self, action)(clone)
            return
        if action == "fetch":
            clone.repository.fetch()
            return
        names = sorted(clone.side.values)
        name = names[n % len(names)]
        if action == "rename":
            new = ("x", "y", f"{clone.side.name}{self._new()}")[n % 3]
            try:
                clone.repository.rename(name, new)
            except Conflict:  # it is in use
                return
            clone.side.rename(name, new)
            name = new
        elif action == "make":
            name = ("n", "x", "y")[n % 3]
            self._save(clone.repository, name)
            name = clone.repository.collection(name).path.name
        else:
            self._act(clone.repository, clone.repository.collection(name), action, n, m)
        self.model.acted(clone.side, name, reading(clone.repository.collection(name)))

    def _act(self, repository: Repository, state: State, action: str, n: int, m: int) -> None:
        name, alias, tag = state.path.name, ALIASES[m], TAGS[m]
        if action == "extras":
            self._save_with_extras(repository, state.path, n)
        elif action in ("save", "release"):
            self._save(repository, name, aliases=(alias,) if action == "release" else ())
        elif action == "about":
            about = [{"description": f"text {self._new()}"}, {"tags": (tag,)}, {"no_tags": (tag,)}][n % 3]
            repository.edit_collection(name, **about)
        elif action == "keep":
            repository.keep(name, f"last:{1000 + self._new()}" if n else None)  # so many that none is let go
        elif action == "undelete":
            dead = [version for version in state.versions.values() if "deleted" in version]
            if dead:
                with contextlib.suppress(MissingObject):  # of one that was deleted before it was pulled
                    repository.undelete(f"{name}:v{dead[n % len(dead)]['number']}")
        elif live := state.live():
            version = live[n % len(live)]
            self._act_on(repository, state, version, f"{name}@{version['id']}", action, n, m, alias, tag)

    def _act_on(
        self, repository: Repository, state: State, version: Any, spec: str, action: str, n: int, m: int,
        alias: str, tag: str,
    ) -> None:  # fmt: skip
        if action == "alias":
            repository.set_aliases(spec, (alias,))
        elif action == "unalias" and alias in state.aliases:
            repository.set_aliases(f"{state.path.name}@{state.aliases[alias]}", remove=(alias,))
        elif action == "tag":
            repository.set_tags(spec, (tag,))
        elif action == "untag" and tag in version.get("tags", []):
            repository.set_tags(spec, remove=(tag,))
        elif action == "meta":
            repository.edit(
                spec, Properties(metadata={KEYS[m]: self._new()}) if n else Properties(no_metadata=(KEYS[m],))
            )
        elif action == "describe":
            repository.edit(spec, Properties(description=f"text {self._new()}" if n else ""))
        elif action == "ttl":
            repository.edit(spec, Properties(ttl=(INHERIT, NEVER, 60 * self._new())[n % 3]))
        elif action == "delete":
            repository.delete(spec, delete_aliases=True)

    def push(self, clone: Clone) -> bool:
        before = self._reads(clone.repository)
        done = clone.repository.push()
        assert self._reads(clone.repository) == before == clone.side.reads, "a push changes nothing here"
        reads, last = self._reads(self.remote), self.there.reads
        last = dict(last)
        self.model.renamed_there(clone.side, self.there)
        for moved in done.collections:
            if moved.problem is None:
                self.model.pushed(clone.side, self.there, moved.path.name, reads[moved.path.name])
        assert reads == self.there.reads
        return has_moved(done) or reads != last

    def pull(self, clone: Clone) -> bool:
        last = dict(clone.side.reads)
        done = clone.repository.pull()
        refused = {moved.path.name for moved in done.refused}
        reads = self._reads(clone.repository)
        self.model.pulled(clone.side, self.there, {name: read for name, read in reads.items() if name not in refused})
        assert reads == clone.side.reads
        return has_moved(done) or reads != last

    def come_to_rest(self) -> None:
        """Pull and push until nothing moves: all read alike, and the next round changes nothing."""
        for _ in range(8):
            told = [(self.pull(clone), self.push(clone)) for clone in self.clones]
            if not any(map(any, told)):
                break
        else:
            raise AssertionError("pull and push never come to rest")
        for clone in self.clones:
            for name, read in clone.side.reads.items():
                if name not in self.there.moved:  # else it is refused, with a hint at the new name
                    assert read == self.there.reads[name], f"{clone.side.name} reads {name} otherwise"


def has_moved(done: Exchanged) -> bool:
    return any(moved.outcome == "moved" for moved in done.collections)


def play(clones: int, steps: list[Step]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="artstore-clones-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    history = None
    try:
        history = History(folder, clones)
        for step in steps:
            history.step(*step)
        history.come_to_rest()
        history.close()
        history.check()
    finally:
        if history is not None:
            history.close()
        shutil.rmtree(folder)


# -- one by one ----------------------------------------------------------------------------------


class Team:
    """anna and bob, each with a clone of a remote that has n:v0 to n:v2."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = Repository.init(str(folder / "remote/.artifacts"))
        for text in "012":
            self.put(self.remote, "n", text)
        self.anna, self.bob = (
            Repository.clone(self.remote.root, str(folder / name / ".artifacts"))[0] for name in ("anna", "bob")
        )

    def put(self, repository: Repository, name: str, text: str) -> None:
        repository.put(str(make_tree(self.folder / text, {"f": text})), name)

    def conflict(self, act: Callable[[Repository, int], None]) -> None:
        """Both set a value that stood at the remote; anna's stays, and bob has heard so."""
        act(self.remote, 0)
        self.anna.pull()
        self.bob.pull()
        act(self.anna, 1)
        act(self.bob, 2)
        self.anna.push()
        assert [len(moved.declined) for moved in self.bob.pull().collections] == [1]
        self.bob.push()


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    team = Team(tmp_path)
    yield team
    for repository in (team.remote, team.anna, team.bob):
        repository.close()
        check(Path(repository.root))


def reads(repository: Repository, name: str) -> Reading:
    return reading(repository.collection(name))


def succeeds(done: Exchanged) -> Exchanged:
    for moved in done.refused:
        assert moved.problem is not None
        raise moved.problem
    return done


SETS: dict[str, Callable[[Repository, int], None]] = {
    "an alias": lambda repository, n: (repository.set_aliases(f"n:v{n}", ("prod",)), None)[1],
    "metadata": lambda repository, n: (repository.edit("n:v0", Properties(metadata={"loss": n})), None)[1],
    "a description": lambda repository, n: (repository.edit("n:v0", Properties(description=f"text {n}")), None)[1],
    "a ttl": lambda repository, n: (repository.edit("n:v0", Properties(ttl=60 + n)), None)[1],
    "a collection's rule": lambda repository, n: (repository.keep("n", f"last:{1000 + n}"), None)[1],
    "a collection's description": lambda repository, n: (repository.edit_collection("n", description=f"{n}"), None)[1],
}


@pytest.mark.parametrize("kind", SETS)
def test_what_was_settled_stays_so_where_each_clone_gave_the_collection_another_name(team: Team, kind: str) -> None:
    team.conflict(SETS[kind])
    meant = reads(team.bob, "n")
    assert meant == reads(team.anna, "n")
    team.anna.rename("n", "aname")
    team.anna.push()
    team.bob.rename("n", "bname")
    assert not any(moved.declined for moved in succeeds(team.bob.push()).collections)
    assert reads(team.remote, "bname") == meant
    succeeds(team.bob.pull())
    succeeds(team.anna.pull())
    for repository in (team.anna, team.bob, team.remote):
        assert reads(repository, "aname") == reads(repository, "bname") == meant
    for repository in (team.anna, team.bob):
        assert not any(map(has_moved, (repository.push(), repository.pull()))), "nothing is left to tell"


@pytest.mark.parametrize("kind", SETS)
def test_a_pull_does_not_bring_back_what_we_wrote_over_after_overwriting_theirs(team: Team, kind: str) -> None:
    act = SETS[kind]
    act(team.bob, 1)
    act(team.anna, 1)
    act(team.anna, 2)
    team.bob.push()
    succeeds(team.anna.push())  # over bob's, which reads as what hers replaced
    assert reads(team.remote, "n") == reads(team.anna, "n")
    act(team.anna, 0)
    meant = reads(team.anna, "n")
    assert not any(moved.declined for moved in succeeds(team.anna.pull()).collections)
    assert reads(team.anna, "n") == meant
    succeeds(team.anna.push())
    succeeds(team.bob.pull())
    assert reads(team.remote, "n") == reads(team.bob, "n") == meant
    assert not any(map(has_moved, (team.anna.pull(), team.anna.push(), team.bob.push())))


def test_what_was_settled_with_one_collection_is_told_to_another_whose_name_it_takes(team: Team) -> None:
    team.conflict(SETS["an alias"])
    meant = team.bob.find("n:prod").version["id"]
    team.put(team.anna, "x", "of anna")
    team.anna.push()
    team.bob.rename("n", "x")
    succeeds(team.bob.pull("origin", ["x"]))
    succeeds(team.bob.push())
    for repository in (team.bob, team.remote):
        assert repository.find("x:prod").version["id"] == meant
    assert [v["number"] for v in team.remote.collection("x").live()] == [0, 1, 2, 3]


def test_what_was_declined_is_told_no_more_where_both_clones_chose_the_same_new_name(team: Team) -> None:
    team.conflict(SETS["an alias"])
    team.anna.rename("n", "x")
    team.anna.push()
    team.bob.rename("n", "x")
    for done in (team.bob.push(), team.bob.pull(), team.bob.push()):
        assert [moved[:5] for moved in done.collections] == [
            (moved.path, "up to date", (), 0, ()) for moved in done.collections
        ]
    assert reads(team.bob, "x") == reads(team.remote, "x") == reads(team.anna, "x")


def test_notes_that_do_not_name_the_log_are_about_the_one_that_has_their_name(team: Team) -> None:
    team.conflict(SETS["an alias"])
    (path,) = Path(team.bob.root).glob("remotes/origin/refs/*/*/n/settled.json")
    noted = json.loads(path.read_text())
    path.write_text(json.dumps({"settled": noted["settled"]}))  # as artstore 0.1 wrote them
    assert not has_moved(succeeds(team.bob.push())) and not has_moved(succeeds(team.bob.pull()))
    team.anna.rename("n", "aname")
    team.anna.push()
    team.bob.rename("n", "bname")
    succeeds(team.bob.push())
    assert reads(team.remote, "bname") == reads(team.bob, "bname") == reads(team.anna, "aname")


def test_a_collection_that_others_made_keeps_its_name_when_ours_had_the_same_before_and_is_pushed(team: Team) -> None:
    team.put(team.anna, "x", "of anna")
    team.anna.push()
    team.put(team.bob, "x", "of bob")
    team.bob.rename("x", "y")
    succeeds(team.bob.push())
    assert reads(team.remote, "x") == reads(team.anna, "x")
    assert reads(team.remote, "y") == reads(team.bob, "y")


def test_a_collection_that_took_two_names_of_the_remotes_is_the_one_whose_versions_it_has(team: Team) -> None:
    team.put(team.anna, "x", "of anna")
    team.anna.push()
    team.bob.rename("n", "x")
    team.bob.rename("x", "y")
    succeeds(team.bob.push())
    assert reads(team.remote, "y") == reads(team.bob, "y")
    assert reads(team.remote, "x") == reads(team.anna, "x")
    assert not team.remote.refs.read(team.remote.path_of("n")[0], follow=False).exists


# -- at random -----------------------------------------------------------------------------------

QUICK = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(QUICK, max_examples=20)
@given(st.integers(2, 3), steps(30))
def test_no_value_that_was_settled_comes_back_in_any_clone(clones: int, steps: list[Step]) -> None:
    play(clones, steps)


if __name__ == "__main__":
    long = settings(QUICK, derandomize=False, max_examples=int(sys.argv[1]))
    long(given(st.integers(2, 3), steps(60))(play))()
    print(f"{sys.argv[1]} histories of up to 60 steps")
