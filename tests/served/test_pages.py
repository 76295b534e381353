"""Pages for a team: each page, each role, and whether anybody finds what isn't for them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount, Route

from artstore.backends.storage import FolderStorage
from artstore.domain.changes import new_change
from artstore.domain.collection import Path as CollectionPath
from artstore.domain.digest import BLOB
from artstore.domain.roles import Grant, Role
from artstore.errors import Refused
from artstore.operations.finding.catalog import Catalog
from artstore.repository import Repository
from artstore.server.access import Access
from artstore.server.audit import Audit
from artstore.server.pages import Pages
from artstore.server.seen import Seen, Sight
from artstore.server.served import Served
from artstore.server.sessions import Sessions
from artstore.server.summaries import Caches
from artstore.server.tokens import Tokens
from artstore.server.tries import Tries
from artstore.store.logs import Log
from artstore.store.settings import Settings
from artstore.web.routes import ROUTES
from tests.support.addresses import addresses, as_expected, everything, is_closed
from tests.support.checks import check
from tests.support.commands import environment
from tests.support.marks import mostly_long
from tests.support.served import serving
from tests.support.team import HIDDEN, Team, Visitor, needles

SEEN = ("local/seen", "local/registry-shared")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    told = environment(folder)
    subprocess.run(
        [sys.executable, "-m", "tests.support.team", str(folder)], check=True, env=told, cwd=Path(__file__).parents[2]
    )
    with serving(folder) as server, Team(server) as found:
        yield found
    check(folder / ".artifacts")


@pytest.fixture(scope="module")
def visitors(team: Team) -> dict[str, Visitor]:
    """By role, who is logged in and sees two of the three projects; and an admin of everything."""
    found = {role.name.lower(): team.visitor(role.name.lower(), role, *SEEN) for role in Role}
    return found | {"root": team.visitor("root", Role.ADMIN), "onlooker": team.visitor("onlooker", Role.VIEWER)}


# -- what is behind the check --


def test_every_route_of_the_pages_is_in_the_table_of_roles(team: Team) -> None:
    served, tokens = Served(str(team.root), Settings(None)), Tokens(str(team.folder / "server"))
    pages = Pages(served, Tries(tokens), Sessions(tokens), Audit(str(team.folder / "server")))
    routes = [route for route in pages.routed().routes if isinstance(route, Route | Mount)]
    assert len(routes) == len(pages.routed().routes)
    assert {route.path for route in routes} - {row.path for row in ROUTES} == {"/login", "/logout", "/static"}
    served.close()


def test_the_table_gives_what_is_in_files_to_no_viewer() -> None:
    for route in ROUTES:
        page = route.path.split("/")[1]
        assert (route.least >= Role.READER) is (is_closed(page) or page == "storage"), route.path
        assert route.projects is not None or route.least == Role.ADMIN


def test_nobody_sees_a_page_without_logging_in(team: Team) -> None:
    stranger = team.stranger()
    for route in ROUTES:
        address = re.sub(r"\{\w+\}", "0", route.path)
        answer = stranger.get(address)
        assert answer.status == 303 and answer.header("location").startswith("/login"), address
        assert stranger.get(address, Sec_Fetch_Dest="empty").status == 401
    assert stranger.get("/static/style.css").status == 200


def test_an_address_of_nothing_is_nothing_for_all(team: Team, visitors: dict[str, Visitor]) -> None:
    for address in ("/nothing", "/artifact/local", "/runs/", "/static/nothing.css", "/files", "/v1x"):
        answers = {who.get(address).status for who in (team.stranger(), *visitors.values())}
        assert answers == {404}, address


# -- roles --


@pytest.mark.parametrize("role", mostly_long([*(role.name.lower() for role in Role), "onlooker"], "viewer", "reader"))
def test_each_role_gets_the_pages_of_what_it_sees_and_not_a_word_of_anything_else(
    team: Team, visitors: dict[str, Visitor], role: str
) -> None:
    who, looks, wrong = visitors[role], role in ("viewer", "onlooker"), list[tuple[str, str]]()
    secrets = needles(team.root)
    for page, address in everything(team.root):
        answer = who.get(address)
        if not as_expected(page, address, answer, looks=looks):
            wrong.append((address, str(answer.status)))
        if role != "onlooker" and (named := HIDDEN.search(answer.whole())) is not None:
            wrong.append((address, f"names {named[0]!r}"))
        if looks:
            found = (
                of for needle, of in secrets.items() if needle in answer.whole() and needle not in address.encode()
            )
            wrong += [(address, f"tells of {of}") for of in found]
    assert wrong == []


def test_who_may_open_files_finds_what_nobody_else_does(team: Team, visitors: dict[str, Visitor]) -> None:
    secrets = needles(team.root)
    found = visitors["reader"].get("/files/local/seen/data/0?path=labels.csv").whole()
    assert sum(needle in found for needle in secrets) >= 2, "the mark and the digest, so both can be found"
    assert HIDDEN.search(visitors["root"].get("/lineage/local/seen/data/0").body)


@pytest.mark.parametrize("role", mostly_long(["viewer", "reader", "admin"], "viewer"))
def test_a_project_that_somebody_may_not_see_is_not_there(team: Team, visitors: dict[str, Visitor], role: str) -> None:
    who = visitors[role]
    for _, address in addresses(team.root, hidden=True):
        answer, absent = who.get(address), who.get(address.replace("/zq", "/zx"))
        assert answer.status == 404, address
        assert answer.told() == absent.told(), address
    for address in ("/?project=local/zqhidden", "/runs?project=local/zqhidden"):
        assert who.get(address).told().replace("zq", "zx") == who.get(address.replace("zq", "zx")).told()
    for old in ("seen/data:v0", "zqhidden/zqsecret:v0"):
        answer = who.get(f"/diff?old={old}&new=zqhidden/zqsecret:v0")
        assert answer.status == 404 and answer.told() == who.get(f"/diff?old={old}&new=zqabsent/zqsecret:v0").told()


def test_names_that_differ_only_in_case_or_form_are_the_same_to_the_check(visitors: dict[str, Visitor]) -> None:
    viewer = visitors["viewer"]
    for name in ("ZQHIDDEN", "Zqhidden", "zqhidden%00", "zqhidden.", "zqhidden%2F..", "..%2Fzqhidden", "*"):
        assert viewer.get(f"/artifact/local/{name}/zqsecret").status == 404, name
        assert viewer.get(f"/raw/local/{name}/zqsecret/0?path=labels.csv").status == 404, name
    for address in ("/raw/local/SEEN/data/0?path=labels.csv", "/raw/LOCAL/seen/DATA/0?path=labels.csv"):
        assert viewer.get(address).status == 403, address
    for path in (
        "media/images/x.png",
        "./media/images/x.png",
        "media//images/x.png",
        "deep/../labels.csv",
        "/labels.csv",
        "",
    ):
        assert viewer.get(f"/raw/local/seen/data/0?path={path}").status == 403, path
        answer = viewer.get(f"/files/local/seen/data/0?path={path}")
        assert answer.status in (200, 400, 404) and b"mark-" not in answer.body, path


def test_what_moved_out_of_sight_is_gone_as_if_it_had_never_been(team: Team, visitors: dict[str, Visitor]) -> None:
    for address in ("/artifact/local/seen/leaving", "/version/local/seen/leaving/0", "/aliases/local/seen/leaving"):
        answer, absent = (visitors["reader"].get(one) for one in (address, address.replace("leaving", "l-aving")))
        assert answer.status == absent.status == 404
        assert answer.told().replace("leaving", "l-aving") == absent.told()
        assert visitors["root"].get(address).status == 200


def test_only_an_admin_of_everything_sees_what_the_repository_takes(visitors: dict[str, Visitor]) -> None:
    found = {role: who.get("/storage").status for role, who in visitors.items()}
    assert {role for role, status in found.items() if status == 200} == {"root"}
    assert set(found.values()) == {200, 403}
    assert b"/storage" not in visitors["admin"].get("/").body
    for spec in ("local/seen/data:v0", "local/seen/nothing:v0"):
        found = {role: who.get(f"/storage?version={spec}").status for role, who in visitors.items()}
        assert {role for role, status in found.items() if status != 403} == {"root"}
    assert b"/storage?version=" not in visitors["admin"].get("/version/local/seen/data/0").body
    assert b"/storage?version=" in visitors["root"].get("/version/local/seen/data/0").body


# -- what viewers and readers find --


def test_a_viewer_finds_long_texts_metrics_and_names_of_files(visitors: dict[str, Visitor]) -> None:
    viewer = visitors["viewer"]
    version = viewer.get("/version/local/seen/data/0").body.decode()
    assert "A long story" in version and "told told" in version and "<img" not in version
    assert "look at files, and not open them" in version
    files = viewer.get("/files/local/seen/data/0").body.decode()
    assert "labels.csv" in files and "download" not in files
    assert '"loss"' in viewer.get("/history?run=local/seen/trainer").body.decode()
    assert "Console" not in viewer.get("/run/local/seen/trainer").body.decode()
    assert "notes.txt" in viewer.get("/run-files/local/seen/trainer").body.decode()


def test_what_is_kept_in_memory_for_some_is_not_shown_to_others(team: Team, visitors: dict[str, Visitor]) -> None:
    lists = ("/runs", "/search?q=e", "/", "/lineage/local/registry-shared/shown/0")
    for who in ("root", "reader", "viewer"):
        assert b"trainer" in visitors[who].get("/runs").body
    other = team.visitor("other", Role.READER, "local/registry-shared")
    for address in (*lists, *lists):
        body = other.get(address).body
        assert b"trainer" not in body and b"local/seen" not in body and HIDDEN.search(body) is None, address
    assert b"No runs have been recorded" in other.get("/runs").body


def test_an_error_of_the_store_tells_who_runs_the_server_and_nobody_else(team: Team, tmp_path: Path) -> None:
    shutil.copytree(team.root, tmp_path / ".artifacts")
    for pack in (tmp_path / ".artifacts/objects/packs").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(bytes(pack.stat().st_size))
    with serving(tmp_path) as server, Team(server) as damaged:
        for role, patterns in ((Role.READER, ()), (Role.ADMIN, ("local/seen",)), (Role.ADMIN, ())):
            answer = damaged.visitor(f"{role.name}{len(patterns)}", role, *patterns).get("/files/local/seen/data/0")
            told = re.search(rb"pack|damaged|[0-9a-f]{12}", answer.body) is not None
            assert answer.status >= 500 and told is (role == Role.ADMIN and not patterns), answer.body


def test_what_takes_a_newer_artstore_says_who_can_update_it(team: Team, tmp_path: Path) -> None:
    shutil.copytree(team.root, tmp_path / ".artifacts")
    with serving(tmp_path) as server, Team(server) as newer:
        reader, admin = newer.visitor("reads", Role.READER, "local/seen"), newer.visitor("root", Role.ADMIN)
        log = Log(FolderStorage(str(tmp_path / ".artifacts")), "refs/local/seen/referring")
        last = list(log.entries(log.listing()))[-1]
        log.append(last.number, last.digest, [new_change("sparkle")], host=None, user=None)
        for who, told in (
            (reader, b"who runs this server can update it"),
            (admin, b"&#39;sparkle&#39;, which this artstore"),
        ):
            answer = who.get("/artifact/local/seen/referring")
            assert answer.status == 501 and told in answer.body, answer.body
            assert who.get("/artifact/local/seen/data").status == 200


def test_keys_of_entries_are_for_readers(visitors: dict[str, Visitor]) -> None:
    address = "/files/local/seen/data/0?path=labels.csv"
    assert b"of labels.csv" in visitors["reader"].get(address).body
    assert b"of labels.csv" not in visitors["viewer"].get(address).body


def test_lineage_shows_a_reader_what_is_in_sight_and_an_admin_all(visitors: dict[str, Visitor]) -> None:
    seen, all_of_it = (visitors[who].get("/lineage/local/seen/data/0").body.decode() for who in ("reader", "root"))
    assert "second" in seen and "trainer" in seen
    assert "zqsecret" in all_of_it and "zquser" in all_of_it and "second" in all_of_it


def test_runs_that_were_read_for_others_are_told_as_if_they_had_been_read_for_oneself(team: Team) -> None:
    for log in team.root.glob("runs/*/*/*"):
        os.utime(log, (0, 0))  # what changed lately is read again
    served, shared = Served(str(team.root), Settings(None)), Caches()
    for _ in range(2):
        for patterns in ((), SEEN, ("local/seen",), ("local/zqhidden",), ("local/registry-shared",)):
            sight = Sight(Access("one", Grant(Role.VIEWER, patterns)), None)
            with served.store() as store:
                view = Seen(store, Settings(None), sight, shared)
                found = view.catalog().all_rows()
                assert found == Catalog(None, view.runs, view.refs).all_rows(), patterns
                assert bool(HIDDEN.search(b"".join(found))) is (patterns in ((), ("local/zqhidden",)))
    served.close()


def test_a_link_to_what_is_out_of_sight_is_a_version_of_its_own(visitors: dict[str, Visitor]) -> None:
    address = "/version/local/registry-shared/shown/0"
    assert "Link to" not in visitors["reader"].get(address).body.decode()
    assert "zqhidden/zqsecret:v0" in visitors["root"].get(address).body.decode()
    assert b"labels.csv" in visitors["reader"].get(address.replace("version", "files")).body


def test_a_view_of_what_somebody_sees_gives_nothing_else_whatever_asks_it(team: Team) -> None:
    served, sight = Served(str(team.root), Settings(None)), Sight(Access("one", Grant(Role.READER, SEEN)), None)
    with served.store() as store:
        view = Seen(store, Settings(None), sight, Caches())
        entries = [entry for state in view.refs.collections() for entry in view.refs.history(state.path)]
        assert entries and not HIDDEN.search(str(entries).encode())
        assert list(view.refs.history(CollectionPath("local", "zqhidden", "zqsecret"))) == []
        found = view.find("seen/data:v0")
        label = next(entry for path, entry in view.walk(found.tree) if path == b"labels.csv")
        for ask in (
            lambda: view.objects.read(BLOB, label.digest),
            lambda: view.objects.read_small(label.digest),
            lambda: list(view.objects.read_blobs([label.digest])),
            lambda: list(view.objects.read_many({label.digest: BLOB})),
            lambda: view.objects.sizes([label.digest]),
            lambda: view.objects.large.readable({label.digest}),
            lambda: view.storage.read("format"),
            lambda: view.refs.change(found.state.path, lambda _: [new_change("keep", old=None, new="last:1")]),
            lambda: view.gc(),
        ):
            with pytest.raises(Refused):
                ask()
        assert view.entry(found, "labels.csv").digest == label.digest
        assert b"mark-" in view.objects.read(BLOB, label.digest), "it was reached through a version that may be opened"
    served.close()


def test_a_server_opens_no_reference(visitors: dict[str, Visitor]) -> None:
    versions = "old=seen/referring:v0&new=seen/referring:v1"
    answer = visitors["root"].get(f"/diff?{versions}&table=away.table.json&key=key")
    assert answer.status == 403 and b"opens no references" in answer.body
    assert visitors["root"].get("/raw/local/seen/referring/0?path=away.table.json").status == 404


def test_the_protocol_tells_a_viewer_no_more_of_files_than_the_pages(team: Team) -> None:
    viewer, reader = team.server.token("looks", Role.VIEWER, *SEEN), team.server.token("reads", Role.READER, *SEEN)
    run, secrets = "runs/local/seen/trainer", needles(team.root)
    with Repository(str(team.root)) as repository:
        states = [*repository.refs.collections("local", "seen")]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/runs", {}), ("/collections", {}), ("/history", {"run": run}), ("/run-files", {"folder": run}),
        ("/log", {"folder": run}), *(("/log", {"folder": state.path.folder}) for state in states),
        *(("/listing", {"folder": one.path.folder, "id": id}) for one in states for id in one.versions),
    ]  # fmt: skip
    for path, body in asked:
        status, told = viewer.post(path, **body)
        text = str(told).encode()
        assert status == 200 and told[-1] == ["end"], path
        found = [secrets[needle] for needle in secrets if needle in text]
        assert not found and not re.search(rb"media/\w+/", text), (path, body, found)
    assert b"notes.txt" in str(viewer.post("/run-files", folder=run)[1]).encode()
    assert b"media/images" in str(reader.post("/run-files", folder=run)[1]).encode()


def test_a_viewer_gets_long_descriptions_and_not_what_names_files(team: Team) -> None:
    viewer = team.server.token("describes", Role.VIEWER, *SEEN)
    with Repository(str(team.root)) as repository:
        state = repository.collection("seen/data")
    version: Any = next(version for version in state.versions.values() if version["number"] == 0)
    told, keys = version["description"]["blob"], version["extras"]["blob"]
    frames = viewer.post("/objects", through=[[state.path.folder, []]], digests=[told, keys])[1][:-1]
    assert {digest.hex(): data is not None for _, digest, data in frames} == {told: True, keys: False}


def test_a_viewer_cannot_ask_for_a_digest_digit_by_digit(team: Team) -> None:
    viewer, reader = team.server.token("asks", Role.VIEWER, *SEEN), team.server.token("knows", Role.READER, *SEEN)
    run = "runs/local/seen/trainer"
    rows = reader.post("/history", run=run, having='"sha256"')[1]
    digest = re.search(r'"sha256": ?"([0-9a-f]{64})"', str(rows))
    assert digest is not None and len(rows) > 2
    for having in (digest[1][:12], digest[1], '"sha256"', "media/images"):
        assert viewer.post("/history", run=run, having=having)[1] == [["end"]], having
    assert len(viewer.post("/history", run=run, having='"_type"')[1]) == len(rows)


# -- previews for viewers --


def test_viewers_have_previews_where_they_are_switched_on_and_still_no_downloads(team: Team) -> None:
    with serving(team.folder, "--previews", "local/seen") as server, Team(server) as other:
        viewer = other.visitor("previewer", Role.VIEWER)
        shown = viewer.get("/files/local/seen/data/0?path=labels.csv")
        assert shown.status == 200 and b"mark-" in shown.body and b"download" not in shown.body
        assert viewer.get("/image/local/seen/data/0?path=picture.png").status == 200
        assert viewer.get("/run-media/local/seen/trainer").body.count(b"<img") > 0
        assert viewer.get("/raw/local/seen/data/0?path=labels.csv").status == 403
        assert viewer.get("/image/local/zqhidden/zqsecret/0?path=picture.png").status == 403
        assert b"mark-" not in viewer.get("/files/local/zqhidden/zqsecret/0?path=labels.csv").body
