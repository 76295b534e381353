"""Served remotes behind TLS: a certificate that this machine doesn't trust is refused before a token is sent."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served.clients.test_hostile_servers import END, TOKEN, Imposter, imposter
from tests.served.clients.test_stored_tokens import kept_in, login
from tests.support.commands import Cli


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for localhost and a host elsewhere, and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "pair.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:artifacts.example.org", "-keyout", path, "-out", f"{path}.cert",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.cert").read_bytes())
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Imposter]:
    with imposter() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.url = f"https://localhost:{server.server_address[1]}"
        server.says("/collections", END)
        yield server


def test_a_certificate_that_is_not_trusted_gets_no_token(server: Imposter, cli: Cli) -> None:
    told = cli("ls", "--from", server.url, ARTSTORE_TOKEN=TOKEN)
    assert told.code == 9 and f"cannot ask {server.url}: self-signed certificate" in told.err
    assert "SSL_CERT_FILE names a file of others" in told.err and server.seen == []


def test_a_certificate_of_a_file_that_the_user_names_is_trusted(server: Imposter, cli: Cli, certificate: Path) -> None:
    told = cli("ls", "--from", server.url, ARTSTORE_TOKEN=TOKEN, SSL_CERT_FILE=str(certificate))
    assert (told.code, told.out) == (0, "")
    assert server.seen == [("", f"Bearer {TOKEN}"), ("/collections", f"Bearer {TOKEN}")]


def test_a_certificate_of_another_name_is_not_trusted(server: Imposter, cli: Cli, certificate: Path) -> None:
    url = server.url.replace("localhost", "127.0.0.1")
    told = cli("ls", "--from", url, ARTSTORE_TOKEN=TOKEN, SSL_CERT_FILE=str(certificate))
    assert told.code == 9 and f"cannot ask {url}: ip address mismatch" in told.err.lower() and server.seen == []


def test_a_server_that_speaks_no_tls_is_told(cli: Cli) -> None:
    with imposter() as plain:
        url = plain.url.replace("http:", "https:")
        told = cli("ls", "--from", url, ARTSTORE_TOKEN=TOKEN)
        assert told.code == 9 and f"cannot ask {url}: it doesn't speak TLS as it should" in told.err
        assert plain.seen == []


def test_a_login_sends_its_token_only_to_a_certificate_that_is_trusted(
    server: Imposter, certificate: Path, tmp_path: Path
) -> None:
    told = login(tmp_path, server.url, TOKEN)
    assert told.code == 9 and f"cannot ask {server.url}: self-signed certificate" in told.err
    assert server.seen == [] and not kept_in(tmp_path).exists()
    done = login(tmp_path, server.url, TOKEN, SSL_CERT_FILE=str(certificate))
    assert done.code == 0 and server.seen == [("", f"Bearer {TOKEN}")] and TOKEN in kept_in(tmp_path).read_text()
