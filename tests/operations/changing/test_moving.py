"""Copies, moves and types of collections: nothing is stored twice, history is kept, and the store is whole after each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.collection import State
from artstore.domain.properties import Properties
from artstore.errors import Conflict, InvalidType, InvalidValue, NotFound, Refused
from artstore.operations.changing.changes import Changes
from artstore.repository import Repository
from tests.support.folders import make_tree


@pytest.fixture
def saved(repo: Repository, tmp_path: Path) -> Repository:
    """a:v0 and a:v1, with aliases, tags, long and short metadata, a description and a ttl."""
    source = make_tree(tmp_path / "source", {"f": "1", "sub/g": "2", "large": bytes(2 << 20)})
    repo.put(str(source), "a", type="model", aliases=("old",), tags=("t",), metadata={"k": 1, "long": "x" * 9000})
    (source / "f").write_text("changed")
    repo.put(str(source), "a", aliases=("prod",), description="y" * 9000)
    repo.edit("a:v1", Properties(ttl=3600))
    return repo


def properties(repo: Repository, spec: str) -> tuple[object, ...]:
    found = repo.find(spec)
    return (*repo.properties(found), found.version.get("tags"), found.version.get("ttl"), found.version["digest"])


def objects(root: Path) -> list[Path]:
    return sorted(path for path in (root / "objects").rglob("*") if path.is_file())


def test_a_copy_of_a_collection_has_its_versions_properties_and_aliases_and_stores_nothing(
    saved: Repository, root: Path
) -> None:
    before = objects(root)
    made = saved.copy("a", "p/b")
    assert objects(root) == before
    assert [version["number"] for version in made.live()] == [0, 1] and made.type == "model"
    for number in (0, 1):
        assert properties(saved, f"p/b:v{number}") == properties(saved, f"a:v{number}")
    assert {alias: made.versions[id]["number"] for alias, id in made.aliases.items()} == {"old": 0, "prod": 1}


def test_a_copy_of_one_version_becomes_the_next_and_leaves_the_aliases_behind(saved: Repository) -> None:
    saved.copy("a:v1", "b")
    made = saved.copy("a:v0", "b")
    assert [version["id"] for version in made.live()] == [saved.find(s).version["id"] for s in ("a:v1", "a:v0")]
    assert made.aliases == {}


def test_a_second_copy_changes_nothing(saved: Repository) -> None:
    first = saved.copy("a", "b").number
    assert saved.copy("a", "b").number == first


def test_a_copy_outlives_its_source(saved: Repository, tmp_path: Path) -> None:
    saved.copy("a:v0", "b")
    saved.delete_collection("a", delete_aliases=True)
    saved.gc(now=True)
    saved.get(saved.find("b"), str(tmp_path / "out"))
    assert (tmp_path / "out/f").read_text() == "1"


def test_a_copy_of_what_was_deleted_there_brings_it_back(saved: Repository) -> None:
    saved.copy("a:v0", "b")
    saved.delete("b:v0")
    assert [version["number"] for version in saved.copy("a:v0", "b").live()] == [0]


def test_a_version_moves_with_its_aliases_and_is_gone_where_it_was(saved: Repository) -> None:
    made = saved.move("a:old", "b")
    assert made.aliases_of(made.live()[0]["id"]) == ["latest", "old"]
    with pytest.raises(NotFound, match="a:v0 was deleted"):
        saved.find("a:v0")


def test_a_collection_moves_with_its_history_and_the_old_name_leads_to_the_new_one(saved: Repository) -> None:
    saved.move("a", "q/c")
    assert saved.find("a:prod").state.path.name == "c" and saved.find("q/c:v0").version["number"] == 0


def test_neither_copy_nor_move_goes_to_a_version_to_itself_or_to_another_type(
    saved: Repository, tmp_path: Path
) -> None:
    make_tree(tmp_path / "other", {"x": "1"})
    saved.put(str(tmp_path / "other"), "data", type="dataset")
    for go in (saved.copy, saved.move):
        with pytest.raises(InvalidValue, match="names a version; give the artifact alone: b"):
            go("a", "b:v0")
        with pytest.raises(Conflict, match="already exists with type 'dataset'"):
            go("a:v0", "data")
    with pytest.raises(Conflict, match="can't be copied to itself"):
        saved.copy("a", "a")


@pytest.mark.parametrize("spec", ["a:v0", "a:prod", "a@{id}", "local/uncategorized/a:latest"])
def test_what_is_done_to_a_whole_collection_refuses_the_name_of_a_version(saved: Repository, spec: str) -> None:
    spec = spec.format(id=saved.find("a").id[:12])
    before = saved.collection("a").number
    for change in (
        lambda: saved.delete_collection(spec, delete_aliases=True),
        lambda: saved.undelete_collection(spec),
        lambda: saved.rename(spec, "c"),
        lambda: saved.edit_collection(spec, description="x"),
        lambda: saved.prune([spec]),
        lambda: saved.finish(spec, "part"),
        lambda: saved.drop(spec, "part"),
    ):
        with pytest.raises(InvalidValue) as refused:
            change()
        alone = spec.partition(":")[0].partition("@")[0]
        assert refused.value.message == f"'{spec}' names a version; give the artifact alone: {alone}"
    assert saved.collection("a").number == before


@pytest.mark.parametrize("go", ["copy", "copy one", "move", "move one"])
def test_a_collection_of_another_type_is_copied_and_moved_as_it_is_now(saved: Repository, go: str) -> None:
    saved.edit_collection("a", type="checkpoint", description="mine", tags=("x",))
    made = (saved.move if "move" in go else saved.copy)("a:v0" if "one" in go else "a", "b")
    assert made.type == "checkpoint" and saved.find("b").state.type == "checkpoint"
    saved.put(str(Path(saved.root).parent / "source"), "b", type="checkpoint")


def test_a_transaction_of_a_live_process_is_abandoned_by_force_only(saved: Repository) -> None:
    with saved.draft() as draft:
        draft.add_bytes(b"x", "x")
        (name,) = saved.gc(now=True).waits_for
        for dry_run in (False, True):
            with pytest.raises(Refused, match="is at work here: its save would fail"):
                saved.gc(now=True, abandon=name, dry_run=dry_run)
        saved.gc(now=True, abandon=name, force=True, dry_run=True)
        assert draft.save(saved.path_of("kept")[0]).is_new


def test_a_save_under_a_name_that_was_moved_and_deleted_is_found_again(saved: Repository, tmp_path: Path) -> None:
    saved.move("a", "b")
    saved.delete_collection("b", delete_aliases=True)
    again = saved.put(str(make_tree(tmp_path / "again", {"x": "1"})), "a")
    assert saved.find("a").version["id"] == saved.find("b").version["id"] == again.id
    saved.delete_collection("b")
    assert saved.copy(saved.put(str(tmp_path / "again"), "c").path.name, "a").live()


def test_a_move_to_a_project_that_differs_in_case_only_is_refused(saved: Repository, tmp_path: Path) -> None:
    saved.put(str(make_tree(tmp_path / "again", {"x": "1"})), "proj/b")
    with pytest.raises(Conflict, match="differs only in case from local/proj"):
        saved.move("a", "Proj/a")


def test_a_deleted_collection_comes_back_whole_by_one_entry(saved: Repository) -> None:
    before = {number: properties(saved, f"a:v{number}") for number in (0, 1)}
    number = saved.delete_collection("a", delete_aliases=True).number
    back = saved.undelete_collection("a")
    assert [found.version["number"] for found in back] == [0, 1] and back[0].state.number == number + 1
    assert {number: properties(saved, f"a:v{number}") for number in (0, 1)} == before


def test_true_one_and_one_point_nought_are_three_values(saved: Repository) -> None:
    for value in (1, True, 1.0):
        saved.edit("a:v0", Properties(metadata={"k": value}))
        assert type(saved.properties(saved.find("a:v0"))[1]["k"]) is type(value)


def before_call(repo: Repository, number: int, act: Callable[[], object]) -> None:
    """Act right before the repository's next `number`-th change of a log."""
    original, left = repo.refs.change, [number]

    def change(path: Path, build: Any, *, read: Any = None) -> Any:
        left[0] -= 1
        if left[0] == 0:
            act()
        return original(path, build, read=read)

    repo.refs.change = change  # type: ignore[method-assign, assignment]


def test_a_copy_beside_an_edit_and_a_collector_keeps_what_its_metadata_names(saved: Repository, root: Path) -> None:
    with Repository(str(root)) as other:

        def act() -> None:
            other.edit("a:v0", Properties(no_metadata=("long",)))
            other.gc(now=True)

        before_call(saved, 1, act)
        saved.copy("a:v0", "b")
        other.gc(now=True)
        assert other.properties(other.find("b:v0"))[1]["long"] == "x" * 9000


def test_an_edit_and_an_alias_made_beside_a_move_go_with_the_version(saved: Repository, root: Path) -> None:
    with Repository(str(root)) as other:

        def act() -> None:
            other.edit("a:v0", Properties(metadata={"late": 1}, aliases=("late",)))

        before_call(saved, 3, act)  # copy, properties, deletion
        saved.move("a:v0", "b")
        assert other.properties(other.find("b:late"))[1]["late"] == 1
        with pytest.raises(NotFound, match="was deleted"):
            other.find("a:v0")


def test_a_version_whose_metadata_goes_from_1_to_true_while_it_moves_takes_that_along(
    saved: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Changes.copy

    def and_somebody_edits(changes: Changes, text: str, new: str) -> State:
        made = copy(changes, text, new)
        if saved.properties(saved.find("a:v0"))[1]["k"] is not True:
            with Repository(saved.root) as other:
                other.edit("a:v0", Properties(metadata={"k": True}))
        return made

    monkeypatch.setattr(Changes, "copy", and_somebody_edits)
    saved.move("a:v0", "b")
    assert saved.properties(saved.find("b:v0"))[1]["k"] is True


def test_one_text_where_several_are_meant_is_refused_instead_of_taken_apart(saved: Repository, tmp_path: Path) -> None:
    source, text = str(tmp_path / "source"), "good"
    for what, change in (
        ("aliases", lambda: saved.put(source, "a", aliases=text)),  # type: ignore[arg-type]
        ("tags", lambda: saved.put(source, "a", tags=text)),  # type: ignore[arg-type]
        ("aliases", lambda: saved.set_aliases("a:v0", text)),  # type: ignore[arg-type]
        ("aliases", lambda: saved.set_aliases("a:v0", (), text)),  # type: ignore[arg-type]
        ("tags", lambda: saved.set_tags("a:v0", text)),  # type: ignore[arg-type]
        ("tags", lambda: saved.edit_collection("a", tags=text)),  # type: ignore[arg-type]
        ("no_tags", lambda: saved.edit_collection("a", no_tags=text)),  # type: ignore[arg-type]
        ("aliases", lambda: saved.link(saved.find("a"), "b", text)),  # type: ignore[arg-type]
        ("no_metadata", lambda: saved.edit("a", Properties(no_metadata=text))),  # type: ignore[arg-type]
        ("specs", lambda: saved.prune(text)),
    ):
        before = saved.collection("a").number
        with pytest.raises(InvalidType) as refused:
            change()
        assert refused.value.message == f"{what} must be a list or tuple, such as ['good'], not the text 'good'"
        assert saved.collection("a").number == before
    saved.remotes.add("origin", str(tmp_path / "remote"), make=True)
    for exchange in (saved.push, saved.pull, saved.fetch):
        with pytest.raises(InvalidType, match="specs must be a list or tuple"):
            exchange("origin", "a")
