"""The commands of a served repository under test: what a client asks of a server, and what is done with tokens."""

import json
from collections import Counter
from pathlib import Path

from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.audit import Audit
from artstore.server.tokens import ACTIVE, REVOKED, Tokens
from artstore.store.settings import server_root
from tests.guarantees.faults.commands import (
    Command,
    is_pulled,
    is_pushed,
    nothing_of_ours_is_lost,
    others_pushed,
    pushed_and_on,
    with_remote,
)
from tests.guarantees.faults.place import Ledger, Place


def _with_tokens(place: Place) -> None:
    """The remote is served: a writer's token, and two more."""
    tokens = Tokens(server_root(str(place.remote)))
    (place.folder / "token").write_text(tokens.create("writer", Role.WRITER))
    tokens.create("admin", Role.ADMIN)
    tokens.create("gone", Role.READER)
    tokens.revoke("gone")


def _to_push(place: Place, ledger: Ledger) -> None:
    with_remote(place, ledger)
    _with_tokens(place)


def _to_push_again(place: Place, ledger: Ledger) -> None:
    pushed_and_on(place, ledger)
    _with_tokens(place)


def _to_pull(place: Place, ledger: Ledger) -> None:
    others_pushed(place, ledger)
    _with_tokens(place)


def _server_is_whole(place: Place) -> list[str]:
    return _tokens_are_right(place.remote, {"writer": ACTIVE, "admin": ACTIVE, "gone": REVOKED}) + _audit_is_true(place)


def _tokens_are_right(root: Path, expected: dict[str, str]) -> list[str]:
    found = {token.name: token.status() for token in Tokens(server_root(str(root))).all()}
    return [] if found == expected else [f"the tokens are {found}, not {expected}"]


def _audit_is_true(place: Place) -> list[str]:
    """Its chain is whole. What it calls appended is there, and nothing was appended that it has no request for."""
    audit = Audit(server_root(str(place.remote)))
    problems = [f"audit: {problem}" for problem in audit.check()]
    asked, appended = Counter[str](), Counter[str]()
    for record in audit.records(operation="append"):
        folder = (record.subject or "").partition(":")[0]
        asked[folder] += record.outcome == "asked"
        appended[folder] += record.outcome == "201"
    stored = _stored(place.remote)
    for folder in asked.keys() | stored.keys():
        if not appended[folder] <= stored[folder] <= asked[folder]:
            counts = f"{stored[folder]} entries, {appended[folder]} told as appended, {asked[folder]} asked for"
            problems.append(f"audit: {folder} has {counts}")
    return problems


def _stored(root: Path) -> Counter[str]:
    """How many entries the server stored, by log."""
    counts = Counter[str]()
    for top in ("refs", "runs"):
        for path in root.glob(f"{top}/*/*/*/*.json"):
            folder = str(path.parent.relative_to(root))
            counts[folder] += json.loads(path.read_bytes()).get("author") is not None
    return counts


def _pushed_to_a_server(place: Place) -> list[str]:
    return is_pushed(place) + _server_is_whole(place)


def _pulled_from_a_server(place: Place) -> list[str]:
    return is_pulled(place) + _server_is_whole(place)


def _ours_is_there_and_the_server_is_whole(place: Place) -> list[str]:
    return nothing_of_ours_is_lost(place) + _server_is_whole(place)


# -- tokens --------------------------------------------------------------------------------------

_BEFORE = {"admin": ACTIVE, "ann": ACTIVE, "gone": REVOKED}


def _local_tokens(place: Place, ledger: Ledger) -> None:
    Repository.init(str(place.store)).close()
    tokens = Tokens(server_root(str(place.store)))
    for name, role in (("admin", Role.ADMIN), ("ann", Role.WRITER), ("gone", Role.READER)):
        tokens.create(name, role)
    tokens.revoke("gone")


def _has_tokens(place: Place, *possible: dict[str, str]) -> list[str]:
    """The tokens are one of these sets."""
    problems = [_tokens_are_right(place.store, expected) for expected in possible]
    return [] if [] in problems else problems[-1]


_CREATED, _ANN_REVOKED = _BEFORE | {"new": ACTIVE}, _BEFORE | {"ann": REVOKED}

COMMANDS: dict[str, Command] = {
    "serve-push": Command(_to_push, lambda place: ["push"], _pushed_to_a_server, _server_is_whole, is_served=True),
    "serve-push-again": Command(
        _to_push_again, lambda place: ["push"], _pushed_to_a_server, _server_is_whole, is_served=True
    ),
    "serve-pull": Command(
        _to_pull, lambda place: ["pull"], _pulled_from_a_server, _ours_is_there_and_the_server_is_whole, is_served=True
    ),
    "token-create": Command(
        _local_tokens,
        lambda place: ["token", "create", "new", "--role", "reader"],
        lambda place: _has_tokens(place, _CREATED),
        lambda place: _has_tokens(place, _BEFORE, _CREATED),
        already="token 'new' is active",
    ),
    "token-revoke": Command(
        _local_tokens,
        lambda place: ["token", "revoke", "ann"],
        lambda place: _has_tokens(place, _ANN_REVOKED),
        lambda place: _has_tokens(place, _BEFORE, _ANN_REVOKED),
        already="has been revoked already",
    ),
}
