"""Random histories against a naive model: what a repository says is always what a dictionary would say.

python -m tests.guarantees.histories.test_stateful 2000      (so many histories, long ones)
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from artstore.domain.properties import Properties
from artstore.errors import Conflict, MissingObject, NotFound
from artstore.operations.upkeep.merge import merge
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.folders import make_tree, snapshot

NAMES = st.sampled_from(["a", "b", "c"])
TYPES = st.sampled_from(["dataset", "model"])
ALIASES = st.sampled_from(["best", "prod", "x y"])
TAGS = st.sampled_from(["red", "green"])
KEYS = st.sampled_from(["loss", "note"])
VALUES = st.one_of(
    st.integers(-3, 3),
    st.floats(0, 1),
    st.sampled_from(["", "text", "long " * 1000]),
    st.none(),
    st.just({"deep": [1]}),
)
CONTENTS = {"empty": b"", "one": b"one", "two": b"two", "some": b"x" * 5000, "large": b"L" * ((1 << 20) + 1)}
FILES = st.dictionaries(
    st.sampled_from(["f", "g", "sub/f", "sub/g*", "sub/deep/h", "other/f"]), st.sampled_from(list(CONTENTS)), max_size=4
)
NUMBERS = st.integers(0, 5)

Tree = dict[str, Any]


class Version:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.live = True
        self.may_be_gone = False
        """deleted, and a collection has run since"""
        self.tags: list[str] = []
        self.metadata: dict[str, Any] = {}


class Collection:
    def __init__(self, type: str) -> None:
        self.type = type
        self.exists = True
        self.versions: list[Version] = []
        self.aliases: dict[str, int] = {}

    def live(self) -> list[int]:
        return [number for number, version in enumerate(self.versions) if version.live]

    def forget(self, number: int) -> None:
        self.versions[number].live = False
        self.aliases = {alias: of for alias, of in self.aliases.items() if of != number}


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="artstore-history-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.root = self.folder / ".artifacts"
        self.repository = Repository.init(str(self.root))
        self.model: dict[str, Collection] = {}
        self.redirects: dict[str, str] = {}
        self.count = 0

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            self.repository.close()
            check(self.root)
        finally:
            shutil.rmtree(self.folder)

    def _new_folder(self) -> Path:
        self.count += 1
        return self.folder / str(self.count)

    def _at(self, name: str) -> tuple[str, Collection | None]:
        """The collection that a name leads to, through renames."""
        while name in self.redirects:
            name = self.redirects[name]
        return name, self.model.get(name)

    def _version(self, name: str, number: int) -> Version | None:
        """The live version, or None when commands have to refuse it."""
        _, collection = self._at(name)
        if collection is None or not collection.exists or number not in collection.live():
            return None
        return collection.versions[number]

    # -- saving and reading --

    @rule(
        name=NAMES,
        files=FILES,
        type=st.none() | TYPES,
        aliases=st.lists(ALIASES, max_size=2),
        metadata=st.none() | st.dictionaries(KEYS, VALUES, max_size=2),
    )
    def put(
        self, name: str, files: dict[str, str], type: str | None, aliases: list[str], metadata: dict[str, Any] | None
    ) -> None:
        source = make_tree(self._new_folder(), {path: CONTENTS[of] for path, of in files.items()})
        tree = snapshot(source)
        name, collection = self._at(name)
        if collection is not None and collection.exists and type not in (None, collection.type):
            with pytest.raises(Conflict):
                self.repository.put(str(source), name, type=type)
            return
        saved = self.repository.put(str(source), name, type=type, aliases=tuple(aliases), metadata=metadata)
        if collection is None:
            collection = self.model[name] = Collection(type or "artifact")
        elif not collection.exists:
            collection.exists, collection.type = True, type or "artifact"
        live = collection.live()
        same = bool(live) and collection.versions[live[-1]].tree == tree
        if not same:
            collection.versions.append(Version(tree))
        number = collection.live()[-1]
        assert (saved.number, saved.is_new) == (number, not same)
        collection.aliases |= dict.fromkeys(aliases, number)
        collection.versions[number].metadata |= metadata or {}

    @rule(name=NAMES, number=NUMBERS)
    def get(self, name: str, number: int) -> None:
        version = self._version(name, number)
        if version is None:
            with pytest.raises(NotFound):
                self.repository.find(f"{name}:v{number}")
            return
        target = self._new_folder()
        self.repository.get(self.repository.find(f"{name}:v{number}"), str(target))
        assert snapshot(target) == version.tree

    @rule(name=NAMES, old=NUMBERS, new=NUMBERS)
    def diff(self, name: str, old: int, new: int) -> None:
        versions = [self._version(name, number) for number in (old, new)]
        if None in versions:
            return
        trees = [
            {path: is_ for path, is_ in version.tree.items() if is_ is not None} for version in versions if version
        ]
        found = [self.repository.find(f"{name}:v{number}") for number in (old, new)]
        changed = {change.path.decode() for change in self.repository.diff(*found)}
        assert changed - _folders(versions) == {
            path for path in trees[0].keys() | trees[1].keys() if trees[0].get(path) != trees[1].get(path)
        }

    # -- what moves --

    @rule(name=NAMES, number=NUMBERS, alias=ALIASES)
    def alias(self, name: str, number: int, alias: str) -> None:
        if self._version(name, number) is None:
            with pytest.raises(NotFound):
                self.repository.set_aliases(f"{name}:v{number}", (alias,))
            return
        self.repository.set_aliases(f"{name}:v{number}", (alias,))
        collection = self._at(name)[1]
        assert collection is not None
        collection.aliases[alias] = number

    @rule(name=NAMES, number=NUMBERS, tag=TAGS, remove=st.booleans())
    def tag(self, name: str, number: int, tag: str, remove: bool) -> None:
        version = self._version(name, number)
        spec = f"{name}:v{number}"
        if version is None or (remove and tag not in version.tags):
            with pytest.raises(NotFound):
                self.repository.set_tags(spec, remove=(tag,)) if remove else self.repository.set_tags(spec, (tag,))
        elif remove:
            self.repository.set_tags(spec, remove=(tag,))
            version.tags.remove(tag)
        else:
            self.repository.set_tags(spec, (tag,))
            version.tags = list(dict.fromkeys([*version.tags, tag]))

    @rule(name=NAMES, number=NUMBERS, key=KEYS, value=VALUES, remove=st.booleans())
    def edit(self, name: str, number: int, key: str, value: Any, remove: bool) -> None:
        version = self._version(name, number)
        changes: tuple[dict[str, Any], tuple[str, ...]] = ({}, (key,)) if remove else ({key: value}, ())
        if version is None:
            with pytest.raises(NotFound):
                self.repository.edit(f"{name}:v{number}", Properties(metadata=changes[0], no_metadata=changes[1]))
            return
        self.repository.edit(f"{name}:v{number}", Properties(metadata=changes[0], no_metadata=changes[1]))
        version.metadata.pop(key, None)
        version.metadata |= changes[0]

    @rule(name=NAMES, number=NUMBERS, force=st.booleans())
    def rm(self, name: str, number: int, force: bool) -> None:
        collection = self._at(name)[1]
        if self._version(name, number) is None or collection is None:
            with pytest.raises(NotFound):
                self.repository.delete(f"{name}:v{number}", delete_aliases=force)
        elif number in collection.aliases.values() and not force:
            with pytest.raises(Conflict):
                self.repository.delete(f"{name}:v{number}")
        else:
            self.repository.delete(f"{name}:v{number}", delete_aliases=force)
            collection.forget(number)

    @rule(name=NAMES)
    def rm_collection(self, name: str) -> None:
        collection = self._at(name)[1]
        if collection is None or not collection.exists:
            with pytest.raises(NotFound):
                self.repository.delete_collection(name, delete_aliases=True)
            return
        self.repository.delete_collection(name, delete_aliases=True)
        for number in collection.live():
            collection.forget(number)
        collection.exists = False

    @rule(name=NAMES, number=NUMBERS)
    def undelete(self, name: str, number: int) -> None:
        collection = self._at(name)[1]
        version = collection.versions[number] if collection and number < len(collection.versions) else None
        if collection is None or version is None or version.live:
            with pytest.raises((NotFound, Conflict)):
                self.repository.undelete(f"{name}:v{number}")
            return
        try:
            self.repository.undelete(f"{name}:v{number}")
        except MissingObject:
            assert version.may_be_gone, "no collection has run since it was deleted"
            return
        except Conflict as error:  # the name was taken again, for another type
            assert collection.live() and f"a has type '{collection.type}' now".partition(" ")[2] in str(error)
            return
        version.live, version.may_be_gone, collection.exists = True, False, True

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        name, collection = self._at(old)
        if collection is None or not collection.exists:
            with pytest.raises(NotFound):
                self.repository.rename(old, new)
        elif new in self.redirects or new in self.model:
            with pytest.raises(Conflict):
                self.repository.rename(old, new)
        else:
            self.repository.rename(old, new)
            self.redirects[name] = new
            self.model[new] = self.model.pop(name)

    # -- what changes no answer --

    @rule(now=st.booleans())
    def gc(self, now: bool) -> None:
        planned = self.repository.gc(now=now, dry_run=True)
        done = self.repository.gc(now=now)
        assert (done.freed_bytes, done.trashed_bytes) == (planned.freed_bytes, planned.trashed_bytes), (
            "a dry run says it to the byte"
        )
        assert done.problems == () and done.waits_for == ()
        if now:
            for collection in self.model.values():
                for version in collection.versions:
                    version.may_be_gone |= not version.live

    @rule()
    def merge(self) -> None:
        merge(self.repository.objects)

    @rule()
    def reopen(self) -> None:
        self.repository.close()
        self.repository = Repository(str(self.root))

    @rule()
    def delete_cache(self) -> None:
        shutil.rmtree(self.root / "cache", ignore_errors=True)

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        states = {state.path.name: state for state in self.repository.collections()}
        assert states.keys() == {name for name, collection in self.model.items() if collection.exists}
        for name, state in states.items():
            collection = self.model[name]
            numbers = {id: version["number"] for id, version in state.versions.items()}
            assert [version["number"] for version in state.live()] == collection.live()
            assert {alias: numbers[id] for alias, id in state.aliases.items()} == collection.aliases
            assert state.type == collection.type
            for stored in state.live():
                version = collection.versions[stored["number"]]
                found = self.repository.find(f"{name}:v{stored['number']}")
                assert stored.get("tags", []) == version.tags
                assert self.repository.properties(found)[1] == version.metadata


def _folders(versions: list[Version | None]) -> set[str]:
    return {path for version in versions if version for path, content in version.tree.items() if content is None}


SHORT = settings(
    max_examples=25, stateful_step_count=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
TestHistories.settings = SHORT

if __name__ == "__main__":
    long = settings(SHORT, max_examples=int(sys.argv[1]), stateful_step_count=60)
    run_state_machine_as_test(Histories, settings=long)
    print(f"{sys.argv[1]} histories of up to 60 steps")
