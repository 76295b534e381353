"""A team's served repository, and clients whose tokens have roles."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import QUIET, environment
from tests.support.exchange import FILES
from tests.support.folders import make_tree
from tests.support.served import Server, serving
from tests.support.servers import PASS, S3Proxy

RUN = """
import artstore
run = artstore.init(project="vision", id="r1", config={"lr": 0.5, "long": "x" * 3000})
run.use_artifact("vision/data:v0")
for step in range(5):
    run.log({"loss": 1.0 / (step + 1)})
open("notes.txt", "w").write("seen")
run.save("notes.txt")
made = artstore.Artifact("model", "model", metadata={"story": "y" * 200_000})
made.add_file("notes.txt")
run.log_artifact(made)
run.finish()
"""
ROLES = {"viewer": Role.VIEWER, "reader": Role.READER, "writer": Role.WRITER, "promoter": Role.PROMOTER}


class Team(NamedTuple):
    """A served repository, a proxy in front of it that counts requests, and a token for each role in project vision.

    The admin's is for all projects.
    """

    server: Server
    proxy: S3Proxy
    secrets: dict[str, str]

    @property
    def url(self) -> str:
        return self.proxy.endpoint

    @property
    def root(self) -> Path:
        return self.server.root

    def __call__(self, role: str) -> dict[str, str]:
        """The environment of somebody with a role."""
        return {"ARTSTORE_TOKEN": self.secrets[role], "ARTSTORE_URL": self.url}

    @property
    def asked(self) -> list[str]:
        """The requests since the last `reset`, without their queries."""
        return [f"{method} {path.partition('?')[0]}" for method, path, _ in self.proxy.requests]


def make_team(folder: Path) -> None:
    """A repository with artifacts in two projects, and a run."""
    with Repository.init(str(folder / ".artifacts")) as repository:
        for project, name in (("vision", "data"), ("hidden", "secret")):
            long = f"a long story of {project} " * 500
            source = str(make_tree(folder / project, FILES | {"of": project}))
            repository.put(source, f"{project}/{name}", type="dataset", description=long, aliases=("good",))
        make_tree(folder / "vision", {"a.txt": "changed"})
        repository.put(str(folder / "vision"), "vision/data", tags=("blue",), metadata={"rows": 2})
    told = environment(folder, ARTSTORE_DIR=str(folder / ".artifacts"), **QUIET)
    subprocess.run([sys.executable, "-c", RUN], cwd=folder, env=told, check=True)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    make_team(folder)
    with serving(folder) as server:
        secrets = {name: server.token(name, role, "local/vision", "local/registry-*") for name, role in ROLES.items()}
        secrets["admin"] = server.token("root", Role.ADMIN)
        with S3Proxy(server.url) as proxy:
            yield Team(server, proxy, {name: one.secret or "" for name, one in secrets.items()})
    check(folder / ".artifacts")


@pytest.fixture
def enter(team: Team, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this process one of somebody with a role."""

    def enter(role: str) -> None:
        for name, value in team(role).items():
            monkeypatch.setenv(name, value)

    team.proxy.rule = lambda request, number: PASS
    team.proxy.reset()
    enter("reader")
    return enter


@pytest.fixture
def writer(team: Team, enter: Callable[[str], None], tmp_path: Path) -> Iterator[Repository]:
    """A clone of somebody who may write; checked at the end."""
    enter("writer")
    repository, _ = Repository.clone(team.url, str(tmp_path / "writer/.artifacts"))
    yield repository
    repository.close()
    check(tmp_path / "writer/.artifacts")
