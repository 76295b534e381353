"""Deleted versions whose data was collected come back from a remote that still has it."""

from pathlib import Path

import pytest

from artstore.errors import MissingObject
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.exchange import FILES, got, put, says
from tests.support.folders import make_tree, snapshot
from tests.support.maintenance import gc


@pytest.fixture
def collected(anna: Repository) -> Repository:
    """A repository whose `a:v0` was pushed, deleted and collected."""
    put(anna, "a", FILES, metadata={"long": "x" * 9000})
    put(anna, "a", {"other.txt": "other"})
    anna.push()
    anna.delete("a:v0")
    gc(anna)
    return anna


def test_an_undelete_fetches_what_was_collected_here(collected: Repository, cli: Cli, tmp_path: Path) -> None:
    told = cli("undelete", "a:v0", cwd=Path(collected.root).parent)
    assert told.code == 0, told
    assert got(collected, "a:v0") == snapshot(make_tree(tmp_path / "same", FILES))
    assert collected.properties(collected.find("a:v0"))[1] == {"long": "x" * 9000}
    assert collected.push().refused == [] and says(collected) == says(tmp_path / "nas")


def test_an_undelete_of_a_whole_artifact_fetches_all_its_versions(anna: Repository, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "a", {"other.txt": "other"})
    anna.push()
    anna.delete_collection("a")
    gc(anna)
    assert len(anna.undelete_collection("a")) == 2
    assert got(anna, "a:v0") == snapshot(make_tree(tmp_path / "same", FILES))


def test_what_no_remote_has_any_more_stays_deleted(collected: Repository, nas: Path) -> None:
    collected.push()
    with Repository(str(nas)) as there:
        gc(there)
    with pytest.raises(MissingObject, match="a:v0 can't be brought back"):
        collected.undelete("a:v0")
    nas.rename(nas.with_name("away"))
    with pytest.raises(MissingObject, match="a:v0 can't be brought back") as error:
        collected.undelete("a:v0")
    assert error.value.hint == "part of it was collected; it can only come from another copy"
    nas.with_name("away").rename(nas)
    assert says(collected)["live"] == says(nas)["live"]
