"""Servers whose answers are not what HTTP allows, or never end: a command ends in one sentence and bounded memory."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from artstore.backends.served.address import address_of
from artstore.backends.served.client import Client, Sent
from artstore.domain.digest import BLOB, digest_of
from artstore.domain.wire import FRAMES, frame
from artstore.errors import Damage, NotFound, StorageError
from artstore.store.packs import LARGE
from artstore.store.served.opening import open_served
from artstore.store.settings import Settings
from tests.served.clients.test_hostile_servers import HELLO, TOKEN
from tests.support.commands import environment
from tests.support.trouble import MAIN
from tests.support.wire import BLOCK, BODIES, CHUNKED, HEADS, PLAIN, Wire, raw, whole, wire

DIGEST = digest_of(BLOB, b"x" * LARGE)
MEMORY = 150_000
"""KiB that a command may have; it begins with about 45,000."""


@pytest.fixture
def server() -> Iterator[Wire]:
    with wire() as server:
        server.answers[""] = whole(json.dumps(HELLO).encode())
        yield server


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    err: str
    memory: int
    """the most that it had, in KiB"""
    seconds: float


IMPATIENT = """
from artstore.backends.served import client
client._WAITS = (0.0, 0.1)
"""
MEASURED = """
import atexit, re
most = lambda: re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
atexit.register(lambda: open("memory", "w").write(most()))
"""


def ended(tmp_path: Path, *words: str, setup: str = IMPATIENT) -> Ended:
    """Run a command that has to end by itself, with an error."""
    began = time.monotonic()
    command = [sys.executable, "-c", f"{MEASURED}{setup}\n{MAIN}", *words]
    told = environment(tmp_path, ARTSTORE_TOKEN=TOKEN)
    done = subprocess.run(command, cwd=tmp_path, env=told, capture_output=True, timeout=60, encoding="utf-8")
    assert done.returncode > 0 and re.fullmatch(r"(\S.*\n)+", done.stderr), done
    assert "Traceback" not in done.stderr and TOKEN not in done.stderr, done
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stderr + done.stdout), "nothing moves the cursor"
    return Ended(done.returncode, done.stderr, int((tmp_path / "memory").read_text()), time.monotonic() - began)


@pytest.mark.parametrize("kind", [*HEADS, *BODIES])
def test_a_command_ends_whatever_a_server_answers(server: Wire, tmp_path: Path, kind: str) -> None:
    server.answers[""] = (HEADS | BODIES)[kind]
    one = ended(tmp_path, "ls", "--from", server.url)
    assert one.memory < MEMORY and one.seconds < 30, one
    assert set(server.tokens) == {f"Bearer {TOKEN}".encode()}


@pytest.mark.parametrize("kind", BODIES)
def test_a_command_ends_whatever_frames_a_server_answers(server: Wire, tmp_path: Path, kind: str) -> None:
    server.answers["/collections"] = BODIES[kind]
    one = ended(tmp_path, "ls", "--from", server.url)
    assert one.memory < MEMORY and one.seconds < 30, one


def test_no_command_waits_for_an_answer_that_drips(server: Wire, tmp_path: Path) -> None:
    impatient = f"{IMPATIENT}\nfrom artstore.backends import pace\npace.PATIENCE = 1.0"
    for path, answer in (
        ("", raw(forever=b"x", pause=0.1)),
        ("", raw(PLAIN, forever=b"X: y\r\n", pause=0.1)),
        ("", raw(PLAIN + b"Content-Length: 1000000\r\n\r\n", forever=b" ", pause=0.1)),
        (
            "/collections",
            raw(CHUNKED.replace(b"application/json", FRAMES.encode()), forever=b"1\r\n\x93\r\n", pause=0.1),
        ),
    ):
        server.answers = {"": whole(json.dumps(HELLO).encode()), path: answer}
        one = ended(tmp_path, "ls", "--from", server.url, setup=impatient)
        assert "answers too slowly" in one.err and one.code == 9 and 1 < one.seconds < 15, one


@pytest.mark.parametrize(
    "text", ["\x1b[2Jtop", "one\nerror: two", "\r\x9b1A", "\u202eevil", "a\x00b", "x" * 100_000, ""]
)
def test_no_sentence_of_a_server_moves_the_cursor_or_makes_a_line_of_its_own(
    server: Wire, tmp_path: Path, text: str
) -> None:
    value = {"error": text, "hint": text, "kind": text}
    told = json.dumps(value).encode()
    for path, answer in (
        ("", whole(told, status="400 Bad")),
        ("", whole(told, status="503 Busy", more="Retry-After: 0\r\n")),
        ("", whole(json.dumps(HELLO | {"author": text, "entity": text, "scope": text, "role": text}).encode())),
        ("/collections", whole(told, status="409 Conflict")),
        ("/collections", whole(frame("error", text, text, text), FRAMES)),
        ("/collections", whole(frame("damaged", f"refs/local/p/{text}", text) + frame("end"), FRAMES)),
        ("/collections", whole(frame({"path": [text, text, text]}) + frame("end"), FRAMES)),
    ):
        server.answers = {"": whole(json.dumps(HELLO).encode()), path: answer}
        one = ended(tmp_path, "ls", "--from", server.url)
        assert len(one.err) < 10_000 and one.err.count("\nerror:") == 0 and "\u202e" not in one.err, one


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_no_request_of_any_kind_is_sent_where_a_server_redirects_it(server: Wire, method: str, status: int) -> None:
    with wire() as other:
        server.answers["/x"] = whole(b"", status=f"{status} Go", more=f"Location: {other.url}/v1/x\r\n")
        with closing(Client(address_of(server.url), TOKEN)) as client, pytest.raises(NotFound, match="it redirects to"):
            client.do(method, "/x", Sent(b"secret body"), (200, 201))
        assert other.paths == [] and server.paths == ["/x"]


def test_a_redirect_of_a_large_file_leads_to_one_address_and_its_own_body_is_not_read_for_long(
    server: Wire, tmp_path: Path
) -> None:
    with wire() as bucket, wire() as other:
        bucket.answers["/key"] = whole(b"", status="302 Go", more=f"Location: {other.url}/key\r\n")
        told = f"HTTP/1.1 302 Go\r\nLocation: {bucket.url}/key\r\n\r\n".encode()
        server.answers["/objects"] = whole(frame(BLOB, DIGEST, LARGE) + frame("end"), FRAMES)
        server.answers[f"/blobs/{DIGEST.hex()}"] = whole(b"", status="302 Go", more=f"Location: {bucket.url}/key\r\n")
        with open_served(server.url, Settings(None).identity, writing=False, given=False, looking=False) as store:
            store.objects.through("refs/local/p/data", ["0" * 64])
            with pytest.raises(StorageError, match="answered a download with status 302"):
                store.objects.large.read(DIGEST, LARGE)
            assert bucket.tokens == other.tokens == other.paths == [] and bucket.paths == ["/key"]
            server.answers[f"/blobs/{DIGEST.hex()}"] = raw(told, forever=BLOCK)
            with pytest.raises(Damage, match="an answer of more than"):
                store.objects.large.read(DIGEST, LARGE)
