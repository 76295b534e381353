"""A writer of one project who knows digests of another names them in every kind of change, and gets nothing by it."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from artstore.domain.changes import Change, new_change
from artstore.domain.codec import encode_json
from artstore.domain.digest import BLOB, TREE, Digest, digest_of, plain_digest
from artstore.repository import Repository
from artstore.store.logs import rewritten
from tests.support.folders import make_tree
from tests.support.served import Asking

FOLDER = "refs/local/vision/forged"
HIDDEN = "refs/local/hidden/data"
LONG = b'"' + b"a story of nobody " * 1000 + b'"'


class Known:
    """Digests of what is stored in the hidden project: those that a writer of another one must not name."""

    def __init__(self, admin: Asking) -> None:
        state = admin.post("/collections", entity="local", project="hidden", name="data")[1][0][0]
        self.version = state["versions"][0]
        self.tree = self.version["digest"]
        self.long = self.version["description"]["blob"]
        self.label = digest_of(BLOB, b"hidden\n").hex()


@pytest.fixture(scope="module")
def known(askers: dict[str, Asking]) -> Known:
    return Known(askers["admin"])


@pytest.fixture(scope="module")
def mine(askers: dict[str, Asking], tmp_path_factory: pytest.TempPathFactory) -> Change:
    """A version that the writer pushed, to which they may add."""
    folder = tmp_path_factory.mktemp("mine")
    with Repository.init(str(folder / ".artifacts")) as clone:
        clone.put(str(make_tree(folder / "in", {"a": b"a"})), "vision/forged", type="dataset")
        assert askers["writer"].push(clone, FOLDER)[0] == 201
        version = next(iter(clone.refs.read_folder(FOLDER).versions.values()))
    return dict(version)


@pytest.fixture
def transaction(askers: dict[str, Asking]) -> Iterator[str]:
    id = askers["writer"].begin()
    yield id
    askers["writer"].ask("DELETE", f"/transactions/{id}")


def _entry(like: bytes, number: int, prev: str | None, *changes: Change) -> bytes:
    """An entry as a client sends it, with what is said in another one beside its changes."""
    told = {key: value for key, value in json.loads(like).items() if key != "author"}
    fields = {"number": number, "prev": prev, "write": secrets.token_hex(16), "changes": [*changes]}
    return rewritten(encode_json(told), **fields)


def _append(asking: Asking, transaction: str, *changes: Change) -> tuple[int, Any]:
    last = asking.entries(FOLDER)[-1]
    number = json.loads(last)["number"] + 1
    return asking.append(transaction, FOLDER, number, _entry(last, number, plain_digest(last).hex(), *changes))


def _named(known: Known, mine: Change) -> dict[str, Change]:
    part = {"upsert": "job", "writer": "w", "run": None, "size": 0, "files": 0}
    record = {key: known.version[key] for key in ("id", "digest", "created", "run", "parents", "size", "files")}
    return {
        "description": new_change("description", id=mine["id"], old=None, new=None, blob=known.long),
        "a file as description": new_change("description", id=mine["id"], old=None, new=None, blob=known.label),
        "description of the collection": new_change("description", id=None, old=None, new=None, blob=known.long),
        "metadata": new_change("metadata", id=mine["id"], set={}, blobs={"story": known.long}, remove=[]),
        "origins": new_change("origins", id=mine["id"], entries=None, blob=known.label),
        "extras": new_change("extras", id=mine["id"], entries=None, blob=known.label),
        "part": new_change("part", tree=known.tree, **part),
        "version": new_change("version", number=1, **record),
        "link": new_change(
            "link", number=1, **record,
            source={"entity": "local", "project": "hidden", "name": "data", "number": 0},
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "what",
    [
        "description", "a file as description", "description of the collection", "metadata", "origins", "extras",
        "part", "version", "link",
    ],
)  # fmt: skip
def test_what_is_of_another_project_is_named_by_no_change(
    askers: dict[str, Asking], known: Known, mine: Change, transaction: str, what: str
) -> None:
    writer, before = askers["writer"], askers["writer"].entries(FOLDER)
    status, told = _append(writer, transaction, _named(known, mine)[what])
    assert status == (404 if what == "link" else 422), told
    assert ("there is no project" if what == "link" else "neither sent nor") in told["error"], told
    assert writer.entries(FOLDER) == before


def test_the_keys_of_a_part_are_named_only_if_they_were_sent(
    askers: dict[str, Asking], known: Known, transaction: str
) -> None:
    writer = askers["writer"]
    assert writer.send(transaction, (TREE, b"\x90"))[0] == 200
    tree = digest_of(TREE, b"\x90").hex()
    part = new_change("part", upsert="keys", tree=tree, size=0, files=0, writer="w", run=None)
    for digest in (known.label, known.long, Digest(b"\1" * 32).hex()):
        extras = new_change("part extras", upsert="keys", tree=tree, blob=digest)
        status, told = _append(writer, transaction, part, extras)
        assert status == 422 and "neither sent nor" in told["error"], told
    assert writer.send(transaction, (BLOB, LONG))[0] == 200
    extras = new_change("part extras", upsert="keys", tree=tree, blob=digest_of(BLOB, LONG).hex())
    assert _append(writer, transaction, part, extras)[0] == 201


@pytest.mark.parametrize("what", ["history", "files"])
def test_a_run_names_no_rows_and_files_of_another_project(
    askers: dict[str, Asking], known: Known, transaction: str, what: str
) -> None:
    writer, folder = askers["writer"], f"runs/local/vision/forged-{what}"
    start = new_change(
        "start", entity="local", project="vision", run=f"forged-{what}", job_type=None, group=None, owner="-",
        command=[], git=None,
    )  # fmt: skip
    named = {
        "history": new_change("history", part="p", rows=1, first=0, last=0, text=None, blob=known.label),
        "files": new_change("files", part="p", tree=known.tree, size=0, files=1, replaces=[]),
    }[what]
    any_entry = writer.entries(FOLDER)[0]
    first = _entry(any_entry, 1, None, start, named)
    status, told = writer.append(transaction, folder, 1, first)
    assert status == 422 and "neither sent nor" in told["error"], told
    alone = _entry(any_entry, 1, None, start)
    assert writer.append(transaction, folder, 1, alone)[0] == 201, "without it the run begins"


def test_a_collection_is_not_moved_out_of_a_project_that_may_not_be_seen(
    askers: dict[str, Asking], transaction: str
) -> None:
    """Its versions would be here then, and their bytes would be the writer's to read."""
    writer, folder = askers["writer"], "refs/local/vision/moved"
    any_entry = writer.entries(FOLDER)[0]
    head = next(told for told in askers["admin"].post("/heads", under=[HIDDEN])[1] if told[0] == HIDDEN)
    stolen = askers["admin"].entries(HIDDEN)[-1]
    changes = [
        new_change("moved from", entity="local", project="hidden", name="data", number=head[1],
                   digest=plain_digest(stolen).hex()),
        new_change("collection", entity="local", project="vision", name="moved", type="dataset"),
    ]  # fmt: skip
    first = _entry(any_entry, 1, None, *changes)
    status, told = writer.append(transaction, folder, 1, first)
    assert status in (403, 404), told
    assert writer.entries(folder) == []
