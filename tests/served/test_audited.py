"""The audit of a server: what it can't write down it doesn't do, and its files hold against who changes them."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore.domain.digest import BLOB
from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.audit import Audit
from tests.support.folders import make_tree
from tests.support.matrix import SECRET, Known, two_projects
from tests.support.served import Server, serving
from tests.support.team import Team
from tests.support.trouble import fill, run, small_disk

FOLDER = "refs/local/vision/data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    two_projects(tmp_path)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as server:
        yield server


def audited(server: Server) -> Audit:
    return Audit(server.state)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_on_a_full_disk_nothing_is_downloaded_or_written_and_afterwards_all_is(folder: Path, tmp_path: Path) -> None:
    with small_disk(folder / ".artifacts.server", "256k") as disk:
        disk.chmod(0o700)
        with serving(folder) as server, Team(server) as team:
            writer, known = server.token("ann", Role.WRITER), Known(server.token("root", Role.ADMIN))
            visitor = team.visitor("vic", Role.READER)
            with Repository.init(str(tmp_path / "clone/.artifacts")) as clone:
                clone.put(str(make_tree(tmp_path / "in", {"a": "a"})), "vision/new")
                transaction, hog = writer.begin(), fill(disk)
                while writer.get("/health", Authorization="")[0] and writer.ask("GET", "/blobs/x")[0] != 503:
                    pass  # records of what is refused, until there is no space
                files = {"through": [[FOLDER, [known.ids["vision"]]]], "digests": [known.ids["vision"]]}
                blob = f"/blobs/{known.digests['vision']}?log={FOLDER}&id={known.ids['vision']}"
                for method, path, body, prefix in (
                    ("POST", "/objects", files, "/v1"), ("GET", blob, None, "/v1"),
                    ("GET", "/vision/data/resolve/main/deep/label", None, ""),
                ):  # fmt: skip
                    status, _, data = writer._replace(prefix=prefix).whole(method, path, body)
                    assert status == 503 and SECRET not in data and len(data) < 1000, (path, data)
                assert visitor.get("/raw/local/vision/data/0?path=deep/label").status == 503
                entry = clone.storage.read("refs/local/vision/new/00000001.json")
                assert writer.append(transaction, "refs/local/vision/new", 1, entry)[0] == 503
                hog.unlink()
                assert writer.entries("refs/local/vision/new") == [], "it wasn't written"
                assert writer.push(clone, "refs/local/vision/new")[0] == 201
            assert writer.get(blob)[0] == 200 and audited(server).check() == []


def test_two_servers_of_one_repository_have_a_file_each_and_one_audit(folder: Path) -> None:
    with serving(folder) as one, serving(folder) as other:
        ann = one.token("ann", Role.READER, "local/vision")
        known = Known(one.token("root", Role.ADMIN))
        for number in range(6):
            asking = ann._replace(url=(one, other)[number % 2].url)
            assert asking.get(f"/blobs/{known.digests['vision']}?log={FOLDER}&id={known.ids['vision']}")[0] == 200
            assert asking.get("/blobs/x")[0] in (400, 404)
        files = list((Path(one.state) / "audit").glob("*.jsonl"))
        assert {int(path.name.split("-")[1]) for path in files} == {one.pid, other.pid}
        told = [(record.token, record.operation, record.outcome) for record in audited(one).records(token="ann")]
        assert told.count(("ann", "download", "200")) == 6 and len(told) == 12 and audited(other).check() == []


@pytest.mark.parametrize(
    "text", ["%0A", "%0D%0A", "%1B%5B2J", "%E2%80%A8", "%00", "%22%2C%22token%22%3A%22root", "%C2%85"]
)
def test_no_name_in_a_request_makes_a_record_of_its_own(server: Server, text: str) -> None:
    ann = server.token("ann", Role.WRITER)
    forged = f"x{text}%7B%22token%22%3A%22root%22%7D{text}"
    transaction = ann.begin()
    ann.append(transaction, f"refs/local/vision/{forged}", 1, b"{}")
    ann.get(f"/blobs/{'0' * 64}?log={FOLDER}{forged}&id={forged}")
    ann.post("/objects", through=[[f"{FOLDER}\n{forged}", [f"\x1b{forged}\r\n"]]], digests=["0" * 64])
    hub = ann._replace(prefix="")
    hub.get(f"/vision/data/resolve/{forged}/{forged}")
    hub.get(f"/vision/data/resolve/main/{forged}", User_Agent=forged)
    (file,) = (Path(server.state) / "audit").glob("*.jsonl")
    lines = file.read_bytes().splitlines()
    assert len(lines) == len(list(audited(server).records())) >= 4 and audited(server).check() == []
    assert {json.loads(line)["token"] for line in lines} == {"ann"}
    assert not re.search(rb"[^ -~]", b"".join(lines)) and rb"\u001b" not in b"".join(lines)
    told = run(server.folder, "audit")
    assert told.code == 0 and told.out.count("\n") == 1 + len(lines), told
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", told.out)


def test_the_end_of_the_audit_is_in_the_log_of_the_service_and_shows_a_cut_and_a_rewritten_file(folder: Path) -> None:
    with serving(folder, setup="from artstore.server import application\napplication._SAY_EVERY = 0.3") as server:
        ann = server.token("ann", Role.READER)
        for _ in range(3):
            ann.get("/blobs/x")
        assert server.process.stdout is not None
        head = ""
        while not re.fullmatch(r"head: \S+\.jsonl:3:[0-9a-f]{64}\n", head):
            head = server.process.stdout.readline()
            assert head, "the server ended"
        server.process.send_signal(signal.SIGINT)
        assert server.process.stdout.read().splitlines()[-1] == head.strip(), "and once more at the end"
        assert server.process.wait(30) == 0
    end = head.split()[1]
    assert run(folder, "audit", "--check", "--head", end).code == 0
    (file,) = (folder / ".artifacts.server/audit").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]))
    assert run(folder, "audit", "--check").code == 0
    cut = run(folder, "audit", "--check", "--head", end)
    assert cut.code == 7 and "has 2 of 3 lines: it was cut" in cut.out
    forged = Audit(str(folder / "forged"))
    for _ in range(3):
        forged.append("GET /blobs/{digest}", "400", token="bob", address="127.0.0.1")
    file.write_bytes(next((folder / "forged/audit").iterdir()).read_bytes())
    assert run(folder, "audit", "--check").code == 0
    told = run(folder, "audit", "--check", "--head", end)
    assert told.code == 7 and "is not the one that was written down" in told.out


def test_tokens_that_cannot_be_read_for_a_while_let_nobody_in_and_tell_no_stranger_where_they_are(
    folder: Path,
) -> None:
    with serving(folder, setup="from artstore.server import application\napplication._EXPIRE_EVERY = 0.2") as server:
        ann = server.token("ann", Role.WRITER)
        transaction = ann.begin()
        file = Path(server.state) / "tokens.json"
        before = file.read_bytes()
        file.write_bytes(b"damaged")
        time.sleep(0.6)
        status, told = ann.get("")
        assert status == 503 and told["error"] == "nobody can be let in now" and str(folder) not in str(told)
        file.write_bytes(before)
        assert ann.send(transaction, (BLOB, b"small"))[0] == 200
        server.tokens.revoke("ann")
        until_empty(server.root / "tmp")


def until_empty(folder: Path) -> None:
    for _ in range(100):
        if not list(folder.iterdir()):
            return
        time.sleep(0.1)
    raise AssertionError("a transaction of a revoked token is open: nobody looks for these any more")
