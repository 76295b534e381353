"""What the server accepts: entries that continue a log, say what their writer may say, and name what they sent."""

import json
from pathlib import Path

import pytest

from artstore.domain.codec import encode_json, encode_rows
from artstore.domain.digest import BLOB, TREE, VERSION, Digest, from_hex
from artstore.domain.tree import FILE
from artstore.repository import Repository
from artstore.store.logs import rewritten
from tests.support.folders import make_tree
from tests.support.forge import Forger
from tests.support.matrix import SECRET
from tests.support.served import Asking, Server, objects_of

HIDDEN = "refs/local/hidden/data"


def _saved(clone: Repository, name: str, **files: bytes) -> str:
    """Save a version of a new collection in project vision. Returns the folder of its log."""
    folder = make_tree(Path(clone.storage.root).parent / name, {**files})
    clone.put(str(folder), f"vision/{name}", type="dataset")
    return f"refs/local/vision/{name}"


def test_what_is_pushed_is_stored_with_its_author_and_read_back(askers: dict[str, Asking], clone: Repository) -> None:
    folder = _saved(clone, "pushed", small=b"1", large=b"x" * (3 << 20))
    status, stored = askers["writer"].push(clone, folder)
    assert status == 201 and stored["author"] == "writer"
    sent = json.loads(clone.storage.read(f"{folder}/00000001.json"))
    assert {key: value for key, value in stored.items() if key not in ("author", "check")} == {
        key: value for key, value in sent.items() if key != "check"
    }
    reader = askers["reader"]
    assert [json.loads(data) for data in reader.entries(folder)] == [stored]
    id = next(change["id"] for change in stored["changes"] if change["kind"] == "version")
    _, files = reader.post("/listing", folder=folder, id=id)
    digest = next(digest for path, _, _, digest in files[:-1] if path == b"large")
    assert reader.get(f"/blobs/{digest.hex()}?log={folder}&id={id}") == (200, b"x" * (3 << 20))


def test_of_two_entries_with_one_number_the_second_is_told_the_first(
    askers: dict[str, Asking], clone: Repository
) -> None:
    folder = _saved(clone, "raced", a=b"a")
    writer = askers["writer"]
    assert writer.push(clone, folder)[0] == 201
    first = writer.entries(folder)[0]
    transaction = writer.begin()
    again = clone.storage.read(f"{folder}/00000001.json")
    status, there = writer.append(transaction, folder, 1, again)
    assert status == 409 and encode_json(there) == first and there["write"] == json.loads(again)["write"]


@pytest.mark.parametrize("kind", [BLOB, TREE, VERSION])
def test_an_entry_that_names_what_was_not_sent_is_refused_though_the_server_has_it(
    askers: dict[str, Asking], clone: Repository, server: Server, kind: int
) -> None:
    """The label of the hidden project is at the server: a writer who knows its digest gets nothing by naming it."""
    folder = _saved(clone, f"forged{kind}", label=SECRET)
    version = next(iter(clone.refs.read_folder(folder).versions.values()))
    missing = tuple(digest for one, _, digest in objects_of(clone, version) if one == kind)
    for role in ("writer", "promoter"):
        status, told = askers[role].push(clone, folder, without=missing)
        assert status == 422 and "neither sent nor" in told["error"], told
    assert askers["reader"].entries(folder) == []
    assert askers["writer"].push(clone, folder)[0] == 201, "what was sent in full may be named"


def test_what_a_writer_may_read_need_not_be_sent_again(askers: dict[str, Asking], clone: Repository) -> None:
    folder = _saved(clone, "again", a=b"a", deep=b"b" * 5000)
    writer = askers["writer"]
    assert writer.push(clone, folder)[0] == 201
    version = next(iter(clone.refs.read_folder(folder).versions.values()))
    found = {digest: len(data) for _, data, digest in objects_of(clone, version)}
    transaction, wanted = writer.begin(), [digest.hex() for digest in found] + ["0" * 64]
    _, held = writer.post(f"/transactions/{transaction}/held", through=[[folder, [version["id"]]]], digests=wanted)
    assert dict(held[:-1]) == found
    _, none = writer.post(f"/transactions/{writer.begin()}/held", through=[], digests=wanted)
    assert none == [["end"]], "that the server has it counts for nothing"
    copy = _saved(clone, "copied", a=b"a", deep=b"b" * 5000)
    data = clone.storage.read(f"{copy}/00000001.json")
    id = from_hex(next(change["id"] for change in json.loads(data)["changes"] if change["kind"] == "version"))
    assert writer.send(transaction, (VERSION, clone.objects.read(VERSION, id)))[0] == 200
    assert writer.append(transaction, copy, 1, data)[0] == 201


def test_a_project_that_may_not_be_seen_can_not_be_written_to(askers: dict[str, Asking], clone: Repository) -> None:
    clone.put(str(make_tree(Path(clone.storage.root).parent / "x", {"a": b"a"})), "hidden/new", type="dataset")
    writer = askers["writer"]
    data = clone.storage.read("refs/local/hidden/new/00000001.json")
    assert writer.append(writer.begin(), "refs/local/hidden/new", 1, data)[0] == 404


def test_a_tree_with_other_totals_or_out_of_order_is_refused(askers: dict[str, Asking], clone: Repository) -> None:
    folder = _saved(clone, "odd", a=b"a", b=b"bb")
    writer = askers["writer"]
    data = clone.storage.read(f"{folder}/00000001.json")
    version = next(iter(clone.refs.read_folder(folder).versions.values()))
    objects = [(kind, content) for kind, content, _ in objects_of(clone, version)]
    for wrong in ({"size": 4}, {"files": 3}, {"number": 1 << 40}, {"id": "0" * 64}, {"digest": "0" * 64}):
        changes = [
            {**change, **wrong} if change["kind"] == "version" else change for change in json.loads(data)["changes"]
        ]
        transaction = writer.begin()
        writer.send(transaction, *objects)
        status, told = writer.append(transaction, folder, 1, rewritten(data, changes=changes))
        assert status in (400, 422), (wrong, told)
        writer.ask("DELETE", f"/transactions/{transaction}")
    assert writer.entries(folder) == []


def test_a_tree_that_records_another_size_or_kind_than_what_was_sent_is_refused(
    askers: dict[str, Asking], clone: Repository
) -> None:
    forger, admin = Forger(Path(clone.storage.root)), askers["admin"]
    blob, inner = forger.blob(b"abc"), forger.tree()
    wrong = {
        "larger": [(b"a", FILE, 4, blob)],
        "kind": [(b"a", FILE, 3, inner)],
        "twice": [(b"a", FILE, 3, blob), (b"b", FILE, 1, blob)],
        "unsent": [(b"a", FILE, 3, blob), (b"b", FILE, 3, Digest(b"\1" * 32))],
    }
    for name, entries in wrong.items():
        size = sum(entry[2] for entry in entries)
        forger.version(name, forger.tree(*entries), size, len(entries))
        folder, transaction = f"refs/local/uncategorized/{name}", admin.begin()
        version = next(iter(clone.refs.read_folder(folder).versions.values()))
        record = clone.store.objects.read(VERSION, from_hex(version["id"]))
        tree = clone.store.objects.read(TREE, from_hex(version["digest"]))
        assert (
            admin.send(transaction, (VERSION, record), (TREE, tree), (BLOB, b"abc"), (TREE, encode_rows([])))[0] == 200
        )
        status, told = admin.append(transaction, folder, 1, clone.storage.read(f"{folder}/00000001.json"))
        assert status == 422 and "blob" in told["error"], (name, told)
        admin.ask("DELETE", f"/transactions/{transaction}")


def test_entries_that_claim_too_much_are_refused(askers: dict[str, Asking], clone: Repository) -> None:
    folder = _saved(clone, "claims", a=b"a")
    writer, data = askers["writer"], clone.storage.read(f"{folder}/00000001.json")
    version = next(iter(clone.refs.read_folder(folder).versions.values()))
    transaction = writer.begin()
    writer.send(transaction, *((kind, content) for kind, content, _ in objects_of(clone, version)))
    for wrong in (
        rewritten(data, author="root"), rewritten(data, time="2126-01-01T00:00:00.000000Z"),
        rewritten(data, time="yesterday"), rewritten(data, prev="0" * 64), data[:-1], data.replace(b"vision", b"hidden"),
        rewritten(data, changes=json.loads(data)["changes"][1:]), b"{}\n", b"",
    ):  # fmt: skip
        status, told = writer.append(transaction, folder, 1, wrong)
        assert status in (400, 404, 409, 422), told
    for number in ("0", "2", "-1", "99999999", "1%20"):
        assert writer.append(transaction, folder, number, data)[0] in (400, 409, 422), number  # type: ignore[arg-type]
    assert writer.append(transaction, folder.replace("claims", "other"), 1, data)[0] == 403
    assert writer.append(writer.begin(), folder, 1, data)[0] == 422, "another transaction sent what it names"
    assert askers["promoter"].append(transaction, folder, 1, data)[0] == 404, "it is not theirs"
    assert writer.append(transaction, folder, 1, data)[0] == 201


def test_a_push_to_a_repository_that_takes_a_newer_artstore_is_refused_in_a_sentence(
    server: Server, askers: dict[str, Asking]
) -> None:
    path = server.root / "format"
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(before.replace(b'"write":[]', b'"write":["wings"]'))
    try:
        status, told = askers["writer"].post("/transactions")
        assert status == 501 and "uses 'wings', which this artstore does not know" in told["error"]
    finally:
        path.write_bytes(before)
    assert askers["writer"].post("/transactions")[0] == 201


def test_an_object_that_is_not_one_is_refused(askers: dict[str, Asking]) -> None:
    writer = askers["writer"]
    transaction = writer.begin()
    path = f"/transactions/{transaction}"
    for body in (
        b"\xc1",
        b"\x93\x01",
        b"\x01",
        b"\x92\x04\xc4\x00",
        b"\x92\x01\xa1x",
        b"\x91\x01",
        b"\xdd\xff\xff\xff\xff",
    ):
        assert writer.ask("POST", f"{path}/objects", body)[0] in (400, 422), body
    assert writer.send(transaction, (BLOB, b"x" * (2 << 20)))[0] == 400, "it is large"
    digest = Digest(b"\0" * 32).hex()
    assert writer.ask("PUT", f"{path}/blobs/{digest}", b"y" * (2 << 20))[0] == 422, "it has another digest"
    assert writer.ask("PUT", f"{path}/blobs/{digest}", b"y")[0] == 400, "it is small"
