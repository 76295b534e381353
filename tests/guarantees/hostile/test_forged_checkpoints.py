"""Checkpoints of a remote: anybody who writes there can forge one, so one that no fold makes is not believed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.domain.codec import decode, encode_rows
from artstore.domain.kinds import check_plain
from artstore.domain.run import is_plain
from artstore.errors import Damage
from artstore.repository import Repository
from artstore.store.logs import decode_checkpoint, encode_checkpoint
from artstore.store.runs import CHECKPOINT
from artstore.store.settings import Settings
from artstore.sync.place import open_remote
from tests.support.folders import make_tree

pytestmark = pytest.mark.damaged

ODD: list[Any] = [b"\xff", 1.5, -1, 1 << 63, [1], {"x": 1}]
Change = Callable[[dict[str, Any]], None]


def set_field(field: str, value: Any) -> Change:
    return lambda plain: plain.__setitem__(field, value)


def set_in_version(field: str, value: Any) -> Change:
    return lambda plain: plain["versions"][0].__setitem__(field, value)


def forged(path: Path, change: Change) -> None:
    number, digest, plain = decode_checkpoint(path.read_bytes(), "it")
    change(plain)
    path.chmod(0o644)
    path.write_bytes(encode_checkpoint(number, digest, plain))


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a checkpoint. Each test puts back what it forged."""
    folder = tmp_path_factory.mktemp("forged")
    with Repository.init(str(folder / ".artifacts")) as repo:
        source = make_tree(folder / "src", {"f": "1"})
        repo.put(str(source), "data", metadata={"a": 1.5})
        repo.put(str(make_tree(source, {"f": "2"})), "data", aliases=("best",))
        for number in range(64):
            repo.set_tags("data:v0", (f"tag{number}",))
        assert list((Path(repo.root) / "refs/local/uncategorized/data").glob("*.checkpoint"))
        return Path(repo.root)


def read(root: Path) -> dict[str, Any]:
    with open_remote(str(root), Settings(None), here=None) as remote:
        return remote.refs.read_folder("refs/local/uncategorized/data").plain()


FIELDS = [
    "path",
    "number",
    "digest",
    "type",
    "description",
    "tags",
    "next",
    "versions",
    "aliases",
    "exists",
    "redirect",
    "metadata",
    "blobs",
    "upserts",
    "finished",
    "renumbered",
    "pending",
]
IN_VERSIONS = [
    "id",
    "number",
    "digest",
    "size",
    "files",
    "created",
    "run",
    "parents",
    "user",
    "host",
    "updated",
    "tags",
    "description",
    "metadata",
    "blobs",
    "ttl",
    "deleted",
    "withdrawn",
    "source",
    "origins",
    "extras",
    "other",
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_forged_field_is_read_as_its_log_says(remote: Path, field: str) -> None:
    true = read(remote)
    path = next((remote / "refs/local/uncategorized/data").glob("*.checkpoint"))
    before = path.read_bytes()
    for odd in ODD:
        forged(path, set_field(field, odd))
        assert read(remote) == true, (field, odd)
        path.write_bytes(before)


@pytest.mark.parametrize("field", IN_VERSIONS)
def test_a_forged_version_is_read_as_its_log_says(remote: Path, field: str) -> None:
    true = read(remote)
    path = next((remote / "refs/local/uncategorized/data").glob("*.checkpoint"))
    before = path.read_bytes()
    for odd in ODD:
        forged(path, set_in_version(field, odd))
        assert read(remote) == true, (field, odd)
        path.write_bytes(before)


def test_a_forged_alias_follows_the_rules_of_names(remote: Path) -> None:
    true = read(remote)
    path = next((remote / "refs/local/uncategorized/data").glob("*.checkpoint"))
    before, id = path.read_bytes(), true["versions"][0]["id"]
    for alias in ("latest", "v3", "a/b", "\u202e", "", "x" * 300):
        forged(path, set_field("aliases", [[alias, id]]))
        assert read(remote) == true, alias
        path.write_bytes(before)
    forged(path, set_field("aliases", [["best", "0" * 64]]))
    assert read(remote) == true, "an alias of a version that is not there"
    path.write_bytes(before)


def test_a_forged_checkpoint_of_a_run_is_read_as_its_log_says(here: Path) -> None:
    with artstore.init(project="p", id="one", config={"a": 1}) as run:
        run.log({"loss": 1.0})
    root = here / ".artifacts"
    path = root / "runs/local/p/one" / CHECKPOINT
    before = path.read_bytes()

    def told() -> dict[str, Any]:
        with open_remote(str(root), Settings(None), here=None) as remote:
            return remote.runs.read_folder("runs/local/p/one").plain()

    true = told()
    assert decode_checkpoint(before, "it")[2] == true
    for field in true:
        for odd in ODD:
            if (field, odd) == ("exit_code", -1):
                continue  # a code that a run may end with
            forged(path, set_field(field, odd))
            assert told() == true, (field, odd)
            path.write_bytes(before)


def test_what_folds_make_is_believed(everything: dict[str, Path]) -> None:
    """Of every golden repository: else remotes would be read entry by entry, and nobody would notice but by the time it
    takes.
    """
    for root in everything.values():
        with Repository(str(root)) as repository:
            for folder in repository.refs.paths():
                state = repository.refs.read_folder(folder, checkpoints=False)
                if state.number:
                    check_plain(decode(encode_rows(state.plain()), folder, own=True))
            for folder in repository.runs.paths():
                run = repository.runs.read_folder(folder, checkpoints=False)
                assert is_plain(decode(encode_rows(run.plain()), folder, own=True)), folder


def test_a_state_that_is_no_dict_is_refused() -> None:
    for plain in ODD:
        with pytest.raises(Damage):
            check_plain(plain)
