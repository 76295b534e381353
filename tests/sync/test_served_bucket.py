"""A bucket behind a server: clients get bytes by role, and large files from the bucket itself, for a minute."""

import http.client
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.folder import server_folder
from artstore.server.tokens import Tokens
from artstore.store.layout import storage_at
from tests.support.commands import environment
from tests.support.folders import make_tree
from tests.support.served import Asking
from tests.support.servers import SeaweedFS

SERVE = """
import sys
from artstore.server.serving import Serving
from artstore.store.settings import Settings
Serving(sys.argv[1], Settings(None)).run("127.0.0.1:0", lambda address: print(address, flush=True))
"""
LARGE = b"weights\n" * 300_000


def test_a_large_file_comes_from_the_bucket_by_an_address_for_a_minute(
    tmp_path: Path, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    home = environment(tmp_path, **keys)
    for name, value in (home | {"XDG_STATE_HOME": str(tmp_path / "state")}).items():
        monkeypatch.setenv(name, value)
    url = f"s3://{server.bucket}/{tmp_path.name}?endpoint={server.endpoint}&region={server.region}"
    with Repository.init(str(tmp_path / "mine/.artifacts")) as mine:
        mine.put(str(make_tree(tmp_path / "data", {"large": LARGE, "small": "1"})), "p/data")
        mine.remotes.add("bucket", url, make=True)
        mine.push("bucket")
        id = mine.find("p/data").id
        digest = next(entry.digest.hex() for path, entry in mine.walk(mine.find("p/data").tree) if path == b"large")
    tokens = Tokens(server_folder(storage_at(url, None)))
    assert not (tmp_path / "mine/.artifacts.server").exists(), "tokens of a bucket are in the state folder"
    secrets = {role: tokens.create(str(role), role) for role in (Role.VIEWER, Role.READER)}
    command = [sys.executable, "-c", SERVE, url]
    told = home | {"XDG_STATE_HOME": str(tmp_path / "state")}
    with subprocess.Popen(command, env=told, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            reader, viewer = Asking(address, secrets[Role.READER]), Asking(address, secrets[Role.VIEWER])
            where = f"/blobs/{digest}?log=refs/local/p/data&id={id}"
            assert viewer.get(where)[0] == 403
            _, small = reader.post("/objects", through=[["refs/local/p/data", [id]]], digests=[id])
            assert small[0][1].hex() == id
            connection = http.client.HTTPConnection(urlsplit(address).netloc)
            connection.request("GET", f"/v1{where}", headers={"Authorization": f"Bearer {reader.secret}"})
            answer = connection.getresponse()
            location = answer.headers["location"]
            connection.close()
            assert answer.status == 302 and "X-Amz-Expires=60" in location and ".pack" not in location
            assert _read(location) == (200, LARGE) and _read(location, "PUT")[0] == 403, "for reading alone"
            monkeypatch.setenv("ARTSTORE_TOKEN", reader.secret or "")
            for name in keys:
                monkeypatch.delenv(name)
            clone, _ = Repository.clone(address, str(tmp_path / "clone/.artifacts"))
            with clone:
                assert clone.get(clone.find("p/data"), str(tmp_path / "out")).files == 2
            assert (tmp_path / "out/large").read_bytes() == LARGE
        finally:
            process.kill()


def _read(location: str, method: str = "GET") -> tuple[int, bytes]:
    """The status and body of a request without any credentials but those in the address."""
    parts = urlsplit(location)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request(method, f"{parts.path}?{parts.query}", b"x" if method == "PUT" else None)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()
