"""What a server keeps for its clients is bounded: memory, disk, and transactions that nobody ends."""

import gc
import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from starlette.responses import Response

from artstore.domain.digest import BLOB
from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.asking import Spools, framed
from artstore.server.tries import Busy
from tests.support.folders import make_tree
from tests.support.served import Asking, Server, serving

SETUP = """
from artstore.server import application, space
application._EXPIRE_EVERY = 0.2
"""
LISTS = b"[]," * (2 << 20) + b"[]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exhausted")
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put(str(make_tree(folder / "data", {"a.txt": "a\n"})), "vision/data")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder, setup=SETUP) as server:
        yield server


@pytest.fixture(scope="module")
def writer(server: Server) -> Asking:
    return server.token("writer", Role.WRITER, "local/vision")


def most_memory(server: Server) -> int:
    """The most memory that the server has had, in KiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def until(what: Callable[[], bool]) -> None:
    for _ in range(300):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_requests_that_unfold_take_little_memory(server: Server, writer: Asking) -> None:
    viewer = server.token("viewer", Role.VIEWER, "local/vision")
    transaction, before = writer.begin(), most_memory(server)
    assert viewer.ask("POST", "/collections", b'{"digests": [%s]}' % LISTS)[0] == 413
    assert writer.append(transaction, "refs/local/vision/x", 1, b'{"changes": [%s]}' % (LISTS * 2))[0] == 413
    for values in (b"\x90", b"\xc0", b"\x80"):
        body = b"\xdd\x00\x60\x00\x00" + values * (6 << 20)
        assert writer.ask("POST", f"/transactions/{transaction}/objects", body)[0] == 422
    assert most_memory(server) - before < 400_000


def wanted(count: int, path: str) -> Iterator[bytes]:
    """The JSON of a request for this many objects, in pieces."""
    key = {"/objects": "digests", "/held": "digests", "/heads": "under", "/entries": "logs"}[path]
    yield f'{{"through": [["refs/local/vision/data", []]], "{key}": ["{"0" * 64}"'.encode()
    block = b"".join(b',"%064x"' % number for number in range(1000))
    for left in range(count - 1, 0, -1000):
        yield block[: 67 * left]
    yield b"]}"


@pytest.mark.parametrize("path", ["/objects", "/held", "/heads", "/entries"])
def test_a_list_of_ten_million_digests_is_refused_before_it_is_in_memory(
    server: Server, writer: Asking, path: str
) -> None:
    where = f"/transactions/{writer.begin()}/held" if path == "/held" else path
    before = most_memory(server)
    declared, found = len(b"".join(wanted(1, path))) + 67 * 9_999_999, list[tuple[int, bytes]]()
    for headers in ({"Content-Length": str(declared)}, {"Transfer-Encoding": "chunked"}):
        connection = http.client.HTTPConnection(urlsplit(writer.url).netloc, timeout=60)
        with closing(connection):
            told = headers | {"Authorization": f"Bearer {writer.secret}"}
            with suppress(BrokenPipeError, ConnectionResetError):  # it is answered before all has arrived
                connection.request("POST", f"/v1{where}", wanted(10_000_000, path), told, encode_chunked=True)
            with suppress(ConnectionResetError):
                answer = connection.getresponse()
                found.append((answer.status, answer.read()))
    assert found and all(status == 413 and b"at most 8388608 are read" in told for status, told in found), found
    assert most_memory(server) - before < 60_000
    assert writer.get("")[0] == 200


@pytest.mark.long
def test_ten_million_digests_in_a_thousand_requests_take_no_more_memory_than_in_one(
    server: Server, writer: Asking
) -> None:
    transaction, before = writer.begin(), 0
    for turn in range(1000):
        digests = [f"{turn * 10_000 + number:064x}" for number in range(10_000)]
        held = writer.post(
            f"/transactions/{transaction}/held", through=[["refs/local/vision/data", []]], digests=digests
        )
        assert held == (200, [["end"]])
        before = before or most_memory(server)
    assert writer.ask("POST", "/objects", b"".join(wanted(10_000, "/objects")))[0] == 400
    assert most_memory(server) - before < 30_000


def test_a_transaction_of_a_revoked_token_ends_and_lets_collectors_go_on(server: Server) -> None:
    thief, friend = (server.token(name, Role.WRITER, "local/vision") for name in ("thief", "friend"))
    kept = friend.begin()
    open_before = len(list((server.root / "tmp").iterdir()))
    thief.begin()
    assert len(list((server.root / "tmp").iterdir())) == open_before + 1
    server.tokens.revoke("thief")
    until(lambda: len(list((server.root / "tmp").iterdir())) == open_before)
    assert friend.send(kept, (BLOB, b"small"))[0] == 200


def test_a_writer_who_always_has_a_transaction_open_does_not_keep_collectors_from_deleting(tmp_path: Path) -> None:
    with Repository.init(str(tmp_path / ".artifacts")) as repository, serving(tmp_path) as server:
        writer = server.token("writer", Role.WRITER)
        first = writer.begin()
        repository.put(str(make_tree(tmp_path / "soon", {"gone": b"x" * (3 << 20)})), "gone")
        repository.delete("gone:v0")
        assert repository.gc(now=True).waits_for, "the transaction began before the deletion"
        second = writer.begin()
        assert writer.ask("DELETE", f"/transactions/{first}")[0] == 204
        assert repository.gc(now=True).freed_bytes >= 3 << 20
        assert writer.send(second, (BLOB, b"small"))[0] == 200


def test_a_nearly_full_disk_takes_nothing_more_and_is_still_read(folder: Path) -> None:
    with serving(folder, setup=f"{SETUP}\nspace._RESERVE = 1 << 60") as server:
        ann = server.token("ann", Role.WRITER, "local/vision")
        transaction = ann.begin()
        status, told = ann.send(transaction, (BLOB, b"small"))
        assert status == 503 and told["error"] == "the server's disk is nearly full"
        assert ann.ask("PUT", f"/transactions/{transaction}/blobs/{'0' * 64}", b"x" * (2 << 20))[0] == 503
        assert ann.entries("refs/local/vision/data"), "reading and the audit go on"


def taken(answer: Response) -> int:
    """The bytes of an answer, which its client takes."""
    found = 0

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal found
        found += len(message.get("body", b""))

    async def main() -> None:
        await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

    anyio.run(main)
    return found


def test_long_answers_of_one_client_leave_space_for_those_of_others() -> None:
    spools, rows = Spools(most=2 << 20, share=1 << 20), [[b"x" * 1000]] * 900
    answers = [framed(rows, "ann", spools)]
    with pytest.raises(Busy):
        framed(rows, "ann", spools)
    answers.append(framed(rows, "bob", spools))
    with pytest.raises(Busy):
        framed(rows, "eve", spools)
    assert min(map(taken, answers)) > 900_000
    assert taken(framed(rows, "ann", spools)) > 900_000


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
def test_answers_that_nobody_takes_are_forgotten_at_any_time() -> None:
    """Python collects them also between two steps of the thread that counts the bytes of another one."""
    share = 250 << 20
    spools, rows = Spools(share=share), [[b"x" * 200_000]]

    def forget_many() -> None:
        for _ in range(1000):
            answer = framed(rows, "ann", spools)
            answer.itself = answer  # type: ignore[attr-defined]  # so only the collector finds that nobody has it
            del answer

    before, thread = gc.get_threshold(), threading.Thread(target=forget_many, daemon=True)
    gc.set_threshold(1)
    try:
        thread.start()
        thread.join(60)
    finally:
        gc.set_threshold(*before)
    assert not thread.is_alive(), "it waits for itself"
    gc.collect()
    spools.grow("ann", share)  # all of their bytes are free again
