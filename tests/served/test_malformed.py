"""Requests that no client of ours makes, and that go wrong: each ends, and keeps neither memory nor files."""

import os
import resource
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from artstore.api.recording import start
from artstore.domain.digest import BLOB, digest_of
from artstore.domain.roles import Role
from artstore.domain.wire import MOST_TOGETHER, frame
from artstore.errors import Refused
from artstore.repository import Repository
from artstore.server import sending
from artstore.server.reach import Digests
from artstore.server.served import Served
from artstore.store.settings import Settings
from tests.served.test_matrix import Known
from tests.support.served import Asking, Server, serving
from tests.support.team import Team


def test_a_client_that_goes_away_within_its_request_leaves_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Repository.init(str(tmp_path / ".artifacts")).close()
    with serving(tmp_path) as server:
        secret = server.token("writer", Role.WRITER).secret
        address = urlsplit(server.url)
        for line in ("POST /v1/heads", "PUT /v1/entry?log=refs/local/p/n&number=1", "POST /login"):
            with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
                head = f"{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nContent-Length: 50\r\n\r\n{{"
                connection.sendall(head.encode())
        assert server.stranger(secret).get("")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_text_without_utf_8_is_refused_and_shown_as_what_it_is(askers: dict[str, Asking]) -> None:
    status, told = askers["reader"].ask(
        "POST", "/objects", b'{"through": [["refs/local/vision/data", ["\\ud800"]]], "digests": []}'
    )
    assert status in (400, 404) and "\\ud800" in told["error"]


def test_a_history_without_rows_that_have_half_a_character_is_empty(server: Server, askers: dict[str, Asking]) -> None:
    start(str(server.root), project="vision", id="half").finish(0, {})
    for asker in (askers["viewer"], askers["reader"]):
        body = b'{"run": "runs/local/vision/half", "having": "\\ud800"}'
        assert asker.ask("POST", "/history", body) == (200, [["end"]])


def test_a_blob_that_is_announced_with_more_than_a_transaction_may_send_is_refused(askers: dict[str, Asking]) -> None:
    writer = askers["writer"]
    transaction = writer.begin()
    path, length = f"/transactions/{transaction}/blobs/{'0' * 64}", str((1 << 63) - 1)
    status, told = writer.ask("PUT", path, b"x", Content_Length=length)
    assert (status, told["kind"]) == (403, "Refused") and "one transaction may send" in told["error"]
    assert writer.send(transaction, (BLOB, b"small"))[0] == 200, "what was refused doesn't count"


def test_a_page_keeps_a_parameter_whose_name_is_not_utf_8(server: Server) -> None:
    with Team(server) as team:
        answer = team.visitor("looks", Role.READER).get("/?%f6=x&start=1")
    assert answer.status == 200 and b"%F6=x" in answer.body


def test_one_request_sends_a_bounded_number_of_objects_and_nothing_nested(askers: dict[str, Asking]) -> None:
    writer = askers["writer"]
    path = f"/transactions/{writer.begin()}/objects"
    tiny = b"".join(frame(1, number.to_bytes(3, "big")) for number in range(MOST_TOGETHER + 1))
    assert writer.ask("POST", path, tiny)[0] == 400
    for body in (
        b"\x92\x01" + b"\x91" * 100_000,
        b"\x92\x91\x01\xc4\x00",
        b"\x92\x01\xc6\xff\xff\xff\xff",
        b"\x93\x01\xc4\x00\x01",
        b"\x92\x01",
    ):
        status, told = writer.ask("POST", path, body)
        assert status == 422 and "frames of objects" in told["error"], body[:10]
    assert writer.ask("POST", path, tiny[: 7 * MOST_TOGETHER]) == (200, {"objects": MOST_TOGETHER})


def test_a_body_without_a_length_is_read_up_to_a_limit(askers: dict[str, Asking]) -> None:
    writer = askers["writer"]
    path = f"/transactions/{writer.begin()}/objects"
    pieces = (bytes(1 << 20) for _ in range(9))
    assert writer.ask("POST", path, pieces)[0] == 413


def test_downloads_that_are_refused_on_a_full_disk_leave_no_file_open(
    server: Server, askers: dict[str, Asking]
) -> None:
    """Else they would go on to be refused once there is space again, because no more files can be opened."""
    known = Known(askers["admin"])
    path = f"/blobs/{known.digests['vision']}?log={known.folder('vision')}&id={known.ids['vision']}"
    assert askers["reader"].get(path)[0] == 200
    before = len(os.listdir(f"/proc/{server.pid}/fd"))
    soft, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, most))
    answers = {askers["reader"].get(path)[0] for _ in range(20)}
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (soft, most))
    assert answers == {503} and askers["reader"].get(path)[0] == 200
    assert len(os.listdir(f"/proc/{server.pid}/fd")) < before + 10


def test_what_a_transaction_relies_on_takes_a_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same versions asked for again take nothing; others do, until it is enough."""
    Repository.init(str(tmp_path / ".artifacts")).close()
    served = Served(str(tmp_path / ".artifacts"), Settings(None))
    sets = [Digests({digest_of(BLOB, f"{one} {number}".encode()) for number in range(100)}) for one in range(20)]
    monkeypatch.setattr(sending, "_MOST_HELD", 10 * sets[0].room)
    with closing(sending.Sending(served, "writer")) as open_one:
        for _ in range(50):
            assert list(open_one.held_of([], sets[:10])) == []
        with pytest.raises(Refused, match="relies on too many versions"):
            list(open_one.held_of([], sets))
    served.close()


def test_the_log_of_a_run_is_not_read_as_that_of_a_collection_nor_the_other_way(askers: dict[str, Asking]) -> None:
    admin, known = askers["admin"], Known(askers["admin"])
    collection, run, id = known.folder("vision"), "runs/local/vision/r", known.ids["vision"]
    through = [[run, [id]]]
    for path, body in (
        ("/history", {"run": collection}), ("/run-files", {"folder": collection}), ("/listing", {"folder": run, "id": id}),
        ("/objects", {"through": through, "digests": [id]}),
        (f"/transactions/{admin.begin()}/held", {"through": through, "digests": [id]}),
    ):  # fmt: skip
        assert admin.ask("POST", path, body)[0] in (400, 404), path
