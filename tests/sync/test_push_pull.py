"""Push, pull, fetch and clone between real repositories: what goes is what is missing, and nothing is lost on the way."""

import os
import shutil
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.api import recording
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State
from artstore.domain.ignore import PathFilter
from artstore.domain.properties import Properties
from artstore.domain.selection import Selection
from artstore.errors import ArtstoreError, Conflict, Damage, DamagedLog, InvalidValue, MissingObject, NotFound, Refused
from artstore.operations.finding.lookup import RenumberedWarning
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.repository import Repository
from artstore.store.logs import CHECKPOINT_EVERY, Log
from artstore.store.packs import LARGE
from artstore.store.refs import Refs
from artstore.store.settings import RemoteSettings
from artstore.store.transaction import Transaction
from artstore.sync.exchange import ALL, Exchanged, Exchanging, Moved
from artstore.sync.notes import Tracking
from artstore.sync.push import Push
from artstore.sync.remotes import Divergence
from artstore.sync.runs import RunExchange
from artstore.sync.transfer import NOTHING, Transfer
from tests.conftest import check, make_tree, snapshot, touched
from tests.support.reader import Reader
from tests.support.trouble import at_call, finish, run, start

BIG = bytes(range(256)) * (LARGE // 256 + 1)
FILES: dict[str, Any] = {
    "a.txt": "small",
    "sub/b.txt": "other",
    "sub/deep/c.txt": "third",
    "big.bin": BIG,
    "run.sh*": "#!",
}
Place = Callable[..., Repository]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Makes repositories by name; all are checked at the end."""
    made: dict[str, Repository] = {}

    def make(name: str, **options: Any) -> Repository:
        if name not in made:
            made[name] = Repository.init(str(tmp_path / name / ".artifacts"), **options)
        return made[name]

    yield make
    for repository in made.values():
        repository.close()
    for name in made:
        check(tmp_path / name / ".artifacts")


@pytest.fixture
def nas(tmp_path: Path) -> Iterator[Path]:
    """Where a shared repository will be; checked at the end if there is one whole."""
    yield tmp_path / "nas"
    if (tmp_path / "nas/format").exists() and not (tmp_path / "unchecked").exists():
        check(tmp_path / "nas")


@pytest.fixture
def anna(place: Place, nas: Path) -> Repository:
    """A repository whose remote `nas` is empty."""
    repository = place("anna")
    repository.remotes.add("nas", str(nas), make=True)
    return repository


@pytest.fixture
def bob(place: Place, anna: Repository, nas: Path) -> Repository:
    """Another, with the same remote."""
    repository = place("bob")
    repository.remotes.add("nas", str(nas))
    return repository


def put(repository: Repository, name: str, files: dict[str, Any], **options: Any) -> str:
    """The id of the version that these files are."""
    source = Path(repository.root).parent / "src"
    if source.exists():
        shutil.rmtree(source)
    return repository.put(str(make_tree(source, files)), name, **options).id


def cloned(tmp_path: Path, nas: Path, name: str = "clone", **options: Any) -> Repository:
    repository, _ = Repository.clone(str(nas), str(tmp_path / name / ".artifacts"), **options)
    return repository


def got(repository: Repository, spec: str, how: Restore = PLAIN) -> dict[str, Any]:
    target = Path(repository.root).parent / "got"
    if target.exists():
        shutil.rmtree(target)
    repository.get(repository.find(spec), str(target), how)
    return snapshot(target)


def only(done: Exchanged) -> Moved:
    (moved,) = done.collections
    if moved.problem is not None:
        raise moved.problem
    return moved


def outcomes(done: Exchanged) -> dict[str, str]:
    return {moved.path.name: moved.outcome for moved in done.collections}


def says(repository: Any, name: str = "a") -> dict[str, Any]:
    """What a repository (or a remote's folder) says of a collection."""
    if isinstance(repository, Path):
        with Repository(str(repository)) as opened:
            return says(opened, name)
    state = repository.refs.read(repository.path_of(name)[0])
    numbers = {id: version["number"] for id, version in state.versions.items()}
    return {
        "type": state.type,
        "tags": sorted(state.tags),
        "description": state.description,
        "versions": numbers,
        "live": [version["id"] for version in state.live()],
        "aliases": {alias: numbers[id] for alias, id in state.aliases.items()},
        "properties": [
            (
                repository.properties(repository.find(f"{name}@{v['id']}")),
                sorted(v.get("tags", [])),
                v.get("ttl", "inherit"),
            )
            for v in state.live()
        ],
    }


def files_below(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {str(path.relative_to(folder)): touched(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def objects_of(folder: Path) -> set[tuple[str, str]]:
    return set(Reader(folder).copies)


def refs_of(repository: Repository) -> dict[str, bytes]:
    root = Path(repository.root) / "refs"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.json")}


# -- what goes -----------------------------------------------------------------------------------


def test_a_push_and_a_clone_carry_everything_that_is_said(anna: Repository, nas: Path, tmp_path: Path) -> None:
    long = {"text": "x" * 9000, "n": 1, "f": 0.5}
    put(anna, "a", FILES, type="model", aliases=("prod",), tags=("t",), description="d" * 9000, metadata=long)
    put(anna, "a", {"a.txt": "new"}, aliases=("best",))
    anna.edit("a:v0", Properties(ttl=3600))
    anna.edit_collection("a", description="of all", tags=("c",))
    moved = only(anna.push())
    assert (moved.outcome, moved.versions, moved.declined) == ("moved", ("a:v0", "a:v1"), ())
    assert says(nas) == says(anna)
    with cloned(tmp_path, nas) as clone:
        assert says(clone) == says(anna)
        for spec in ("a:v0", "a:v1"):
            assert got(clone, spec) == got(anna, spec)
        assert clone.remotes.all()["origin"] == RemoteSettings(str(nas), partial=False, relative=False)
    check(tmp_path / "clone/.artifacts")


def test_a_push_adds_one_entry_and_one_pack_and_each_large_blob(anna: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "a", FILES | {"a.txt": "2"})
    anna.edit("a:v0", Properties(metadata={"k": 1}, aliases=("x",)))
    anna.push()
    assert [p.name for p in (nas / "refs/local/uncategorized/a").iterdir()] == ["00000001.json"]
    assert len(list((nas / "objects/packs").iterdir())) == 1
    assert len(list((nas / "objects/blobs").glob("*/*"))) == 1
    assert not list((nas / "tmp").iterdir())


def test_a_second_push_and_a_second_pull_are_up_to_date_and_touch_nothing(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", FILES, aliases=("x",))
    anna.push()
    bob.pull()
    before = files_below(nas), files_below(Path(bob.root) / "refs"), files_below(Path(bob.root) / "objects")
    for again in (anna.push(), anna.push(dry_run=True), bob.pull(), bob.pull(dry_run=True), anna.pull(), bob.push()):
        assert outcomes(again) == {"a": "up to date"} and (again.objects, again.bytes, again.runs) == (0, 0, 0)
    assert before == (files_below(nas), files_below(Path(bob.root) / "refs"), files_below(Path(bob.root) / "objects"))


def test_what_is_there_is_not_sent_again(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    first = anna.push()
    put(anna, "a", FILES | {"a.txt": "changed"})
    second = anna.push()
    assert (first.objects, second.objects) == (5 + 3 + 1, 1 + 1 + 1), "a blob, the root tree, the version"
    put(anna, "b", FILES)
    assert anna.push().objects == 1, "another collection of the same tree: the version"
    put(bob, "c", FILES)
    assert bob.push().objects == 1, "also what others brought there"
    assert bob.pull().objects == 3 + 1 + 1, "nor is what bob has by himself: only what was changed, and three versions"


def test_what_two_collections_share_is_sent_once(anna: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "b", FILES)
    done = anna.push()
    assert done.objects == 5 + 3 + 2
    stored = Reader(nas).copies
    assert all(len(places) == 1 for places in stored.values()) and len(stored) == done.objects


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_dry_run_counts_what_the_real_run_reports_and_changes_nothing(
    anna: Repository, bob: Repository, nas: Path, direction: str
) -> None:
    put(anna, "a", FILES, metadata={"long": "x" * 9000})
    anna.push()
    bob.pull()
    teller = anna
    for n, files in enumerate((FILES | {"n": "1"}, {"big2": BIG + b"2", "f": "f"}, {"f": "f"})):
        put(teller, "a", files, metadata={"long": f"{n}" * 9000})
    put(teller, "other/b", {"f": "g"})
    teller.edit("a:v0", Properties(description="y" * 9000))
    if direction == "pull":
        anna.push()
    act, repository = (anna.push, anna) if direction == "push" else (bob.pull, bob)
    before = files_below(nas), refs_of(repository), objects_of(Path(repository.root)), objects_of(nas)
    planned = act(dry_run=True)
    assert before == (files_below(nas), refs_of(repository), objects_of(Path(repository.root)), objects_of(nas))
    done = act()
    assert (planned.objects, planned.bytes) == (done.objects, done.bytes)
    assert planned.collections == done.collections
    assert done.bytes > 2 * LARGE / 2 and outcomes(done) == {"a": "moved", "b": "moved"}
    target = nas if direction == "push" else Path(bob.root)
    had = before[3] if direction == "push" else before[2]
    assert len(objects_of(target) - had) == done.objects, "and exactly that arrives"


def test_only_what_a_deleted_version_alone_needs_stays_at_home(anna: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "a", {"f": "kept"})
    anna.delete("a:v0")
    assert only(anna.push()).versions == ("a:v1",)
    assert len(objects_of(nas)) == 3


def test_a_version_brought_back_goes_there_again(anna: Repository, bob: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "a", {"f": "kept"})
    anna.push()
    bob.pull()
    anna.delete("a:v0")
    anna.push()
    with Repository(str(nas)) as there:
        there.gc(now=True)
    bob.pull()
    bob.gc(now=True)
    anna.undelete("a:v0")
    assert only(anna.push()).versions == ("a:v0",)
    bob.pull()
    assert says(bob) == says(nas) == says(anna)
    assert got(bob, "a:v0") == got(anna, "a:v0")


# -- what is chosen ------------------------------------------------------------------------------


@pytest.fixture
def several(anna: Repository) -> Repository:
    for name in ("a", "b", "p/c", "other/p/d", "other/q/e"):
        put(anna, name, {"f": name})
    put(anna, "a", {"f": "second"}, aliases=("best",))
    return anna


CHOSEN: dict[tuple[str, ...], list[str]] = {
    (): ["a:v0", "a:v1", "b:v0", "c:v0", "d:v0", "e:v0"],
    ("a",): ["a:v0", "a:v1"],
    ("a:v0",): ["a:v0"],
    ("a:best",): ["a:v1"],
    ("a:latest", "b"): ["a:v1", "b:v0"],
    ("p/",): ["c:v0"],
    ("local/uncategorized/",): ["a:v0", "a:v1", "b:v0"],
    ("other/p/",): ["d:v0"],
    ("other/q/e",): ["e:v0"],
}


@pytest.mark.parametrize("specs", CHOSEN, ids=lambda specs: " ".join(specs) or "all")
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_version_an_artifact_a_project_or_all_is_pushed_and_pulled(
    several: Repository, bob: Repository, nas: Path, direction: str, specs: tuple[str, ...]
) -> None:
    if direction == "pull":
        several.push()
    done = (several.push if direction == "push" else bob.pull)("nas", specs)
    assert sorted(name for moved in done.collections for name in moved.versions) == CHOSEN[specs]
    (several.push if direction == "push" else bob.pull)("nas")
    bob.pull()
    for name in ("a", "b", "p/c", "other/p/d", "other/q/e"):
        assert says(bob, name) == says(nas, name) == says(several, name)


def test_a_project_is_not_taken_for_one_whose_name_begins_so(anna: Repository, nas: Path) -> None:
    for name in ("p/c", "p2/d", "p-x/e"):
        put(anna, name, {"f": name})
    assert outcomes(anna.push("nas", ["p/"])) == {"c": "moved"}


def test_what_is_not_there_is_named(several: Repository, bob: Repository, nas: Path) -> None:
    several.push()
    with pytest.raises(NotFound, match="nothing"):
        several.push("nas", ["nothing"])
    with pytest.raises(NotFound, match="has no version v7"):
        several.push("nas", ["a:v7"])
    with pytest.raises(NotFound, match="^remote 'nas' has no artifact local/uncategorized/nothing"):
        bob.pull("nas", ["nothing"])
    with pytest.raises(NotFound, match="has no version v7"):
        bob.pull("nas", ["a:v7"])
    with pytest.raises(NotFound, match="there is no remote 'nsa'") as caught:
        bob.pull("nsa")
    assert caught.value.hint == "the remotes are nas"
    assert refs_of(bob) == {}


def test_a_version_of_a_spec_is_chosen_as_the_sender_names_it(several: Repository, bob: Repository) -> None:
    several.push()
    assert only(bob.pull("nas", ["a:best"])).versions == ("a:v1",)
    assert says(bob)["aliases"] == {"best": 1}
    assert only(bob.pull("nas", ["a"])).versions == ("a:v0",)


# -- numbers and what both changed ---------------------------------------------------------------


def test_versions_of_ours_move_behind_theirs_and_every_old_number_is_told(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    theirs = put(anna, "a", {"f": "hers"})
    anna.push()
    first, second = put(bob, "a", {"f": "his 1"}, aliases=("his",)), put(bob, "a", {"f": "his 2"})
    refused = bob.push()
    ((moved),) = refused.refused
    assert str(moved.problem) == "a:v1 is another version at the remote than here"
    assert (
        isinstance(moved.problem, Conflict) and "pull" in str(moved.problem.hint) and "nas" in str(moved.problem.hint)
    )
    moved = only(bob.pull())
    assert moved.renumbered == ((1, 2), (2, 3)) and moved.versions == ("a:v1",)
    assert {id: n for id, n in says(bob)["versions"].items() if n} == {theirs: 1, first: 2, second: 3}
    assert bob.find("a:his").version["number"] == 2
    with pytest.warns(
        RenumberedWarning, match="a:v1 was renumbered by a pull: it is v2 now, and v1 is another version"
    ):
        assert bob.find("a:v1").version["id"] == theirs
    assert only(bob.push()).versions == ("a:v2", "a:v3")
    anna.pull()
    assert says(anna) == says(bob) == says(nas)


def test_an_old_number_that_nobody_took_leads_to_the_version_that_had_it(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    for n in range(3):
        put(anna, "a", {"f": f"hers {n}"})
    anna.push("nas", ["a:v0"])
    anna.push("nas", ["a:v2"])
    ours = [put(bob, "a", {"f": "his 0"}), put(bob, "a", {"f": "his 1"})]
    assert only(bob.pull()).renumbered == ((0, 3), (1, 4))
    with pytest.warns(RenumberedWarning, match="a:v1 was renumbered by a pull: it is v4 now"):
        assert bob.find("a:v1").version["id"] == ours[1], "a script's a:v1 goes on to mean what it meant"
    with pytest.warns(RenumberedWarning, match="is v3 now, and v0 is another version"):
        assert bob.find("a:v0").version["id"] == anna.find("a:v0").version["id"]


def test_a_refused_collection_does_not_keep_the_others_back(anna: Repository, bob: Repository) -> None:
    put(anna, "a", {"f": "hers"})
    anna.push()
    put(bob, "a", {"f": "his"})
    put(bob, "b", {"f": "his"})
    done = bob.push()
    assert outcomes(done) == {"a": "refused", "b": "moved"}
    assert outcomes(anna.pull()) == {"a": "up to date", "b": "moved"}


def test_an_alias_that_both_moved_stays_as_it_is_there_and_ours_is_told_once(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    for n in range(3):
        put(anna, "a", {"f": str(n)})
    anna.set_aliases("a:v0", ("prod",))
    anna.push()
    bob.pull()
    anna.set_aliases("a:v1", ("prod",))
    anna.push()
    bob.set_aliases("a:v2", ("prod",))
    moved = only(bob.push())
    assert moved.declined == ("alias 'prod': theirs stays (v1)",) and moved.outcome == "up to date"
    assert only(bob.push()).declined == ()
    assert says(nas)["aliases"] == {"prod": 1} and says(bob)["aliases"] == {"prod": 2}
    assert only(bob.pull()).declined == ()
    assert says(bob) == says(nas) == says(anna)


def test_what_a_push_declined_reads_as_there_after_a_pull_though_no_log_has_moved_since_the_last_one(
    anna: Repository, bob: Repository
) -> None:
    put(anna, "a", FILES)
    put(anna, "a", {"f": "2"})
    anna.push()
    bob.pull()
    bob.delete("a:v0")
    anna.set_aliases("a:v0", ("x",))
    anna.push()
    for _ in range(2):
        bob.pull()
    assert only(bob.push()).declined == ("v0 is not deleted: an alias holds it there",)
    bob.pull()
    assert says(bob) == says(anna)


def test_a_push_of_all_reads_the_newest_entry_of_what_was_level_and_has_not_moved(
    anna: Repository, bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        put(anna, name, FILES)
    for _ in range(2):
        anna.push()
        bob.pull()
    put(anna, "b", {"f": "2"})
    read: list[str] = []
    reading = FolderStorage.read

    def noting(storage: FolderStorage, path: str, *args: int) -> bytes:
        read.append(path)
        return reading(storage, path, *args)

    with monkeypatch.context() as noted:
        noted.setattr(FolderStorage, "read", noting)
        assert outcomes(anna.push()) == {"a": "up to date", "b": "moved"}
    ours = [path for path in read if path.startswith("refs/") and path.endswith(".json")]
    assert [path for path in ours if path.split("/")[3] == "a"] == ["refs/local/uncategorized/a/00000001.json"]
    assert outcomes(bob.pull()) == {"a": "up to date", "b": "moved"}
    assert outcomes(bob.push()) == {"a": "up to date", "b": "up to date"}
    assert says(bob, "b") == says(anna, "b")


def test_a_push_and_a_pull_of_a_long_log_read_what_came_since_the_last_checkpoint(
    anna: Repository, bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(anna, "a", FILES)
    for n in range(2 * CHECKPOINT_EVERY):
        anna.set_tags("a:v0", (f"t{n}",))
    anna.push()
    bob.pull()
    put(anna, "a", {"f": "2"})
    reading = FolderStorage.read

    def entries_read(act: Callable[[], object]) -> int:
        """Entries of a collection's log that are read, here, in our copies of the remote's and there."""
        read: list[str] = []

        def noting(storage: FolderStorage, path: str, *args: int) -> bytes:
            read.append(path)
            return reading(storage, path, *args)

        with monkeypatch.context() as noted:
            noted.setattr(FolderStorage, "read", noting)
            act()
        return sum("refs/" in path and path.endswith(".json") for path in read)

    assert entries_read(anna.push) < 25
    assert entries_read(bob.pull) < 25
    assert bob.find("a").version["id"] == anna.find("a").version["id"]
    assert outcomes(anna.push()) == outcomes(bob.pull()) == {"a": "up to date"}


def test_a_log_that_was_put_back_to_an_older_one_and_goes_on_otherwise_is_not_taken_for_the_same(
    anna: Repository, bob: Repository, tmp_path: Path
) -> None:
    """Entries of an older backup of refs/, and as many new ones as were lost: what was noted of their numbers isn't true."""
    put(anna, "a", FILES)
    shutil.copytree(os.path.join(anna.storage.root, "refs"), tmp_path / "backup")
    anna.set_tags("a:v0", ("lost",))
    anna.push()
    shutil.rmtree(os.path.join(anna.storage.root, "refs"))
    shutil.copytree(tmp_path / "backup", os.path.join(anna.storage.root, "refs"))
    put(anna, "a", {"f": "new"})
    assert outcomes(anna.push()) == {"a": "moved"}
    anna.pull()
    bob.pull()
    assert says(bob) == says(anna) and bob.find("a").version["number"] == 1
    assert bob.find("a:v0").version["tags"] == ["lost"]


def test_edits_of_different_things_on_both_sides_all_survive(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"}, metadata={"k": 1})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"hers": "x" * 9000}, tags=("hers",), aliases=("hers",)))
    bob.edit("a", Properties(metadata={"his": "y" * 9000}, tags=("his",), aliases=("his",), description="z" * 9000))
    anna.push()
    bob.pull()
    bob.push()
    anna.pull()
    assert says(bob) == says(nas) == says(anna)
    description, metadata = anna.properties(anna.find("a"))
    assert metadata == {"k": 1, "hers": "x" * 9000, "his": "y" * 9000} and description == "z" * 9000


def test_long_values_that_are_told_later_than_their_version_come_along(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"k": "x" * 9000}, description="d" * 9000))
    assert anna.push().objects == 2
    assert bob.pull().objects == 2
    assert bob.properties(bob.find("a")) == ("d" * 9000, {"k": "x" * 9000})


def test_true_and_one_are_two_values_for_a_push(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"}, metadata={"k": 1})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"k": True}))
    anna.push()
    bob.pull()
    assert bob.properties(bob.find("a"))[1]["k"] is True


def test_a_deletion_and_the_deletion_of_a_collection_arrive(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    put(anna, "a", {"f": "1"})
    put(anna, "b", {"f": "2"})
    anna.push()
    bob.pull()
    anna.delete("a:v0")
    anna.delete_collection("b")
    anna.push()
    bob.pull()
    assert [state.path.name for state in bob.collections()] == ["a"]
    with pytest.raises(NotFound, match="a:v0 was deleted"):
        bob.find("a:v0")
    anna.undelete_collection("b")
    anna.push()
    bob.pull()
    assert says(bob, "b") == says(nas, "b") == says(anna, "b")


def test_who_made_a_version_is_kept_on_the_way(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    put(anna, "a", {"f": "0"})
    made = anna.find("a").version
    monkeypatch.setenv("LOGNAME", "bob")
    anna.push()
    bob.pull()
    found = bob.find("a").version
    assert found["user"] == "anna" and found == made
    (entry,) = bob.history("a")
    assert entry.user == "bob", "the entry says who pulled"


def test_two_remotes_get_the_same_and_the_first_one_decides_the_numbers(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    anna.remotes.add("backup", str(tmp_path / "backup"), make=True)
    put(anna, "a", FILES)
    anna.push("nas")
    assert only(anna.push("backup")).versions == ("a:v0",)
    bob.pull()
    put(bob, "a", {"f": "his"})
    bob.push()
    ours = put(anna, "a", {"f": "hers"})
    anna.push("backup")
    assert only(anna.pull("nas")).renumbered == ((1, 2),)
    anna.push("nas")
    assert says(nas) == says(anna)
    before = refs_of(anna)
    done = anna.pull("backup")
    assert [str(moved.problem) for moved in done.refused] == ["a:v1 is another version at the remote than here"], (
        "backup has it as v1: a number that is there is final"
    )
    assert "cp" in str(done.refused[0].problem.hint)  # type: ignore[union-attr]
    assert refs_of(anna) == before and says(tmp_path / "backup")["versions"][ours] == 1
    check(tmp_path / "backup")


def test_a_refused_push_to_what_is_not_the_upstream_gives_no_hint_that_fails(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    anna.remotes.add("backup", str(tmp_path / "backup"), make=True)
    put(anna, "a", {"f": "0"})
    anna.push("nas")
    put(anna, "a", {"f": "hers"})
    anna.push("backup")
    bob.pull()
    put(bob, "a", {"f": "his"})
    bob.push()
    anna.pull("nas")
    (moved,) = anna.push("backup").refused
    assert "pull" not in str(moved.problem and moved.problem.hint), "a pull from there is refused"


def test_which_remote_is_meant_is_asked_when_there_are_several(anna: Repository, tmp_path: Path) -> None:
    anna.remotes.add("backup", str(tmp_path / "backup"), make=True)
    with pytest.raises(InvalidValue, match="there are several remotes: nas, backup"):
        anna.push()
    anna.remotes.add("origin", str(tmp_path / "origin"), make=True)
    assert anna.push().remote == "origin"
    with (
        pytest.raises(NotFound, match="this repository has no remote"),
        Repository.init(str(tmp_path / "x/.artifacts")) as x,
    ):
        x.push()


# -- renames -------------------------------------------------------------------------------------


def test_a_collection_renamed_before_its_first_push_is_there_under_its_new_name(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "old", {"f": "0"}, aliases=("x",))
    anna.rename("old", "new")
    put(anna, "new", {"f": "1"})
    assert outcomes(anna.push()) == {"new": "moved"}
    bob.pull()
    assert says(bob, "new") == says(nas, "new") == says(anna, "new")
    assert outcomes(anna.push()) == {"new": "up to date"} and outcomes(bob.pull()) == {"new": "up to date"}


def test_a_collection_renamed_after_a_push_goes_on_under_its_new_name(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "old", {"f": "0"})
    anna.push()
    bob.pull()
    anna.rename("old", "new")
    put(anna, "new", {"f": "1"})
    anna.push()
    anna.pull()
    assert says(nas, "new") == says(anna, "new")
    put(bob, "old", {"f": "his"})
    bob.push()
    assert not bob.pull().refused
    with pytest.warns(RenumberedWarning, match="is v2 now, and v1 is another version"):
        assert bob.find("new:v1").version["id"] == anna.find("new:v1").version["id"]
    before = anna.find("new:v1").version["id"]
    anna.pull()
    assert anna.find("new:v1").version["id"] == before, "a number that was pushed is final"


def test_a_collection_renamed_there_can_be_followed_with_the_command_of_the_hint(anna: Repository, nas: Path) -> None:
    put(anna, "old", {"f": "0"})
    anna.push()
    with Repository(str(nas)) as there:
        there.rename("old", "new")
    put(anna, "old", {"f": "1"})
    (moved,) = anna.push().refused
    assert "old was renamed to local/uncategorized/new at remote 'nas'" in str(moved.problem)
    assert "mv" in str(moved.problem and moved.problem.hint)
    anna.rename("old", "new")
    assert only(anna.push()).versions == ("new:v1",)
    assert only(anna.pull()).outcome == "up to date"
    assert says(nas, "new") == says(anna, "new")


def test_a_collection_renamed_there_can_be_followed_after_a_pull_too(anna: Repository, nas: Path) -> None:
    put(anna, "old", {"f": "0"})
    anna.push()
    with Repository(str(nas)) as there:
        there.rename("old", "new")
    put(anna, "old", {"f": "mine"})
    anna.pull()
    done = anna.push()
    for _moved in done.refused:
        anna.rename("old", "new")  # what the hint says
    anna.push()
    assert [v["number"] for v in anna.collection("new").live()] == [0, 1]


def test_a_name_in_another_case_at_the_remote_is_refused(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "Model", {"f": "0"})
    anna.push()
    put(bob, "model", {"f": "1"})
    (moved,) = bob.push().refused
    assert "differs only in case from local/uncategorized/Model" in str(moved.problem)
    done = bob.pull()
    assert [type(moved.problem) for moved in done.refused] == [Conflict]


# -- runs ----------------------------------------------------------------------------------------


@pytest.fixture
def in_anna(anna: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Scripts' place beside anna's repository."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "ARTSTORE_")):
            monkeypatch.delenv(name)
    folder = Path(anna.root).parent
    monkeypatch.chdir(folder)
    yield folder
    artstore.finish()


def logged(name: str, files: dict[str, Any], **options: Any) -> None:
    artifact = artstore.Artifact(name, **options)
    artifact.add_dir(str(make_tree(Path("run-src") / name, files)))
    artstore.log_artifact(artifact)


def runs_of(repository: Any) -> dict[str, Any]:
    if isinstance(repository, Path):
        with Repository(str(repository)) as opened:
            return runs_of(opened)
    return {
        state.path.id: (state.finished, sorted(state.used), sorted(state.logged), state.config, state.summary)
        for state in repository.runs.all()
    }


def test_runs_travel_with_the_versions_that_they_made_and_used(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path
) -> None:
    with artstore.init(id="maker", config={"lr": 0.1}):
        logged("data", {"f": "0"}, type="dataset")
    with artstore.init(id="user") as user:
        user.use_artifact("data:latest")
        logged("model", {"m": "1"}, type="model")
    with artstore.init(id="unrelated"):
        artstore.log({"loss": 1})
    assert anna.push(specs=["data", "model"]).runs == 2
    assert runs_of(nas).keys() == {"maker", "user"}
    assert anna.push().runs == 1
    assert bob.pull().runs == 3
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)
    assert anna.push().runs == 0 and bob.pull().runs == 0 and bob.push().runs == 0


def test_a_run_that_goes_on_after_its_version_was_pushed_is_told_to_its_end(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path
) -> None:
    run = artstore.init(id="long")
    logged("data", {"f": "0"})
    assert anna.push().runs == 1
    assert bob.pull().runs == 1
    assert runs_of(bob)["long"][0] is None
    run.summary["loss"] = 0.5
    run.finish()
    again = anna.push()
    assert (outcomes(again), again.runs) == ({"data": "up to date"}, 1)
    assert bob.pull().runs == 1
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)
    assert runs_of(bob)["long"][0] == "finished"


def test_a_run_that_used_a_version_after_it_was_pushed_travels_with_the_next_push(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path
) -> None:
    with artstore.init(id="maker"):
        logged("data", {"f": "0"})
    anna.push()
    with artstore.init(id="evaluation") as run:
        run.use_artifact("data:v0")
    assert anna.push().runs == 1
    assert bob.pull().runs >= 1
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)


def test_a_run_that_went_on_in_two_repositories_has_both_parts(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with artstore.init(id="both", config={"hers": 1}):
        logged("data", {"f": "0"})
    anna.push()
    bob.pull()
    monkeypatch.chdir(Path(bob.root).parent)
    with artstore.init(id="both", config={"his": 2}) as run:
        run.use_artifact("data:v0")
    bob.push()
    anna.pull()
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)
    assert runs_of(anna)["both"][3] == {"hers": 1, "his": 2}


def test_config_and_checkouts_stay_at_home(anna: Repository, nas: Path, tmp_path: Path) -> None:
    anna.settings.set("core.project", "mine")
    put(anna, "a", FILES)
    anna.push()
    assert not (nas / "config").exists() and not (nas / "checkouts").exists() and not (nas / "remotes").exists()
    with cloned(tmp_path, nas) as clone:
        assert clone.settings.project == "uncategorized" and list(clone.status()) == []


# -- interruptions -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["link", "fsync"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_push_that_was_killed_goes_on_when_it_is_called_again(
    anna: Repository, nas: Path, tmp_path: Path, call: str, number: int
) -> None:
    put(anna, "a", FILES)
    put(anna, "b", {"f": "b"})
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)")
    process = start(tmp_path / "anna", "push", setup=kill)
    process.communicate(timeout=60)
    check(nas)
    done = anna.push()
    assert not done.refused
    assert says(nas) == says(anna) and says(nas, "b") == says(anna, "b")
    with Repository(str(nas)) as there:
        there.gc(now=True)
        assert not [name for name in os.listdir(nas / "tmp") if not name.startswith("probe")]
    assert outcomes(anna.push()) == {"a": "up to date", "b": "up to date"}


@pytest.mark.parametrize("call", ["link", "fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_pull_that_was_killed_goes_on_when_it_is_called_again(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path, call: str, number: int
) -> None:
    put(anna, "a", FILES)
    put(anna, "b", {"f": "b"})
    anna.push()
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)")
    start(tmp_path / "bob", "pull", setup=kill).communicate(timeout=60)
    check(Path(bob.root))
    with Repository(bob.root) as again:
        assert not again.pull().refused
        assert says(again) == says(nas) and says(again, "b") == says(nas, "b")
        assert got(again, "a") == got(anna, "a")
        again.gc(now=True)
        assert outcomes(again.pull()) == {"a": "up to date", "b": "up to date"}


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("mkdir", 2),
        ("rename", 1),
        ("link", 1),
        ("link", 2),
        ("link", 4),
        ("fsync", 6),
        ("fsync", 12),
        ("replace", 1),
        ("replace", 3),
    ],
)
def test_a_clone_that_was_killed_goes_on_when_it_is_called_again(
    anna: Repository, nas: Path, tmp_path: Path, call: str, number: int
) -> None:
    put(anna, "a", FILES)
    put(anna, "b", {"f": "b"})
    anna.push()
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)")
    start(tmp_path, "clone", nas, "clone", setup=kill).communicate(timeout=60)
    again = run(tmp_path, "clone", nas, "clone")
    assert again.code == 0, again
    check(tmp_path / "clone/.artifacts")
    with Repository(str(tmp_path / "clone/.artifacts")) as clone:
        assert says(clone) == says(nas) and says(clone, "b") == says(nas, "b")
        assert clone.remotes.all()["origin"].url == str(nas)


def test_objects_without_an_entry_are_used_by_the_next_push(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    planned = anna.push(dry_run=True)
    kill = at_call("link", 1, "os.kill(os.getpid(), signal.SIGKILL)", "'/refs/' in str(args[1])")
    start(tmp_path / "anna", "push", setup=kill).communicate(timeout=60)
    assert len(objects_of(nas)) == planned.objects and not list((nas / "refs").rglob("*.json"))
    done = anna.push()
    assert (done.objects, done.bytes) == (0, 0) and only(done).versions == ("a:v0",)


def test_what_one_entry_cannot_hold_is_told_in_several(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        put(anna, "a", {"f": str(n)}, metadata={"long": "x" * 3000})
    monkeypatch.setattr("artstore.domain.changes._PORTION", 8000)
    assert only(anna.push()).versions == tuple(f"a:v{n}" for n in range(6))
    assert only(bob.pull()).versions == tuple(f"a:v{n}" for n in range(6))
    for repository in (str(nas), bob.root):
        entries = sorted(Path(repository, "refs/local/uncategorized/a").glob("*.json"))
        assert len(entries) > 2 and all(entry.stat().st_size < 10_000 for entry in entries)
    assert says(bob) == says(nas) == says(anna)
    assert outcomes(anna.push()) == outcomes(bob.pull()) == outcomes(bob.push()) == {"a": "up to date"}


def test_a_push_that_loses_a_race_between_two_of_its_entries_goes_on_behind_what_came(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    for n in range(1, 5):
        put(anna, "a", {"f": str(n)}, metadata={"long": "x" * 3000})
    bob.set_tags("a:v0", ("his",))
    monkeypatch.setattr("artstore.domain.changes._PORTION", 4000)
    commit, committed = Refs.commit, []

    def beaten(refs: Refs, state: State, changes: list[Change]) -> State | None:
        committed.append(len(changes))
        if len(committed) == 2:
            bob.push()
        return commit(refs, state, changes)

    monkeypatch.setattr(Refs, "commit", beaten)
    assert only(anna.push()).versions == ("a:v1", "a:v2", "a:v3", "a:v4")
    anna.pull()
    bob.pull()
    assert says(bob) == says(nas) == says(anna)
    assert anna.find("a:v0").version["tags"] == ["his"] and anna.find("a").version["number"] == 4


def _in_several(anna: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four versions with long tags, of which two go into one entry."""
    for n in range(4):
        put(anna, "a", {"f": str(n)})
        anna.set_tags(f"a:v{n}", tuple(f"{n}-{k}-{'y' * 100}" for k in range(20)))
    monkeypatch.setattr("artstore.domain.changes._PORTION", 8000)


def test_who_reads_between_two_entries_of_a_push_finds_no_version_without_its_objects(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that was deleted here before it was ever pushed has none there: it must not live between."""
    _in_several(anna, monkeypatch)
    anna.delete("a:v0")
    commit, committed = Refs.commit, list[int]()

    def dying(refs: Refs, state: State, changes: list[Change]) -> State | None:
        committed.append(1)
        if len(committed) == 2:
            raise KeyboardInterrupt
        return commit(refs, state, changes)

    with monkeypatch.context() as dies:
        dies.setattr(Refs, "commit", dying)
        with pytest.raises(KeyboardInterrupt):
            anna.push()
    check(nas)
    assert not bob.pull().refused
    assert not anna.push().refused
    anna.pull()
    bob.pull()
    assert says(bob) == says(nas) == says(anna)
    assert outcomes(anna.push()) == outcomes(bob.pull()) == {"a": "up to date"}


def test_versions_of_an_entry_that_stands_are_withdrawn_when_the_rest_can_not_be_told_and_objects_are_gone(
    anna: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_several(anna, monkeypatch)
    commit, ensure, committed = Refs.commit, Transaction.ensure, list[int]()

    def refusing(refs: Refs, state: State, changes: list[Change]) -> State | None:
        committed.append(1)
        if len(committed) == 2:
            raise Conflict("planned anew, and refused")
        return commit(refs, state, changes)

    def gone(tx: Transaction) -> None:
        raise MissingObject("a collector took a pack") if tx.storage.root == str(nas) else ensure(tx)

    with monkeypatch.context() as fails:
        fails.setattr(Refs, "commit", refusing)
        fails.setattr(Transaction, "ensure", gone)
        with pytest.raises(MissingObject):
            anna.push()
    with Repository(str(nas)) as there:
        versions = there.refs.read(there.path_of("a")[0]).versions.values()
        assert versions and all("withdrawn" in version for version in versions)
    assert not anna.push().refused
    assert says(nas) == says(anna)


def test_a_collection_whose_versions_were_all_withdrawn_there_is_pulled_again_and_again(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    with Repository(str(nas)) as there:
        path = there.path_of("a")[0]
        there.refs.change(path, lambda state: [new_change("withdraw", id=id, reason="gone") for id in state.versions])
        there.refs.change(path, lambda state: [new_change("delete collection", ids=[])])
    for _ in range(3):
        assert outcomes(bob.pull()) == {"a": "up to date"}


def test_runs_come_after_a_pull_that_was_killed_before_them_though_no_collection_moves_any_more(
    anna: Repository, bob: Repository, in_anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with artstore.init(id="maker"):
        logged("x", {"f": "1"}, type="dataset")
    put(anna, "other", {"f": "0"})
    anna.push()
    assert bob.pull("nas", ["other"]).runs == 0

    def dying(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as dies:
        dies.setattr(RunExchange, "pull", dying)
        with pytest.raises(KeyboardInterrupt):
            bob.pull()
    assert [bob.pull().runs, bob.pull().runs] == [1, 0]


@pytest.mark.parametrize(
    "notes", ['{"x": 5}', '{"x": [1, 2]}', '{"refs/local/uncategorized/a": [1, 2, 3, 4, 5, 6, 7, 8]}', "[]"]
)
def test_notes_that_are_not_ours_are_passed_over(anna: Repository, nas: Path, notes: str) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    for name in ("same", "push", "pull", "runs-pushed"):
        Path(anna.root, f"remotes/nas/{name}.json").write_text(notes)
    assert outcomes(anna.push()) == {"a": "up to date"}
    put(anna, "a", {"f": "1"})
    assert outcomes(anna.push()) == {"a": "moved"} and says(nas) == says(anna)


def test_a_push_in_a_lost_race_is_planned_anew(anna: Repository, bob: Repository, nas: Path) -> None:
    """bob pushes while anna's push is between its plan and its entry."""
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"hers": "x" * 9000}))
    bob.edit("a", Properties(metadata={"his": "y" * 9000}))
    remotes = anna.remotes
    with remotes.open("nas", writing=True) as remote:
        exchange = remotes.exchange("nas", remote, Exchanging())
        commit, raced = remote.refs.commit, list[int]()

        def race(*args: Any) -> Any:
            if not raced:
                raced.append(1)
                bob.push()
            return commit(*args)

        remote.refs.commit = race  # type: ignore[method-assign]
        assert not Push(exchange).run([ALL]).refused
    anna.pull()
    bob.pull()
    assert says(anna) == says(bob) == says(nas)
    assert anna.properties(anna.find("a"))[1] == {"hers": "x" * 9000, "his": "y" * 9000}


def test_a_version_that_the_remote_deleted_and_collected_meanwhile_is_not_relied_on(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    """v1 shares most with v0, which goes between the push's look at the remote and its transaction there."""
    put(anna, "a", FILES)
    anna.push()
    put(anna, "a", FILES | {"a.txt": "second"})
    remotes = anna.remotes
    with remotes.open("nas", writing=True) as remote:
        exchange = remotes.exchange("nas", remote, Exchanging())
        fetch, raced = exchange.fetch, list[int]()

        def race(scopes: Any) -> Any:
            found = fetch(scopes)
            if not raced:
                raced.append(1)
                with Repository(str(nas)) as there:
                    there.delete("a:v0")
                    assert there.gc(now=True).freed_bytes > LARGE
            return found

        exchange.fetch = race  # type: ignore[method-assign]
        Push(exchange).run([ALL])
    check(nas)
    with cloned(tmp_path, nas) as clone:
        assert got(clone, "a:v1") == got(anna, "a:v1")


def test_a_push_stores_again_what_is_known_to_be_damaged_there(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    (blob,) = (nas / "objects/blobs").glob("*/*")
    blob.chmod(0o644)
    blob.write_bytes(b"X" + BIG[1:])
    with Repository(str(nas)) as there:
        assert there.fsck().problems
    put(anna, "a", FILES | {"a.txt": "second"})
    assert only(anna.push()).versions == ("a:v1",)
    with cloned(tmp_path, nas) as clone:
        assert got(clone, "a:v1") == got(anna, "a:v1")


def test_a_pull_fetches_again_what_is_known_to_be_damaged_here(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    bob.pull()
    (blob,) = (Path(bob.root) / "objects/blobs").glob("*/*")
    blob.chmod(0o644)
    blob.write_bytes(b"X" + BIG[1:])
    assert bob.fsck().problems
    put(anna, "a", FILES | {"a.txt": "second"})
    anna.push()
    bob.pull()
    assert got(bob, "a:v1") == got(anna, "a:v1")


def test_two_pushes_at_one_time_both_go_through(anna: Repository, bob: Repository, nas: Path, tmp_path: Path) -> None:
    for repository, name in ((anna, "a"), (bob, "b")):
        for n in range(3):
            put(repository, name, FILES | {"n": f"{name}{n}"})
    both = [start(tmp_path / who, "push") for who in ("anna", "bob")]
    assert [finish(process).code for process in both] == [0, 0]
    assert says(nas, "a") == says(anna, "a") and says(nas, "b") == says(bob, "b")


def test_a_gc_at_the_remote_beside_a_push_takes_nothing_that_is_needed(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", FILES)
    anna.push()
    anna.delete("a:v0")
    anna.push()
    put(anna, "b", FILES)
    kill = at_call("link", 1, "time.sleep(1.5)", "'/refs/' in str(args[1])")
    process = start(tmp_path / "anna", "push", setup=kill)
    for _ in range(5):
        with Repository(str(nas)) as there:
            there.gc(now=True)
    assert finish(process).code == 0
    assert says(nas, "b") == says(anna, "b")


# -- remotes that are not what they were -----------------------------------------------------------


def test_a_remote_that_was_rolled_back_is_noticed(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.copytree(nas, tmp_path / "older")
    put(anna, "a", {"f": "1"})
    anna.push()
    shutil.rmtree(nas)
    shutil.copytree(tmp_path / "older", nas)
    before = refs_of(anna)
    for act in (anna.push, anna.pull, anna.fetch):
        with pytest.raises(
            DamagedLog, match="at remote 'nas' was rolled back: it ended with entry 2, now with 1"
        ) as caught:
            act()
        assert "remote rm" in str(caught.value.hint)
    assert refs_of(anna) == before
    anna.remotes.remove("nas")
    anna.remotes.add("nas", str(nas))
    assert only(anna.push()).versions == ("a:v1",)
    assert says(nas) == says(anna)


def test_a_remote_whose_history_became_another_is_not_added_to(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.copytree(nas, tmp_path / "older")
    put(anna, "a", {"f": "1"})
    anna.push()
    shutil.rmtree(nas)
    shutil.copytree(tmp_path / "older", nas)
    with Repository(str(nas)) as there:
        there.set_tags("a:v0", ("other",))
    put(anna, "a", {"f": "2"})
    before = files_below(nas / "refs")
    (moved,) = anna.push().refused
    assert isinstance(moved.problem, Damage) and "was rewritten" in str(moved.problem)
    assert files_below(nas / "refs") == before


def test_a_collection_that_vanished_from_the_remote_is_noticed(anna: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    put(anna, "b", {"f": "0"})
    anna.push()
    shutil.move(nas / "refs/local/uncategorized/a", nas.parent / "aside")
    for act in (anna.push, anna.pull):
        with pytest.raises(Damage, match="refs/local/uncategorized/a was at remote 'nas', and is not there any more"):
            act()
    assert outcomes(anna.push("nas", ["b"])) == {"b": "up to date"}


def test_another_repository_at_the_same_path_is_refused(anna: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.rmtree(nas)
    Repository.init(str(nas)).close()
    for act in (anna.push, anna.pull, anna.fetch):
        with pytest.raises(Conflict, match="remote 'nas' is another repository than before") as caught:
            act()
        assert "mounted" in str(caught.value.hint)
    anna.remotes.remove("nas")
    anna.remotes.add("nas", str(nas))
    assert only(anna.push()).versions == ("a:v0",)


@pytest.mark.parametrize("what", ["empty", "absent", "a file", "other files"])
def test_an_empty_mount_point_is_no_remote_and_nothing_is_written_there(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path, what: str
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.rmtree(nas)
    if what == "empty":
        nas.mkdir()
    elif what == "a file":
        nas.write_text("")
    elif what == "other files":
        make_tree(nas, {"x": ""})
    for act in (anna.push, anna.pull, anna.fetch, bob.pull):
        with pytest.raises(ArtstoreError) as caught:
            act()
        if what != "a file":
            assert isinstance(caught.value, NotFound) and "unmounted share" in str(caught.value.hint)
    assert not nas.is_dir() or [p.name for p in nas.iterdir()] == (["x"] if what == "other files" else [])
    with pytest.raises(ArtstoreError):
        cloned(tmp_path, nas)
    assert not (tmp_path / "clone/.artifacts").exists()


def test_a_place_that_can_be_no_remote_is_refused_before_it_is_noted(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    make_tree(tmp_path / "full", {"x": ""})
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound) as caught:
        anna.remotes.add("x", str(tmp_path / "nowhere"))
    assert "--init" in str(caught.value.hint)
    with pytest.raises(Refused, match="is not empty, and is not a repository"):
        anna.remotes.add("x", str(tmp_path / "full"), make=True)
    with pytest.raises(ArtstoreError):
        anna.remotes.add("x", str(tmp_path / "file"), make=True)
    with pytest.raises(ArtstoreError):
        anna.remotes.add("x", str(tmp_path / "file/below"), make=True)
    with pytest.raises(InvalidValue, match="is this repository itself"):
        anna.remotes.add("x", anna.root)
    with pytest.raises(Conflict, match="there is a remote 'nas' already"):
        anna.remotes.add("nas", str(nas))
    with pytest.raises(InvalidValue):
        anna.remotes.add("a/b", str(nas))
    assert list(anna.remotes.all()) == ["nas"]


def test_remotes_whose_names_differ_in_case_do_not_share_their_notes(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    try:
        anna.remotes.add("NAS", str(tmp_path / "other"), make=True)
    except ArtstoreError:
        pass  # refused is as good
    assert outcomes(anna.push("nas")) == {"a": "up to date"}


def test_objects_that_are_not_there_yet_fail_a_pull_and_nothing_is_changed_here(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    put(anna, "a", FILES)
    anna.push()
    for where in ("packs", "blobs"):
        aside = tmp_path / "aside"
        shutil.copytree(nas / "objects" / where, aside)
        newest = max(
            (p for p in (nas / "objects" / where).rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns
        )
        newest.unlink()
        before = refs_of(bob)
        with pytest.raises(MissingObject, match="^remote 'nas' is incomplete: ") as caught:
            bob.pull()
        assert "pull again later" in str(caught.value.hint)
        assert refs_of(bob) == before and bob.fsck().problems == []
        shutil.rmtree(nas / "objects" / where)
        shutil.move(aside, nas / "objects" / where)
    assert only(bob.pull()).versions == ("a:v1",)
    assert got(bob, "a") == got(anna, "a")


@pytest.mark.parametrize("what", ["gap", "cut", "empty", "garbage"])
def test_entries_that_are_not_whole_yet_fail_a_pull_and_it_can_be_repeated(
    anna: Repository, bob: Repository, nas: Path, what: str
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    for n in (1, 2):
        put(anna, "a", {"f": str(n)})
        anna.push()
    entry = nas / "refs/local/uncategorized/a/00000002.json"
    data = entry.read_bytes()
    entry.unlink()
    if what != "gap":
        entry.write_bytes({"cut": data[:100], "empty": b"", "garbage": b"\0" * len(data)}[what])
    before = refs_of(bob)
    for act in (bob.pull, bob.fetch, bob.push):
        with pytest.raises(DamagedLog):
            act()
    assert refs_of(bob) == before
    tracking = Tracking(bob._folder, "nas")
    assert tracking.follows("refs/local/uncategorized/a"), "which remote is followed is no copy of anything"
    entry.unlink(missing_ok=True)
    entry.write_bytes(data)
    assert only(bob.pull()).versions == ("a:v1", "a:v2")
    assert says(bob) == says(nas)


def test_an_object_with_other_bytes_than_its_name_is_not_taken_over(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", FILES)
    anna.push()
    (blob,) = (nas / "objects/blobs").glob("*/*")
    good = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"X" + good[1:])
    with pytest.raises(Damage):
        bob.pull()
    assert refs_of(bob) == {}
    blob.write_bytes(good)
    assert only(bob.pull()).versions == ("a:v0",)


def test_an_entry_of_a_newer_artstore_keeps_only_its_own_collection_back(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"})
    put(anna, "b", {"f": "1"})
    anna.push()
    with Repository(str(nas)) as there:
        log = Log(there.storage, "refs/local/uncategorized/a")
        log.append(1, log.read(1).digest, [new_change("teleport", id=None)], host=None, user=None)
    (tmp_path / "unchecked").touch()
    done = bob.pull()
    assert outcomes(done) == {"a": "refused", "b": "moved"}


def test_a_repository_of_somebody_else_does_not_contact_its_remotes(
    anna: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    put(anna, "a", {"f": "0"})
    os.chown(f"{anna.root}/config", 12345, -1)
    for act in (anna.push, anna.pull, anna.fetch):
        with pytest.raises(Refused, match="belongs to somebody else") as caught:
            act()
        assert "remote allow" in str(caught.value.hint)
    anna.settings.allow_contact()
    anna.push()
    os.chown(f"{anna.root}/config", 0, -1)


# -- partial clones ------------------------------------------------------------------------------


def blobs_here(repository: Repository) -> int:
    return sum(kind == "blob" for kind, _ in objects_of(Path(repository.root)))


@pytest.fixture
def filled(anna: Repository) -> Repository:
    put(anna, "a", FILES)
    put(anna, "a", FILES | {"a.txt": "second"}, metadata={"long": "x" * 9000})
    anna.push()
    return anna


@pytest.fixture
def partial(filled: Repository, nas: Path, tmp_path: Path) -> Iterator[Repository]:
    """A clone without files' bytes."""
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as repository:
        yield repository
    check_partial(tmp_path / "partial/.artifacts")


def check_partial(root: Path) -> None:
    with Repository(str(root)) as repository:
        assert repository.fsck().problems == []


def test_a_clone_without_bytes_has_all_else_and_fetches_them_when_they_are_asked_for(
    partial: Repository, filled: Repository
) -> None:
    assert blobs_here(partial) == 1, "a long value of metadata"
    assert partial.remotes.all()["origin"].partial
    assert says(partial) == says(filled)
    report = partial.fsck()
    assert report.problems == [] and any("6 blobs stored only at a remote" in note for note in report.notes)
    assert got(partial, "a:v1", Restore(Selection("sub/"))) == {
        k: v for k, v in got(filled, "a:v1").items() if k.startswith("sub")
    }
    assert blobs_here(partial) == 3
    found = partial.find("a:v0")
    assert b"".join(partial.content(partial.entry(found, "a.txt"))) == b"small"
    assert b"".join(partial.content(partial.entry(found, "big.bin"))) == BIG
    assert blobs_here(partial) == 5
    assert got(partial, "a:v1") == got(filled, "a:v1")
    assert got(partial, "a:v0") == got(filled, "a:v0")
    assert not any("remote" in note for note in partial.fsck().notes)


def test_a_clone_of_a_prefix_or_of_chosen_files_has_their_bytes(filled: Repository, nas: Path, tmp_path: Path) -> None:
    chosen = {
        "prefix": (Selection("sub/"), 2),
        "include": (Selection("", PathFilter(["*.txt"], None)), 4),
        "exclude": (Selection("", PathFilter(None, ["*.bin"])), 5),
        "none": (Selection("nowhere"), 0),
    }
    for name, (selection, count) in chosen.items():
        with cloned(tmp_path, nas, name, selection=selection) as clone:
            assert blobs_here(clone) == count + 1, name
            assert clone.fsck().problems == []
            assert got(clone, "a") == got(filled, "a")
            assert clone.fsck().problems == []


def test_a_partial_pull_makes_a_remote_partial_and_a_later_whole_pull_of_new_versions_is_complete(
    filled: Repository, bob: Repository, nas: Path
) -> None:
    bob.pull("nas", ["a:v0"], selection=NOTHING)
    assert bob.remotes.all()["nas"].partial and blobs_here(bob) == 0
    bob.pull()
    assert got(bob, "a:v1") == got(filled, "a:v1")
    bob.get(bob.find("a:v0"), str(nas.parent / "whole"))


def test_the_api_downloads_and_reads_what_a_remote_promised(
    partial: Repository, filled: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(partial.root).parent
    monkeypatch.chdir(folder)
    artifact = artstore.Api(repository=folder).artifact("a:v1")
    with artifact.get_entry("sub/b.txt").open() as file:
        assert file.read() == b"other"
    assert Path(artifact.get_entry("big.bin").download(str(folder / "one"))).read_bytes() == BIG
    assert snapshot(Path(artifact.download(str(folder / "all")))) == got(filled, "a:v1")
    assert artifact.verify(str(folder / "all"))[1:] == ([], [], [])


def test_the_api_gives_a_single_file_of_what_a_remote_promised(
    partial: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(partial.root).parent
    monkeypatch.chdir(folder)
    artifact = artstore.Api(repository=folder).artifact("a:v1")
    target = artifact.download(str(folder / "some"), path_prefix="sub/")
    assert sorted(p for p, is_ in snapshot(Path(target)).items() if is_) == ["sub/b.txt", "sub/deep/c.txt"]


def test_a_draft_of_a_promised_version_is_saved_and_pushed_without_its_bytes(
    partial: Repository, nas: Path, bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(partial.root).parent
    monkeypatch.chdir(folder)
    draft = artstore.Api(repository=folder).artifact("a:v1").new_draft()
    make_tree(folder / "more", {"new.txt": "new"})
    draft.add_file(str(folder / "more/new.txt"))
    draft.save()
    assert draft.wait().version == "v2"
    assert partial.fsck().problems == []
    with Repository(partial.root) as again:
        assert only(again.push()).versions == ("a:v2",)
    bob.pull()
    assert sorted(name for name, is_ in got(bob, "a:v2").items() if is_) == [
        "a.txt", "big.bin", "new.txt", "run.sh", "sub/b.txt", "sub/deep/c.txt",
    ]  # fmt: skip


def test_a_blob_that_nobody_promised_is_damage_in_a_partial_clone_too(
    filled: Repository, nas: Path, tmp_path: Path
) -> None:
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        put(partial, "mine", {"big": BIG + b"mine", "f": "mine"})
        assert partial.fsck().problems == []
        for blob in (Path(partial.root) / "objects/blobs").glob("*/*"):
            blob.unlink()
        problems = partial.fsck().problems
        assert len(problems) == 1 and "mine:v0: 'big'" in problems[0] and "is missing" in problems[0]


def test_a_promise_ends_when_the_remote_is_removed(filled: Repository, nas: Path, tmp_path: Path) -> None:
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        partial.remotes.remove("origin")
        assert any("is missing" in problem for problem in partial.fsck().problems)
        with pytest.raises(MissingObject):
            got(partial, "a")


def test_bytes_that_a_remote_promised_and_does_not_have_are_told(filled: Repository, nas: Path, tmp_path: Path) -> None:
    (tmp_path / "unchecked").touch()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        (blob,) = (nas / "objects/blobs").glob("*/*")
        blob.unlink()
        with pytest.raises(MissingObject):
            got(partial, "a")
        assert b"".join(partial.content(partial.entry(partial.find("a"), "a.txt"))) == b"second"
        shutil.rmtree(nas)
        with pytest.raises(ArtstoreError):
            got(partial, "a")


def test_a_push_from_a_partial_clone_to_another_remote_fetches_through(
    partial: Repository, filled: Repository, tmp_path: Path
) -> None:
    partial.remotes.add("backup", str(tmp_path / "backup"), make=True)
    planned = partial.push("backup", dry_run=True)
    assert blobs_here(partial) == 1
    done = partial.push("backup")
    assert not done.refused and (planned.objects, planned.bytes) == (done.objects, done.bytes)
    check(tmp_path / "backup")
    with cloned(tmp_path, tmp_path / "backup", "whole") as whole:
        assert says(whole) == says(filled) and got(whole, "a:v0") == got(filled, "a:v0")
    check(tmp_path / "whole/.artifacts")


def test_a_push_of_what_nobody_has_any_more_is_refused_and_tells_the_other_remote_nothing(
    filled: Repository, nas: Path, tmp_path: Path
) -> None:
    (tmp_path / "unchecked").touch()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        partial.remotes.add("backup", str(tmp_path / "backup"), make=True)
        (blob,) = (nas / "objects/blobs").glob("*/*")
        blob.unlink()
        with pytest.raises(MissingObject):
            partial.push("backup")
    assert not list((tmp_path / "backup/refs").rglob("*.json"))
    check(tmp_path / "backup")


def test_a_new_version_saved_in_a_partial_clone_is_pushed(partial: Repository, filled: Repository, nas: Path) -> None:
    put(partial, "a", FILES | {"a.txt": "of here"})
    done = partial.push()
    assert only(done).versions == ("a:v2",) and done.objects == 3
    filled.pull()
    assert got(filled, "a:v2") == got(partial, "a:v2")
    assert says(partial) == says(filled) == says(nas)


def test_copies_and_moves_in_a_partial_clone_need_no_bytes(partial: Repository, nas: Path) -> None:
    before = blobs_here(partial)
    partial.copy("a:v0", "b")
    partial.copy("a", "c")
    partial.move("c:v0", "d")
    assert blobs_here(partial) == before
    assert partial.fsck().problems == []
    assert not partial.push().refused
    with Repository(str(nas)) as there:
        assert {state.path.name for state in there.collections()} == {"a", "b", "c", "d"}


def test_what_was_deleted_in_a_partial_clone_and_the_remote_still_has_comes_back(partial: Repository) -> None:
    partial.delete("a:v0")
    partial.undelete("a:v0")
    partial.delete_collection("a")
    assert len(partial.undelete_collection("a")) == 2
    assert partial.fsck().problems == []


def test_gc_in_a_partial_clone_takes_only_what_is_dead_and_complains_of_nothing(
    partial: Repository, filled: Repository
) -> None:
    got(partial, "a:v0")
    put(partial, "mine", {"big": BIG + b"mine"})
    partial.delete_collection("mine")
    done = partial.gc(now=True)
    assert done.problems == () and done.freed_bytes > LARGE
    assert got(partial, "a:v0") == got(filled, "a:v0") and got(partial, "a:v1") == got(filled, "a:v1")
    assert partial.gc(now=True).freed_bytes == 0


def test_a_partial_clone_that_is_complete_by_now_needs_its_remote_no_more(
    filled: Repository, nas: Path, tmp_path: Path
) -> None:
    (tmp_path / "unchecked").touch()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        for spec in ("a:v0", "a:v1"):
            got(partial, spec)
        shutil.rmtree(nas)
        assert got(partial, "a:v1") == got(filled, "a:v1")
    check(tmp_path / "partial/.artifacts")


# -- shares --------------------------------------------------------------------------------------


@pytest.mark.parametrize("setgid", [True, False])
def test_a_shared_repository_is_for_the_group_whatever_the_umask_says(tmp_path: Path, setgid: bool) -> None:
    share = tmp_path / "share"
    share.mkdir()
    group = 54321 if os.geteuid() == 0 else os.getegid()
    os.chown(share, -1, group)
    share.chmod(0o2770 if setgid else 0o770)
    before = os.umask(0o077)
    try:
        with Repository.init(str(tmp_path / "anna/.artifacts")) as anna:
            anna.remotes.add("share", str(share / "store"), make=True, shared=True)
            with artstore_run(tmp_path / "anna"):
                logged("a", FILES)
            put(anna, "a", FILES | {"n": "1"})
            assert not anna.push().refused
            anna.edit("a", Properties(metadata={"k": "x" * 9000}))
            anna.push()
        with Repository(str(share / "store")) as there:
            put(there, "b", FILES | {"x": BIG + b"2"})
            there.delete("a:v1")
            there.gc(now=True)
            for n in range(64):
                there.set_tags("b", (f"t{n}",))
    finally:
        os.umask(before)
    wrong = []
    for path in [share / "store", *(share / "store").rglob("*")]:
        status, name = path.stat(), str(path.relative_to(share))
        if "/cache" in name:
            continue
        needed = 0o2070 if path.is_dir() else 0o040
        if status.st_mode & needed != needed or status.st_gid != group:
            wrong.append(f"{name} {stat.filemode(status.st_mode)} {status.st_gid}")
    assert not wrong, "\n".join(wrong)
    check(share / "store")


def artstore_run(folder: Path) -> Any:
    """An active run in a folder's repository, until the block ends."""
    from contextlib import contextmanager

    @contextmanager
    def within() -> Iterator[None]:
        before = os.getcwd()
        os.chdir(folder)
        try:
            with artstore.init():
                yield
        finally:
            os.chdir(before)

    return within()


def test_a_checkpoint_of_one_user_does_not_keep_the_group_from_the_log(
    anna: Repository, bob: Repository, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        anna.remotes.add("share", str(tmp_path / "share"), make=True, shared=True)
        put(anna, "a", {"f": "0"})
        for n in range(65):
            anna.set_tags("a", (f"t{n}",))
            if n < 63:
                with Repository(str(tmp_path / "share")) as there:
                    if n == 0:
                        anna.push("share")
                    there.set_tags("a", (f"there{n}",))
        anna.push("share")
    finally:
        os.umask(before)
    (checkpoint,) = (tmp_path / "share").rglob("*.checkpoint")
    assert checkpoint.stat().st_mode & 0o040, "the group may read it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be two users")
def test_two_users_of_a_group_push_to_one_share_and_pull_from_it(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    os.chown(share, -1, 54321)
    share.chmod(0o2770)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o005 != 0o005 and parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o055)
    users = {"anna": 54322, "bob": 54323}
    for name, uid in users.items():
        make_tree(tmp_path / name, {"src/f": name, "src/big": BIG + name.encode()})
        for path in (tmp_path / name, *(tmp_path / name).rglob("*")):
            os.chown(path, uid, uid)

    import artstore.cli
    import artstore.sync.remotes

    def act(name: str, *args: str) -> None:
        """A command in a forked process: other users may not read this Python."""
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.setgroups([54321])
                os.setgid(users[name])
                os.setuid(users[name])
                os.umask(0o077)
                os.chdir(tmp_path / name)
                os.environ["HOME"] = str(tmp_path / name)
                sys.argv = ["artstore", *args]
                artstore.cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, (name, args)

    for name in users:
        act(name, "init")
    act("anna", "remote", "add", "share", str(share / "store"), "--init", "--shared")
    act("bob", "remote", "add", "share", str(share / "store"))
    act("anna", "put", "src", "--name", "a")
    act("anna", "push")
    act("bob", "pull")
    act("bob", "put", "src", "--name", "a")
    act("bob", "push")
    act("anna", "pull")
    act("anna", "verify", "a:v0", "src")
    act("anna", "put", "src", "--name", "b")
    act("anna", "push")
    for n in range(3):
        act("anna", "alias", "a:v0", f"alias{n}")
        act("anna", "push")
    act("bob", "pull")
    act("bob", "gc", "share", "--now")
    act("bob", "fsck", "share")
    check(share / "store")


# -- how it stands -------------------------------------------------------------------------------


def test_how_a_collection_stands_to_each_remote_is_known_without_asking(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    def apart(repository: Repository) -> list[Divergence]:
        return repository.remotes.apart(repository.collection("a"))

    put(anna, "a", {"f": "0"})
    assert apart(anna) == [], "no remote has heard of it"
    anna.push()
    assert apart(anna) == [Divergence("nas", 0, 0, 0)]
    put(anna, "a", {"f": "1"})
    put(anna, "a", {"f": "2"})
    anna.edit("a:v0", Properties(metadata={"k": 1}))
    assert apart(anna) == [Divergence("nas", 2, 0, 1)]
    bob.pull()
    anna.push()
    assert apart(anna) == [Divergence("nas", 0, 0, 0)] and apart(bob) == [Divergence("nas", 0, 0, 0)]
    bob.fetch()
    assert apart(bob) == [Divergence("nas", 0, 2, 0)]
    put(bob, "a", {"f": "his"})
    assert apart(bob) == [Divergence("nas", 1, 2, 0)], "also while numbers clash"
    aside = nas.rename(tmp_path / "aside")
    assert apart(bob) == [Divergence("nas", 1, 2, 0)]
    aside.rename(nas)
    bob.pull()
    assert apart(bob) == [Divergence("nas", 1, 0, 0)]
    bob.push()
    assert apart(bob) == [Divergence("nas", 0, 0, 0)]


def test_what_only_a_remote_has_is_named_with_the_command_that_gets_it(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"}, aliases=("prod",))
    put(anna, "p/b", {"f": "0"})
    anna.push()
    with pytest.raises(NotFound, match="there is no artifact 'a'"):
        bob.find("a")
    bob.fetch()
    assert refs_of(bob) == {}, "nothing was taken over"
    for spec, hint in {
        "a": "`artstore pull nas a` gets it",
        "a:prod": "`artstore pull nas a:prod` gets it",
        "a:v0": "`artstore pull nas a:v0` gets it",
        "p/b": "`artstore pull nas p/b` gets it",
        "local/p/b:latest": "`artstore pull nas p/b:latest` gets it",
    }.items():
        with pytest.raises(NotFound, match="is not here, but at remote 'nas'") as caught:
            bob.find(spec)
        assert caught.value.hint == hint
    with pytest.raises(NotFound, match="there is no artifact 'c'"):
        bob.find("c")
    assert [str(path) for path in bob.remotes.only_there("nas")] == ["local/p/b", "local/uncategorized/a"]
    bob.pull("nas", ["a"])
    assert bob.find("a:prod").version["number"] == 0
    put(anna, "a", {"f": "1"})
    anna.push()
    bob.fetch()
    with pytest.raises(NotFound) as caught:
        bob.find("a:v1")
    assert caught.value.hint == "`artstore pull nas a:v1` gets it"


def test_with_auto_fetch_what_a_remote_has_is_pulled_when_it_is_used(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"}, aliases=("prod",))
    put(anna, "a", {"f": "1"})
    put(anna, "p/b", {"f": "b"})
    anna.push()
    bob.settings.set("core.auto_fetch", "true")
    assert bob.find("a:prod").version["number"] == 0
    assert [version["number"] for version in bob.collection("a").live()] == [0], "only what was asked for"
    assert bob.find("a@" + anna.find("a:v1").version["id"][:12]).version["number"] == 1
    assert got(bob, "p/b") == got(anna, "p/b")
    with pytest.raises(NotFound, match="there is no artifact 'c'"):
        bob.find("c")
    with pytest.raises(NotFound, match="has no version v9"):
        bob.find("a:v9")
    nas.rename(tmp_path / "away")
    with pytest.raises(NotFound, match="there is no artifact 'c'"):
        bob.find("c")
    (tmp_path / "away").rename(nas)


# -- clones --------------------------------------------------------------------------------------


def test_a_clone_of_an_empty_remote_is_empty_and_one_of_a_folder_that_holds_a_repository_works(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    with cloned(tmp_path, nas, "empty") as empty:
        assert list(empty.collections()) == []
    put(anna, "a", FILES)
    with cloned(tmp_path, tmp_path / "anna", "of a folder") as clone:
        assert says(clone) == says(anna)
        put(clone, "a", {"f": "back"})
        clone.push()
    assert anna.find("a").version["number"] == 1
    check(tmp_path / "of a folder/.artifacts")


def test_a_clone_goes_into_no_repository_that_is_there(anna: Repository, nas: Path, tmp_path: Path) -> None:
    Repository.init(str(tmp_path / "other/.artifacts")).close()
    before = files_below(tmp_path / "other")
    with pytest.raises(Conflict, match="there is another repository in"):
        cloned(tmp_path, nas, "other")
    assert files_below(tmp_path / "other") == before
    make_tree(tmp_path / "full/.artifacts", {"x": ""})
    with pytest.raises(ArtstoreError):
        cloned(tmp_path, nas, "full")
    assert snapshot(tmp_path / "full") == {".artifacts": None, ".artifacts/x": (False, b"")}


def test_a_clone_that_fails_at_once_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        cloned(tmp_path, tmp_path / "nowhere")
    assert not (tmp_path / "clone/.artifacts").exists()


def test_a_clone_called_again_is_a_pull(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    cloned(tmp_path, nas).close()
    put(anna, "a", {"f": "1"})
    anna.push()
    with cloned(tmp_path, nas) as clone:
        assert says(clone) == says(anna)


def test_notes_of_remotes_may_be_deleted_at_any_time(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    put(bob, "a", {"f": "1"})
    shutil.rmtree(Path(bob.root) / "remotes")
    shutil.rmtree(Path(bob.root) / "cache")
    with Repository(bob.root) as again:
        assert only(again.push()).versions == ("a:v1",)
    shutil.rmtree(Path(anna.root) / "remotes")
    assert only(anna.pull()).versions == ("a:v1",)
    assert says(anna) == says(nas)


def test_a_log_of_many_entries_is_pushed_and_pulled_with_its_checkpoints(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    for n in range(66):
        anna.set_tags("a", (f"t{n}",))
    anna.push()
    bob.pull()
    with Repository(str(nas)) as there:
        for n in range(66):
            there.edit("a", Properties(metadata={f"k{n}": n}))
    assert list((nas / "refs").rglob("*.checkpoint"))
    bob.edit("a", Properties(aliases=("his",)))
    bob.push()
    for repository in (bob, anna):
        repository.pull()
        assert says(repository) == says(nas)
    assert anna.find("a:his").version["tags"] == [f"t{n}" for n in range(66)]


def test_a_run_that_goes_on_while_it_is_pushed_is_told_as_far_as_its_history_was_sent(
    anna: Repository, nas: Path, in_anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SEAL_AT", 8 << 10)  # more than stands in an entry
    run = artstore.init(id="r")
    row = {"text": "x" * 9000}
    run.log(row)
    send = Transfer.send

    def send_while_it_goes_on(transfer: Any, *arguments: Any) -> None:
        send(transfer, *arguments)
        run.log(row | {"more": 1})

    with monkeypatch.context() as patched:
        patched.setattr(Transfer, "send", send_while_it_goes_on)
        assert anna.push().runs == 1
    with Repository(str(nas)) as there:
        assert there.fsck().problems == []
        assert len(list(there.run_history(there.runs.all()[0]))) == 1
    run.finish()
    assert anna.push().runs == 1
    with Repository(str(nas)) as there:
        assert there.fsck().problems == []
        assert len(list(there.run_history(there.runs.all()[0]))) == 2
