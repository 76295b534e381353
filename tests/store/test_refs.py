"""Logs and refs: numbering, lost races, folding, checkpoints, names, renames."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.changes import new_change
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.collection import Path as Collection
from artstore.domain.collection import id_of_state
from artstore.errors import Conflict, DamagedLog, InvalidValue, NotFound, UnsupportedFormat
from artstore.repository import Repository
from artstore.store.logs import CHECKPOINT_EVERY, Log, decode_checkpoint, decode_entry
from artstore.store.refs import Refs, State
from tests.support.folders import make_tree
from tests.support.forge import sealed


def put(repo: Repository, tmp_path: Path, name: str, content: str, **more: object) -> int:
    return repo.put(str(make_tree(tmp_path / "src", {"f": content})), name, **more).number  # type: ignore[arg-type]


def test_versions_are_numbered_from_zero_and_latest_is_the_newest_live_one(repo: Repository, tmp_path: Path) -> None:
    assert [put(repo, tmp_path, "a", text) for text in ("1", "2", "3")] == [0, 1, 2]
    assert repo.find("a").version["number"] == repo.find("a:latest").version["number"] == 2
    repo.delete("a:v2")
    assert repo.find("a").version["number"] == 1
    assert put(repo, tmp_path, "a", "4") == 3, "numbers are never used again"


def test_equal_content_makes_no_version_but_takes_aliases_tags_and_metadata(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1", aliases=("x",), metadata={"k": 1})
    assert put(repo, tmp_path, "a", "1", aliases=("y",), tags=("t",), metadata={"k": 2, "m": 3}, description="d") == 0
    found = repo.find("a:y")
    assert found.state.aliases_of(found.version["id"]) == ["latest", "x", "y"]
    assert repo.properties(found) == ("d", {"k": 2, "m": 3})
    entries = len(list(repo.history("a")))
    put(repo, tmp_path, "a", "1", aliases=("y",), tags=("t",), metadata={"k": 2}, description="d")
    assert len(list(repo.history("a"))) == entries, "what changes nothing adds no entry"


def test_long_values_are_blobs_that_the_log_names(repo: Repository, root: Path, tmp_path: Path) -> None:
    long = {"text": "x" * 10_000, "short": 1.5}
    put(repo, tmp_path, "a", "1", metadata=long, description="d" * 5000)
    assert repo.properties(repo.find("a")) == ("d" * 5000, long)
    assert all(path.stat().st_size < 3000 for path in root.rglob("*.json"))
    repo.gc(now=True)
    assert repo.properties(repo.find("a")) == ("d" * 5000, long)


def test_a_lost_race_is_tried_again_on_the_new_state(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1")
    path, calls = Collection("local", "uncategorized", "a"), []

    def build(state: State) -> list[dict[str, object]]:
        calls.append(state.number)
        if len(calls) == 1:
            Repository(repo.root).set_tags("a", ("other",))
        (version,) = state.live()
        return [new_change("tags", id=version["id"], add=["mine"], remove=[])]

    state = repo.refs.change(path, build)
    assert calls == [1, 2] and state.live()[0]["tags"] == ["other", "mine"]


def test_a_save_that_loses_the_race_for_a_new_name_has_the_type_that_the_winner_gave_it(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, first = Refs.commit, [True]

    def commit(self: Refs, state: State, changes: list[dict[str, object]]) -> State | None:
        if first and first.pop():
            put(Repository(repo.root), tmp_path, "a", "winner", type="model")
        return real(self, state, changes)

    monkeypatch.setattr(Refs, "commit", commit)
    assert put(repo, tmp_path, "a", "loser") == 1
    found = repo.find("a:v1")
    assert (found.state.type, repo.objects.read_version(id_of_state(found.version)).type) == ("model", "model")


def test_a_refused_create_whose_write_id_is_ours_was_only_a_lost_reply(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1")
    log = Log(repo.storage, "refs/local/uncategorized/a")
    head = log.read(1)

    class LostReply(type(repo.storage)):  # type: ignore[misc]
        def create(self, path: str, data: bytes) -> bool:
            super().create(path, data)
            return False

    storage = LostReply(repo.root)
    entry = Log(storage, log.folder).append(
        1, head.digest, [new_change("tags", id=None, add=["t"], remove=[])], host=None, user=None
    )
    assert entry is not None and entry.number == 2
    assert Log(storage, log.folder).append(1, head.digest, [], host=None, user=None) is None, (
        "an older entry of that number is a lost race"
    )


def test_a_checkpoint_is_only_a_short_cut(repo: Repository, root: Path, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1", metadata={"f": 0.5}, aliases=("z", "b"))
    for n in range(CHECKPOINT_EVERY + 5):
        repo.set_tags("a", (f"t{n}",))
    folder = root / "refs/local/uncategorized/a"
    (checkpoint,) = folder.glob("*.checkpoint")
    assert checkpoint.name == "00000064.checkpoint"
    with_it = repo.collection("a").plain()
    assert repo.refs.read_folder("refs/local/uncategorized/a", checkpoints=False).plain() == with_it
    data = checkpoint.read_bytes()
    for bad in (data[:50], data[:-1] + b"?", b""):
        checkpoint.unlink()
        checkpoint.write_bytes(bad)
        assert repo.collection("a").plain() == with_it
    checkpoint.unlink()
    assert repo.collection("a").plain() == with_it


def test_handles_that_read_a_long_log_again_and_again_go_on_from_the_fold_of_the_process(
    repo: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(CHECKPOINT_EVERY + 5):
        put(repo, tmp_path, "a", str(n))
    path, reads = "refs/local/uncategorized/a", list[int]()
    again = Repository(repo.root)

    def counted(*args: Any, **more: Any) -> Any:
        reads.append(1)
        return decode_checkpoint(*args, **more)

    monkeypatch.setattr("artstore.store.logs.decode_checkpoint", counted)
    for n in range(30):
        put(again, tmp_path, "a", f"more {n}")
        again.set_tags("a:v0", (f"t{n}",))
    assert reads == [], "the first handle has folded it"
    assert again.refs.read_folder(path).plain() == again.refs.read_folder(path, checkpoints=False).plain()
    mine = again.refs.read_folder(path)
    mine.versions.clear()
    assert again.refs.read_folder(path).plain() == Repository(repo.root).refs.read_folder(path).plain(), "a copy of it"


def test_what_a_handle_folded_gives_way_to_a_log_that_was_put_back(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    for n in range(CHECKPOINT_EVERY + 5):
        put(repo, tmp_path, "a", str(n))
    folder = root / "refs/local/uncategorized/a"
    shutil.copytree(folder, tmp_path / "older")
    held = Repository(repo.root)
    put(held, tmp_path, "a", "one more")
    assert [held.find("a").version["number"] for _ in range(3)] == [CHECKPOINT_EVERY + 5] * 3
    for entry in folder.glob("*.json"):
        entry.unlink()
    shutil.copytree(tmp_path / "older", folder, dirs_exist_ok=True)
    assert held.find("a").version["number"] == CHECKPOINT_EVERY + 4
    put(Repository(repo.root), tmp_path, "a", "another")
    assert held.find("a").state.plain() == Repository(repo.root).find("a").state.plain()


def test_an_entry_of_many_changes_leaves_a_checkpoint(repo: Repository, root: Path, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1")
    path, id = Collection("local", "uncategorized", "a"), repo.find("a").version["id"]
    for many, left in ((255, []), (256, ["00000003.checkpoint"])):
        aliases = [new_change("alias", alias=f"{many}-{n}", id=id, old=None) for n in range(many)]
        repo.refs.change(path, lambda state, aliases=aliases: aliases)  # type: ignore[misc]
        folder = root / "refs/local/uncategorized/a"
        assert [entry.name for entry in folder.glob("*.checkpoint")] == left


@pytest.mark.damaged
def test_a_gap_or_a_broken_chain_is_damage_and_nothing_is_appended(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    for text in "123":
        put(repo, tmp_path, "a", text)
    folder = root / "refs/local/uncategorized/a"
    second = (folder / "00000002.json").read_bytes()
    (folder / "00000002.json").unlink()
    for action in (lambda: repo.find("a"), lambda: put(repo, tmp_path, "a", "4"), lambda: repo.gc(now=True)):
        with pytest.raises(DamagedLog, match="entry 2 of .* is missing"):
            action()
    (folder / "00000002.json").write_bytes(second.replace(b'"number":2', b'"number": 2'))
    with pytest.raises(DamagedLog, match="not in canonical form"):
        repo.find("a")
    value = decode_json(second, "entry")
    (folder / "00000002.json").write_bytes(encode_json(sealed(value | {"prev": "0" * 64})))
    with pytest.raises(DamagedLog, match="does not follow"):
        repo.find("a")
    assert not (folder / "00000004.json").exists()


def test_entries_that_we_would_not_write_are_refused() -> None:
    good = {"changes": [], "host": None, "number": 1, "prev": None, "time": "t", "user": None, "write": "w"}
    assert decode_entry(encode_json(sealed(good)), 1, "e").number == 1
    for bad in (
        {**good, "x": 1},
        {**good, "number": 2},
        {**good, "number": True},
        {**good, "changes": [1]},
        {**good, "changes": [{"kind": "x"}]},
        [],
    ):
        with pytest.raises(DamagedLog):
            decode_entry(encode_json(sealed(bad) if isinstance(bad, dict) else bad), 1, "e")
    with pytest.raises(DamagedLog):
        decode_entry(b'{"a":1,"a":1}\n', 1, "e")


@pytest.mark.damaged
def test_a_change_of_an_unknown_kind_is_refused_as_newer(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1")
    log = Log(repo.storage, "refs/local/uncategorized/a")
    log.append(1, log.read(1).digest, [new_change("teleport", id=None)], host=None, user=None)
    with pytest.raises(UnsupportedFormat, match="teleport"):
        repo.find("a")


def test_names_that_differ_only_in_case_are_refused(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "Model", "1")
    with pytest.raises(Conflict, match="differs only in case from local/uncategorized/Model"):
        put(repo, tmp_path, "model", "2")
    with pytest.raises(Conflict, match="differs only in case"):
        put(repo, tmp_path, "Uncategorized/Model", "2")


def test_another_type_is_refused_and_a_deleted_name_may_take_one(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1", type="model")
    with pytest.raises(Conflict, match=r"Artifact a already exists with type 'model'; .* 'dataset'"):
        put(repo, tmp_path, "a", "2", type="dataset")
    repo.delete_collection("a")
    with pytest.raises(NotFound, match="artifact 'a' was deleted on"):
        repo.find("a")
    assert put(repo, tmp_path, "a", "2", type="dataset") == 1
    assert repo.collection("a").type == "dataset"


def test_deleting_a_collection_spares_the_version_that_came_meanwhile(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1")
    state = repo.collection("a")
    put(repo, tmp_path, "a", "2")
    ids = [version["id"] for version in state.live()]
    repo.refs.change(state.path, lambda now: [new_change("delete collection", ids=ids)])
    assert [version["number"] for version in repo.collection("a").live()] == [1]


def test_aliases_move_and_deletion_is_refused_while_they_hold(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "a", "1", aliases=("prod",))
    put(repo, tmp_path, "a", "2")
    with pytest.raises(Conflict, match="a:v0 has the alias 'prod'"):
        repo.delete("a:v0")
    repo.set_aliases("a:v1", ("prod",))
    assert repo.find("a:prod").version["number"] == 1
    repo.delete("a:v0")
    with pytest.raises(NotFound, match=r"a:v0 was deleted"):
        repo.find("a:v0")
    repo.set_aliases("a:v1", remove=("prod",))
    with pytest.raises(NotFound, match="no alias 'prod'"):
        repo.find("a:prod")
    with pytest.raises(InvalidValue, match="latest"):
        repo.set_aliases("a", ("latest",))


def test_a_renamed_collection_keeps_its_history_and_the_old_name_redirects(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    put(repo, tmp_path, "old", "1", aliases=("prod",))
    put(repo, tmp_path, "old", "2")
    repo.rename("old", "other/new")
    assert str(repo.find("old:prod").state.path) == "local/other/new"
    assert [v["number"] for v in repo.collection("other/new").live()] == [0, 1]
    assert put(repo, tmp_path, "old", "3") == 2, "a save to the old name goes on under the new one"
    assert len(list(repo.history("other/new"))) == 4
    assert [str(state.path) for state in repo.collections()] == ["local/other/new"]
    repo.gc(now=True)


def test_a_rename_to_a_name_that_only_stays_says_why_it_stays(repo: Repository, tmp_path: Path) -> None:
    for name in ("old", "gone", "held"):
        put(repo, tmp_path, name, name)
    repo.rename("old", "between")
    repo.rename("between", "new")
    repo.delete_collection("gone")
    why = {
        "old": "local/uncategorized/old is a former name of local/uncategorized/new, and stays so that what was written "
        "with it is found",
        "gone": "local/uncategorized/gone was deleted, and its name stays, with the numbers of its versions",
        "held": "local/uncategorized/held is in use",
    }
    for source in ("new", "old"):
        for taken, message in why.items():
            with pytest.raises(Conflict) as refused:
                repo.rename(source, taken)
            assert str(refused.value) == message
            back = "every command still takes local/uncategorized/old for it; choose another name if it has to be listed under one"
            assert refused.value.hint == (back if taken == "old" else "choose another name")
    assert [state.path.name for state in repo.collections()] == ["held", "new"]


def test_a_rename_that_died_half_way_is_settled_by_the_next_writer(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "old", "1")
    source = repo.collection("old")
    named = new_change("collection", entity="local", project="uncategorized", name="new", type="artifact")
    begun = new_change(
        "moved from", entity="local", project="uncategorized", name="old", number=source.number, digest=source.digest
    )
    assert repo.refs.commit(State(Collection("local", "uncategorized", "new")), [named, begun]) is not None
    assert [str(state.path) for state in repo.collections()] == ["local/uncategorized/old"]
    assert put(repo, tmp_path, "new", "n") == 0
    assert put(repo, tmp_path, "old", "2") == 1
    assert [change["kind"] for entry in repo.history("old") for change in entry.changes].count("not moved") == 1
