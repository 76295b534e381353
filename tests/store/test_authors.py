"""Authors: a server adds the name that it verified to each entry that it accepts, and versions and runs keep it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import artstore
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import new_change
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.collection import author_of
from artstore.errors import DamagedLog, InvalidValue
from artstore.repository import Repository
from artstore.store import logs
from artstore.store.logs import CHECKPOINT_EVERY, Log, decode_entry, with_author
from tests.support.authors import accepted_by_a_server
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.forge import sealed

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
SENT: dict[str, Any] = {
    "changes": [{"change": "c" * 32, "kind": "k"}], "host": "h", "number": 7, "prev": None, "time": "t", "user": "u", "write": "w",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(make_tree(tmp_path / "src", {"f": "1"}))


@given(author=TEXTS | st.just('"check":"' + "0" * 64 + '",'), claimed=TEXTS)
def test_whatever_the_names_are_an_entry_with_an_author_is_whole_and_says_the_rest_unchanged(
    author: str, claimed: str
) -> None:
    sent = encode_json(sealed(SENT | {"user": claimed, "host": claimed}))
    kept = with_author(sent, 7, author, "it")
    before, after = decode_entry(sent, 7, "it"), decode_entry(kept, 7, "it")
    assert (before.author, after.author, after.user) == (None, author, claimed)
    assert after._replace(author=None, digest=before.digest) == before
    assert kept.startswith(b'{"author":') and decode_json(kept, "it").keys() == {*SENT, "author", "check"}


def test_a_client_names_no_author_and_an_author_makes_no_entry_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = encode_json(sealed(SENT))
    with pytest.raises(DamagedLog, match="^it names an author, whom only a server may name$"):
        with_author(with_author(sent, 7, "ci", "it"), 7, "admin", "it")
    with pytest.raises(DamagedLog, match="^it is malformed"):
        with_author(sent.replace(b'"h"', b'"i"'), 7, "ci", "it")
    monkeypatch.setattr(logs, "MAX_JSON", len(sent) + 5)
    with pytest.raises(InvalidValue, match=r"^it would have \d+ bytes; nobody reads more than \d+$"):
        with_author(sent, 7, "ci", "it")


def test_who_appends_learns_what_the_place_stored_and_the_next_entry_follows_that(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    log = Log(FolderStorage(str(tmp_path)), "refs/local/p/data")
    with accepted_by_a_server("ci"):
        first = log.append(0, None, [], host="h", user="u")
        assert first is not None and (first.author, first.user) == ("ci", "u")
        late = log.append(0, None, [], host="h", user="u")
        second = log.append(1, first.digest, [], host="h", user="u")
    assert late is None and second is not None
    assert [*log.entries(log.listing())] == [first, second]


def test_a_version_keeps_its_author_through_checkpoints_renames_and_what_others_do_to_it(
    repo: Repository, folder: str
) -> None:
    with accepted_by_a_server("ci"):
        repo.put(folder, "data", type="dataset")
    with accepted_by_a_server("ada"):
        repo.delete("data:v0", delete_aliases=True)
        repo.undelete("data:v0")
        repo.rename("data", "renamed")
        for number in range(CHECKPOINT_EVERY):
            repo.set_tags("renamed:v0", (f"t{number}",))
    assert list(Path(repo.storage.root).glob("refs/*/*/renamed/*.checkpoint"))
    for foreign in (False, True):
        with Repository(repo.storage.root) as again:
            again.refs._foreign = foreign
            assert author_of(again.find("renamed:v0").version) == "ci"


def test_a_version_that_came_through_no_server_is_nobodys_own(repo: Repository, folder: str) -> None:
    repo.put(folder, "data", type="dataset")
    assert author_of(repo.find("data:v0").version) is None


def test_a_run_is_its_first_authors_until_it_is_deleted_and_begun_anew(here: Path, repo: Repository) -> None:
    def record(author: str) -> str | None:
        with accepted_by_a_server(author), artstore.init(project="p", id="r", resume="allow", dir=repo.storage.root):
            pass
        state = repo.runs.read_folder("runs/local/p/r")
        again = repo.runs.ended("runs/local/p/r")
        assert again is not None and again["author"] == state.author
        return state.author

    assert [record("ci"), record("ada")] == ["ci", "ci"]
    state = repo.runs.read_folder("runs/local/p/r")
    repo.runs.append(state, lambda _: [new_change("delete")])
    assert record("ada") == "ada"


def test_a_pull_verifies_nobody_so_its_entries_have_no_author(repo: Repository, folder: str, tmp_path: Path) -> None:
    with accepted_by_a_server("ci"):
        repo.put(folder, "data", type="dataset")
    with Repository.clone(repo.storage.root, str(tmp_path / "clone"))[0] as clone:
        assert author_of(clone.find("data:v0").version) is None
        (entry,) = clone.refs.history(clone.find("data").state.path)
        assert entry.author is None and {change["by"]["user"] for change in entry.changes} == {
            repo.find("data").version["user"]
        }


def test_log_and_show_tell_a_verified_author_from_a_claimed_name_that_looks_like_one(
    repo: Repository, folder: str, cli: Cli
) -> None:
    with accepted_by_a_server("ci"):
        repo.put(folder, "data", type="dataset", aliases=("prod",))
    lines = cli("log", "data").out.splitlines()
    assert "  AUTHOR  CLAIMED BY  " in lines[0] and "  ci      " in lines[1]
    assert "AUTHOR  CLAIMED BY" in cli("log", "--aliases", "data").out.splitlines()[0]
    shown = cli("show", "data").out
    assert "\nauthor       ci\n" in shown and "(claimed)\n" in shown
