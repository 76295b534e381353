"""Whatever a writer appends, nothing of others is lost: random changes of every kind, as far as the roles let them in."""

import random
from typing import Any

import pytest

from artstore.domain import kinds, run
from artstore.domain.changes import Change, LogEntry, new_change
from artstore.domain.collection import INHERIT, Path, State, VersionState, author_of, is_live
from artstore.domain.roles import Role, fold_with_role, is_protected_alias
from artstore.domain.run import RunPath, RunState
from artstore.errors import ArtstoreError, DamagedLog
from tests.support.marks import mostly_long

HOME, OTHER = Path("local", "p", "data"), Path("local", "p", "other")
IDS = [f"{number:064x}" for number in range(1, 9)]
"""Of versions: the first four are there at first, the first and third are somebody else's."""
TREE = "0" * 64
IN_PLACE = [{id: number} for id in IDS[:5] for number in range(10)]
ORIGIN = {"f": {"id": IDS[0], "path": "f", **HOME.fields(), "number": 0}}

Choices = dict[str, dict[str, list[Any]]]
"""For each kind of change the values that each field may get."""
TEXTS, MAYBE_ID, TTLS = ["a", "b"], [None, *IDS], [None, INHERIT, 1, 100, 10_000]
SETS = [{}, {"a": 1}, {"b": 2}]
LISTS = [[], ["a"], ["b"], ["a", "b"]]
MADE = {
    "id": IDS, "number": [*range(10)], "digest": [TREE], "size": [0], "files": [0], "created": [0], "run": [None], "parents": [[]],
}  # fmt: skip
ELSEWHERE = {field: [value] for field, value in OTHER.fields().items()}
CHANGES: Choices = {
    "collection": {
        "entity": ["local"], "project": ["p"], "name": ["data", "DATA", "other"], "type": ["dataset", "model", "artstore-registry"],
    },
    "version": MADE,
    "link": {**MADE, "source": [{**OTHER.fields(), "number": 0}]},
    "alias": {"alias": ["prod", "PROD", "best"], "id": MAYBE_ID, "old": MAYBE_ID},
    "tags": {"id": MAYBE_ID, "add": LISTS, "remove": LISTS},
    "metadata": {"id": MAYBE_ID, "set": SETS, "blobs": [{}, {"a": TREE}], "remove": LISTS},
    "description": {"id": MAYBE_ID, "old": [None], "new": [None, "a"], "blob": [None, TREE]},
    "keep": {"old": [None], "new": [None, "last:1"]},
    "ttl": {"id": IDS, "old": TTLS, "new": TTLS},
    "origins": {"id": IDS, "entries": [{}, ORIGIN], "blob": [None]},
    "extras": {"id": IDS, "entries": [{}, {"f": {"a": 1}}], "blob": [None]},
    "part": {"upsert": ["u", "w"], "tree": [TREE, IDS[0]], "size": [0], "files": [0], "writer": TEXTS, "run": [None]},
    "part extras": {"upsert": ["u", "w"], "tree": [TREE, IDS[1]], "blob": [None, TREE]},
    "finish": {"upsert": ["u", "w"], "id": IDS},
    "drop": {"upsert": ["u", "w"], "tree": [None, TREE]},
    "renumber": {"numbers": [{}, *IN_PLACE]},
    "delete": {"id": IDS, "reason": [None]},
    "withdraw": {"id": IDS, "reason": [None]},
    "undelete": {"id": IDS},
    "delete collection": {"ids": [[], IDS[:4], *([id] for id in IDS)]},
    "moved from": {**ELSEWHERE, "number": [1, 2], "digest": [TREE]},
    "moved to": ELSEWHERE,
    "not moved": ELSEWHERE,
}  # fmt: skip


def entries_of(choices: Choices, seed: int) -> list[list[Change]]:
    """Some entries of one or two random changes, the same for the same seed."""
    chance, kinds_of = random.Random(seed), sorted(choices)

    def change() -> Change:
        kind = chance.choice(kinds_of)
        return new_change(kind, **{field: chance.choice(some) for field, some in choices[kind].items()})

    return [[change() for _ in range(chance.choice((1, 1, 2)))] for _ in range(12)]


def entry(number: int, changes: list[Change], author: str | None) -> LogEntry:
    return LogEntry(number, TREE, TREE, "t", None, "root", "w", changes, author)


def made() -> State:
    """Versions of two writers by turns, with all that can be said of them, a part of an upsert, and a deleted version."""
    state = State(HOME)
    kinds.fold(state, entry(1, [new_change("collection", **HOME.fields(), type="dataset")], "ada"))
    for number, id in enumerate(IDS[:4]):
        author = "ada" if number % 2 == 0 else "ci"
        said = [
            new_change("version", id=id, number=number, digest=TREE, size=0, files=0, created=0, run=None, parents=[]),
            new_change("metadata", id=id, set={"a": 9}, blobs={}, remove=[]),
            new_change("tags", id=id, add=["a"], remove=[]),
            new_change("ttl", id=id, old=INHERIT, new=1000),
        ]
        kinds.fold(state, entry(2 + number, said, author))
    last = [
        new_change("alias", alias="prod", id=IDS[0], old=None),
        new_change("alias", alias="best", id=IDS[2], old=None),
        new_change("description", id=None, old=None, new="of all", blob=None),
        new_change("metadata", id=None, set={"a": 9}, blobs={}, remove=[]),
        new_change("tags", id=None, add=["a"], remove=[]),
        new_change("part", upsert="u", tree=TREE, size=0, files=0, writer="ada", run=None),
        new_change("part", upsert="u", tree=IDS[1], size=0, files=0, writer="ada", run=None),
        new_change("part extras", upsert="u", tree=IDS[1], blob=TREE),
        new_change("version", id=IDS[4], number=4, digest=TREE, size=0, files=0, created=0, run=None, parents=[]),
        new_change("delete", id=IDS[4], reason="it held a password"),
    ]
    kinds.fold(state, entry(6, last, "ada"))
    return state


def protected(state: State) -> dict[str, str]:
    return {alias: id for alias, id in state.aliases.items() if is_protected_alias(alias)}


def kept(version: VersionState) -> dict[str, Any]:
    """All that must stay of a version of others but its tags, of which there may be more."""
    return {key: value for key, value in version.items() if key not in ("tags", "updated")}


def lives_as_long(before: VersionState, after: VersionState) -> bool:
    old, new = before.get("ttl", INHERIT), after.get("ttl", INHERIT)
    return new is None or new == old or (isinstance(old, int) and (new == INHERIT or new >= old))


def check_nothing_of_others_is_lost(before: State, after: State) -> None:
    same = (
        "type",
        "exists",
        "redirect",
        "keep",
        "keep_entry",
        "path",
        "description",
        "metadata",
        "blobs",
        "renumbered",
    )
    for field in same:
        assert getattr(after, field) == getattr(before, field), field
    assert set(after.tags) >= set(before.tags)
    for upsert, parts in before.upserts.items():
        for part, now in zip(parts, after.upserts[upsert], strict=False):
            assert now == part or ("extras" not in part and now == {**part, "extras": now.get("extras")})
    for id, version in before.versions.items():
        now = after.versions[id]
        if author_of(version) != "ci":
            assert kept(now) == kept(version) and set(now.get("tags", [])) >= set(version.get("tags", []))
        elif version["number"] < before.next - 1:  # its own, but not the newest
            assert is_live(now) == is_live(version) and now["number"] == version["number"]
            assert lives_as_long(version, now)


@pytest.mark.parametrize("first", mostly_long([*range(0, 8000, 1000)], 0))
def test_nothing_that_a_writer_or_promoter_appends_loses_anything_of_others(first: int) -> None:
    before = made()
    for seed in range(first, first + 1000):
        entries = entries_of(CHANGES, seed)
        after = appended(before, entries, Role.WRITER)
        check_nothing_of_others_is_lost(before, after)
        assert protected(after) == protected(before), entries
        check_nothing_of_others_is_lost(before, appended(before, entries, Role.PROMOTER))


def test_the_random_changes_are_of_every_kind_and_an_admin_may_lose_all() -> None:
    assert CHANGES.keys() == kinds.KINDS.keys() and RUN_CHANGES.keys() == run.KINDS.keys()
    gone = [[new_change("delete", id=IDS[0], reason=None)], [new_change("delete collection", ids=IDS[:4])]]
    assert not appended(made(), gone, Role.ADMIN).exists
    assert appended(made(), gone, Role.PROMOTER).exists


def appended(before: State, entries: list[list[Change]], role: Role) -> State:
    """The state with those of the entries that a server would let in."""
    state = before
    for changes in entries:
        trial = state.copy()
        try:
            if fold_with_role(trial, entry(state.number + 1, changes, "ci")) <= role:
                state = trial
        except ArtstoreError:
            pass  # it contradicts the log
    return state


# -- runs ----------------------------------------------------------------------------------------

EDGE = {
    **{field: [value] for field, value in HOME.fields().items()}, "id": IDS, "number": [0], "type": ["t"],
    "digest": [TREE], "size": [0], "created": [0],
}  # fmt: skip
RUN_CHANGES: Choices = {
    "start": {
        "entity": ["local"], "project": ["p"], "run": ["r", "R"], "job_type": [None, "a"], "group": [None], "owner": TEXTS,
        "command": [[]], "git": [None],
    },
    "label": {"name": TEXTS, "notes": TEXTS, "tags": LISTS},
    "config": {"set": SETS, "remove": LISTS},
    "summary": {"set": SETS, "remove": LISTS},
    "define": {"metric": TEXTS, "keep": [["min"], ["none"]]},
    "used": {**EDGE, "as": [None]},
    "logged": EDGE,
    "history": {"part": TEXTS, "rows": [0], "first": [0], "last": [0], "text": ["a"], "blob": [None]},
    "files": {"part": TEXTS, "tree": [TREE], "size": [0], "files": [0], "replaces": LISTS},
    "finish": {"state": ["finished", "failed"], "code": [0]},
    "delete": {},
}  # fmt: skip


def recorded() -> RunState:
    state = RunState(RunPath("local", "p", "r"))
    start = new_change(
        "start", entity="local", project="p", run="r", job_type=None, group=None, owner="o", command=[], git=None
    )
    run.fold(state, entry(1, [start, new_change("config", set={"a": 9}, remove=[])], "ada"))
    return state


def test_no_writer_and_no_promoter_changes_a_run_of_others() -> None:
    plain, tried = recorded().plain(), set[str]()
    for changes in (changes for seed in range(100) for changes in entries_of(RUN_CHANGES, seed)):
        state = RunState.from_plain(dict(plain))
        try:
            assert fold_with_role(state, entry(state.number + 1, changes, "ci")) == Role.ADMIN, changes
        except DamagedLog:
            continue
        tried |= {change["kind"] for change in changes}
    assert tried == RUN_CHANGES.keys()
