"""Connections that break: a request is made again, and nothing is lost or done twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from artstore.backends.served import client
from artstore.domain.collection import Path as CollectionPath
from artstore.errors import DamagedObject, StorageError
from artstore.repository import Repository
from artstore.view import view_of
from tests.served.clients.conftest import Team
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.exchange import BIG, FILES, got, outcomes, put, says
from tests.support.servers import CUT, DROP_REPLY, PASS, REFUSE, TRUNCATE, Action, changed

Enter = Callable[[str], None]
BREAKS = {"dropped": DROP_REPLY, "cut": CUT, "busy": REFUSE(503)}
CASES = [pytest.param("dropped", marks=pytest.mark.long), "cut", pytest.param("busy", marks=pytest.mark.long)]


def nth(number: int, action: Action) -> Callable[[object, int], Action]:
    """A rule: what becomes of the request with this number."""
    return lambda request, at: action if at == number else PASS


@pytest.mark.parametrize("action", CASES)
def test_a_clone_gets_there_whichever_answer_is_lost(team: Team, enter: Enter, tmp_path: Path, action: str) -> None:
    with Repository.clone(team.url, str(tmp_path / "whole/.artifacts"))[0] as whole:
        requests = len(team.asked)
        for number in range(1, requests + 1):
            team.proxy.reset()
            team.proxy.rule = nth(number, BREAKS[action])
            root = tmp_path / f"clone{number}/.artifacts"
            with Repository.clone(team.url, str(root))[0] as mine:
                assert says(mine, "vision/data") == says(whole, "vision/data"), (number, team.asked[number - 1])
                assert got(mine, "vision/data:v0") == got(whole, "vision/data:v0")
            check(root)


@pytest.mark.parametrize("action", CASES)
def test_a_push_gets_there_whichever_answer_is_lost(team: Team, writer: Repository, action: str) -> None:
    name, number, requests = f"vision/broken-{action}", 0, 1
    while number < requests:
        number += 1
        put(writer, name, {**FILES, "a.txt": f"{number}", "big.bin": BIG + bytes([number])})
        team.proxy.reset()
        team.proxy.rule = nth(number, BREAKS[action])
        done = writer.push(specs=[name])
        assert outcomes(done) == {name.partition("/")[2]: "moved"}, (number, team.asked)
        requests = len(team.asked) - 1
        team.proxy.rule = lambda request, at: PASS
        assert set(outcomes(writer.push(specs=[name])).values()) == {"up to date"}
    with Repository(str(team.root)) as theirs:
        assert says(theirs, name) == says(writer, name)


DATA = CollectionPath("local", "vision", "data")
OTHER = changed(lambda body: body[:1] + bytes([body[1] ^ 1]) + body[2:])
LOOKS = (
    ("ls",), ("ls", "-r", "vision/data"), ("log", "vision/data"), ("runs", "ls"), ("runs", "files", "vision/r1"),
    ("runs", "show", "vision/r1", "--history"),
)  # fmt: skip


@pytest.mark.parametrize("cut", [CUT, TRUNCATE], ids=["cut", "ends early"])
@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_what_people_look_at_is_whole_whichever_answer_is_cut_off(
    team: Team, enter: Enter, cli: Cli, command: tuple[str, ...], cut: Action
) -> None:
    def look() -> str:
        team.proxy.reset()
        return cli(*command, "--from", team.url, **team("viewer")).out

    whole, requests = look(), len(team.asked)
    for number in range(2, requests + 1):  # of JSON only the length says where it ends
        team.proxy.rule = nth(number, cut)
        assert look() == whole and len(team.asked) == requests + 1, number


def test_an_answer_that_begins_in_another_way_the_second_time_is_not_put_together(team: Team, enter: Enter) -> None:
    with view_of(team.url, None) as view:
        team.proxy.rule = lambda request, at: CUT if at == 1 else OTHER
        team.proxy.reset()
        with pytest.raises(StorageError, match="answered something else when it was asked again"):
            list(view.refs.history(DATA))


def test_an_answer_that_is_cut_off_each_time_is_an_error_after_some_tries(
    team: Team, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_WAITS", (0.0, 0.0))
    with view_of(team.url, None) as view:
        for ask in (lambda: list(view.refs.history(DATA)), lambda: list(view.collections())):
            team.proxy.rule = lambda request, at: CUT
            team.proxy.reset()
            with pytest.raises(StorageError, match="was cut off"):
                ask()
            assert len(team.asked) == 3


def test_a_large_file_goes_on_where_it_broke_off(team: Team, enter: Enter, writer: Repository, tmp_path: Path) -> None:
    put(writer, "vision/large", {"big.bin": bytes(range(256)) * 40_000})
    writer.push(specs=["vision/large"])
    ranges: list[str | None] = []

    def rule(request, number):  # type: ignore[no-untyped-def]
        if "/blobs/" not in request.path:
            return PASS
        ranges.append(request.headers.get("Range"))
        return CUT if len(ranges) < 3 else PASS

    with view_of(team.url, None) as view:
        team.proxy.rule = rule
        view.get(view.find("vision/large"), str(tmp_path / "got"))
    assert (tmp_path / "got/big.bin").read_bytes() == bytes(range(256)) * 40_000
    assert ranges == [None, "bytes=5120000-", "bytes=7680000-"]


def test_a_large_file_that_ends_before_the_rest_of_it_is_damaged(team: Team, enter: Enter, tmp_path: Path) -> None:
    blobs: list[str] = []

    def rule(request, number):  # type: ignore[no-untyped-def]
        if "/blobs/" not in request.path:
            return PASS
        blobs.append(request.path)
        return CUT if len(blobs) == 1 else REFUSE(416)

    with view_of(team.url, None) as view:
        team.proxy.rule = rule
        with pytest.raises(DamagedObject, match="ends before byte"):
            view.get(view.find("vision/data"), str(tmp_path / "got"))
    assert not (tmp_path / "got").exists()


def test_a_server_that_stays_away_is_a_storage_error_that_names_it(
    team: Team, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_WAITS", (0.0,))
    team.proxy.rule = lambda request, number: DROP_REPLY
    with pytest.raises(StorageError, match=f"cannot ask {team.url}"):
        view_of(team.url, None)
    with pytest.raises(StorageError, match="cannot ask http://127.0.0.1:1: connection refused"):
        view_of("http://127.0.0.1:1", None)
