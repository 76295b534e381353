"""Servers that lie: what they send is refused with a clear error, in bounded memory, and no token gets elsewhere."""

import json
import resource
import socketserver
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.codec import encode_rows
from artstore.domain.digest import BLOB, TREE, digest_of
from artstore.domain.tree import FILE
from artstore.domain.wire import FRAMES, frame
from artstore.errors import ArtstoreError, Damage, DamagedObject, NotFound, StorageError, UnsupportedFormat
from artstore.repository import Repository
from artstore.store.layout import new_format
from artstore.store.packs import LARGE
from artstore.view import view_of
from tests.support.commands import Cli
from tests.support.wire import answering

Answer = tuple[int, str, bytes]
"""Status, content type (or, of a redirect, the location) and body."""
FORMAT = new_format()
HELLO = {
    "protocol": 1, "repository": FORMAT["id"], "format": FORMAT, "entity": "local", "author": "a", "role": "reader",
    "scope": "s",
}  # fmt: skip
TOKEN = "art_00000000_s3cr3t"


class Imposter(socketserver.ThreadingTCPServer):
    """A server whose answers a test makes, by the path of a request. What it was asked with is kept."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[Any], Answer]] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.headers: dict[str, str] = {}
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.says("", json.dumps(HELLO).encode(), "application/json")

    def says(self, path: str, body: bytes, kind: str = FRAMES, status: int = 200) -> None:
        """The answer to each request of a path below /v1."""
        self.answers[path] = status, kind, body

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Imposter
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        path = self.path.removeprefix("/v1").partition("?")[0]
        self.server.seen.append((path, self.headers.get("Authorization")))
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = self.server.answers.get(path, (404, "application/json", b"{}"))
        status, kind, body = found(json.loads(asked or b"null")) if callable(found) else found
        self.send_response(status)
        self.send_header("Location" if 300 <= status < 400 else "Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def imposter() -> AbstractContextManager[Imposter]:
    return answering(Imposter())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Imposter]:
    monkeypatch.setenv("ARTSTORE_TOKEN", TOKEN)
    with imposter() as server:
        yield server


END = frame("end")
SMALL = digest_of(BLOB, b"right")
BIG = b"x" * LARGE
LARGE_ONE = digest_of(BLOB, BIG)
TREE_OF_BOTH = encode_rows([(b"big", FILE, LARGE, LARGE_ONE), (b"small", FILE, 5, SMALL)])
ROOT = digest_of(TREE, TREE_OF_BOTH)


def holding(server: Imposter, repository: Repository, tmp_path: Path) -> None:
    """The server has a true log of a version with two files, and gives its tree; the rest is up to the test."""
    (folder := tmp_path / "src").mkdir()
    (folder / "small").write_bytes(b"right")
    (folder / "big").write_bytes(BIG)
    repository.put(str(folder), "data")
    (state,) = repository.collections()
    assert ROOT.hex() == next(iter(state.versions.values()))["digest"]
    server.says("/collections", frame(state.plain()) + END)
    gives(server)


def gives(server: Imposter, small: bytes = b"right", big: int = LARGE, more: bytes = b"") -> None:
    """What the server gives when it is asked for objects."""
    things: dict[bytes, bytes] = {
        ROOT: frame(TREE, ROOT, TREE_OF_BOTH),
        SMALL: frame(BLOB, SMALL, small),
        LARGE_ONE: frame(BLOB, LARGE_ONE, big),
    }

    def answer(asked: Any) -> Answer:
        wanted = [bytes.fromhex(digest) for digest in asked["digests"]]
        found = b"".join(things.get(digest, frame(0, digest, None)) for digest in wanted)
        return 200, FRAMES, found + more + END

    server.answers["/objects"] = answer


def restored(server: Imposter, target: Path) -> None:
    with view_of(server.url, None) as view:
        view.get(view.find("data"), str(target))


def grown() -> int:
    """The most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_what_is_right_is_taken(server: Imposter, repo: Repository, tmp_path: Path) -> None:
    holding(server, repo, tmp_path)
    server.says(f"/blobs/{LARGE_ONE.hex()}", BIG, "application/octet-stream")
    restored(server, tmp_path / "got")
    assert (tmp_path / "got/big").read_bytes() == BIG and (tmp_path / "got/small").read_bytes() == b"right"


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ({"small": b"wrong"}, "with other bytes than it has"), ({"small": b"longer"}, "with other bytes than it has"),
        ({"small": BIG + b"x"}, "with other bytes than it has"), ({"big": LARGE + 1}, "but a tree records|instead of"),
        ({"big": 5}, "something else than"), ({"more": frame(BLOB, b"u" * 32, b"unasked")}, "was not asked for"),
        ({"more": frame(1, 2, 3)}, "was not asked for"), ({"more": b"\x01"}, "something else than frames"),
        ({"more": b"\xc1"}, "frames that can't be decoded"), ({"more": b"\xdd\xff\xff\xff\xff"}, "frames that can't be decoded"),
        ({"more": END}, "after the end"),
    ],
)  # fmt: skip
def test_objects_that_are_wrong_are_not_written(
    server: Imposter, repo: Repository, tmp_path: Path, lie: dict[str, Any], says: str
) -> None:
    holding(server, repo, tmp_path)
    server.says(f"/blobs/{LARGE_ONE.hex()}", BIG, "application/octet-stream")
    gives(server, **lie)
    with pytest.raises(Damage, match=says):
        restored(server, tmp_path / "got")
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(
    ("body", "error"),
    [(BIG[:-1] + b"y", DamagedObject), (BIG + b"y", DamagedObject), (BIG[:-1], DamagedObject)],
    ids=["other bytes", "more bytes", "fewer bytes"],
)  # fmt: skip
def test_a_large_file_that_is_wrong_is_not_written(
    server: Imposter, repo: Repository, tmp_path: Path, body: bytes, error: type[ArtstoreError]
) -> None:
    holding(server, repo, tmp_path)
    server.says(f"/blobs/{LARGE_ONE.hex()}", body, "application/octet-stream")
    with pytest.raises(error):
        restored(server, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_an_object_that_was_asked_for_and_is_not_answered_is_missed(
    server: Imposter, repo: Repository, tmp_path: Path
) -> None:
    holding(server, repo, tmp_path)
    server.says("/objects", END)
    with pytest.raises(Damage, match="did not answer for 1 objects"):
        restored(server, tmp_path / "got")


@pytest.mark.parametrize(
    "heads",
    [
        [["refs/../../../evil", 1]], [["refs/a/b/..", 1]], [["/etc/a/b/c", 1]], [["refs/a/b", 1]], [["refs/a/b/c", 0]],
        [["refs/a/b/c", -1]], [["refs/a/b/c", 1 << 40]], [["refs/a/b/c", "1"]], [["refs/a/b/c\n", 1]],
        [["tmp/a/b/c", 1]], [[1, 1]], [["refs/a/b/c"]],
    ],
)  # fmt: skip
def test_heads_that_are_none_are_refused(server: Imposter, tmp_path: Path, heads: list[Any]) -> None:
    server.says("/heads", b"".join(frame(*head) for head in heads) + END)
    with pytest.raises(Damage, match="something else than the heads of logs"):
        Repository.clone(server.url, str(tmp_path / "clone/.artifacts"))
    assert not (tmp_path / "evil").exists()


def test_a_log_that_claims_many_entries_costs_no_memory(server: Imposter, tmp_path: Path) -> None:
    server.says("/heads", frame("refs/a/b/c", 99_999_999) + END)
    server.says("/entries", END)
    before = grown()
    with pytest.raises(Damage):
        Repository.clone(server.url, str(tmp_path / "clone/.artifacts"))
    assert grown() - before < 100_000


@pytest.mark.parametrize("entry", [b"{}", b"not json", b"x" * 100, b""])
def test_an_entry_that_is_none_is_refused(server: Imposter, tmp_path: Path, entry: bytes) -> None:
    server.says("/heads", frame("refs/a/b/c", 1) + END)
    server.says("/entries", frame("refs/a/b/c", 1, entry) + END)
    with pytest.raises(Damage):
        Repository.clone(server.url, str(tmp_path / "clone/.artifacts"))


@pytest.mark.parametrize(
    "state", [{}, {"path": ["a", "b"]}, {"path": ["local", "p", "data"]}, [], 1, {"path": ["..", "..", ".."]}]
)
def test_a_state_that_no_log_makes_is_refused(server: Imposter, state: Any) -> None:
    for path in ("/collections", "/runs"):
        server.says(path, frame(state) + END)
    with view_of(server.url, None) as view:
        for look in (lambda: list(view.collections()), view.runs.all):
            with pytest.raises(Damage):
                look()


@pytest.mark.parametrize(
    ("status", "kind", "body", "error", "says"),
    [
        (200, "text/html", b"<html>", NotFound, "there is no served repository at"),
        (403, "application/xml", b"<Error/>", NotFound, "it answers with status 403"),
        (404, "text/plain", b"", NotFound, "it answers with status 404"),
        (200, "application/json", b"[]", NotFound, "there is no served repository at"),
        (200, "application/json", json.dumps({**HELLO, "protocol": 2}).encode(), UnsupportedFormat, "speaks protocol 2"),
        (200, "application/json", json.dumps({**HELLO, "role": "king"}).encode(), Damage, "doesn't say what it serves"),
        (200, "application/json", json.dumps({**HELLO, "format": {}}).encode(), UnsupportedFormat, "no format number"),
        (500, "text/plain", b"", StorageError, "answered with status 500"),
        (403, "application/json", b'{"error": "\\u001b[2Jno", "kind": "SystemExit", "hint": 1}', ArtstoreError, r"\\x1b\[2Jno"),
    ],
)  # fmt: skip
def test_what_is_no_served_repository_is_told_from_one(
    server: Imposter, status: int, kind: str, body: bytes, error: type[ArtstoreError], says: str
) -> None:
    server.says("", body, kind, status)
    with pytest.raises(error, match=says):
        view_of(server.url, None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(server: Imposter, cli: Cli, status: int) -> None:
    with imposter() as other:
        server.says("", b"", f"{other.url}/v1", status)
        told = cli("ls", "--from", server.url, ARTSTORE_TOKEN=TOKEN)
        assert told.code == 4 and f"it redirects to {other.url}/v1" in told.err
        assert other.seen == [] and "s3cr3t" not in told.err


def test_the_address_of_a_bucket_to_which_a_large_file_is_redirected_gets_no_token(
    server: Imposter, repo: Repository, tmp_path: Path
) -> None:
    holding(server, repo, tmp_path)
    with imposter() as bucket:
        bucket.answers["/key"] = 200, "application/octet-stream", BIG
        server.says(f"/blobs/{LARGE_ONE.hex()}", b"", f"{bucket.url}/v1/key?X-Amz-Signature=1", 302)
        restored(server, tmp_path / "got")
        assert bucket.seen == [("/key", None)]
    assert (tmp_path / "got/big").read_bytes() == BIG
    server.says(f"/blobs/{LARGE_ONE.hex()}", b"", "http://169.254.169.254/latest/meta-data", 302)
    with pytest.raises(Damage, match="an address that can't be trusted"):
        restored(server, tmp_path / "again")


@pytest.mark.parametrize("status", [403, 404])
def test_a_proxy_that_should_send_large_files_and_does_not_is_named(
    server: Imposter, repo: Repository, tmp_path: Path, status: int
) -> None:
    holding(server, repo, tmp_path)
    server.says(f"/blobs/{LARGE_ONE.hex()}", b"<html>", "text/html", status)
    with pytest.raises(StorageError, match="doesn't send large files: what is in front of it doesn't find or open"):
        restored(server, tmp_path / "got")
    server.says(f"/blobs/{LARGE_ONE.hex()}", b"", "application/octet-stream")
    server.headers["X-Accel-Redirect"] = "/stored/objects/blobs"
    with pytest.raises(StorageError, match="what is in front of it passes on X-Accel-Redirect") as error:
        restored(server, tmp_path / "again")
    assert error.value.hint == "who runs the server can correct its proxy, or leave out `serve --accel`"


def test_a_frame_without_an_end_costs_no_memory(server: Imposter, repo: Repository, tmp_path: Path) -> None:
    holding(server, repo, tmp_path)
    server.says("/objects", b"\x93\x01\xc4\x20" + SMALL + b"\xc6\x7f\xff\xff\xff" + bytes(100 << 20))
    before = grown()
    with pytest.raises(Damage, match="frames that can't be decoded"):
        restored(server, tmp_path / "got")
    assert grown() - before < 300_000
