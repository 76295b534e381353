"""Copies of one collection's log, in memory, that push to and pull from each other."""

import itertools
import os
from copy import deepcopy
from typing import Any

from artstore.domain.changes import Change, LogEntry, check_change, new_change
from artstore.domain.collection import INHERIT, State
from artstore.domain.collection import Path as Collection
from artstore.domain.kinds import KINDS, fold
from artstore.domain.pulling import PullPlan, to_pull
from artstore.domain.pushing import PushPlan, to_push
from artstore.domain.reconcile import ONE_LOG, told

PATH = Collection("local", "uncategorized", "a")
_clock = itertools.count(1)


class Copy:
    """One repository's log of one collection, in memory, and what it has settled with others."""

    def __init__(self, name: str, path: Collection = PATH) -> None:
        self.name = name
        self.entries: list[LogEntry] = []
        self.state = State(path)
        self.settled: dict[str, set[str]] = {}
        self.same: dict[str, tuple[int, int, State]] = {}
        """where this and another held the same: numbers of entries of both, and this one's state"""

    # -- changing it, as `Changes` and `Draft` do --

    def add(self, *changes: Change) -> LogEntry:
        for change in changes:
            check_change(KINDS, change)
        number, tick = len(self.entries) + 1, next(_clock)
        entry = LogEntry(
            number, f"{tick:064x}", self.state.digest, f"2026-01-01T00:00:00.{tick:06}Z", f"{self.name}-host", self.name,
            f"{tick:032x}", list(changes),
        )  # fmt: skip
        fold(self.state, entry)
        self.entries.append(entry)
        return entry

    def save(self, type: str = "model") -> str:
        id = os.urandom(32).hex()
        named = [] if self.state.exists else [new_change("collection", **self.state.path.fields(), type=type)]
        about = {"digest": os.urandom(32).hex(), "size": 1, "files": 1, "created": 1, "run": None, "parents": []}
        self.add(*named, new_change("version", id=id, number=self.state.next, **about))
        return id

    def alias(self, name: str, id: str | None) -> None:
        self.add(new_change("alias", alias=name, id=id, old=self.state.aliases.get(name)))

    def tag(self, id: str | None, *add: str, remove: tuple[str, ...] = ()) -> None:
        self.add(new_change("tags", id=id, add=list(add), remove=list(remove)))

    def meta(self, id: str, remove: tuple[str, ...] = (), blobs: dict[str, str] | None = None, **values: Any) -> None:
        self.add(new_change("metadata", id=id, set=values, blobs=blobs or {}, remove=list(remove)))

    def describe(self, id: str | None, text: str | None, blob: str | None = None) -> None:
        old = self.state.versions[id].get("description") if id else self.state.description
        self.add(new_change("description", id=id, old=old, new=text, blob=blob))

    def ttl(self, id: str, seconds: int | str | None) -> None:
        self.add(new_change("ttl", id=id, old=self.state.versions[id].get("ttl", INHERIT), new=seconds))

    def extras(self, id: str, entries: dict[str, Any] | None, blob: str | None = None) -> None:
        self.add(new_change("extras", id=id, entries=entries, blob=blob))

    def delete(self, id: str) -> None:
        held = [alias for alias in self.state.aliases_of(id) if alias != "latest"]
        gone = [new_change("alias", alias=alias, id=None, old=id) for alias in held]
        self.add(*gone, new_change("delete", id=id, reason=None))

    def undelete(self, id: str) -> None:
        self.add(new_change("undelete", id=id))

    def remove(self) -> None:
        self.add(new_change("delete collection", ids=[version["id"] for version in self.state.live()]))

    def retype(self, type: str) -> None:
        self.add(new_change("collection", **self.state.path.fields(), type=type))

    # -- exchanging --

    def push(self, there: "Copy", *wanted: str) -> PushPlan:
        settled = self.settled.setdefault(there.name, set())
        plan = to_push(told(self.entries), self.state, there.state, there.known(), settled, set(wanted) or None)
        if (behind := self.behind_same(there)) and not wanted:
            ours, theirs, start = behind
            known = {change["change"] for change in theirs}
            short = to_push(ours, self.state, there.state, known, settled, start=deepcopy(start))
            assert unnamed(short, self, there) == unnamed(plan, self, there), "what came behind the `same` is enough"
        if plan.changes:
            there.add(*plan.changes)
        settled |= plan.settled
        self.note_same(there, plan)
        return plan

    def pull(self, there: "Copy", *wanted: str, upstream: bool = True) -> PullPlan:
        settled = self.settled.setdefault(there.name, set())
        plan = to_pull(
            told(there.entries), there.state, told(self.entries), self.state, settled,
            upstream=upstream, wanted=set(wanted) or None,
        )  # fmt: skip
        if (behind := self.behind_same(there)) and not wanted:
            ours, theirs, _ = behind
            short = to_pull(theirs, there.state, ours, self.state, settled, upstream=upstream)
            assert unnamed(short, self, there) == unnamed(plan, self, there), "what came behind the `same` is enough"
        if plan.changes:
            self.add(*plan.changes)
        settled |= plan.settled
        self.note_same(there, plan)
        return plan

    def note_same(self, there: "Copy", plan: PushPlan | PullPlan) -> None:
        if plan.same:
            self.same[there.name] = (len(self.entries), len(there.entries), deepcopy(self.state))

    def behind_same(self, there: "Copy") -> tuple[list[Change], list[Change], State] | None:
        """What both have said since they held the same, and the state then; None without, or when it concerns one only."""
        ours, theirs, start = self.same.get(there.name, (0, 0, self.state))
        new = told(self.entries[ours:]), told(there.entries[theirs:])
        odd = any(change["kind"] in ONE_LOG for some in new for change in some)
        return (*new, start) if ours and not odd else None

    def known(self) -> set[str]:
        return {change["change"] for entry in self.entries for change in entry.changes}

    def numbers(self, *ids: str) -> list[int]:
        return [self.state.versions[id]["number"] for id in ids]


def unnamed(plan: PushPlan | PullPlan, *copies: Copy) -> PushPlan | PullPlan:
    """A plan, but for the random ids of changes that it makes itself."""
    known = set[str]().union(*(copy.known() for copy in copies))
    made = {change["change"]: str(n) for n, change in enumerate(plan.changes) if change["change"] not in known}
    named = [{**change, "change": made.get(change["change"], change["change"])} for change in plan.changes]
    return plan._replace(changes=named, settled={made.get(id, id) for id in plan.settled})


def reads(state: State) -> dict[str, Any]:
    """What a user sees of a collection. Of deleted versions only that they were."""

    def said(version: dict[str, Any]) -> Any:
        if "deleted" in version:
            return version["number"], "deleted"
        more = [version.get(key) for key in ("metadata", "blobs", "description", "extras")]
        return version["number"], sorted(version.get("tags", [])), *more, version.get("ttl", INHERIT)

    return {
        "exists": state.exists,
        "type": state.type if state.exists else "",
        "description": state.description,
        "tags": sorted(state.tags),
        "aliases": dict(state.aliases),
        "next": state.next,
        "versions": {id: said(version) for id, version in state.versions.items()},
    }


def assert_same(*copies: Copy) -> None:
    for copy in copies[1:]:
        assert reads(copy.state) == reads(copies[0].state), f"{copies[0].name} and {copy.name} differ"


def assert_quiet(copy: Copy, remote: Copy) -> None:
    """Nothing more to say in either direction."""
    assert copy.pull(remote)[:2] == ([], []) and copy.push(remote)[:3] == ([], [], [])
