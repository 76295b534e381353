"""Served remotes behind a proxy of the environment: it opens a tunnel, and sees where to, and no token."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.served.clients.test_hostile_servers import TOKEN, Imposter
from tests.served.clients.test_stored_tokens import login
from tests.served.clients.test_tls import certificate, server
from tests.support.commands import Cli

__all__ = ["certificate", "server"]

FAR = "https://artifacts.example.org"
"""What no name server knows: only the proxy can reach it."""


class Tunnels:
    """A proxy that takes every tunnel to one port of this host."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[bytes] = []
        """the head of each request"""
        self.refuses = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[threading.Thread] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more, and wait until all tunnels are closed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._open:
            thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self._open.append(threading.Thread(target=self._tunnel, args=(client,), daemon=True))
            self._open[-1].start()

    def _tunnel(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        self.asked.append(head)
        if self.refuses:
            with client:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with client, socket.create_connection(("127.0.0.1", self.port)) as there:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_carry, args=(there, client), daemon=True)
            back.start()
            _carry(client, there)
            back.join(10)


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side is gone


@pytest.fixture
def proxy(server: Imposter) -> Iterator[Tunnels]:
    with closing(Tunnels(server.server_address[1])) as proxy:
        yield proxy


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_a_server_is_asked_through_the_proxy_that_the_environment_names(
    server: Imposter, proxy: Tunnels, cli: Cli, certificate: str, name: str
) -> None:
    own = {name: proxy.url.replace("://", "://ann:p%40ss@")}
    told = cli("ls", "--from", FAR, ARTSTORE_TOKEN=TOKEN, ARTSTORE_URL=FAR, SSL_CERT_FILE=str(certificate), **own)
    assert (told.code, told.out) == (0, ""), told.err
    assert server.seen[-1] == ("/collections", f"Bearer {TOKEN}")
    assert all(head.startswith(b"CONNECT artifacts.example.org:443 HTTP/1.") for head in proxy.asked) and proxy.asked
    assert all(b"\r\nProxy-Authorization: Basic YW5uOnBAc3M=\r\n" in head for head in proxy.asked)
    assert all(TOKEN.encode() not in head for head in proxy.asked)


def test_a_login_goes_through_the_proxy_too(
    server: Imposter, proxy: Tunnels, certificate: Path, tmp_path: Path
) -> None:
    done = login(tmp_path, FAR, TOKEN, SSL_CERT_FILE=str(certificate), HTTPS_PROXY=proxy.url)
    assert done.code == 0 and server.seen == [("", f"Bearer {TOKEN}")]
    assert proxy.asked and all(TOKEN.encode() not in head for head in proxy.asked)


def test_this_host_is_asked_without_the_proxy(server: Imposter, proxy: Tunnels, cli: Cli, certificate: str) -> None:
    own = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(certificate)}
    assert cli("ls", "--from", server.url, ARTSTORE_TOKEN=TOKEN, **own).code == 0 and proxy.asked == []


def test_a_host_that_no_proxy_names_is_asked_without_it(proxy: Tunnels, cli: Cli) -> None:
    host = "artifacts.invalid"
    told = cli("ls", "--from", f"https://{host}", ARTSTORE_TOKEN=TOKEN, HTTPS_PROXY=proxy.url, NO_PROXY=".invalid")
    assert told.code == 9 and f"cannot ask https://{host}" in told.err and proxy.asked == []


def test_a_proxy_that_refuses_is_told(proxy: Tunnels, cli: Cli) -> None:
    proxy.refuses = True
    told = cli("ls", "--from", FAR, ARTSTORE_TOKEN=TOKEN, ARTSTORE_URL=FAR, HTTPS_PROXY=proxy.url)
    assert told.code == 9 and f"cannot ask {FAR}: tunnel connection failed: 403 forbidden" in told.err.lower()


@pytest.mark.parametrize("url", ["https://proxy.example.org", "socks5://proxy.example.org", "http://", "http://x:y"])
def test_a_proxy_that_can_not_be_one_is_told(cli: Cli, url: str) -> None:
    told = cli("ls", "--from", FAR, ARTSTORE_TOKEN=TOKEN, ARTSTORE_URL=FAR, HTTPS_PROXY=url)
    assert told.code == 3 and f"HTTPS_PROXY is '{url}'" in told.err, told.err
