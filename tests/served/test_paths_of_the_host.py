"""Whatever is broken at a server, no answer tells a member where on its host anything is."""

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artstore.domain.roles import Role
from artstore.web.routes import ROUTES
from tests.served.test_matrix import Known
from tests.support.matrix import ALL, REQUESTS, name_of, prefix_of, two_projects
from tests.support.served import Asking, Server, serving
from tests.support.team import Team, Visitor


def _replace(path: Path) -> None:
    """Put a file in the place of a folder, or a folder in the place of a file."""
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(b"")
    else:
        path.unlink()
        path.mkdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _rewrite(root: Path, pattern: str, change: Callable[[bytes], bytes]) -> None:
    for path in root.glob(pattern):
        path.chmod(0o644)
        path.write_bytes(change(path.read_bytes()))


def _full_disk(server: Server) -> None:
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


Break = Callable[[Server], None]
BROKEN: dict[str, Break] = {
    "no packs": lambda server: _empty(server.root / "objects/packs"),
    "packs without an end": lambda server: _rewrite(server.root, "objects/packs/*", lambda data: data[:-9]),
    "wrong bytes": lambda server: _rewrite(
        server.root, "objects/packs/*", lambda data: data[:40] + bytes(byte ^ 1 for byte in data[40:-60]) + data[-60:]
    ),
    "packs are a file": lambda server: _replace(server.root / "objects/packs"),
    "no large blobs": lambda server: shutil.rmtree(server.root / "objects/blobs"),
    "blobs are a file": lambda server: _replace(server.root / "objects/blobs"),
    "torn logs": lambda server: _rewrite(server.root, "refs/local/*/data/*.json", lambda data: data[:-9]),
    "torn runs": lambda server: _rewrite(server.root, "runs/local/*/r/*.json", lambda data: data[:-9]),
    "logs are a file": lambda server: _replace(server.root / "refs/local"),
    "entries are folders": lambda server: _replace(server.root / "refs/local/vision/data/00000001.json"),
    "a newer format": lambda server: _rewrite(server.root, "format", lambda data: data.replace(b"1", b"9", 1)),
    "no format": lambda server: _replace(server.root / "format"),
    "no place for pushes": lambda server: _replace(server.root / "tmp"),
    "a full disk": _full_disk,
    "no audit": lambda server: _replace(Path(server.state)),
    "nothing": lambda server: shutil.rmtree(server.root),
}


def _asked(member: Asking, known: Known) -> dict[str, tuple[int, bytes]]:
    """Of each operation: the status, and the whole answer."""
    _, begun = member.post("/transactions")
    transaction, found = begun.get("transaction", "0"), dict[str, tuple[int, bytes]]()
    for operation in ALL:
        path, body = REQUESTS[name_of(operation)](known, "vision", transaction)
        asker = member._replace(prefix=prefix_of(operation))
        status, headers, data = asker.whole(operation.method, path, body)
        found[name_of(operation)] = status, str(headers).encode() + data
    return found


def _pages(visitor: Visitor) -> dict[str, bytes]:
    paths = [
        row.path.replace("{entity}/{project}", "local/vision").replace("{name}/{number}", "data/0") for row in ROUTES
    ]
    return {path: visitor.get(path.replace("{name}", "data").replace("{id}", "r")).whole() for path in paths}


@pytest.mark.parametrize("name", BROKEN)
def test_no_answer_tells_where_the_repository_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "place-of-the-server"
    two_projects(folder)
    with serving(folder) as server, Team(server) as team:
        members = [server.token("root", Role.ADMIN), server.token("reader", Role.READER, "local/vision")]
        known, visitor = Known(members[0]), team.visitor("looks", Role.READER, "local/vision")
        before = _asked(members[0], known)
        BROKEN[name](server)
        answers = [_asked(member, known) for member in members]
        told = {f"{number} {path}": data for number, one in enumerate(answers) for path, (_, data) in one.items()}
        told |= _pages(visitor)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert {path: data for path, data in told.items() if os.fsencode(folder.name) in data} == {}
    assert [before[path][0] for path in before] != [answers[0][path][0] for path in before], "nothing is broken"
