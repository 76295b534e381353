"""A request for each operation of the protocol, about a project that tokens are for and about others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from artstore.api.recording import start
from artstore.domain.wire import PREFIX
from artstore.repository import Repository
from artstore.server import hub
from artstore.server.protocol import OPERATIONS, Operation
from tests.support.folders import make_tree
from tests.support.served import Asking

SECRET = b"the label of nobody\n"
BIG = b"large and secret\n" * 100_000
PROJECTS = ("vision", "hidden", "absent")
"""One that the tokens are for, one that they aren't for, and one that isn't there."""


def two_projects(folder: Path) -> None:
    """Make a repository in a folder with two projects, whose collections have the same names."""
    for project in ("vision", "hidden"):
        files = {"train.csv": f"{project}\n", "deep/label": SECRET, "big.bin": project.encode() + BIG}
        make_tree(folder / project, files)
    with Repository.init(str(folder / ".artifacts")) as repository:
        for project in ("vision", "hidden"):
            long = "a long story of " + project * 1000
            repository.put(str(folder / project), f"{project}/data", type="dataset", description=long)
            start(repository.root, project=project, id="r").finish(0, {})


class Known:
    """What an admin knows of each project: the requests below name what is really there."""

    def __init__(self, admin: Asking) -> None:
        self.admin = admin
        self.ids: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        for project in ("vision", "hidden"):
            _, found = admin.post("/collections", entity="local", project=project, name="data")
            self.ids[project] = found[0][0]["versions"][0]["id"]
            _, files = admin.post("/listing", folder=self.folder(project), id=self.ids[project])
            self.digests[project] = next(digest.hex() for path, _, _, digest in files if path == b"big.bin")
        self.ids["absent"] = self.digests["absent"] = "0" * 64

    def folder(self, project: str) -> str:
        return f"refs/local/{project}/data"


Request = Callable[[Known, str, str], tuple[str, Any]]
"""From what is known, a project and an open transaction: the path below that of the operation's prefix, and the body."""
REQUESTS: dict[str, Request] = {
    "GET ": lambda known, project, tx: ("", None),
    "POST /heads": lambda known, project, tx: ("/heads", {"under": [f"refs/local/{project}"]}),
    "POST /entries": lambda known, project, tx: ("/entries", {"logs": [[known.folder(project), 1, None]]}),
    "POST /collections": lambda known, project, tx: (
        "/collections",
        {"entity": "local", "project": project, "name": "data"},
    ),
    "POST /runs": lambda known, project, tx: ("/runs", {"entity": "local", "project": project, "id": "r"}),
    "POST /log": lambda known, project, tx: ("/log", {"folder": known.folder(project)}),
    "POST /history": lambda known, project, tx: ("/history", {"run": f"runs/local/{project}/r"}),
    "POST /run-files": lambda known, project, tx: ("/run-files", {"folder": f"runs/local/{project}/r"}),
    "POST /listing": lambda known, project, tx: (
        "/listing",
        {"folder": known.folder(project), "id": known.ids[project]},
    ),
    "POST /objects": lambda known, project, tx: (
        "/objects",
        {"through": [[known.folder(project), [known.ids[project]]]], "digests": [known.ids[project]]},
    ),
    "GET /blobs/{digest}": lambda known, project, tx: (
        f"/blobs/{known.digests[project]}?log={known.folder(project)}&id={known.ids[project]}",
        None,
    ),
    "POST /transactions": lambda known, project, tx: ("/transactions", {}),
    "POST /transactions/{id}/held": lambda known, project, tx: (
        f"/transactions/{tx}/held",
        {"through": [[known.folder(project), [known.ids[project]]]], "digests": [known.digests[project]]},
    ),
    "POST /transactions/{id}/objects": lambda known, project, tx: (f"/transactions/{tx}/objects", b""),
    "PUT /transactions/{id}/blobs/{digest}": lambda known, project, tx: (
        f"/transactions/{tx}/blobs/{known.digests['vision']}",
        b"vision" + BIG,
    ),
    "POST /transactions/{id}/ensure": lambda known, project, tx: (f"/transactions/{tx}/ensure", None),
    "DELETE /transactions/{id}": lambda known, project, tx: (f"/transactions/{tx}", None),
    "PUT /entry": lambda known, project, tx: (f"/entry?log={known.folder(project)}&number=1", b"{}"),
    "GET /api/whoami-v2": lambda known, project, tx: ("/api/whoami-v2", None),
}
_HUB: dict[str, Request] = {
    "GET /api/KIND/{project}/{name}": lambda known, project, tx: (f"/api/KIND/{project}/data", None),
    "GET /api/KIND/{project}/{name}/revision/{revision:path}": lambda known, project, tx: (
        f"/api/KIND/{project}/data/revision/v0",
        None,
    ),
    "GET /api/KIND/{project}/{name}/refs": lambda known, project, tx: (f"/api/KIND/{project}/data/refs", None),
    "GET /api/KIND/{project}/{name}/tree/{revision}": lambda known, project, tx: (
        f"/api/KIND/{project}/data/tree/main?recursive=true",
        None,
    ),
    "GET /api/KIND/{project}/{name}/tree/{revision}/{path:path}": lambda known, project, tx: (
        f"/api/KIND/{project}/data/tree/main/deep",
        None,
    ),
    "POST /api/KIND/{project}/{name}/paths-info/{revision:path}": lambda known, project, tx: (
        f"/api/KIND/{project}/data/paths-info/latest",
        b"paths=deep%2Flabel&paths=big.bin",
    ),
    "HEAD /FILES/{project}/{name}/resolve/{revision}/{path:path}": lambda known, project, tx: (
        f"/FILES/{project}/data/resolve/{known.ids[project][:40]}/deep/label",
        None,
    ),
    "GET /FILES/{project}/{name}/resolve/{revision}/{path:path}": lambda known, project, tx: (
        f"/FILES/{project}/data/resolve/main/big.bin",
        None,
    ),
}
"""Requests in the shape of the Hugging Face hub, for models and for datasets."""


def _of_kind(text: str, kind: str) -> str:
    return text.replace("KIND", kind).replace("/FILES", "" if kind == "models" else "/datasets")


def _request_of_kind(request: Request, kind: str) -> Request:
    def made(known: Known, project: str, tx: str) -> tuple[str, Any]:
        path, body = request(known, project, tx)
        return _of_kind(path, kind), body

    return made


for _kind in ("models", "datasets"):
    REQUESTS |= {_of_kind(name, _kind): _request_of_kind(request, _kind) for name, request in _HUB.items()}
ALL = [*OPERATIONS, *hub.OPERATIONS]
WITHOUT_PROJECT = {"GET ", "GET /api/whoami-v2", "POST /transactions", "POST /transactions/{id}/objects", "POST /transactions/{id}/ensure"} | {
    "PUT /transactions/{id}/blobs/{digest}", "DELETE /transactions/{id}",
}  # fmt: skip
"""Operations that name no project: what they take is a role in any."""
LISTS = {"POST /heads", "POST /collections", "POST /runs"}
"""Operations that list: of what may not be seen the list is empty."""
BYTES = {"POST /objects", "GET /blobs/{digest}"} | {
    name for name in REQUESTS if name.startswith("GET") and "/res" in name
}
"""Operations that give bytes of files. (`objects` gives long properties to viewers.)"""


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def prefix_of(operation: Operation) -> str:
    """What comes before the address of an operation."""
    return "" if operation in hub.OPERATIONS else PREFIX
