"""Whether something is there that may not be seen: no header, validator, total or length of an answer tells it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from artstore.domain.digest import BLOB, digest_of
from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.folders import make_tree
from tests.support.matrix import ALL, BIG, REQUESTS, SECRET, Known, name_of, prefix_of
from tests.support.served import Asking, Server
from tests.support.team import Team, Visitor

PAGES = [
    "/", "/artifact/local/vision/data", "/aliases/local/vision/data", "/version/local/vision/data/0",
    "/lineage/local/vision/data/0", "/files/local/vision/data/0", "/raw/local/vision/data/0?path=train.csv", "/storage",
    "/diff?a=local/vision/data:v0&b=local/vision/data:v0", "/search?q=data", "/search?q=zqgrown", "/runs",
    "/artifact/local/hidden/data", "/artifact/local/absent/data", "/artifact/local/hidden/zqgrown",
]  # fmt: skip
VALIDATORS = ("etag", "last-modified", "content-encoding", "vary")


class Asker(NamedTuple):
    """Somebody with a token for project vision, who asks by the protocol, as a hub's client, and on the pages."""

    asking: Asking
    visitor: Visitor
    known: Known
    transaction: str

    def answers(self, **headers: str) -> dict[str, Any]:
        """What each operation and page answers, but for the time and the ids of transactions."""
        found: dict[str, Any] = {}
        for operation in ALL:
            if name_of(operation) in ("POST /transactions", "DELETE /transactions/{id}"):
                continue
            for project in ("vision", "hidden", "absent"):
                path, body = REQUESTS[name_of(operation)](self.known, project, self.transaction)
                asking = self.asking._replace(prefix=prefix_of(operation))
                told = asking.whole(operation.method, path, body, Artstore_Transaction=self.transaction, **headers)
                found[f"{name_of(operation)} {project}"] = told[0], _timeless(told[1].items()), told[2]
        for address in PAGES:
            answer = self.visitor.get(address, **headers)
            found[address] = answer.status, _timeless(answer.headers), _undated(answer.body)
        return found


def _timeless(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name != "date"]


def _undated(page: bytes) -> bytes:
    """A page without words that go by the clock."""
    return re.sub(rb"\d+ (second|minute)s? ago|just now", b"now", page)


@pytest.fixture(scope="module")
def known(server: Server) -> Known:
    return Known(server.token("root", Role.ADMIN))


@pytest.fixture(scope="module", params=["viewer", "reader", "writer"])
def asker(request: pytest.FixtureRequest, server: Server, known: Known) -> Iterator[Asker]:
    role = Role[request.param.upper()]
    asking = server.token(request.param, role, "local/vision")
    with Team(server) as team:
        visitor = team.visitor(f"{request.param}2", role, "local/vision")
        yield Asker(asking, visitor, known, asking.begin() if role >= Role.WRITER else "0" * 32)


def test_no_answer_is_another_one_because_of_what_is_saved_out_of_sight(
    asker: Asker, server: Server, tmp_path: Path
) -> None:
    """Totals, counts, lists, lengths: the same, whether the hidden project grows or has the same contents."""
    before = asker.answers()
    number = len(list(server.root.glob("refs/local/hidden/*")))
    with Repository(str(server.root)) as repository:
        shared = {"train.csv": "vision\n", "deep/label": SECRET, "big.bin": b"vision" + BIG, "zqgrown": "x" * 100_000}
        repository.put(str(make_tree(tmp_path / "grown", shared)), f"hidden/zqgrown{number}", tags=("zqgrown",))
        for file in ("one", "two"):
            repository.put(str(make_tree(tmp_path / "more", {file: file})), "hidden/data")
    after = asker.answers()
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


def test_no_answer_is_another_one_once_large_files_are_packed(asker: Asker, server: Server) -> None:
    """Those of both projects have parts in common, which are stored once."""
    with Repository(str(server.root)) as repository:
        number = len(list(repository.collections()))
        repository.put(
            str(make_tree(server.folder / "next", {"big.bin": b"%d" % number + BIG})), f"hidden/next{number}"
        )
        before = asker.answers()
        assert repository.pack().blobs
    after = asker.answers()
    assert [name for name in before if before[name] != after[name]] == []


def test_no_answer_changes_because_a_client_says_what_it_has(asker: Asker, known: Known) -> None:
    """Nobody can ask whether a file has a digest: no answer is 304, whatever digest or time is named."""
    plain = asker.answers()
    label, big = digest_of(BLOB, b"hidden\n").hex(), known.digests["hidden"]
    own = digest_of(BLOB, b"vision\n").hex()
    for tag in ("*", f'"{own}", "{label}", W/"{big}", "{known.ids["hidden"]}"'):
        for header in ("If-None-Match", "If-Match"):
            found = asker.answers(**{header: tag})
            assert [name for name in plain if plain[name] != found[name]] == [], (header, tag)
    for header in ("If-Modified-Since", "If-Unmodified-Since"):
        found = asker.answers(**{header: "Fri, 01 Jan 2100 00:00:00 GMT"})
        assert [name for name in plain if plain[name] != found[name]] == [], header


def test_no_answer_has_a_validator_or_is_compressed_but_for_files_that_the_hubs_clients_may_read(asker: Asker) -> None:
    """A compressed answer's length tells how much a guess has in common with the rest of it."""
    plain, packed = asker.answers(), asker.answers(Accept_Encoding="gzip, deflate, br, zstd")
    assert plain == packed
    told = {
        (name, header)
        for name, (_, headers, _) in packed.items()
        for header, _ in headers
        if header.lower() in VALIDATORS
    }
    assert {header for _, header in told} <= {"etag"}
    assert all("/resolve/" in name and name.endswith(" vision") for name, _ in told)
    may_read = asker.asking.post("/heads", under=["refs"])[0] == 200
    assert bool(told) == may_read, told
