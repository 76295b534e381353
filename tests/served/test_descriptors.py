"""A server that may open few files: however many connections and pushes there are, members are answered."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from artstore.domain.digest import BLOB
from artstore.domain.roles import Role
from tests.support.matrix import Known, two_projects
from tests.support.served import Asking, Server, serving
from tests.support.trouble import limited

CONNECTIONS = 200
HALF = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
FOLDER = "refs/local/vision/data"


@pytest.fixture(params=[64, 128])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    two_projects(tmp_path)
    errors = f"import os\nos.dup2(os.open({str(tmp_path / 'errors')!r}, os.O_CREAT | os.O_WRONLY), 2)\n"
    with serving(tmp_path, setup=errors + limited("RLIMIT_NOFILE", request.param)) as server:
        yield server
    assert (tmp_path / "errors").read_bytes() == b""


def seconds_of_work(server: Server) -> float:
    """The processor time that the server has had."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def crowd(stack: ExitStack, server: Server, sent: str) -> None:
    for _ in range(CONNECTIONS):
        one = stack.enter_context(socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))))
        one.sendall(sent.encode())


def assert_answered(server: Server, member: Asking) -> None:
    """A member reads, writes and gets a large file, each at once; and the server has nothing to do between that."""
    began = time.monotonic()
    for _ in range(3):
        assert len(member.entries(FOLDER)) == 1
        transaction = member.begin()
        assert member.send(transaction, (BLOB, b"small"))[0] == 200
        assert member.ask("DELETE", f"/transactions/{transaction}")[0] == 204
    assert time.monotonic() - began < 5
    work = seconds_of_work(server)
    time.sleep(1)
    assert seconds_of_work(server) - work < 0.5


def test_more_half_requests_than_descriptors_keep_no_member_waiting(server: Server) -> None:
    member = server.token("ann", Role.WRITER)
    with ExitStack() as stack:
        crowd(stack, server, HALF)
        assert_answered(server, member)
    assert_answered(server, member)


def test_more_downloads_that_nobody_takes_than_descriptors_keep_no_member_waiting(server: Server) -> None:
    member, other = server.token("ann", Role.WRITER), server.token("bob", Role.READER)
    known = Known(server.token("root", Role.ADMIN))
    where = f"/v1/blobs/{known.digests['vision']}?log={FOLDER}&id={known.ids['vision']}"
    with ExitStack() as stack:
        crowd(stack, server, f"GET {where} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {other.secret}\r\n\r\n")
        assert_answered(server, member)
    assert_answered(server, member)


def test_more_pushes_than_descriptors_end_or_wait_and_keep_no_reader_waiting(server: Server) -> None:
    writers = [server.token(f"w{number}", Role.WRITER) for number in range(20)]
    statuses = [writer.post("/transactions")[0] for writer in writers for _ in range(8)]
    assert set(statuses) == {201, 429}
    began = time.monotonic()
    assert len(writers[-1].entries(FOLDER)) == 1 and time.monotonic() - began < 2
    status, headers, body = writers[-1].whole("POST", "/transactions")
    assert status == 429 and b"there are too many pushes under way" in body and headers["retry-after"] == "20"
