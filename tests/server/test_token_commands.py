"""token, audit, login, logout: what they print, and what becomes of secrets."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from artstore.repository import Repository
from artstore.server.audit import Audit
from artstore.server.folder import server_folder
from artstore.server.tokens import SECRET, Tokens
from tests.served.clients.test_hostile_servers import HELLO, imposter
from tests.support.commands import Cli, Result, environment
from tests.support.servers import SeaweedFS

pytestmark = pytest.mark.usefixtures("repo")


def test_a_secret_is_printed_alone_and_once(cli: Cli, repo: Repository) -> None:
    made = cli("token", "create", "ci", "--role", "writer", "--project", "vision-*", "--expires", "30d", "--note", "CI")
    assert made.code == 0 and SECRET.fullmatch(made.out.strip())
    assert made.err.startswith("this is the token of ci, writer of local/vision-* until 20")
    assert made.err.endswith("; it is not shown again\n")
    token = Tokens(server_folder(repo.storage)).find(made.out.strip())
    assert token is not None and str(token.grant.role) == "writer"
    listed = cli("token", "ls")
    assert [line.split()[:4] for line in listed.out.splitlines()] == [
        ["NAME", "ROLE", "PROJECTS", "STATUS"], ["ci", "writer", "local/vision-*", "active"],
    ]  # fmt: skip
    assert made.out.strip()[13:] not in listed.out + cli("token", "ls", "--json").out


def test_tokens_as_json(cli: Cli) -> None:
    made = json.loads(cli("token", "create", "ci", "--role", "reader", "--json").out)
    assert SECRET.fullmatch(made.pop("token")) and made["status"] == "active"
    assert (made["name"], made["role"], made["projects"], made["expires"]) == ("ci", "reader", [], None)
    assert json.loads(cli("token", "ls", "--json").out) == [made]
    cli("token", "create", "root", "--role", "admin")
    ended = json.loads(cli("token", "revoke", "ci", "--json").out)
    assert ended == made | {"status": "revoked", "revoked": ended["revoked"]} and ended["revoked"]
    assert cli("token", "revoke", "ci").err.startswith("error: token 'ci' has been revoked already\n")


def test_what_breaks_a_rule_is_refused_with_a_sentence(cli: Cli) -> None:
    assert cli("token", "ls").err == "there are no tokens; `artstore token create NAME --role ROLE` makes one\n"
    for words, code, message in [
        (("token", "create", "c i", "--role", "reader"), 3, "error: token name 'c i' is not allowed: "),
        (("token", "create", "ci", "--role", "owner"), 2, "error: invalid value for '--role'"),
        (("token", "create", "ci"), 2, "error: missing option '--role'"),
        (("token", "create", "ci", "--role", "reader", "--project", "a/b/c"), 3, "error: 'a/b/c' is not a pattern"),
        (("token", "create", "ci", "--role", "reader", "--expires", "soon"), 3, "error: 'soon' is not a duration"),
        (("token", "revoke", "ci"), 4, "error: there is no token 'ci'"),
        (("audit", "--since", "yesterday"), 3, "error: 'yesterday' is neither a time such as 12h or 7d nor a date"),
        (("audit", "--check", "--head", "x"), 3, "error: 'x' is not an end of the audit"),
        (("audit", "--head", "x"), 3, "error: --head can be used with --check only"),
        (("audit", "--check", "-n", "3"), 3, "error: --check checks all records"),
    ]:
        found = cli(*words)
        assert (found.code, found.err[: len(message)]) == (code, message)


def test_tokens_of_a_repository_elsewhere_and_not_of_one_that_another_host_serves(cli: Cli, repo: Repository) -> None:
    assert cli("token", "create", "ci", "--role", "admin", "--from", repo.storage.root).code == 0
    assert [token.name for token in Tokens(server_folder(repo.storage)).all()] == ["ci"]


def test_the_tokens_of_a_bucket_are_in_the_state_of_the_user_who_serves_it(
    cli: Cli, tmp_path: Path, server: SeaweedFS
) -> None:
    bucket = {
        "AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": server.region,
        "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }  # fmt: skip
    url = f"s3://{server.bucket}/{os.urandom(8).hex()}"
    assert cli("remote", "add", "cloud", url, "--init", **bucket).code == 0
    assert cli("token", "create", "ci", "--role", "reader", "--from", url, **bucket).code == 0
    (file,) = tmp_path.glob(".local/state/artstore/servers/*/tokens.json")
    assert re.fullmatch("[0-9a-f]{32}", file.parent.name) and b"ci" in file.read_bytes()


# -- audit ---------------------------------------------------------------------------------------


@pytest.fixture
def audit(repo: Repository) -> Audit:
    audit = Audit(server_folder(repo.storage))
    for token, operation in (("ci", "push"), ("ada", "download"), (None, "login")):
        audit.append(
            operation, "ok" if token else "refused", token=token, address="192.0.2.1", project="local/p",
            subject="model:prod", bytes=2048,
        )  # fmt: skip
    return audit


def test_the_audit_as_a_table_and_as_json(cli: Cli, audit: Audit) -> None:
    lines = cli("audit").out.splitlines()
    assert lines[0].split() == [
        "TIME",
        "(UTC)",
        "TOKEN",
        "ADDRESS",
        "OPERATION",
        "PROJECT",
        "SUBJECT",
        "OUTCOME",
        "SIZE",
    ]
    assert [line.split()[2:] for line in lines[1:]] == [
        ["ci", "192.0.2.1", "push", "local/p", "model:prod", "ok", "2.0", "KiB"],
        ["ada", "192.0.2.1", "download", "local/p", "model:prod", "ok", "2.0", "KiB"],
        ["-", "192.0.2.1", "login", "local/p", "model:prod", "refused", "2.0", "KiB"],
    ]
    assert json.loads(cli("audit", "--json").out) == [record._asdict() for record in audit.records()]
    assert [one["token"] for one in json.loads(cli("audit", "--token", "ada", "--json").out)] == ["ada"]
    last = cli("audit", "-n", "1")
    assert last.out.splitlines()[1].split()[2] == "-" and last.err == "2 older: -n 3 lists all\n"


def test_the_audit_since_some_time(cli: Cli, audit: Audit) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90_000))
    for since, found in (
        ("1h", 3),
        (today[:4] + "-01-01", 3),
        (f"{today}T00:00Z", 3),
        (tomorrow, 0),
        (f"{tomorrow} 00", 0),
    ):
        assert len(json.loads(cli("audit", "--since", since, "--json").out)) == found, since
    assert cli("audit", "--since", tomorrow).err == "there are no records\n"


def test_a_check_prints_where_files_end_and_finds_what_was_changed_since(
    cli: Cli, audit: Audit, repo: Repository
) -> None:
    good = cli("audit", "--check")
    head = str(audit.head())
    assert (good.code, good.out) == (0, f"head: {head}\nno problems found: 3 records in 1 file\n")
    assert json.loads(cli("audit", "--check", "--json").out) == {"ok": True, "problems": [], "heads": [head]}
    (file,) = Path(server_folder(repo.storage), "audit").glob("*.jsonl")
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    assert cli("audit", "--check").code == 0
    cut = cli("audit", "--check", "--head", head)
    assert cut.code == 7 and cut.out.startswith(f"problem: {file.name} has 2 of 3 lines: it was cut\n")
    file.write_bytes(file.read_bytes().replace(b"model:prod", b"model:test", 1))
    broken = cli("audit", "--check")
    assert broken.code == 7 and f"problem: line 2 of {file.name} does not follow" in broken.out


# -- login and logout ----------------------------------------------------------------------------

TOKEN = "art_0123abcd_" + "s" * 43


def login(tmp_path: Path, url: str, typed: str, *more: str, **variables: str) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "artstore", "login", url, "--token-stdin", *more],
        env=environment(tmp_path, PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring", **variables), cwd=tmp_path,
        input=typed, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr and "sss" not in done.stdout + done.stderr
    return Result(done)


def test_login_asks_the_server_and_stores_the_token_and_logout_removes_it(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / ".config/artstore/credentials"
    with imposter() as server:
        server.answers["/team/v1"] = server.answers[""]
        done = login(tmp_path, f"{server.url}/team", f"{TOKEN}\n")
        assert (done.code, done.out) == (0, f"logged in to {server.url} as a (reader); the token is in {kept}\n")
        assert server.seen == [("/team/v1", f"Bearer {TOKEN}")] and TOKEN in kept.read_text()
        again = login(tmp_path, server.url, TOKEN, "--json")
        assert json.loads(again.out) == {"server": server.url, "name": "a", "role": "reader", "kept_in": str(kept)}
    out = cli("logout", server.url)
    assert out.out == f"removed the token for {server.url}\n" and TOKEN not in kept.read_text()
    gone = cli("logout", server.url)
    assert gone.code == 4 and gone.err == f"error: there is no token stored for {server.url}\n"


def test_a_token_that_is_refused_is_not_stored(tmp_path: Path) -> None:
    with imposter() as server:
        server.says("", b"{}", "application/json", 401)
        refused = login(tmp_path, server.url, TOKEN)
    assert refused.code == 9 and refused.err.startswith(f"error: {server.url} doesn't accept the token: it is unknown")
    assert not (tmp_path / ".config/artstore/credentials").exists()


def test_a_name_that_a_server_gives_moves_no_cursor(tmp_path: Path) -> None:
    with imposter() as server:
        name = "ci\x1b[2J\nlogged in to https://bank"
        server.says("", json.dumps(HELLO | {"author": name}).encode(), "application/json")
        assert "\x1b" not in (done := login(tmp_path, server.url, TOKEN)).out and done.out.count("\n") == 1


def test_what_is_typed_on_a_terminal_is_not_shown(tmp_path: Path) -> None:
    with imposter() as server:
        control, terminal = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-m", "artstore", "login", server.url], cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal,
            env=environment(tmp_path, PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring"), start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        shown = b""
        while b"Token: " not in shown:
            shown += os.read(control, 1024)
        time.sleep(0.2)  # the echo is turned off after the question is shown
        os.write(control, TOKEN.encode() + b"\n")
        with open(control, "rb", buffering=0) as rest:
            try:
                while piece := rest.read(1024):
                    shown += piece
            except OSError:  # EIO: the other end is closed
                pass
        assert child.wait(30) == 0 and b"logged in to" in shown and b"sss" not in shown
        assert server.seen == [("", f"Bearer {TOKEN}")]


def test_without_a_terminal_or_an_address_login_says_what_is_missing(cli: Cli) -> None:
    for words, code, message in [
        (("login",), 2, "error: missing argument 'URL'\n"),
        (("login", "https://host.example"), 3, "error: there is no terminal to ask for the token\n"),
        (("login", "http://host.example"), 3, "error: a token is not sent to http://host.example:80, because"),
        (("login", "s3://bucket"), 3, "error: 's3://bucket' is not the address of a served repository\n"),
        (("logout", "https://host.example"), 4, "error: there is no token stored for https://host.example:443\n"),
    ]:
        found = cli(*words)
        assert (found.code, found.err[: len(message)]) == (code, message)


def test_a_token_on_standard_input_is_one_visible_line(tmp_path: Path) -> None:
    with imposter() as server:
        for typed in ("", "\n", "two words", "one\ntwo"):
            done = login(tmp_path, server.url, typed)
            assert done.code == 3 and done.err.startswith("error: what was given is not a token: it is one line")
        assert server.seen == []


# -- secrets -------------------------------------------------------------------------------------


def test_a_token_is_in_no_runs_record_of_its_surroundings(tmp_path: Path, cli: Cli, repo: Repository) -> None:
    script = f"""
import os, sys
import artstore as wandb
with wandb.init(project="p", id="r") as run:
    print("token", "{TOKEN}", "and", os.environ["ARTSTORE_TOKEN"])
    run.config["address"] = "https://host/v1?token={TOKEN}"
"""
    (tmp_path / "train.py").write_text(script)
    other = TOKEN.replace("0123abcd", "89abcdef").replace("s", "t")
    done = subprocess.run(
        [sys.executable, "train.py", "--token", TOKEN, f"--x={TOKEN}", TOKEN], cwd=tmp_path, capture_output=True, text=True,
        env=environment(tmp_path, ARTSTORE_TOKEN=other, PYTHONPATH=str(Path(__file__).parents[2])),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (tmp_path / "train.py").unlink()
    shown = cli("runs", "show", "p/r", "--json").out
    assert (
        json.loads(shown)["command"] == ["train.py", "--token", "***", "--x=art_***", "art_***"] and "ttt" not in shown
    )
    assert cli("runs", "files", "p/r", "output.log", "--root", "out").code == 0
    assert "token art_*** and ***\n" in (tmp_path / "out/output.log").read_text()
