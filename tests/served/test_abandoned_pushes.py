"""Pushes that nobody ends: they keep their token from no other push, and one that is only slow loses nothing."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from artstore.domain.digest import BLOB, digest_of
from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.sending import _MOST
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.served import Asking, Server, serving
from tests.support.trouble import run, start

SPARED = 2
SETUP = f"from artstore.server import sending\nsending._SPARED = {SPARED}.0\n"
KILLED = """
import os, signal
from artstore.store.served.transaction import ServedTransaction
ServedTransaction.publish = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
"""
"""A push that has sent its objects, and dies before they are named."""
BLOB_SENT = b"sent slowly\n" * 200_000
DIGEST = digest_of(BLOB, BLOB_SENT).hex()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Repository.init(str(tmp_path / "there/.artifacts")) as there:
        there.put(str(make_tree(tmp_path / "first", {"text": "first"})), "p/data", type="dataset")
    with serving(tmp_path / "there", setup=SETUP) as server:
        yield server
    check(server.root)


def open_pushes(server: Server) -> int:
    return len(list((server.root / "tmp").iterdir()))


def test_a_push_succeeds_at_once_after_eight_of_its_token_were_killed(tmp_path: Path, server: Server) -> None:
    token = server.token("ci", Role.WRITER).secret or ""
    names = {"ARTSTORE_TOKEN": token, "ARTSTORE_URL": server.url}
    assert run(tmp_path, "clone", server.url, "clone", **names).code == 0
    clone = tmp_path / "clone"
    make_tree(tmp_path / "src", {"text": "second", "large": "x" * (2 << 20)})
    assert run(clone, "put", tmp_path / "src", "-n", "p/data", **names).code == 0
    killed = [start(clone, "push", setup=KILLED, **names) for _ in range(_MOST)]
    for process in killed:
        process.communicate(timeout=60)
    assert [process.returncode for process in killed] == [-9] * _MOST
    assert open_pushes(server) == _MOST, "the server doesn't know that they died"
    assert run(clone, "push", **names).code == 0
    assert open_pushes(server) == _MOST - 1, "one ended for it, and it ended itself"
    with Repository(str(server.root)) as there:
        assert {path for path, _ in there.walk(there.find("p/data:v1").tree)} == {b"text", b"large"}


def wait_for(asker: Asking) -> float:
    """How long the server says that another push has to wait."""
    status, headers, body = asker.whole("POST", "/transactions")
    assert status == 429 and b"'ci' has 8 pushes under way" in body, body
    return float(headers["retry-after"])


def test_a_push_in_use_or_idle_for_moments_ends_for_no_other(server: Server) -> None:
    ci = server.token("ci", Role.WRITER)
    slow, receiving, *others = [ci.begin() for _ in range(_MOST)]
    assert 1 <= wait_for(ci) <= SPARED and open_pushes(server) == _MOST, "all of them were asked a moment ago"
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.putrequest("PUT", f"/v1/transactions/{receiving}/blobs/{DIGEST}")
    connection.putheader("Authorization", f"Bearer {ci.secret}")
    connection.putheader("Content-Length", str(len(BLOB_SENT)))
    connection.endheaders(BLOB_SENT[:100])
    time.sleep(SPARED + 0.5)
    assert all(ci.send(other, (BLOB, b"small"))[0] == 200 for other in others)
    more = ci.begin()  # ends the slow one: the blob is on its way, and the others were asked
    assert 1 <= wait_for(ci) <= SPARED
    connection.send(BLOB_SENT[100:])
    assert connection.getresponse().status == 201
    connection.close()
    for path, body in (("objects", b""), ("held", {"through": [], "digests": []}), ("ensure", None)):
        status, told = ci.ask("POST", f"/transactions/{slow}/{path}", body)
        assert status == 404 and told["error"].startswith("this push has ended: it was idle"), told
        assert told["hint"] == "push again: versions that are there aren't sent again"
    assert ci.append(slow, "refs/local/p/x", 1, b"{}")[0] == 404
    assert ci.ask("DELETE", f"/transactions/{slow}")[0] == 404
    for id in (receiving, more, *others):
        assert ci.ask("DELETE", f"/transactions/{id}")[0] == 204


def test_no_token_ends_the_pushes_of_another(server: Server) -> None:
    ci, other = (server.token(name, Role.WRITER) for name in ("ci", "other"))
    kept = [other.begin() for _ in range(_MOST)]
    for _ in range(2):
        for _ in range(_MOST):
            ci.begin()
        time.sleep(SPARED + 0.2)
    assert all(other.send(id, (BLOB, b"small"))[0] == 200 for id in kept)
    for id in kept:
        assert ci.ask("DELETE", f"/transactions/{id}")[0] == 404
    assert open_pushes(server) == 2 * _MOST


def test_what_a_slow_push_had_acknowledged_stays_when_it_ends(tmp_path: Path, server: Server) -> None:
    ci = server.token("ci", Role.WRITER)
    names = {"ARTSTORE_TOKEN": ci.secret or "", "ARTSTORE_URL": server.url}
    assert run(tmp_path, "clone", server.url, "mine", **names).code == 0
    for name in ("one", "two"):
        source = make_tree(tmp_path / name, {"text": name})
        assert run(tmp_path / "mine", "put", source, "-n", f"p/{name}", **names).code == 0
    paused = f"""
import time
from artstore.backends.served.storage import ServedStorage
_create = ServedStorage.create
def create(self, path, data):
    done = _create(self, path, data)
    print(path, flush=True)
    time.sleep({SPARED + 2})
    return done
ServedStorage.create = create
"""
    slow = start(tmp_path / "mine", "push", setup=paused, **names)
    assert slow.stdout is not None
    acknowledged = slow.stdout.readline().strip()
    time.sleep(SPARED + 0.5)
    for _ in range(_MOST):
        ci.begin()
    _, err = slow.communicate(timeout=60)
    assert slow.returncode == 4 and err.startswith("error: this push has ended: it was idle"), err
    assert (server.root / acknowledged).is_file()
    time.sleep(SPARED)
    assert run(tmp_path / "mine", "push", **names).code == 0, "what was left is sent now"
    with Repository(str(server.root)) as there:
        assert {state.path.name for state in there.collections()} == {"data", "one", "two"}
