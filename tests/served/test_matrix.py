"""Who may do what: each operation of the protocol, as each role, in a project that may be seen, and in others."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from artstore.domain.roles import Role
from artstore.server.protocol import OPERATIONS, Operation
from tests.served.conftest import BIG, SECRET
from tests.support.served import Asking, Server

PROJECTS = ("vision", "hidden", "absent")
"""One that the tokens are for, one that they aren't for, and one that isn't there."""


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
}
WITHOUT_PROJECT = {"GET ", "POST /transactions", "POST /transactions/{id}/objects", "POST /transactions/{id}/ensure"} | {
    "PUT /transactions/{id}/blobs/{digest}", "DELETE /transactions/{id}",
}  # fmt: skip
"""Operations that name no project: what they take is a role in any."""
LISTS = {"POST /heads", "POST /collections", "POST /runs"}
"""Operations that list: of what may not be seen the list is empty."""
BYTES = {"POST /objects", "GET /blobs/{digest}"}
"""Operations that give bytes of files. (`objects` gives long properties to viewers.)"""


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


@pytest.fixture(scope="module")
def known(askers: dict[str, Asking]) -> Known:
    return Known(askers["admin"])


@pytest.fixture(scope="module")
def transactions(askers: dict[str, Asking]) -> dict[str, str]:
    may = {role: asker for role, asker in askers.items() if Role[role.upper()] >= Role.WRITER}
    return {role: asker.begin() for role, asker in may.items()}


def test_every_operation_of_the_protocol_has_a_request_here() -> None:
    assert {_name(operation) for operation in OPERATIONS} == REQUESTS.keys()
    assert len(OPERATIONS) * len(PROJECTS) * (len(Role) + 1) >= 200


@pytest.mark.parametrize("role", ["nobody", *(role.name.lower() for role in Role)])
@pytest.mark.parametrize("operation", OPERATIONS, ids=_name)
def test_each_role_may_do_what_the_table_says_and_nothing_else(
    operation: Operation,
    role: str,
    server: Server,
    askers: dict[str, Asking],
    known: Known,
    transactions: dict[str, str],
) -> None:
    asker = askers.get(role) or server.stranger()
    seen = {}
    for project in PROJECTS:
        name = _name(operation)
        if name == "DELETE /transactions/{id}" and role in transactions:
            transactions[role] = asker.begin()
        transaction = transactions.get(role, "0" * 32)
        path, body = REQUESTS[name](known, project, transaction)
        status, told = asker.ask(operation.method, path, body, Artstore_Transaction=transaction)
        if name == "DELETE /transactions/{id}" and role in transactions:
            transactions[role] = asker.begin()
        assert status == _expected(name, operation, role, project, status), (project, status, told)
        if role != "admin" and status != 201:
            seen[project] = json.dumps(told, default=repr).replace(project, "PROJECT").replace(known.ids[project], "ID")
            text = json.dumps(told, default=repr)
            assert SECRET.decode()[:10] not in text and (
                role in ("nobody", "viewer", "reader") or known.ids["hidden"] not in text
            )
        if role in ("nobody", "viewer") and name in BYTES:
            assert status in (401, 403, 404)
    if role not in ("admin", "nobody") and name not in WITHOUT_PROJECT:
        assert seen.get("hidden") == seen.get("absent"), "that a project exists is told to who may not see it"


def _expected(name: str, operation: Operation, role: str, project: str, status: int) -> int:
    """The status that a request must have; of several that are right, the one that it has."""
    if role == "nobody":
        return 401
    least = Role.READER if name == "POST /objects" else operation.least
    visible = role == "admin" or project == "vision" or name in WITHOUT_PROJECT
    if not visible and Role[role.upper()] >= operation.least:
        return 200 if name in LISTS else 404
    if Role[role.upper()] < least:
        return 403
    good = {200, 201, 204, 206}
    if name == "PUT /entry":
        good = {422}  # it is allowed, and what is sent isn't an entry
    elif project == "absent" or name in ("POST /history", "POST /run-files"):
        good |= {404}
    return status if status in good else min(good)
