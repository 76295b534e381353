"""Logging in and out: who gets a session, how long it lasts, and what other sites and other hosts can't do."""

import re
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.audit import Audit
from artstore.server.sessions import Sessions
from artstore.server.tokens import Tokens
from tests.support.folders import make_tree
from tests.support.marks import long, mostly_long
from tests.support.pages import launched, seen_by_a_browser, violations
from tests.support.served import serving
from tests.support.team import Team

FILE = "/raw/local/vision/data/0?path=a.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions")
    page = "<script>alert(1)</script><p>ours</p>"
    make_tree(folder / "data", {"a.txt": "seen by readers\n", "page.html": page, "drawing.svg": f"<svg>{page}</svg>"})
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put(str(folder / "data"), "vision/data")
    return folder


@pytest.fixture(scope="module")
def team(folder: Path) -> Iterator[Team]:
    with serving(folder) as server, Team(server) as found:
        yield found


@pytest.fixture(scope="module")
def secret(team: Team) -> str:
    """A reader's token."""
    return team.server.token("reader", Role.READER).secret or ""


# -- sessions --


def test_who_has_a_token_logs_in_and_out(team: Team, secret: str) -> None:
    who = team.stranger()
    asked = who.get(FILE)
    assert asked.status == 303 and asked.header("location").startswith("/login?next=")
    form = who.get(asked.header("location"))
    following = re.search(r'name="next" value="([^"]+)"', form.body.decode())
    assert form.status == 200 and following is not None and following[1] == FILE
    answer = who.send("/login", token=secret, next=following[1])
    assert (answer.status, answer.header("location")) == (303, FILE)
    assert who.get(FILE).body == b"seen by readers\n"
    assert b"reader" in who.get("/").body and who.get("/login").status == 303
    session = who.cookie
    assert who.send("/logout").header("location") == "/login"
    assert who.get("/").status == 303
    who.cookie = session
    assert who.get("/").status == 303, "the server forgot it, too"


def test_a_wrong_token_gets_a_form_and_no_session(team: Team, secret: str) -> None:
    who = team.stranger()
    for token in ("", "art_00000000_x", secret[:-1], secret + "x", secret.upper()):
        answer = who.send("/login", token=token)
        assert answer.status == 401 and not answer.header("set-cookie")
        assert b"This token is unknown" in answer.body and secret.encode() not in answer.body


def test_a_token_is_taken_from_the_body_of_a_form_only(team: Team, secret: str) -> None:
    who = team.stranger()
    assert who.get(f"/login?token={secret}").header("set-cookie") == ""
    assert who.send(f"/login?token={secret}").status == 401
    assert who.get(f"/?secret={secret}", Authorization=f"Bearer {secret}").status == 303
    assert who.ask("POST", "/login", "x" * 20_000, Origin=who.url).status == 400


def test_the_cookie_of_a_session_is_for_this_host_only_and_for_no_script(team: Team, secret: str) -> None:
    answer = team.stranger().send("/login", token=secret)
    name, *flags = answer.header("set-cookie").split("; ")
    assert len(name.partition("=")[2]) >= 43, "256 bits"
    assert {flag.lower() for flag in flags} == {"httponly", "max-age=43200", "path=/", "samesite=lax"}
    assert secret not in answer.told()


def test_each_login_has_a_session_of_its_own_that_nobody_could_choose(team: Team, secret: str) -> None:
    who = team.stranger()
    name = team.stranger().send("/login", token=secret).header("set-cookie").partition("=")[0]
    who.cookie = planted = f"{name}=planted-by-somebody"
    assert who.send("/login", token=secret).status == 303 and who.cookie != planted
    first = who.cookie
    assert who.send("/login", token=secret).status == 303 and who.cookie != first
    for old in (planted, first):
        who.cookie = old
        assert who.get("/").status == 303


def test_a_revoked_token_ends_its_sessions_with_the_next_request(team: Team) -> None:
    who, other = (team.visitor(name, Role.READER) for name in ("leaving", "staying"))
    asleep = team.visitor("asleep", Role.READER)
    assert who.get(FILE).status == other.get(FILE).status == asleep.get(FILE).status == 200
    team.server.tokens.revoke("asleep")
    team.server.tokens.revoke("leaving")
    assert who.get(FILE).status == 303
    for name, visitor in (("leaving", who), ("asleep", asleep)):
        team.server.token(name, Role.ADMIN)
        assert visitor.get(FILE).status == 303, "also if another one gets its name"
    assert other.get(FILE).status == 200


def test_an_expired_token_ends_its_sessions(team: Team) -> None:
    who = team.stranger()
    secret = team.server.tokens.create("short", Role.READER, expires=3)
    assert who.send("/login", token=secret).status == 303
    deadline = time.monotonic() + 30
    while who.get(FILE).status != 303:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert who.send("/login", token=secret).status == 401


def test_a_session_ends_after_its_time_and_a_token_has_only_some(tmp_path: Path) -> None:
    tokens = Tokens(str(tmp_path))
    token = tokens.find(tokens.create("one", Role.VIEWER))
    assert token is not None
    short = Sessions(tokens, seconds=2)
    session = short.begin(token)
    assert short.token(session) == token
    time.sleep(2.1)
    assert short.token(session) is None
    many = Sessions(tokens)
    begun = [many.begin(token) for _ in range(40)]
    assert [many.token(one) is not None for one in begun] == [False] * 8 + [True] * 32


@long
def test_a_server_that_was_started_again_has_no_sessions(folder: Path, secret: str) -> None:
    with serving(folder) as first, Team(first) as before:
        who = before.stranger()
        who.send("/login", token=secret)
        session = who.cookie.partition("=")[2]
    with serving(folder) as second, Team(second) as after:
        who = after.stranger()
        who.cookie = f"artstore-served-{second.url.rpartition(':')[2]}={session}"
        assert who.get("/").status == 303


# -- other sites --


@pytest.mark.parametrize(
    "told",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_form_of_another_site_logs_nobody_in_or_out(team: Team, secret: str, told: dict[str, str]) -> None:
    who = team.stranger()
    answer = who.ask("POST", "/login", f"token={secret}", **told)
    assert answer.status == 403 and not answer.header("set-cookie")
    who.send("/login", token=secret)
    if "Sec_Fetch_Site" in told:
        told = told | {"Origin": who.url}
    assert who.ask("POST", "/logout", **told).status == 403
    assert who.get("/").status == 200


@pytest.mark.parametrize(
    "following",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1",
        "x",
        "/logout",
    ],
)
def test_a_login_leads_to_pages_of_ours_only(team: Team, secret: str, following: str) -> None:
    answer = team.stranger().send("/login", token=secret, next=following)
    assert (answer.status, answer.header("location")) == (303, "/")


def test_another_name_for_this_host_has_no_session_and_gets_none(team: Team, secret: str) -> None:
    who, host = team.stranger(), "evil.example"
    answer = who.ask("POST", "/login", f"token={secret}", Host=host, Origin=f"http://{host}")
    assert answer.status == 403 and b"no TLS" in answer.body
    who.send("/login", token=secret)
    assert who.get("/").status == 200 and who.get("/", Host=host).status == 303


def test_pages_change_nothing_and_tell_browsers_what_they_may_do(team: Team, secret: str) -> None:
    who = team.stranger()
    who.send("/login", token=secret)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert who.ask(method, "/artifact/local/vision/data", Origin=who.url).status == 405
    for address in ("/", "/login", "/nothing", "/static/page.js", FILE, "/storage"):
        answer = who.get(address)
        policy = answer.header("content-security-policy")
        assert "default-src 'none'" in policy and ("frame-ancestors 'none'" in policy or "sandbox" in policy), address
        assert answer.header("x-content-type-options") == "nosniff" and answer.header("cache-control") == "no-store"
        assert answer.header("referrer-policy") == "same-origin"
    for page, path in (("html", "page.html"), ("image", "drawing.svg"), ("raw", "page.html")):
        answer = who.get(f"/{page}/local/vision/data/0?path={path}")
        assert answer.status == 200 and answer.header("content-security-policy").endswith("sandbox")


# -- behind a proxy --


def test_over_tls_browsers_take_the_cookie_from_this_host_only(folder: Path, secret: str) -> None:
    with serving(folder, "--proxy", "127.0.0.1") as server, Team(server) as team:
        who, host = team.stranger(), "artstore.example"
        told = {"Host": host, "Origin": f"https://{host}", "X_Forwarded_Proto": "https"}
        answer = who.ask("POST", "/login", f"token={secret}", **told)
        flags = answer.header("set-cookie").lower().split("; ")
        assert answer.status == 303 and flags[0].startswith("__host-artstore=")
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= set(flags) and "domain" not in str(flags)
        assert who.get(FILE, Host=host, X_Forwarded_Proto="https").status == 200
        assert who.get(FILE, Host=host, X_Forwarded_Proto="http").status == 303, "it doesn't count without TLS"


@pytest.mark.parametrize("options", mostly_long([(), ("--proxy", "192.0.2.1")], ()))
def test_nobody_but_the_proxy_is_believed(folder: Path, team: Team, secret: str, options: tuple[str, ...]) -> None:
    host = "artstore.example"
    told = {"Host": host, "Origin": f"https://{host}", "X_Forwarded_Proto": "https"}
    with serving(folder, *options) if options else nullcontext(team.server) as server, Team(server) as other:
        assert other.stranger().ask("POST", "/login", f"token={secret}", **told).status == 403


def test_who_tries_many_tokens_has_to_wait_whatever_address_they_claim(folder: Path, secret: str) -> None:
    with serving(folder) as server, Team(server) as team:
        who = team.stranger()
        for number in range(20):
            told = {"X_Forwarded_For": f"192.0.2.{number}", "Origin": who.url}
            assert who.ask("POST", "/login", f"token=wrong{number}", **told).status == 401
        answer = who.send("/login", token=secret)
        assert answer.status == 429 and 0 < int(answer.header("retry-after")) <= 60
        assert not answer.header("set-cookie")
        assert server.stranger(secret).get("")[0] == 429, "tokens are counted by whatever way they come"


def test_behind_a_proxy_each_client_has_its_own_tries(folder: Path, secret: str) -> None:
    with serving(folder, "--proxy", "127.0.0.1") as server, Team(server) as team:
        who, host = team.stranger(), "artstore.example"
        told = {"Host": host, "Origin": f"https://{host}", "X_Forwarded_Proto": "https"}
        for number in range(20):  # what they claim comes before what the proxy adds
            claimed = f"198.51.100.{number}, 192.0.2.7"
            assert who.ask("POST", "/login", "token=wrong", X_Forwarded_For=claimed, **told).status == 401
        tried = who.ask("POST", "/login", f"token={secret}", X_Forwarded_For="192.0.2.7", **told)
        other = who.ask("POST", "/login", f"token={secret}", X_Forwarded_For="192.0.2.8", **told)
        assert (tried.status, other.status) == (429, 303)


@pytest.fixture(scope="module")
def behind(folder: Path) -> Iterator[Team]:
    with serving(folder, "--proxy", "127.0.0.1", "--proxy-user", "X-Remote-User") as server, Team(server) as found:
        yield found


def test_who_logged_in_at_the_proxy_has_the_token_of_their_name(behind: Team) -> None:
    behind.server.token("ann", Role.READER)
    behind.server.token("bob", Role.VIEWER)
    who = behind.stranger()
    assert who.get(FILE, X_Remote_User="ann").body == b"seen by readers\n"
    assert who.get(FILE, X_Remote_User="bob").status == 403
    assert b"Log out" not in who.get("/", X_Remote_User="ann").body
    for stranger in ("eve", "ANN", "", "ann,bob"):
        assert who.get("/", X_Remote_User=stranger).status == 403, stranger
    behind.server.tokens.revoke("ann")
    assert who.get(FILE, X_Remote_User="ann").status == 403


def test_a_user_is_named_once_and_by_the_proxy_only(behind: Team, folder: Path) -> None:
    behind.server.token("cleo", Role.READER)
    who = behind.stranger()
    for also in ({"x-remote-user": "cleo"}, {"X_REMOTE_USER": "root"}, {"x-remote_user": "cleo"}):
        answer = who.ask_raw("GET", FILE, [("X-Remote-User", "cleo"), *also.items()])
        assert answer.status == 400, also
        assert who.ask_raw("GET", "/login", list(also.items())).status == (200 if "x-remote-user" in also else 400)
    with serving(folder, "--proxy", "192.0.2.1", "--proxy-user", "X-Remote-User") as server, Team(server) as other:
        assert other.stranger().get(FILE, X_Remote_User="cleo").status == 400


# -- what is written down --


def test_logins_and_downloads_are_written_down_with_who_what_and_what_came_of_it(team: Team) -> None:
    server = team.server
    who = team.visitor("curious", Role.VIEWER)
    reader = team.visitor("reading", Role.READER)
    team.stranger().send("/login", token="art_00000000_" + "x" * 43)
    who.get(FILE)
    reader.get(FILE)
    reader.get("/image/local/vision/data/0?path=drawing.svg")
    reader.get("/files/local/vision/data/0?path=a.txt%0Aforged")
    reader.send("/logout")
    found = [record for record in Audit(server.state).records() if record.token in ("curious", "reading", None)]
    told = [(one.token, one.operation, one.project, one.subject, one.outcome) for one in found]
    in_project = "local/vision"
    assert ("curious", "POST /login", None, None, "303") in told
    assert (None, "POST /login", None, None, "401") in told
    assert ("curious", "GET /raw", in_project, "data:v0 a.txt", "403") in told
    assert ("reading", "GET /raw", in_project, "data:v0 a.txt", "200") in told
    assert ("reading", "GET /image", in_project, "data:v0 drawing.svg", "200") in told
    assert ("reading", "GET /files", in_project, "data:v0 a.txt\\x0aforged", "404") in told
    assert ("reading", "POST /logout", None, None, "303") in told
    given = next(one for one in found if one.operation == "GET /raw" and one.outcome == "200")
    assert (given.bytes, given.address) == (len("seen by readers\n"), "127.0.0.1")
    assert Audit(server.state).check() == []


def test_what_cannot_be_written_down_is_not_given(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / ".artifacts", tmp_path / ".artifacts")
    with serving(tmp_path) as server, Team(server) as team:
        who = team.visitor("reader", Role.READER)
        assert who.get(FILE).status == 200
        _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, most))  # as on a full disk
        for answer in (who.get(FILE), who.send("/login", token="art_x")):
            assert answer.status == 503 and b"seen by readers" not in answer.body
            assert str(tmp_path).encode() not in answer.body
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))
        assert who.get(FILE).status == 200


# -- in a browser --


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@seen_by_a_browser
@pytest.mark.parametrize("width", mostly_long([390, 1200], 390))
def test_people_log_in_look_around_and_log_out(browser: Browser, team: Team, secret: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page, wrong = context.new_page(), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(team.url) else wrong.append(asked.url))
    page.goto(team.url + "/files/local/vision/data/0?path=a.txt")
    assert "/login?next=" in page.url
    assert page.evaluate("document.activeElement.id") == "token"
    assert violations(page) == []
    page.fill("#token", secret)
    page.keyboard.press("Enter")
    page.wait_for_url("**/files/**")
    assert "seen by readers" in page.inner_text("main") and "reader" in page.inner_text("header")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.click("text=Log out")
    page.wait_for_url("**/login")
    page.goto(team.url + "/runs")
    assert "/login?next=" in page.url
    context.close()
    assert wrong == []
