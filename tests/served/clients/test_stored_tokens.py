"""Tokens that `login` stored: commands send them to the server for which they were stored."""

import subprocess
import sys
from pathlib import Path

from tests.served.clients.conftest import Team
from tests.support.commands import Cli, Result, environment

NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def login(tmp_path: Path, url: str, token: str) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "artstore", "login", url, "--token-stdin"], cwd=tmp_path, input=token, capture_output=True,
        text=True, env=environment(tmp_path, **NO_KEYRING), timeout=60,
    )  # fmt: skip
    return Result(done)


def test_after_a_login_every_command_knows_the_token_until_the_logout(
    team: Team, process_cli: Cli, tmp_path: Path
) -> None:
    url = team.server.url
    assert process_cli("ls", "--from", url, **NO_KEYRING).code != 0
    done = login(tmp_path, url, team.secrets["reader"])
    assert (done.code, done.out.partition(";")[0]) == (0, f"logged in to {url} as reader")
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
    assert wrong.code == 9 and wrong.err.startswith(f"error: {team.server.url} doesn't accept this token\n")
    assert not (tmp_path / ".config/artstore/credentials").exists()
