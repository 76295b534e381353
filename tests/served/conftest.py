"""A server for the tests of one module, with two projects and a token for each role."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.matrix import two_projects
from tests.support.served import Asking, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    two_projects(folder)
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
