"""Who may do what: each operation of the protocol, as each role, in a project that may be seen, and in others."""

import json

import pytest

from artstore.domain.roles import Role
from artstore.server.protocol import Operation
from tests.support.matrix import (
    ALL,
    BYTES,
    LISTS,
    PROJECTS,
    REQUESTS,
    SECRET,
    WITHOUT_PROJECT,
    Known,
    name_of,
    prefix_of,
)
from tests.support.served import Asking, Server


@pytest.fixture(scope="module")
def known(askers: dict[str, Asking]) -> Known:
    return Known(askers["admin"])


@pytest.fixture(scope="module")
def transactions(askers: dict[str, Asking]) -> dict[str, str]:
    may = {role: asker for role, asker in askers.items() if Role[role.upper()] >= Role.WRITER}
    return {role: asker.begin() for role, asker in may.items()}


def test_every_operation_has_a_request_here() -> None:
    assert {name_of(operation) for operation in ALL} == REQUESTS.keys()
    assert len(ALL) * len(PROJECTS) * (len(Role) + 1) >= 200


@pytest.mark.parametrize("role", ["nobody", *(role.name.lower() for role in Role)])
@pytest.mark.parametrize("operation", ALL, ids=name_of)
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
        name = name_of(operation)
        if name == "DELETE /transactions/{id}" and role in transactions:
            transactions[role] = asker.begin()
        transaction = transactions.get(role, "0" * 32)
        path, body = REQUESTS[name](known, project, transaction)
        asking = asker._replace(prefix=prefix_of(operation))
        status, told = asking.ask(operation.method, path, body, Artstore_Transaction=transaction)
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
    elif project == "absent":
        good |= {404}
    return status if status in good else min(good)
