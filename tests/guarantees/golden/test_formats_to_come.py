"""Repositories of a later artstore: what they need and this one lacks is refused, exactly for the operations that need it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.api import recording
from artstore.domain.properties import Properties
from artstore.domain.selection import Selection
from artstore.errors import UnsupportedFormat
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot

pytestmark = pytest.mark.damaged
REFUSED = "uses 'sparkles', which this artstore does not know: it must not "
WORDS = {"read": "read it", "write": "write to it", "gc": "collect garbage in it"}


def add_feature(root: Path, *operations: str) -> None:
    """As a later artstore adds one: the file is replaced, whole."""
    value = json.loads((root / "format").read_text())
    for operation in operations:
        value["features"][operation] = ["sparkles"]
    new = root / "format.new"
    new.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n")
    os.replace(new, root / "format")


def stored(root: Path) -> dict[str, Any]:
    """All that others can see."""
    return {
        path: held for path, held in snapshot(root).items() if not path.startswith(("cache", "checkouts", "remotes"))
    }


@pytest.fixture
def full(repo: Repository, root: Path, tmp_path: Path) -> Repository:
    """One with versions, an unfinished one, a run, a deleted version and an alias."""
    for number in range(2):
        repo.put(str(make_tree(tmp_path / "src", {"f": str(number)})), "data", aliases=(f"a{number}",))
    repo.put(str(tmp_path / "src"), "gone")
    repo.delete("gone")
    repo.put(str(tmp_path / "src"), "model")
    with repo.draft() as draft:
        draft.add_bytes(b"part", "part")
        draft.save_part(repo.find("data").state.path, "open", writer="me")
    return repo


def writers(repo: Repository, tmp_path: Path) -> dict[str, Callable[[], object]]:
    source = str(tmp_path / "src")
    return {
        "put": lambda: repo.put(source, "new"),
        "draft": lambda: repo.draft(),
        "alias": lambda: repo.set_aliases("data", add=("x",)),
        "tag": lambda: repo.set_tags("data", add=("x",)),
        "edit": lambda: repo.edit("data", Properties(description="x")),
        "edit collection": lambda: repo.edit_collection("data", description="x"),
        "delete": lambda: repo.delete("model"),
        "delete collection": lambda: repo.delete_collection("model"),
        "undelete": lambda: repo.undelete("gone:v0"),
        "undelete collection": lambda: repo.undelete_collection("gone"),
        "prune": lambda: repo.prune(),
        "rename": lambda: repo.rename("model", "moved"),
        "copy": lambda: repo.copy("model", "copied"),
        "move": lambda: repo.move("model:v0", "moved"),
        "link": lambda: repo.link(repo.find("model"), "registry-x/model"),
        "unlink": lambda: repo.unlink("model"),
        "registry": lambda: repo.edit_registry("local", "registry-x", new=True),
        "delete registry": lambda: repo.delete_registry("local", "registry-x"),
        "drop": lambda: repo.drop("data", "open"),
        "finish": lambda: repo.finish("data", "open"),
        "pull": lambda: repo.pull("nas"),
        "run": lambda: recording.start(str(repo.root)),
    }


def test_an_unknown_feature_of_writing_refuses_every_change_and_changes_no_byte(
    full: Repository, root: Path, tmp_path: Path
) -> None:
    add_feature(root, "write")
    before = stored(root)
    with Repository(str(root)) as repo:
        for what, change in writers(repo, tmp_path).items():
            with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["write"]) as error:
                change()
            assert (error.value.exit_code, error.value.hint) == (10, "update artstore"), what
        assert stored(root) == before
        assert [state.path.name for state in repo.collections()] == ["data", "gone", "model"]
        repo.get(repo.find("data:a0"), str(tmp_path / "out"))
        assert snapshot(tmp_path / "out") == {"f": (False, b"0")}
        assert repo.fsck().problems == []
        assert repo.gc(now=True).versions == 3


def test_damage_that_is_met_is_not_noted_where_one_may_not_write(full: Repository, root: Path) -> None:
    for pack in root.glob("objects/packs/*"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:24] + b"\xff" + pack.read_bytes()[25:])
    add_feature(root, "write")
    with Repository(str(root)) as repo:
        assert repo.fsck().problems != []
    assert list((root / "bad").iterdir()) == []


def test_an_unknown_feature_of_collecting_refuses_gc_and_merges_and_nothing_else(
    full: Repository, root: Path, tmp_path: Path
) -> None:
    add_feature(root, "gc")
    with Repository(str(root)) as repo:
        for options in ({}, {"now": True}, {"dry_run": True}):
            with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["gc"]):
                repo.gc(**options)
        for number in range(10):  # packs enough for a merge
            repo.put(str(make_tree(tmp_path / "src", {"f": f"more {number}"})), "data")
        assert len(list(root.glob("objects/packs/*"))) >= 10
        repo.delete("data")
        assert repo.fsck().problems == []
    assert list((root / "trash").iterdir()) == list((root / "tmp").iterdir()) == []


def test_an_unknown_feature_of_reading_refuses_all(full: Repository, root: Path, cli: Cli, tmp_path: Path) -> None:
    add_feature(root, "read")
    before = stored(root)
    with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["read"]):
        Repository(str(root))
    for command in (
        ["ls"],
        ["put", "src"],
        ["gc"],
        ["fsck"],
        ["clone", root, "clone"],
        ["ls", "--from", root],
        ["gc", root],
    ):
        done = cli(*command)
        assert done.code == 10 and REFUSED + WORDS["read"] in done.err, done
    assert stored(root) == before and not (tmp_path / "clone" / "format").exists()


@pytest.mark.parametrize("number", ["2", "0", "10000000000000000000000"])
def test_another_format_number_is_refused_by_its_number(full: Repository, root: Path, cli: Cli, number: str) -> None:
    text = (root / "format").read_text().replace('"artstore":1', f'"artstore":{number}')
    (root / "format").unlink()
    (root / "format").write_text(text)
    done = cli("ls")
    assert (done.code, done.out) == (10, "")
    assert done.err == f"error: {root} has format {number}; this artstore knows format 1\nhint: update artstore\n"


# -- at a remote --


@pytest.fixture
def nas(repo: Repository, tmp_path: Path) -> Path:
    """A remote with one version, which the repository has pulled; it has one more."""
    with Repository.init(str(tmp_path / "nas")) as there:
        there.put(str(make_tree(tmp_path / "src", {"f": "there", "g": "g"})), "data")
    repo.remotes.add("nas", str(tmp_path / "nas"))
    repo.pull("nas", selection=Selection("f"))
    repo.put(str(make_tree(tmp_path / "ours", {"f": "here"})), "ours")
    return tmp_path / "nas"


def test_a_remote_that_one_must_not_write_to_is_pulled_from_and_not_pushed_to(
    repo: Repository, nas: Path, tmp_path: Path
) -> None:
    add_feature(nas, "write")
    before = stored(nas)
    with pytest.raises(UnsupportedFormat, match=f"{nas} {REFUSED}{WORDS['write']}"):
        repo.push("nas")
    assert repo.pull("nas").refused == []
    assert b"".join(repo.content(repo.entry(repo.find("data"), "g"))) == b"g"
    assert repo.remotes.add("again", str(nas)) is False, "one may not write there"
    with Repository.clone(str(nas), str(tmp_path / "clone"))[0] as clone:
        assert clone.fsck().problems == []
    assert stored(nas) == before


def test_a_remote_that_one_must_not_collect_in_is_pushed_to(repo: Repository, nas: Path, cli: Cli) -> None:
    add_feature(nas, "gc")
    assert repo.push("nas").refused == []
    done = cli("gc", "nas")
    assert done.code == 10 and REFUSED + WORDS["gc"] in done.err


def test_absent_bytes_are_not_fetched_where_one_must_not_write(repo: Repository, root: Path, nas: Path) -> None:
    add_feature(root, "write")
    with Repository(str(root)) as again:
        assert b"".join(again.content(again.entry(again.find("data"), "f"))) == b"there"
        with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["write"]):
            list(again.content(again.entry(again.find("data"), "g")))


# -- while it is open --


def test_a_feature_that_is_added_counts_from_the_next_operation_of_who_has_it_open(
    full: Repository, root: Path, tmp_path: Path
) -> None:
    with full.draft() as draft:  # an upgrade waits for this transaction before the feature is used
        draft.add_bytes(b"under way", "f")
        add_feature(root, "write", "gc")
        draft.save(full.find("model").state.path)
    before = stored(root)
    for what, change in writers(full, tmp_path).items():
        with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["write"]):
            change()
        assert stored(root) == before, what
    with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["gc"]):
        full.gc()
    assert stored(root) == before


def test_the_claim_of_an_upgrade_keeps_collectors_waiting_until_it_is_given_up(
    full: Repository, root: Path, tmp_path: Path
) -> None:
    (root / "tmp/upgrade").mkdir()
    full.delete("model")
    assert full.gc(now=True).waits_for == ("upgrade",)
    full.put(str(make_tree(tmp_path / "src", {"f": "new"})), "data")
    assert (root / "tmp/upgrade").is_dir(), "nobody sweeps it"
    assert full.gc(now=True, abandon="upgrade").waits_for == ()


def test_the_python_interface_sees_a_feature_that_was_added(here: Path) -> None:
    with artstore.init(project="p", id="r"):
        pass
    api = artstore.Api()
    assert [run.id for run in api.runs("p")] == ["r"]
    add_feature(here / ".artifacts", "read")
    with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["read"]):
        list(api.runs("p"))


def test_a_run_that_is_under_way_when_a_feature_is_added_loses_no_row(here: Path) -> None:
    run = artstore.init(project="p", id="r")
    run.log({"x": 1})
    known = (here / ".artifacts/format").read_bytes()
    add_feature(here / ".artifacts", "write")
    run.log({"x": 2})
    with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["write"]):
        run.config["late"] = 1
    with pytest.raises(UnsupportedFormat, match=REFUSED + WORDS["write"]):
        artstore.finish()
    assert [row["x"] for row in artstore.Api().run("p/r").scan_history()] == [1, 2]
    (here / ".artifacts/format").unlink()
    (here / ".artifacts/format").write_bytes(known)  # as if this artstore had learnt the feature
    artstore.finish()
    assert artstore.Api().run("p/r").state == "finished"
    assert [row["x"] for row in artstore.Api().run("p/r").scan_history()] == [1, 2]
