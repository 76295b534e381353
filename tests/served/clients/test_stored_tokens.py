"""Tokens that `login` stored: commands send them to the server for which they were stored."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.served.clients.conftest import Team
from tests.served.clients.test_hostile_servers import HELLO, TOKEN, imposter
from tests.support.commands import Cli, Result, environment

NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def login(tmp_path: Path, url: str, token: str, **variables: str) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "artstore", "login", url, "--token-stdin"], cwd=tmp_path, input=token, capture_output=True,
        text=True, env=environment(tmp_path, **NO_KEYRING, **variables), timeout=60,
    )  # fmt: skip
    assert token not in done.stdout + done.stderr
    return Result(done)


def kept_in(tmp_path: Path) -> Path:
    return tmp_path / ".config/artstore/credentials"


def test_after_a_login_every_command_knows_the_token_until_the_logout(
    team: Team, process_cli: Cli, tmp_path: Path
) -> None:
    url = team.server.url
    assert process_cli("ls", "--from", url, **NO_KEYRING).code != 0
    done = login(tmp_path, url, team.secrets["reader"])
    assert (done.code, done.out.partition(";")[0]) == (0, f"logged in to {url} as reader (reader)")
    assert process_cli("clone", url, "copy", **NO_KEYRING).code == 0
    assert process_cli("fetch", cwd=tmp_path / "copy", **NO_KEYRING).code == 0, "to an address from a config, too"
    assert process_cli("logout", url, **NO_KEYRING).code == 0
    assert process_cli("fetch", cwd=tmp_path / "copy", **NO_KEYRING).code != 0


def test_a_stored_token_goes_to_no_other_port_of_the_same_host(team: Team, process_cli: Cli, tmp_path: Path) -> None:
    assert login(tmp_path, team.server.url, team.secrets["reader"]).code == 0
    assert process_cli("ls", "--from", team.server.url, **NO_KEYRING).code == 0
    team.proxy.reset()
    assert process_cli("ls", "--from", team.url, **NO_KEYRING).code != 0, "the proxy in front, at another port"


def test_a_token_that_the_server_does_not_know_is_not_stored(team: Team, tmp_path: Path) -> None:
    wrong = login(tmp_path, team.server.url, "art_00000000_" + "x" * 43)
    assert wrong.code == 9 and wrong.err == (
        f"error: {team.server.url} doesn't accept the token: it is unknown, was revoked, or has expired\n"
        "hint: ask who runs the server for a new one\n"
    )
    assert not kept_in(tmp_path).exists()


# -- what login is answered ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_login_follows_no_redirect_with_a_token(tmp_path: Path, status: int) -> None:
    with imposter() as evil, imposter() as server:
        server.says("", b"", f"{evil.url}/v1", status)
        told = login(tmp_path, server.url, TOKEN)
        assert told.code == 4 and f"it redirects to {evil.url}/v1\nhint: use that address" in told.err
        assert evil.seen == [] and not kept_in(tmp_path).exists()


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[" * 100_000, json.dumps(HELLO | {"role": "king"}).encode()])
def test_a_login_at_something_else_than_a_served_repository_keeps_no_token(tmp_path: Path, body: bytes) -> None:
    with imposter() as server:
        server.says("", body, "application/json")
        told = login(tmp_path, server.url, TOKEN)
    assert told.code in (4, 7) and server.url in told.err and "Traceback" not in told.err
    assert not kept_in(tmp_path).exists()


def test_a_login_at_a_server_that_speaks_a_newer_protocol_says_to_update(tmp_path: Path) -> None:
    with imposter() as server:
        server.says("", json.dumps(HELLO | {"protocol": 2}).encode(), "application/json")
        told = login(tmp_path, server.url, TOKEN)
    assert told.code == 10 and told.err.endswith("hint: update artstore\n") and not kept_in(tmp_path).exists()


def test_a_login_where_nothing_answers_is_a_sentence(tmp_path: Path) -> None:
    with imposter() as server:
        url = server.url
    told = login(tmp_path, url, TOKEN)
    assert told.code == 9 and told.err.startswith(f"error: cannot ask {url}: connection refused\n")
