"""What a push and a pull send: exactly what the other side lacks, of what was chosen."""

from pathlib import Path

import pytest

from artstore.domain.properties import Properties
from artstore.errors import NotFound
from artstore.repository import Repository
from artstore.store.packs import LARGE
from artstore.store.settings import RemoteSettings
from tests.support.checks import check
from tests.support.exchange import BIG, FILES, cloned, files_below, got, objects_of, only, outcomes, put, refs_of, says
from tests.support.reader import Reader

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
    assert caught.value.hint == "did you mean 'nas'?"
    assert refs_of(bob) == {}


def test_a_version_of_a_spec_is_chosen_as_the_sender_names_it(several: Repository, bob: Repository) -> None:
    several.push()
    assert only(bob.pull("nas", ["a:best"])).versions == ("a:v1",)
    assert says(bob)["aliases"] == {"best": 1}
    assert only(bob.pull("nas", ["a"])).versions == ("a:v0",)


def test_a_collection_that_several_specs_name_is_sent_and_reported_once(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    for number in range(3):
        put(anna, "a", {"f": f"{number}"})
    put(anna, "b", {"f": "b"})
    whole = ["a", "b", "a", "uncategorized/", "local/uncategorized/", "a:v1"]
    for specs, versions, count in (
        (["a:v0", "a:v0", "a@" + anna.find("a:v0").id], ("a:v0",), 1),
        (["a:v0", "a:v2", "a:latest"], ("a:v2",), 1),
        (whole, ("a:v1",), 2),
        (whole, (), 2),
    ):
        for act in (lambda **more: anna.push(specs=specs, **more), lambda **more: bob.pull(specs=specs, **more)):
            planned, done = act(dry_run=True), act()
            assert [moved.path.name for moved in done.collections] == ["a", "b"][:count]
            assert done.collections[0].versions == versions == planned.collections[0].versions
            assert (planned.objects, planned.bytes) == (done.objects, done.bytes)
    assert says(nas) == says(anna) == says(bob)
