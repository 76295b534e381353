"""A server that dies at any moment: what it acknowledged is there, what is there is whole, and a push goes on."""

import http.client
import json
from pathlib import Path

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.marks import mostly_long
from tests.support.served import Asking, serving
from tests.support.trouble import at_call

CASES = [(call, number) for call in ("link", "fsync", "open", "write", "rename") for number in (1, 2, 3, 5, 8, 13)]
CASES.remove(("open", 1))  # it is of the start
IN_OURS = "any('objects' in str(arg) or 'refs' in str(arg) or 'tmp/' in str(arg) for arg in args) or (isinstance(args[0], int) and args[0] > 2)"


@pytest.mark.parametrize("case", mostly_long(CASES, CASES[0], CASES[7]))
def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(
    tmp_path: Path, clone: Repository, case: tuple[str, int]
) -> None:
    with Repository.init(str(tmp_path / "there/.artifacts")):
        pass
    for version in range(3):
        files = {"small": f"{version}", "large": bytes([version]) * (2 << 20), **{f"d/{n}": f"{n}" for n in range(50)}}
        clone.put(str(make_tree(tmp_path / "data", files)), "p/data", type="dataset")
    (call, number), folder, told = case, "refs/local/p/data", 0
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)", IN_OURS)
    with serving(tmp_path / "there", setup=kill, dies=True) as server:
        writer = server.token("writer", Role.WRITER)
        try:
            told = len(_acknowledged(writer, clone, folder))
        except (OSError, http.client.HTTPException):
            pass  # it died
    check(tmp_path / "there/.artifacts")
    with serving(tmp_path / "there") as server:
        again = Asking(server.url, writer.secret)
        assert len(again.entries(folder)) >= told
        if len(again.entries(folder)) < 3:
            assert again.push(clone, folder)[0] == 201
        assert [json.loads(data)["author"] for data in again.entries(folder)] == ["writer"] * 3
    with Repository(str(tmp_path / "there/.artifacts")) as there:
        there.gc(now=True)
        assert there.fsck().problems == []
        assert there.get(there.find("p/data:v2"), str(tmp_path / "out")).files == 52
    check(tmp_path / "there/.artifacts")


def _acknowledged(writer: Asking, clone: Repository, folder: str) -> list[bytes]:
    """Push, and return the entries that the server said it had."""
    status, told = writer.push(clone, folder)
    assert status == 201, told
    return writer.entries(folder)
