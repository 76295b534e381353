"""A server for the tests of one module, with two projects and a token for each role."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.served import Asking, Server, serving

SECRET = b"the label of nobody\n"
BIG = b"large and secret\n" * 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    for project in ("vision", "hidden"):
        files = {"train.csv": f"{project}\n", "deep/label": SECRET, "big.bin": project.encode() + BIG}
        make_tree(folder / project, files)
    with Repository.init(str(folder / ".artifacts")) as repository:
        for project in ("vision", "hidden"):
            long = "a long story of " + project * 1000
            repository.put(str(folder / project), f"{project}/data", type="dataset", description=long)
    with serving(folder) as server:
        yield server
    check(folder / ".artifacts")


ROLES = {"viewer": Role.VIEWER, "reader": Role.READER, "writer": Role.WRITER, "promoter": Role.PROMOTER}


@pytest.fixture(scope="module")
def askers(server: Server) -> dict[str, Asking]:
    """By role: a token for project vision only; and an admin of everything."""
    found = {name: server.token(name, role, "local/vision") for name, role in ROLES.items()}
    return found | {"admin": server.token("root", Role.ADMIN)}


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Repository]:
    """A repository of somebody who pushes."""
    with Repository.init(str(tmp_path / "clone/.artifacts")) as repository:
        yield repository
