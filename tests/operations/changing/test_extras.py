"""Keys of entries go wherever their version goes, and what a stranger's repository holds in their place is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.domain.changes import new_change
from artstore.domain.codec import encode_json
from artstore.domain.collection import Path as Collection
from artstore.domain.digest import Digest
from artstore.domain.extras import Extras
from artstore.errors import Damage, MissingObject
from artstore.operations.saving.reliance import Reliance
from artstore.repository import Repository
from artstore.store.transaction import Transaction
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.forge import Forger

SHORT: Extras = {
    "f": {"label": "cat", "n": 1.5},
    "sub/" + os.fsdecode(b"\xe9"): {"blob": "x"},
    "blob": {"blob": "0" * 64},
}
LONG: Extras = {"f": {"text": "x" * 10_000}, "blob": {"n": 1}}


def save(repository: Repository, name: str, extras: Extras, **more: Any) -> None:
    path = repository.path_of(name)[0]
    with repository.draft() as draft:
        for file in {"f", "blob", *extras}:
            draft.add_bytes(os.fsencode(f"{name} {file}"), file)
        for file, keys in extras.items():
            draft.extra(file).update(keys)
        draft.save(path, **more)


def extras(repository: Repository, spec: str) -> Extras:
    return repository.lookup.extras(repository.find(spec))


def by_clone(repo: Repository, folder: Path) -> Extras:
    with Repository.clone(repo.root, str(folder / "clone"))[0] as other:
        other.gc(now=True)
        return extras(other, "data")


def by_push(repo: Repository, folder: Path) -> Extras:
    repo.remotes.add("nas", str(folder / "nas"), make=True)
    repo.push()
    check(folder / "nas")
    with Repository(str(folder / "nas")) as there:
        return extras(there, "data")


def by_pull(repo: Repository, folder: Path) -> Extras:
    with Repository.clone(repo.root, str(folder / "clone"))[0] as other:
        save(repo, "later", extras(repo, "data"))
        other.pull()
        return extras(other, "later")


def by_bundle(repo: Repository, folder: Path) -> Extras:
    repo.create_bundle(str(folder / "data.bundle"), ["data"])
    with Repository.init(str(folder / "other")) as other:
        other.apply_bundle(str(folder / "data.bundle"))
        return extras(other, "data")


def by_copy(repo: Repository, folder: Path) -> Extras:
    repo.copy("data", "copy")
    repo.delete_collection("data")
    repo.gc(now=True)
    return extras(repo, "copy:v0")


def by_move(repo: Repository, folder: Path) -> Extras:
    repo.move("data:v0", "moved")
    return extras(repo, "moved")


def by_rename(repo: Repository, folder: Path) -> Extras:
    repo.rename("data", "renamed")
    return extras(repo, "renamed")


def by_link(repo: Repository, folder: Path) -> Extras:
    repo.link(repo.find("data"), "links/data")
    return extras(repo, "links/data")


def by_link_without_a_source(repo: Repository, folder: Path) -> Extras:
    repo.link(repo.find("data"), "links/data")
    repo.delete("data:v0", delete_aliases=True)
    repo.gc(now=True)
    return extras(repo, "links/data")


def by_undelete(repo: Repository, folder: Path) -> Extras:
    repo.delete("data:v0")
    repo.undelete("data:v0")
    return extras(repo, "data:v0")


def by_another_draft(repo: Repository, folder: Path) -> Extras:
    with repo.draft() as draft:
        found = repo.find("data")
        draft.start_from(found.state.path, found.id)
        draft.add_bytes(b"more", "more")
        draft.save(found.state.path)
    repo.delete("data:v0")
    repo.gc(now=True)
    return extras(repo, "data:v1")


def by_checkpoint(repo: Repository, folder: Path) -> Extras:
    for number in range(70):
        repo.set_tags("data", (f"t{number}",))
    assert list(Path(repo.root).glob("refs/*/*/data/*.checkpoint"))
    with Repository(repo.root) as again:
        return extras(again, "data")


WAYS: list[Callable[[Repository, Path], Extras]] = [
    by_clone, by_push, by_pull, by_bundle, by_copy, by_move, by_rename, by_link, by_link_without_a_source, by_undelete,
    by_another_draft, by_checkpoint,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", [SHORT, LONG], ids=["short", "long"])
def test_keys_go_wherever_their_version_goes(repo: Repository, tmp_path: Path, way: Any, given: Extras) -> None:
    save(repo, "data", given)
    assert extras(repo, "data") == given
    assert way(repo, tmp_path) == given


def test_pull_and_push_come_to_rest_and_say_nothing_of_keys_of_new_versions(repo: Repository, tmp_path: Path) -> None:
    save(repo, "data", SHORT)
    with Repository.clone(repo.root, str(tmp_path / "clone"))[0] as other:
        save(other, "data", LONG)
        (moved,) = other.push().collections
        assert (moved.versions, moved.told) == (("data:v1",), ())
        assert {moved.changes for done in (other.push(), other.pull()) for moved in done.collections} == {0}
        assert extras(repo, "data:v1") == LONG and extras(repo, "data:v0") == SHORT


def test_keys_of_many_files_cost_no_look_into_their_folder_for_each(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, read = repo.path_of("data")[0], Transaction.read_tree, list[bytes]()

    def counted(tx: Transaction, digest: Digest) -> bytes:
        read.append(digest)
        return real(tx, digest)

    source = make_tree(tmp_path / "src", {f"{folder}/{n}": str(n) for folder in "ab" for n in range(100)})
    monkeypatch.setattr(Transaction, "read_tree", counted)
    for name in ("first", "second"):
        with repo.draft() as draft:
            if name == "second":
                draft.start_from(path, repo.find("data").id)
            draft.add_folder(str(source), name)
            for folder in "ab":
                for n in range(100):
                    draft.extra(f"{name}/{folder}/{n}")["n"] = n
            draft.add_folder(str(source / "a"), "first/a")
            draft.save(path)
        assert len(read) < 30
        read.clear()
    assert (len(extras(repo, "data:v0")), len(extras(repo, "data:v1"))) == (100, 300)


# -- what is taken back --------------------------------------------------------------------------


def test_a_save_with_keys_that_is_taken_back_can_be_made_again(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise MissingObject("gone")

    with monkeypatch.context() as patch, pytest.raises(MissingObject):
        patch.setattr(Reliance, "ensure_saved", lost)
        save(repo, "data", LONG)
    save(repo, "data", SHORT)
    assert extras(repo, "data") == SHORT


def test_a_finish_that_is_taken_back_leaves_the_parts_waiting_with_their_keys(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repo.path_of("data")[0]

    def add_part(keys: dict[str, Any]) -> None:
        with repo.draft() as draft:
            draft.add_bytes(b"1", "f")
            draft.extra("f").update(keys)
            draft.save_part(path, "together", writer="one")

    def lost(*_: object) -> None:
        raise MissingObject("gone")

    add_part(LONG["f"])
    for act in (lambda: repo.finish("data", "together"), lambda: add_part({"other": 1})):
        with monkeypatch.context() as patch, pytest.raises(MissingObject):
            patch.setattr(Reliance, "ensure_saved", lost)
            act()
    repo.finish("data", "together")
    assert extras(repo, "data") == {"f": LONG["f"]}


# -- what strangers write ------------------------------------------------------------------------


@pytest.mark.damaged
@pytest.mark.parametrize(
    "text", [b"not JSON", encode_json([1]), encode_json({"f": 1}), encode_json({"f": {}}), encode_json({"f": {"k": 1}})[:-1]]
)  # fmt: skip
def test_a_blob_that_does_not_hold_keys_is_damage_and_the_files_can_be_read(here: Path, text: bytes) -> None:
    with Repository.init(".artifacts") as repo:
        save(repo, "data", {})
        forge = Forger(Path(repo.root))
        forge.entry("data", new_change("extras", id=repo.find("data").id, entries=None, blob=forge.blob(text).hex()))
    artifact = wandb.Api().artifact("data")
    with pytest.raises(Damage, match="the extra keys of entries"):
        artifact.get_entry("f").extra["k"]
    assert artifact.get_entry("f").open().read() == b"data f"
    artifact.verify(artifact.download())


@pytest.mark.damaged
def test_a_missing_blob_of_keys_is_a_problem_of_fsck(repo: Repository) -> None:
    save(repo, "data", {})
    Forger(Path(repo.root)).entry("data", new_change("extras", id=repo.find("data").id, entries=None, blob="0" * 64))
    (problem,) = repo.fsck().problems
    assert "a property of" in str(problem)


@pytest.mark.damaged
def test_keys_of_a_remote_that_are_malformed_refuse_its_collection(repo: Repository, tmp_path: Path) -> None:
    save(repo, "data", SHORT)
    save(repo, "good", SHORT)
    forge = Forger(Path(repo.root))
    forge.entry("data", new_change("extras", id=repo.find("data").id, entries={"f": {}}, blob=None))
    with Repository.clone(repo.root, str(tmp_path / "clone"))[0] as other:
        assert extras(other, "good") == SHORT
        assert not other.refs.read(Collection("local", "uncategorized", "data")).exists


# -- shown ---------------------------------------------------------------------------------------


def test_ls_prints_the_keys_of_entries_as_json(repo: Repository, cli: Cli) -> None:
    save(repo, "data", SHORT)
    listed = {entry["path"]: entry.get("extra") for entry in json.loads(cli("ls", "data:v0", "-r", "--json").out)}
    assert listed == {path: SHORT.get(path) for path in {"f", "blob", *SHORT}}
    (one,) = json.loads(cli("ls", "data:v0", "f", "--json").out)
    assert one["extra"] == SHORT["f"]
