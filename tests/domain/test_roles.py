"""Roles: which projects a token covers, and the least role for each kind of change of a collection or run."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artstore.domain import kinds, run
from artstore.domain.changes import Change, LogEntry, new_change
from artstore.domain.collection import INHERIT, Path, State
from artstore.domain.names import file_name_of
from artstore.domain.roles import (
    COLLECTIONS,
    PROTECTED,
    RUNS,
    Grant,
    Role,
    fold_with_role,
    is_protected_alias,
    pattern_of,
)
from artstore.domain.run import RunPath, RunState
from artstore.errors import DamagedLog, InvalidValue, UnsupportedFormat

VIEWER, READER, WRITER, PROMOTER, ADMIN = Role

# -- roles and projects --------------------------------------------------------------------------


def test_each_role_includes_those_before_it_and_is_written_as_it_is_read() -> None:
    assert VIEWER < READER < WRITER < PROMOTER < ADMIN
    assert [f"{role}" for role in Role] == ["viewer", "reader", "writer", "promoter", "admin"]
    assert [Role.named(str(role)) for role in Role] == list(Role)
    for wrong in ("Admin", "", "3", "owner\n"):
        with pytest.raises(InvalidValue, match=r"is not a role: viewer, reader, writer, promoter, admin$"):
            Role.named(wrong)


def grant(*patterns: str, role: Role = WRITER) -> Grant:
    return Grant(role, tuple(pattern_of(pattern, "local") for pattern in patterns))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("vision", ["local/vision", "local/Vision", "LOCAL/VISION"], ["local/vision2", "team/vision", "local/visio"]),
        ("vision-*", ["local/vision-", "local/vision-x"], ["local/vision", "local/visionx"]),
        ("team/*", ["team/a", "team/registry-x"], ["local/a", "team2/a", "tea/m"]),
        ("*/vision", ["a/vision", "local/vision"], ["a/visions", "vision/a"]),
        ("*", ["local/a"], ["team/a"]),
        ("a*b*c", ["local/abc", "local/aXbbYc", "local/abcbc"], ["local/ac", "local/ab", "local/acb"]),
        ("a**a", ["local/aa", "local/axa"], ["local/a"]),
        ("straße", ["local/STRASSE", "local/strasse"], ["local/strase"]),
        ("caf\u00e9", ["local/cafe\u0301", "local/CAFÉ"], ["local/cafe"]),
        ("wandb-registry-m", ["local/registry-m"], ["local/wandb-registry-m"]),
        ("a.c", ["local/a.c"], ["local/abc"]),
        ("con*", ["local/con", "local/console"], ["local/co"]),
        ("[ab]", ["local/[ab]"], ["local/a"]),
    ],
)
def test_a_pattern_covers_the_projects_that_it_names_in_any_case_and_form(
    pattern: str, inside: list[str], outside: list[str]
) -> None:
    found = grant(pattern)
    assert [path for path in inside if found.role_in(*path.split("/")) is None] == []
    assert [path for path in outside if found.role_in(*path.split("/")) is not None] == []


@pytest.mark.parametrize("alike", ["vіsion", "ｖision", "visıon", "vision\u200d", "vision ", "vis\u0456on"])
def test_a_name_that_looks_like_a_covered_one_is_another_project(alike: str) -> None:
    assert grant("vision").role_in("local", "vision") is WRITER
    assert grant("vision").role_in("local", alike) is None


def test_a_token_without_patterns_covers_all_projects() -> None:
    assert Grant(READER).role_in("any", "project") is READER


@pytest.mark.parametrize("wrong", ["a/b/c", "", "a/", "/a", "..", "a\nb", "a%b", "x" * 129])
def test_what_can_be_no_project_is_no_pattern(wrong: str) -> None:
    with pytest.raises(InvalidValue):
        pattern_of(wrong, "local")


SHORT = st.text("ab*", min_size=1, max_size=5)
NAMES = st.text("ab", min_size=1, max_size=6)


@given(SHORT, NAMES)
def test_a_pattern_matches_as_a_regular_expression_would(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
    assert (grant(pattern).role_in("local", name) is not None) == expected


@given(NAMES, NAMES)
def test_names_are_covered_exactly_as_they_share_a_folder(one: str, other: str) -> None:
    for name in (one.upper(), f"{one}.", f"é{one}"):
        assert (grant(name).role_in("local", other) is not None) == (file_name_of(name) == file_name_of(other))


@given(st.lists(SHORT, max_size=3), st.lists(SHORT, max_size=3), st.lists(NAMES, max_size=8), st.booleans())
def test_a_grant_is_wider_exactly_if_there_is_a_project_that_only_it_covers(
    ours: list[str], theirs: list[str], names: list[str], elsewhere: bool
) -> None:
    one, other = grant(*ours), grant(*theirs)
    tried = names + [
        pattern.replace("*", filling) for pattern in ours or ["*"] for filling in ("", "a", "b", "~", "ab~")
    ]
    entity = "team" if elsewhere and not ours else "local"
    only = [name for name in tried if name and one.role_in(entity, name) and not other.role_in(entity, name)]
    if one.wider_than(other):
        witnesses = [path.replace("*", "~") for path in one.patterns or ("*/*",)]
        assert any(other.role_in(*path.split("/")) is None for path in witnesses)
    else:
        assert only == []


def test_a_higher_role_is_wider_in_however_few_projects() -> None:
    assert grant("a", role=ADMIN).wider_than(Grant(PROMOTER))
    assert not grant("a", "b").wider_than(Grant(WRITER))
    assert Grant(WRITER).wider_than(grant("*"))
    assert not grant("*/*").wider_than(Grant(WRITER)) and not Grant(WRITER).wider_than(grant("*/*"))


def test_a_hostile_pattern_takes_no_endless_time() -> None:
    pattern, name = "*a" * 50 + "b", "a" * 128
    began = time.process_time()
    for _ in range(100):
        assert grant(pattern).role_in("local", name) is None
    assert time.process_time() - began < 0.5


# -- aliases -------------------------------------------------------------------------------------


def test_protected_aliases_are_known_in_every_form_that_looks_the_same() -> None:
    for alias in ("prod", "PROD", "Production", "ｐｒｏｄ", "ᵖʳᵒᵈ"):
        assert is_protected_alias(alias), alias
    for alias in ("latest", "prod2", "product", "best"):
        assert not is_protected_alias(alias), alias
    assert is_protected_alias("prod-eu", ["prod*"]) and not is_protected_alias("prod", [])


# -- kinds of changes ----------------------------------------------------------------------------


def test_every_kind_of_change_has_a_row_in_the_table_of_its_log() -> None:
    assert COLLECTIONS.keys() == kinds.KINDS.keys()
    assert RUNS.keys() == run.KINDS.keys()


MINE, THEIRS = (letter * 64 for letter in "ab")
NEVER = "d" * 64


def id_of(number: int) -> str:
    return f"{number:064x}"


class Collection:
    """A collection to which several authors append."""

    def __init__(self, project: str = "p", name: str = "data") -> None:
        self.state = State(Path("local", project, name))
        self.least(None, [self.named()])

    def named(self, **other: str) -> Change:
        return new_change("collection", **self.state.path.fields() | {"type": "dataset"} | other)

    def least(self, author: str | None, changes: list[Change], protected: tuple[str, ...] = PROTECTED) -> Role:
        """The least role for an entry, which is then appended."""
        return fold_with_role(self.state, self._entry(author, changes), protected)

    def asked(self, author: str | None, *changes: Change, protected: tuple[str, ...] = PROTECTED) -> Role:
        """The same, and nothing is appended."""
        return fold_with_role(self.state.copy(), self._entry(author, list(changes)), protected)

    def _entry(self, author: str | None, changes: list[Change]) -> LogEntry:
        return LogEntry(self.state.number + 1, "0" * 64, self.state.digest, "t", None, "root", "w", changes, author)

    def version(self, kind: str = "version", number: int | None = None) -> Change:
        number = self.state.next if number is None else number
        source = {"source": {**self.state.path.fields(), "number": 0}} if kind == "link" else {}
        return new_change(
            kind, id=id_of(number + 1), number=number, digest="0" * 64, size=0, files=0, created=0, run=None, parents=[],
            **source,
        )  # fmt: skip

    def save(self, author: str | None, *aliases: str) -> str:
        change = self.version()
        moves = [alias(name, change["id"]) for name in aliases]
        self.least(author, [change, *moves])
        return str(change["id"])


def alias(name: str, id: str | None) -> Change:
    return new_change("alias", alias=name, id=id, old=None)


def tags(id: str | None, *add: str, remove: tuple[str, ...] = ()) -> Change:
    return new_change("tags", id=id, add=list(add), remove=list(remove))


def metadata(id: str | None, **values: Any) -> Change:
    return new_change("metadata", id=id, set=values, blobs={}, remove=[])


def description(id: str | None) -> Change:
    return new_change("description", id=id, old=None, new="text", blob=None)


def ttl(id: str, new: Any) -> Change:
    return new_change("ttl", id=id, old=INHERIT, new=new)


def origins(id: str) -> Change:
    return new_change("origins", id=id, entries={"f": {"id": NEVER, "path": "f", **Path("e", "p", "n").fields(), "number": 0}}, blob=None)  # fmt: skip


def extras(id: str) -> Change:
    return new_change("extras", id=id, entries={"f": {"k": 1}}, blob=None)


def simple(kind: str, **fields: Any) -> Change:
    return new_change(kind, **fields)


PLACE = Path("local", "p", "other").fields()
PART = {"upsert": "u", "tree": "0" * 64, "size": 0, "files": 0, "writer": "w", "run": None}


def test_a_writer_saves_and_edits_its_own_and_only_an_admin_edits_what_is_of_others() -> None:
    of = Collection()
    theirs, mine = of.save("ada"), of.save("ci")
    for change, others in [
        (lambda id: metadata(id, a=1), ADMIN),
        (description, ADMIN),
        (lambda id: tags(id, "good"), WRITER),  # nothing is lost
        (lambda id: tags(id, remove=("good",)), ADMIN),
        (lambda id: ttl(id, None), ADMIN),
        (origins, ADMIN),
        (extras, ADMIN),
    ]:
        assert (of.asked("ci", change(mine)), of.asked("ci", change(theirs))) == (WRITER, others)
        assert of.asked(None, change(mine)) == others, "without a verified name nothing is anybody's own"
    assert of.asked("ci", of.version(), of.version(number=3), alias("best", id_of(3))) == WRITER


def test_what_was_there_before_the_server_is_nobodys_own() -> None:
    of = Collection()
    old = of.save(None)
    assert {of.asked(author, metadata(old, a=1)) for author in (None, "ci", "")} == {ADMIN}


def test_own_is_whose_author_the_server_wrote_and_not_whose_user_is_claimed() -> None:
    of = Collection()
    of.save("ada")
    claimed = {"host": None, "time": "t", "user": "ci"}
    assert of.asked("ci", {**metadata(id_of(1), a=1), "by": claimed}) == ADMIN


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("delete", {"id": MINE, "reason": None}),
        ("delete collection", {"ids": []}),
        ("keep", {"old": None, "new": "last:1"}),
        ("renumber", {"numbers": {MINE: 9}}),
        ("finish", {"upsert": "u", "id": MINE}),
        ("drop", {"upsert": "u", "tree": None}),
        ("moved from", {**PLACE, "number": 1, "digest": "0" * 64}),
        ("moved to", PLACE),
    ],
)
def test_only_an_admin_deletes_renames_renumbers_and_decides_what_is_kept(kind: str, fields: dict[str, Any]) -> None:
    of = Collection()
    id = of.save("ci")
    fields = {k: id if v == MINE else {id: 9} if k == "numbers" else v for k, v in fields.items()}
    assert of.asked("ci", simple(kind, **fields)) == ADMIN


def test_parts_of_upserts_and_ends_of_abandoned_renames_take_a_writer() -> None:
    of = Collection()
    assert of.asked("ci", simple("part", **PART)) == of.asked("ci", simple("not moved", **PLACE)) == WRITER


def test_what_is_said_of_entries_once_is_said_again_by_an_admin_alone() -> None:
    of = Collection()
    mine = of.save("ci")
    for said in (origins, extras):
        assert of.asked("ci", said(mine)) == WRITER
        assert of.asked("ci", said(mine), said(mine)) == ADMIN
    told = simple("part extras", upsert="u", tree=PART["tree"], blob="0" * 64)
    assert of.asked("ci", simple("part", **PART), told) == WRITER
    assert of.asked("ci", simple("part", **PART), told, told) == ADMIN


def test_protected_aliases_take_a_promoter_and_others_move_freely() -> None:
    of = Collection()
    theirs = of.save("ada", "best", "prod")
    mine = of.save("ci")
    for name, role in [("best", WRITER), ("prod", PROMOTER), ("PROD", PROMOTER), ("ｐｒｏｄ", PROMOTER)]:
        assert of.asked("ci", alias(name, mine)) == of.asked("ci", alias(name, None)) == role, name
        assert of.asked("ada", alias(name, theirs)) == role
    assert of.asked("ci", alias("best", mine), protected=("b*",)) == PROMOTER


def test_a_writer_takes_back_only_its_own_newest_version_and_never_the_one_before() -> None:
    of = Collection()
    first, last = of.save("ci"), of.save("ci")

    def withdraw(id: str) -> Change:
        return simple("withdraw", id=id, reason=None)

    assert (of.asked("ci", withdraw(last)), of.asked("ci", withdraw(first))) == (WRITER, ADMIN)
    assert of.asked("ada", withdraw(last)) == ADMIN
    assert of.asked("ci", withdraw(last), withdraw(first)) == ADMIN
    of.least("ci", [withdraw(last)])
    assert of.asked("ci", withdraw(first)) == ADMIN
    assert of.asked("ci", simple("undelete", id=last)) == WRITER, "what an author took back may come again"
    assert of.asked("ada", simple("undelete", id=last)) == ADMIN
    of.least("admin", [simple("delete", id=first, reason=None)])
    assert of.asked("ci", simple("undelete", id=first)) == ADMIN, "what an admin deleted stays deleted"
    prod = of.save("ci", "prod")
    assert of.asked("ci", withdraw(prod)) == PROMOTER


@pytest.mark.parametrize(
    ("before", "after", "role"),
    [
        (INHERIT, 1, ADMIN),
        (INHERIT, None, WRITER),
        (60, 59, ADMIN),
        (60, 60, WRITER),
        (60, 61, WRITER),
        (60, INHERIT, WRITER),
        (60, None, WRITER),
        (None, 60, ADMIN),
        (None, INHERIT, ADMIN),
    ],
)
def test_a_writer_keeps_its_own_versions_longer_but_limits_only_the_newest(before: Any, after: Any, role: Role) -> None:
    of = Collection()
    id = of.save("ci")
    of.least("ci", [ttl(id, before)])
    assert (of.asked("ci", ttl(id, after)), of.asked("ada", ttl(id, after))) == (WRITER, ADMIN)
    of.save("ci")
    assert of.asked("ci", ttl(id, after)) == role


def test_limiting_a_version_that_a_protected_alias_names_takes_a_promoter() -> None:
    of = Collection()
    id = of.save("ci", "prod")
    assert (of.asked("ci", ttl(id, 1)), of.asked("ci", ttl(id, None))) == (PROMOTER, WRITER)


def test_a_collection_is_made_by_a_writer_and_changed_by_an_admin() -> None:
    of = Collection()
    new = State(Path("local", "p", "new"))
    made = LogEntry(1, "0" * 64, None, "t", None, None, "w", [new_change("collection", **new.path.fields(), type="t")])
    assert fold_with_role(new, made) == WRITER
    assert of.asked("ci", of.named()) == WRITER
    assert of.asked("ci", of.named(type="model")) == ADMIN
    assert of.asked("ci", of.named(name="DATA")) == ADMIN, "another spelling"
    assert of.asked("ci", of.named(type="artstore-registry")) == ADMIN
    of.least("admin", [simple("delete collection", ids=[])])
    assert of.asked("ci", of.named(type="model")) == WRITER, "a name that is free again"


def test_the_name_of_a_collection_that_was_renamed_is_taken_by_an_admin_only() -> None:
    of = Collection()
    of.least("admin", [simple("moved to", **PLACE)])
    assert of.asked("ci", of.named()) == ADMIN


def test_a_log_that_names_another_collection_takes_an_admin() -> None:
    state = State(Path("local", "mine", "data"))
    forged = new_change("collection", **Path("local", "registry-theirs", "data").fields(), type="t")
    assert fold_with_role(state, LogEntry(1, "0" * 64, None, "t", None, None, "w", [forged], "ci")) == ADMIN


def test_the_texts_of_a_collection_are_edited_by_who_saved_all_of_its_versions() -> None:
    of = Collection()
    assert of.asked("ci", description(None), metadata(None, a=1), tags(None, "t")) == WRITER
    of.save("ci")
    assert of.asked("ci", description(None), metadata(None, a=1), tags(None, remove=("t",))) == WRITER
    assert of.asked("ada", tags(None, "t")) == WRITER
    of.save("ada")
    for change in (description(None), metadata(None, a=1), tags(None, remove=("t",))):
        assert {of.asked(author, change) for author in ("ci", "ada")} == {ADMIN}


@pytest.mark.parametrize("project", ["registry-models", "Registry-models", "REGISTRY-X"])
def test_in_a_registry_every_change_takes_a_promoter_however_the_project_is_spelled(project: str) -> None:
    of = Collection(project)
    assert of.asked("ci", of.named()) == of.asked("ci", of.version("link")) == PROMOTER
    assert of.asked("ci", of.version()) == of.asked("ci", alias("best", None)) == PROMOTER
    assert of.asked("ci", simple("keep", old=None, new=None)) == ADMIN
    assert Collection().asked("ci", of.version("link")) == WRITER, "a link into another project"


def test_what_a_registry_is_and_allows_is_decided_by_an_admin() -> None:
    of = Collection("registry-models", ".registry")
    of.least("admin", [of.named(type="artstore-registry")])
    for change in (metadata(None, artifact_types=[]), description(None), tags(None, "t")):
        assert of.asked("ci", change) == ADMIN


def test_each_change_is_judged_by_the_state_that_those_before_it_made() -> None:
    of = Collection()
    new = of.version()
    assert of.asked("ci", new, metadata(new["id"], a=1), description(new["id"]), ttl(new["id"], 60)) == WRITER
    assert of.asked("ci", new, of.version(number=1), ttl(new["id"], 60)) == ADMIN


def test_an_entry_without_changes_takes_a_writer_and_unknown_or_malformed_changes_are_refused() -> None:
    of = Collection()
    assert of.asked("ci") == WRITER
    with pytest.raises(UnsupportedFormat, match="which this artstore does not know"):
        of.asked("ci", new_change("grant", id=None))
    for bad in (new_change("alias", alias="a"), new_change("ttl", id=1, old=None, new=None), metadata(NEVER, a=1)):
        with pytest.raises(DamagedLog, match="that can't be applied"):
            of.asked("ci", bad)


# -- runs ----------------------------------------------------------------------------------------

START = {"entity": "local", "project": "p", "run": "r", "job_type": None, "group": None, "owner": "o", "command": [], "git": None}  # fmt: skip
RECORDS: list[tuple[str, dict[str, Any]]] = [
    ("label", {"name": None, "notes": None, "tags": []}),
    ("config", {"set": {}, "remove": []}),
    ("summary", {"set": {}, "remove": []}),
    ("define", {"metric": "m", "keep": []}),
    ("history", {"part": "p", "rows": 0, "first": 0, "last": 0, "text": "", "blob": None}),
    ("files", {"part": "p", "tree": "0" * 64, "size": 0, "files": 0, "replaces": []}),
    ("finish", {"state": "finished", "code": 0}),
    ("start", START),
]


def least_of_run(state: RunState, author: str | None, *changes: Change) -> Role:
    entry = LogEntry(state.number + 1, "0" * 64, state.digest, "t", None, None, "w", list(changes), author)
    return fold_with_role(state, entry)


def test_a_run_is_begun_by_any_writer_and_recorded_by_its_author() -> None:
    for kind, fields in RECORDS:
        state = RunState(RunPath("local", "p", "r"))
        assert least_of_run(state, "ci", simple("start", **START), simple(kind, **fields)) == WRITER
        assert least_of_run(state, "ci", simple(kind, **fields)) == WRITER
        assert least_of_run(state, "ada", simple(kind, **fields)) == ADMIN, kind
        assert least_of_run(state, None, simple(kind, **fields)) == ADMIN


def test_a_run_is_deleted_by_an_admin_and_its_id_is_free_again() -> None:
    state = RunState(RunPath("local", "p", "r"))
    least_of_run(state, "ci", simple("start", **START))
    assert least_of_run(state, "ci", simple("delete")) == ADMIN
    assert least_of_run(state, "ada", simple("start", **START)) == WRITER
    assert state.author == "ada"


def test_a_run_that_was_not_begun_is_recorded_by_nobody() -> None:
    state = RunState(RunPath("local", "p", "r"))
    assert least_of_run(state, "ci", simple("config", set={}, remove=[])) == ADMIN
