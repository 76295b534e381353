"""What a server does of its own accord: it opens nothing that clients name, runs nothing, and ends what was revoked."""

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from artstore.backends.credentials import TOKEN
from artstore.backends.references import Reference, Target
from artstore.backends.references.http import HttpHandler
from artstore.domain.changes import new_change
from artstore.domain.digest import plain_digest
from artstore.domain.roles import Role
from artstore.domain.tree import URI
from artstore.errors import Refused, StorageError
from artstore.repository import Repository
from artstore.server.serving import Serving
from artstore.store.logs import rewritten
from artstore.store.settings import Settings
from tests.support.folders import make_tree
from tests.support.matrix import Known, two_projects
from tests.support.served import Asking, Server, serving
from tests.support.servers import free_port
from tests.support.team import Team
from tests.support.trouble import run
from tests.support.wire import Wire, wire

FOLDER = "refs/local/vision/data"
LONG = 64 << 20


@pytest.fixture
def elsewhere() -> Iterator[Wire]:
    """A server to which references lead, which notes who asks."""
    with wire() as found:
        yield found


def test_references_that_a_writer_pushed_are_opened_by_no_operation_and_no_page(
    tmp_path: Path, elsewhere: Wire
) -> None:
    place = urlsplit(elsewhere.url)
    uris = [f"{elsewhere.url}/latest/meta-data/x.csv", "file:///etc/passwd", "http://169.254.169.254/x.json"]
    uris += [f"s3://bucket/x.png?endpoint={elsewhere.url}", "s3://bucket/x.html", f"https://{place.netloc}/x.md"]
    with Repository.init(str(tmp_path / "clone/.artifacts")) as clone:
        for number in range(2):
            with clone.draft() as draft:
                for index, uri in enumerate(uris):
                    name = f"{number}-{index}{Path(uri).suffix[:5]}" if index != 1 else "passwd.table.json"
                    draft.add_references(name, [Target("", Reference(uri, None, URI, f"{uri} {number}", None))])
                draft.save(clone.path_of("vision/far")[0])
        Repository.init(str(tmp_path / "there/.artifacts")).close()
        keys = {"AWS_ENDPOINT_URL": elsewhere.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        with serving(tmp_path / "there", **keys) as server, Team(server) as team:
            writer = server.token("ann", Role.WRITER, "local/vision")
            assert writer.push(clone, "refs/local/vision/far")[0] == 201
            visitor, hub = team.visitor("root", Role.ADMIN), writer._replace(prefix="")
            names = [path.decode() for path, _ in clone.walk(clone.find("vision/far:v1").tree)]
            assert len(names) == len(uris)
            for name in names:
                for page in ("files", "raw", "image", "play", "html", "mask"):
                    assert b"root:" not in visitor.get(f"/{page}/local/vision/far/1?path={name}").body
                for method in ("HEAD", "GET"):
                    assert hub.whole(method, f"/vision/far/resolve/main/{name}")[0] == 404
            versions = "old=vision/far:v0&new=vision/far:v1"
            for name in names:
                visitor.get(f"/diff?{versions}&path={name}")
                visitor.get(f"/diff?{versions}&table={name}&key=x")
            assert elsewhere.paths == [], "nobody asked"


def test_a_reference_to_a_served_repository_gets_no_token(elsewhere: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "art_00000000_s3cr3t")
    monkeypatch.setenv("ARTSTORE_URL", elsewhere.url)
    uri = f"{elsewhere.url}/v1/blobs/{'0' * 64}"
    with pytest.raises((StorageError, LookupError)):
        list(HttpHandler().read(Reference(uri, None, URI, uri, None)))
    assert elsewhere.paths and elsewhere.tokens == []


def test_no_automation_of_the_user_who_serves_runs_for_what_a_client_pushes(tmp_path: Path, clone: Repository) -> None:
    (there := tmp_path / "there").mkdir()
    assert run(there, "init").code == 0
    touch = f"{sys.executable} -c \"open('{there}/ran', 'a')\""
    for event in ("created", "alias-added"):
        assert run(there, "automation", "create", event, "--on", event, "--run", touch).code == 0
    make_tree(there / "own", {"a": "a"})
    assert run(there, "put", "own", "-n", "vision/own").code == 0
    until_exists(there / "ran")
    (there / "ran").unlink()
    clone.put(str(make_tree(tmp_path / "in", {"a": "b"})), "vision/new", aliases=("best",))
    with serving(there) as server:
        assert server.token("ann", Role.WRITER).push(clone, "refs/local/vision/new")[0] == 201
        time.sleep(2)
    assert not (there / "ran").exists()


def until_exists(path: Path) -> None:
    for _ in range(300):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} isn't there")


def test_a_partial_clone_is_not_served(tmp_path: Path, clone: Repository) -> None:
    clone.put(str(make_tree(tmp_path / "in", {"a": "a"})), "p/data")
    assert run(tmp_path, "clone", clone.root, "partial", "--no-blobs").code == 0
    with pytest.raises(Refused, match="this is a partial clone: bytes that it lacks are at 'origin'"):
        Serving(str(tmp_path / "partial/.artifacts"), Settings(None))


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", ""])
def test_other_hosts_are_not_served_before_there_is_a_token(tmp_path: Path, host: str) -> None:
    Repository.init(str(tmp_path / ".artifacts")).close()
    told = run(tmp_path, "serve", "--listen", f"{host or '192.0.2.1'}:{free_port()}")
    assert told.code == 6 and "can be reached from other hosts, and there is no token yet" in told.err


# -- what was revoked --


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_a_stream_ends_within_seconds_after_its_token_was_revoked(tmp_path: Path, prefix: str) -> None:
    make_tree(tmp_path / "data", {"large": b"x" * LONG})
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.put(str(tmp_path / "data"), "vision/data")
        id = repository.find("vision/data").id
        digest = next(entry.digest.hex() for _, entry in repository.walk(repository.find("vision/data").tree))
    with serving(tmp_path) as server:
        ann = server.token("ann", Role.READER)
        path = f"/v1/blobs/{digest}?log={FOLDER}&id={id}" if prefix else "/vision/data/resolve/main/large"
        with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {ann.secret}"})
            answer, began, got = connection.getresponse(), time.monotonic(), 0
            assert answer.status == 200
            server.tokens.revoke("ann")
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                while got < LONG and time.monotonic() - began < 30:
                    piece = answer.read(100_000)
                    if not piece:
                        raise http.client.IncompleteRead(b"")
                    got += len(piece)
                    time.sleep(0.02)
        assert got < LONG and time.monotonic() - began < 10


def test_a_server_leaves_no_core_that_would_hold_tokens(tmp_path: Path) -> None:
    Repository.init(str(tmp_path / ".artifacts")).close()
    with serving(tmp_path) as server:
        limits = Path(f"/proc/{server.pid}/limits").read_text()
        assert limits.partition("Max core file size")[2].split()[:2] == ["0", "0"]


# -- many ranges --


def most_memory(server: Server) -> int:
    return int(Path(f"/proc/{server.pid}/status").read_text().partition("VmHWM:")[2].split()[0])


def test_a_flood_of_ranges_takes_bounded_memory_and_keeps_no_other_waiting(tmp_path: Path) -> None:
    two_projects(tmp_path)
    with serving(tmp_path) as server:
        known = Known(server.token("root", Role.ADMIN))
        bob, ann = (server.token(name, Role.READER, "local/vision")._replace(prefix="") for name in ("bob", "ann"))
        where = (
            "/vision/data/resolve/main/big.bin",
            f"/v1/blobs/{known.digests['vision']}?log={FOLDER}&id={known.ids['vision']}",
        )
        statuses: set[int] = set()

        def flood(number: int) -> None:
            for turn in range(20):
                start = (number * 7919 + turn * 104_729) % 1_000_000
                for asked in (
                    f"bytes={start}-{start}",
                    f"bytes={start}-",
                    "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(900)),
                ):
                    statuses.add(bob.whole("GET", where[turn % 2], Range=asked)[0])

        flood(0)
        before, threads = most_memory(server), [threading.Thread(target=flood, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        slowest = 0.0
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            assert ann.whole("GET", where[0], Range="bytes=0-9")[0] == 206
            slowest = max(slowest, time.monotonic() - began)
        assert statuses == {200, 206} and slowest < 5 and most_memory(server) - before < 100_000, (statuses, slowest)
        assert ann.whole("GET", where[0], Range="bytes=" + "0-1," * 20_000)[0] in (200, 400, 431)


# -- what is appended --


def test_an_entry_that_is_sent_again_in_any_place_is_there_once(tmp_path: Path, clone: Repository) -> None:
    """Replayed by itself, by another token, under another number, and as the entry after an older one."""
    Repository.init(str(tmp_path / "there/.artifacts")).close()
    with serving(tmp_path / "there") as server:
        ann, eve = (server.token(name, Role.WRITER) for name in ("ann", "eve"))
        for number in range(2):
            clone.put(str(make_tree(tmp_path / "in", {"a": f"{number}"})), "vision/data")
        assert ann.push(clone, FOLDER)[0] == 201
        entries = ann.entries(FOLDER)
        transactions = {asking.secret: asking.begin() for asking in (ann, eve)}

        def append(asking: Asking, number: int, data: bytes) -> int:
            return asking.append(transactions[asking.secret], FOLDER, number, data)[0]

        own = clone.storage.read(f"{FOLDER}/00000002.json")
        for asking in (ann, eve):
            assert append(asking, 2, own) == 409, "it is told what is there"
            for number, prev in (
                (3, plain_digest(entries[1])),
                (3, plain_digest(entries[0])),
                (4, plain_digest(entries[1])),
            ):
                assert append(asking, number, rewritten(own, number=number, prev=prev.hex())) in (403, 409, 422)
        alias = [new_change("alias", alias="best", id=json.loads(own)["changes"][0]["id"], old=None)]
        late = rewritten(own, number=2, prev=plain_digest(entries[0]).hex(), changes=alias)
        assert append(eve, 2, late) == 409, "the entry of an old head"
        assert ann.entries(FOLDER) == entries


def test_pushes_delete_nothing_by_a_rule_for_what_is_kept(tmp_path: Path) -> None:
    with Repository.init(str(tmp_path / "there/.artifacts")) as there:
        there.put(str(make_tree(tmp_path / "first", {"a": "of root"})), "vision/data")
    assert run(tmp_path / "there", "keep", "vision/data", "last:1").code == 0
    with serving(tmp_path / "there") as server:
        ann = server.token("ann", Role.WRITER)
        names = {"ARTSTORE_TOKEN": ann.secret or "", "ARTSTORE_URL": server.url}
        assert run(tmp_path, "clone", server.url, "mine", **names).code == 0
        for number in range(3):
            make_tree(tmp_path / "in", {"a": f"{number}"})
            assert run(tmp_path / "mine", "put", tmp_path / "in", "-n", "vision/data", **names).code == 0
        assert run(tmp_path / "mine", "push", **names).code == 0
        state = ann.post("/collections", entity="local", project="vision", name="data")[1][0][0]
        assert [version["number"] for version in state["versions"] if not version.get("deleted")] == [0, 1, 2, 3]
