"""Requests to a served repository, as clients and browsers make them: recorded while real commands talk to a server."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

import artstore as wandb
from artstore.domain.roles import Role
from artstore.domain.wire import PREFIX, TRANSACTION
from artstore.repository import Repository
from artstore.server.application import application
from artstore.server.audit import Audit
from artstore.server.protocol import parts_of
from artstore.server.served import Served
from artstore.server.tokens import Tokens
from artstore.store.settings import Settings, server_root
from artstore.web.guard import Application
from tests.support.commands import environment
from tests.support.folders import make_tree
from tests.support.in_process import run

SECRET = b"the label of nobody\n"
"""What is in a file of the project that no token but the admin's may see."""
TRANSACTIONS = re.compile(rb"/transactions/([0-9a-f]{32})")


class Asked(NamedTuple):
    """A request."""

    method: str
    target: bytes
    """the path with its query"""
    headers: tuple[tuple[bytes, bytes], ...]
    """without what says who asks, and in which transaction"""
    body: bytes

    @property
    def kind(self) -> tuple[str, bytes]:
        """What it asks for, without the names in it."""
        parts = self.target.partition(b"?")[0].split(b"/")
        return self.method, b"/".join(parts[:2] if parts[1] != b"v1" else [*parts[:3], *parts[4:5]])


class Recorder:
    """Passes requests on, and keeps them."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.found: list[Asked] = []

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Any], send: Callable[..., Any]
    ) -> None:
        body: list[bytes] = []

        async def received() -> Any:
            message = await receive()
            body.append(message.get("body", b""))
            return message

        await self._application(scope, received, send)
        if scope["type"] == "http":
            own = (b"authorization", b"host", b"content-length", b"user-agent", TRANSACTION.encode())
            headers = tuple((name, value) for name, value in scope["headers"] if name not in own)
            query = b"?" + scope["query_string"] if scope["query_string"] else b""
            self.found.append(Asked(scope["method"], scope["raw_path"] + query, headers, b"".join(body)))


class Place:
    """A served repository with two projects, and a token for each role: all but the admin's are for one of them."""

    def __init__(self, folder: Path, secrets: dict[str, str]) -> None:
        """The one that is in a folder, with the tokens' secrets by role."""
        self.folder, self.secrets = folder, secrets
        self.root = folder / ".artifacts"
        self.served = Served(str(self.root), Settings(None))
        state = server_root(str(self.root))
        self.tokens, self.audit = Tokens(state), Audit(state)
        self.application: Application = application(parts_of(self.served, ("prod",)), self.tokens, self.audit)

    @classmethod
    def made(cls, folder: Path) -> "Place":
        """A new one."""
        _fill(folder)
        tokens = Tokens(server_root(str(folder / ".artifacts")))
        projects: dict[Role, tuple[str, ...]] = {Role.ADMIN: ()}
        return cls(
            folder, {str(role): tokens.create(str(role), role, projects.get(role, ("local/vision",))) for role in Role}
        )

    def copy(self, folder: Path) -> "Place":
        """A copy, with the same tokens."""
        shutil.copytree(self.folder, folder)
        return Place(folder, self.secrets)

    def recorded(self) -> list[Asked]:
        """Requests of each kind: what commands ask, and all pages."""
        recorder = Recorder(self.application)
        with _listening(recorder) as url:
            self._talk(url)
        return list(dict.fromkeys([*recorder.found, *self._others()]))

    def _talk(self, url: str) -> None:
        def do(role: str, *arguments: str, cwd: str = ".") -> None:
            told = environment(self.folder, ARTSTORE_TOKEN=self.secrets[role], ARTSTORE_URL=url)
            done = run(list(arguments), self.folder / cwd, told)
            assert done.returncode == 0, (arguments, done.stderr)

        do("writer", "clone", url, "clone")
        make_tree(self.folder / "work", {"text": "new", "more": "n" * 5000, "large": "l" * (1 << 20)})
        do("writer", "put", "../work", "-n", "vision/data", cwd="clone")
        do("writer", "alias", "vision/data:v2", "best", cwd="clone")
        do("writer", "put", "../work", "-n", "vision/other", cwd="clone")
        do("writer", "push", cwd="clone")
        do("reader", "pull", cwd="clone")
        for words in (
            ["ls"],
            ["ls", "vision/data:v0"],
            ["show", "vision/data:v1"],
            ["log", "vision/data"],
            ["runs", "ls"],
        ):
            do("viewer", *words, "--from", url)
        do("reader", "get", "vision/data:v1", "--root", "out", "--from", url)

    def _others(self) -> Iterator[Asked]:
        version, run = "local/vision/data/0", "local/vision/r"
        names = ("files", "raw", "image", "play", "html", "mask")
        with Repository(str(self.root)) as repository:
            stored = list(repository.run_files(next(iter(repository.runs.all()))))
        paths = ["train.csv", "deep", "deep/code.py", "page.html", "meta.json", "t.table.json", "big.bin"]
        targets = [
            "/", "/?q=data&sort=size&project=local/vision&from=a", "/artifact/local/vision/data?q=v&sort=size", "/runs?q=r&sort=name",
            "/aliases/local/vision/data", f"/version/{version}", "/version/local/vision/data/latest", f"/lineage/{version}?depth=2&all=1",
            "/diff?old=vision/data:v0&new=vision/data:v1", "/diff?old=vision/data:v0&new=vision/data:v1&path=new", "/search?q=data", "/storage",
            *(f"/{name}/{version}?path={path}" for name in names for path in paths), f"/files/{version}?path=t.table.json&start=1&sort=key&order=down",
            f"/run/{run}?q=loss&over=_step", f"/run-files/{run}", f"/run-media/{run}?key=table&step=2", f"/run-console/{run}?start=0",
            f"/run-environment/{run}", f"/run-samples/{run}?key=loss&start=0", f"/compare?run={run}&run={run}", f"/history?run={run}&key=loss&x=_step",
            *(f"/run-{name}/{run}?path={path}" for name in names for path in stored), "/login", "/login?next=/runs", "/static/style.css", "/health",
        ]  # fmt: skip
        for target in targets:
            yield Asked("GET", target.encode(), (), b"")
        hub, files = "/api/datasets/vision/data", "/datasets/vision/data/resolve"
        for target in (
            "/api/whoami-v2", hub, f"{hub}/revision/v0", f"{hub}/revision/main", f"{hub}/refs", f"{hub}/tree/v0?recursive=true",
            f"{hub}/tree/main/deep?expand=1&cursor=deep", f"{files}/main/train.csv", f"{files}/v0/big.bin", "/vision/data/resolve/main/meta.json",
            "/entity/local/api/models/vision/data", "/entity/local/vision/data/resolve/v1/deep/code.py",
        ):  # fmt: skip
            yield Asked("GET", target.encode(), (), b"")
        yield Asked("HEAD", f"{files}/main/big.bin".encode(), (), b"")
        yield Asked("POST", f"{hub}/paths-info/main".encode(), (), b"paths=train.csv&paths=deep&expand=true")
        for path, body in (
            ("log", {"folder": "refs/local/vision/data"}), ("history", {"run": "runs/local/vision/r", "having": "loss"}),
            ("run-files", {"folder": "runs/local/vision/r"}), ("history", {"run": "runs/local/vision/r", "having": None}),
            ("entries", {"logs": [["runs/local/vision/r", 1, 2], ["refs/local/vision/data", 1, None]]}),
        ):  # fmt: skip
            yield Asked("POST", f"{PREFIX}/{path}".encode(), (), json.dumps(body).encode())
        form = ((b"origin", b"https://localhost"), (b"content-type", b"application/x-www-form-urlencoded"))
        yield Asked("POST", b"/login", form, b"token=TOKEN&next=/runs")
        yield Asked("POST", b"/logout", form, b"")

    def close(self) -> None:
        self.served.close()


def _fill(folder: Path) -> None:
    """Two versions in each of two projects, and a run."""
    files = {
        "train.csv": "name,label\na,1\n", "deep/code.py": "print(1)\n", "page.html": "<p>x</p>", "meta.json": '{"a": [1]}',
        "t.table.json": json.dumps({"_type": "table", "columns": ["key"], "data": [[1], [2]]}), "big.bin": "b" * (1 << 20),
    }  # fmt: skip
    with Repository.init(str(folder / ".artifacts")) as repository:
        for project, more in (("vision", {}), ("hidden", {"label": SECRET})):
            source = str(make_tree(folder / project, {**files, **more}))
            for text in ("short", "a long story " * 800):
                repository.put(source, f"{project}/data", type="dataset", description=text, metadata={"of": text})
                (folder / project / "new").write_text(text)
    with wandb.init(dir=str(folder), project="vision", id="r", config={"rate": 0.1}) as active:
        active.use_artifact("data:v0")
        for step in range(5):
            active.log({"loss": 1 / (step + 1), "table": wandb.Table(columns=["a"], data=[[step]])})


@contextmanager
def _listening(application: Application) -> Iterator[str]:
    """Serve an application in a thread, until the block ends."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.002)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
