"""A server that listens on a socket of this host, behind a real nginx: only the proxy can name a user."""

import base64
import contextlib
import grp
import http.client
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore.domain.roles import Role
from artstore.errors import InvalidValue, Refused
from artstore.repository import Repository
from artstore.server.listening import listening, place_of
from artstore.server.serving import Serving
from artstore.store.settings import Settings
from tests.support.served import Server, serving

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIG = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        auth_basic "artstore"; auth_basic_user_file {folder}/users;
        location / {{
            proxy_pass http://unix:{folder}/artstore.sock;
            proxy_set_header Host localhost;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Remote-User $remote_user;
            proxy_set_header Authorization "";
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sockets")
    (folder / "data").mkdir()
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put(str(folder / "data"), "vision/data")
    with serving(folder, "--proxy-user", "X-Remote-User", listen=f"unix:{folder}/artstore.sock") as server:
        yield server
    assert not (folder / "artstore.sock").exists()


@pytest.fixture(scope="module")
def nginx(server: Server) -> Iterator[int]:
    """The port of an nginx that logs people in."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (server.folder / "users").write_text("ann:{PLAIN}hers\nbob:{PLAIN}his\n")
    (server.folder / "nginx.conf").write_text(CONFIG.format(folder=server.folder, port=port))
    with subprocess.Popen(
        [NGINX, "-c", str(server.folder / "nginx.conf"), "-e", str(server.folder / "error.log")]
    ) as run:
        try:
            until_open(port)
            yield port
        finally:
            run.terminate()


def until_open(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("nginx doesn't listen")


def page(port: int, user: str, password: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request("GET", "/", headers={"Authorization": f"Basic {login}"} | named)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_who_logs_in_at_nginx_is_who_nginx_says(server: Server, nginx: int) -> None:
    server.tokens.create("ann", Role.READER, ("local/vision",))
    status, body = page(nginx, "ann", "hers")
    assert status == 200 and "ann" in body and "data" in body
    assert page(nginx, "bob", "his", X_Remote_User="ann")[0] == 403, "he has no token, and can't be her"
    assert page(nginx, "bob", "wrong")[0] == 401


def test_only_the_user_and_the_group_can_open_the_socket(server: Server) -> None:
    path = server.folder / "artstore.sock"
    assert server.url == f"unix:{path}" and stat.S_IMODE(path.stat().st_mode) == 0o600
    other = server.folder / "other.sock"
    with listening(place_of(f"unix:{other}"), grp.getgrgid(os.getgid()).gr_name):
        assert stat.S_IMODE(other.stat().st_mode) == 0o660 and other.stat().st_gid == os.getgid()
    assert not other.exists()


def test_a_socket_in_use_is_left_alone_and_an_abandoned_one_is_replaced(server: Server, tmp_path: Path) -> None:
    taken = place_of(server.url)
    with pytest.raises(OSError, match="in use"), listening(taken, None):
        pass
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listening(place_of(f"unix:{path}"), None):
        assert stat.S_ISSOCK(path.stat().st_mode)
    path.write_text("not a socket")
    with pytest.raises(OSError, match="in use"), listening(place_of(f"unix:{path}"), None):
        pass
    assert path.read_text() == "not a socket"


def test_what_makes_no_sense_with_a_socket_is_refused(server: Server, tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/one.sock"
    with pytest.raises(InvalidValue, match="is the proxy"):
        Serving(str(server.root), Settings(None), proxy="127.0.0.1").run(place, print)
    with pytest.raises(InvalidValue, match="from a proxy only"):
        Serving(str(server.root), Settings(None), proxy_user="X-User").run("127.0.0.1:0", print)
    with pytest.raises(InvalidValue, match="no group 'nobody-has-this'"), listening(place_of(place), "nobody-has-this"):
        pass
    with pytest.raises(InvalidValue, match="for a socket"), listening(place_of("127.0.0.1:0"), "root"):
        pass
    (open_folder := tmp_path / "open").mkdir()
    open_folder.chmod(0o777)
    with pytest.raises(Refused, match="a socket of theirs"), listening(place_of(f"unix:{open_folder}/one.sock"), None):
        pass
