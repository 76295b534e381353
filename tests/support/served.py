"""A served repository for tests: a server process with tokens, and a client that speaks the protocol by hand."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from artstore.backends.storage import FolderStorage
from artstore.domain.digest import BLOB, TREE, VERSION, Digest, from_hex
from artstore.domain.roles import Role
from artstore.domain.tree import DIRECTORY, REFERENCE, trusted_tree, walk
from artstore.domain.wire import PREFIX, frame, frames
from artstore.repository import Repository
from artstore.server.folder import server_folder
from artstore.server.tokens import Tokens
from artstore.store.packs import LARGE
from tests.support.commands import environment
from tests.support.trouble import MAIN

Answer = tuple[int, Any]
"""The status, and what was answered: frames, JSON, or bytes."""


class Server(NamedTuple):
    """A server process, and what it serves."""

    folder: Path
    url: str
    pid: int
    process: "subprocess.Popen[str]"
    state: str
    """the folder of its tokens and its audit"""

    @property
    def root(self) -> Path:
        return self.folder / ".artifacts"

    def token(self, name: str, role: Role, *projects: str) -> "Asking":
        """A new token, and who asks with it."""
        return Asking(self.url, self.tokens.create(name, role, projects))

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.state)

    def stranger(self, token: str | None = None) -> "Asking":
        """Somebody without a token, or with this one."""
        return Asking(self.url, token)


@contextmanager
def serving(
    folder: Path,
    *options: str,
    setup: str = "",
    dies: bool = False,
    listen: str = "127.0.0.1:0",
    state: str | None = None,
    **variables: str,
) -> Iterator[Server]:
    """Serve the repository in a folder with a process of its own, which first runs `setup`. It may be one that dies.

    With `--from` among the options it serves another place, whose tokens are in the folder `state`.
    """
    command = [sys.executable, "-c", f"{setup}\n{MAIN}", "serve", "--listen", listen, *options]
    told = environment(folder, **variables)
    state = state or server_folder(FolderStorage(str(folder / ".artifacts")))
    with subprocess.Popen(command, cwd=folder, env=told, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(folder, process.stdout.readline().split()[0], process.pid, process, state)
        finally:
            if dies:
                process.kill()
            elif process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 0, "which is how it ends"


class Asking(NamedTuple):
    """Somebody who asks the server, by hand."""

    url: str
    secret: str | None
    prefix: str = PREFIX

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        status, told, data = self.whole(method, path, body, **headers)
        return status, _decoded(told.get("content-type", ""), data)

    def whole(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Message, bytes]:
        """The status, the headers and the body."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        own = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, self.prefix + path, data, own | named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, **body: Any) -> Answer:
        return self.ask("POST", path, body)

    def begin(self) -> str:
        status, told = self.post("/transactions")
        assert status == 201, told
        return str(told["transaction"])

    def send(self, transaction: str, *objects: tuple[int, bytes]) -> Answer:
        return self.ask("POST", f"/transactions/{transaction}/objects", b"".join(frame(*one) for one in objects))

    def append(self, transaction: str, folder: str, number: int, data: bytes) -> Answer:
        return self.ask("PUT", f"/entry?log={folder}&number={number}", data, Artstore_Transaction=transaction)

    def entries(self, folder: str) -> list[bytes]:
        """All entries of a log, as this asker reads them."""
        status, found = self.post("/entries", logs=[[folder, 1, None]])
        assert status == 200 and found[-1] == ["end"], found
        return [data for _, _, data in found[:-1]]

    def push(self, repository: Repository, folder: str, *, without: tuple[Digest, ...] = ()) -> Answer:
        """Send a log as it is in a repository, with all objects of its versions but those `without`; one entry a time.

        The answer is the last one.
        """
        transaction, there = self.begin(), len(self.entries(folder))
        state = repository.refs.read_folder(folder)
        for version in state.versions.values():
            for kind, data, digest in objects_of(repository, version):
                if digest in without:
                    continue
                if kind == BLOB and len(data) >= LARGE:
                    path = f"/transactions/{transaction}/blobs/{digest.hex()}"
                    status, told = self.ask("PUT", path, data)
                else:
                    status, told = self.send(transaction, (kind, data))
                assert status in (200, 201), told
        answer: Answer = (0, None)
        prev = json.loads(self.entries(folder)[-1]) if there else None
        for number in range(there + 1, state.number + 1):
            data = repository.storage.read(f"{folder}/{number:08}.json")
            answer = self.append(transaction, folder, number, _after(data, prev))
            if answer[0] != 201:
                break
            prev = answer[1]
        self.ask("DELETE", f"/transactions/{transaction}")
        return answer


def objects_of(repository: Repository, version: Any) -> Iterator[tuple[int, bytes, Digest]]:
    """(kind, bytes, digest) of everything that a version has."""
    root, id = from_hex(version["digest"]), from_hex(version["id"])
    trees = [root]
    while trees:
        tree = trees.pop()
        data = repository.objects.read_tree(tree)
        yield TREE, data, tree
        trees += [entry[3] for entry in trusted_tree(data) if entry[1] >= DIRECTORY and entry[1] != REFERENCE]
    for _, entry in walk(root, repository.objects.read_tree):
        if entry.kind < DIRECTORY:
            yield BLOB, repository.objects.read(BLOB, entry.digest), entry.digest
    yield VERSION, repository.objects.read(VERSION, id), id


def _after(data: bytes, prev: Any) -> bytes:
    """An entry of another log, to continue one that ends with `prev`: the entry before it, as JSON."""
    from artstore.domain.codec import encode_json
    from artstore.domain.digest import plain_digest
    from artstore.store.logs import rewritten

    return rewritten(data, prev=plain_digest(encode_json(prev)).hex() if prev is not None else None)


def _decoded(kind: str, data: bytes) -> Any:
    if kind.startswith("application/vnd.artstore.frames"):
        return list(frames([data], "the server"))
    return json.loads(data) if kind.startswith("application/json") and data else data
