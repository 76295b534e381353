"""A bucket behind a server: clients get bytes by role, and large files from the bucket itself, for a minute."""

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from artstore.api.recording import start
from artstore.domain.digest import BLOB
from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.audit import Audit
from artstore.server.folder import server_folder
from artstore.store.layout import storage_at
from artstore.view import view_of
from tests.support.addresses import as_expected, everything
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree
from tests.support.matrix import ALL, PROJECTS, REQUESTS, SECRET, Known, name_of, prefix_of, two_projects
from tests.support.served import Asking, Server, serving
from tests.support.servers import S3Proxy, SeaweedFS, ask_signed
from tests.support.team import Team, needles

LARGE = b"weights\n" * 300_000


class Bucket:
    """A part of a bucket, and what reaches it."""

    def __init__(self, server: SeaweedFS, name: str, endpoint: str | None = None) -> None:
        self.keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        self.url = f"s3://{server.bucket}/{name}?endpoint={endpoint or server.endpoint}&region={server.region}"

    def fill(self, root: Path) -> None:
        """Push a repository there, as its remote `bucket`."""
        with Repository(str(root)) as repository:
            repository.remotes.add("bucket", self.url, make=True)
            repository.push("bucket")

    @contextmanager
    def served(self, folder: Path, setup: str = "") -> Iterator[Server]:
        """Serve it from a folder whose repository has it as the remote `bucket`, by a process that first runs `setup`."""
        state = server_folder(storage_at(self.url, None))
        with serving(folder, "--from", "bucket", state=state, setup=setup, **self.keys) as server:
            yield server


@pytest.fixture
def bucket(tmp_path: Path, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    found = Bucket(server, tmp_path.name)
    for name, value in environment(tmp_path, **found.keys).items():
        monkeypatch.setenv(name, value)
    return found


def test_a_large_file_comes_from_the_bucket_by_an_address_for_a_minute(
    tmp_path: Path, bucket: Bucket, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Repository.init(str(tmp_path / ".artifacts")) as mine:
        mine.put(str(make_tree(tmp_path / "data", {"large": LARGE, "small": "1"})), "p/data")
        id = mine.find("p/data").id
        digest = next(entry.digest.hex() for path, entry in mine.walk(mine.find("p/data").tree) if path == b"large")
    bucket.fill(tmp_path / ".artifacts")
    secrets = [
        cli("token", "create", role, "--role", role, "--from", "bucket", **bucket.keys).out.strip()
        for role in ("viewer", "reader")
    ]
    assert not (tmp_path / ".artifacts.server").exists(), "tokens of a bucket are in the state folder"
    with bucket.served(tmp_path) as served:
        viewer, reader = (Asking(served.url, secret) for secret in secrets)
        where = f"/blobs/{digest}?log=refs/local/p/data&id={id}"
        assert viewer.get(where)[0] == 403
        _, small = reader.post("/objects", through=[["refs/local/p/data", [id]]], digests=[id])
        assert small[0][1].hex() == id
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc)
        connection.request("GET", f"/v1{where}", headers={"Authorization": f"Bearer {reader.secret}"})
        answer = connection.getresponse()
        location = answer.headers["location"]
        connection.close()
        assert answer.status == 302 and "X-Amz-Expires=60" in location and ".pack" not in location
        assert _read(location) == (200, LARGE) and _read(location, "PUT")[0] == 403, "for reading alone"
        shaped = reader._replace(prefix="")
        status, headers, _ = shaped.whole("GET", "/p/data/resolve/main/large", Range="bytes=0-6")
        assert status == 302 and _read(headers["location"]) == (200, LARGE)
        status, headers, _ = shaped.whole("HEAD", "/p/data/resolve/main/large")
        assert (status, headers["content-length"], headers["location"]) == (200, str(len(LARGE)), None)
        assert shaped.get("/p/data/resolve/main/small") == (200, b"1")
        monkeypatch.setenv("ARTSTORE_TOKEN", reader.secret or "")
        for name in bucket.keys:
            monkeypatch.delenv(name)
        clone, _ = Repository.clone(served.url, str(tmp_path / "clone/.artifacts"))
        with clone:
            assert clone.get(clone.find("p/data"), str(tmp_path / "out")).files == 2
        assert (tmp_path / "out/large").read_bytes() == LARGE
        with Team(served) as team:
            pages = team.visitor("looker", Role.VIEWER)
            assert b"large" in pages.get("/files/local/p/data/0").body
            assert pages.get("/raw/local/p/data/0?path=large").status == 403
    told = cli("audit", "--from", "bucket", **bucket.keys).out
    assert re.search(r"viewer .* 403", told) and re.search(r"reader .* download .* data:v0", told)


def test_a_large_file_that_is_packed_comes_from_the_server(tmp_path: Path, bucket: Bucket) -> None:
    """It has no address: a pack holds what others may not read."""
    with Repository.init(str(tmp_path / ".artifacts")) as mine:
        mine.put(str(make_tree(tmp_path / "data", {"large": LARGE})), "p/data")
        id = mine.find("p/data").id
        digest = mine.entry(mine.find("p/data"), "large").digest.hex()
    bucket.fill(tmp_path / ".artifacts")
    with view_of(bucket.url, None, writing=True) as place:
        assert place.pack().blobs == 1
        place.gc(now=True)
    with bucket.served(tmp_path) as served:
        reader = served.token("reader", Role.READER)
        where = f"/blobs/{digest}?log=refs/local/p/data&id={id}"
        status, headers, body = reader.whole("GET", where)
        assert (status, headers["location"], body) == (200, None, LARGE)
        assert reader.get(where, Range="bytes=8-14") == (206, LARGE[8:15])
        shaped = reader._replace(prefix="")
        assert shaped.get("/p/data/resolve/main/large", Range="bytes=0-6") == (206, LARGE[:7])


def test_a_nearly_full_disk_of_the_server_takes_nothing_for_a_bucket_either(tmp_path: Path, bucket: Bucket) -> None:
    two_projects(tmp_path)
    bucket.fill(tmp_path / ".artifacts")
    setup = "from artstore.server import space\nspace._RESERVE = 1 << 60"
    with bucket.served(tmp_path, setup) as served, Team(served) as team:
        ann = served.token("ann", Role.WRITER)
        assert team.visitor("reads", Role.READER).get("/raw/local/vision/data/0?path=big.bin").status == 503
        status, told = ann.send(ann.begin(), (BLOB, b"small"))
        assert (status, told["error"]) == (503, "the server's disk is nearly full")
        assert ann.entries("refs/local/vision/data")


def test_a_page_fetches_no_large_file_from_the_bucket_unless_somebody_downloads_it(
    tmp_path: Path, server: SeaweedFS, bucket: Bucket
) -> None:
    with Repository.init(str(tmp_path / ".artifacts")) as mine:
        mine.put(str(make_tree(tmp_path / "data", {"large.txt": LARGE, "less.txt": LARGE[: 3 << 19]})), "p/data")
    with S3Proxy(server.endpoint) as proxy:
        bucket = Bucket(server, tmp_path.name, proxy.endpoint)
        bucket.fill(tmp_path / ".artifacts")
        setup = "from artstore.server import seen\nseen._FETCHED = 2 << 20"
        with bucket.served(tmp_path, setup) as served, Team(served) as team:
            reader = team.visitor("reads", Role.READER)
            assert b"weights" in reader.get("/files/local/p/data/0?path=less.txt").body
            proxy.reset()
            shown = reader.get("/files/local/p/data/0?path=large.txt").body
            assert b"No preview: a file of 2.3 MiB isn&#39;t fetched from its bucket for a page." in shown
            assert b"/raw/local/p/data/0?path=large.txt" in shown
            assert reader.get("/play/local/p/data/0?path=large.txt").status == 403
            assert not [path for method, path, _ in proxy.requests if method == "GET" and "/objects/blobs/" in path]
            assert reader.get("/raw/local/p/data/0?path=large.txt").body == LARGE
            assert [path for method, path, _ in proxy.requests if method == "GET" and "/objects/blobs/" in path]


def test_an_address_is_for_one_large_file_for_reading_it_as_bytes_and_for_its_time(
    tmp_path: Path, server: SeaweedFS, bucket: Bucket
) -> None:
    two_projects(tmp_path)
    bucket.fill(tmp_path / ".artifacts")
    with bucket.served(tmp_path, "from artstore.server import objects\nobjects.SECONDS = 3") as served:
        known, reader = Known(served.token("root", Role.ADMIN)), served.token("reader", Role.READER, "local/vision")
        folder, id, digest = known.folder("vision"), known.ids["vision"], known.digests["vision"]
        where = f"/blobs/{digest}?log={folder}&id={id}"
        status, headers, body = reader.whole("GET", where)
        location, began = headers["location"], time.monotonic()
        path, other = urlsplit(location).path, known.digests["hidden"]
        assert (status, body) == (302, b"") and f"/objects/blobs/{digest[:2]}/{digest}/" in path
        assert _answered(location) == (200, "application/octet-stream")
        elsewhere = [one for one in _paths(server, tmp_path.name) if one != path]
        assert any(".pack/" in one for one in elsewhere) and any(other in one for one in elsewhere)
        for wrong in (
            *(location.replace(path, one) for one in elsewhere), location.replace(path, path.rpartition("/")[0]),
            location.replace(path, "/" + path.split("/")[1]), f"{location}&response-content-type=text/html",
            f"{location}&response-content-disposition=inline", f"{location}&versionId=1",
            location.replace("X-Amz-Expires=3", "X-Amz-Expires=604800"),
        ):  # fmt: skip
            assert wrong != location and _answered(wrong)[0] in (400, 403), wrong
        for method in ("PUT", "POST", "DELETE", "HEAD"):
            assert _answered(location, method)[0] in (400, 403, 405), method
        small = [digest for _, _, digest in _small(reader, folder, id)]
        assert small and all(reader.get(f"/blobs/{one}?log={folder}&id={id}")[0] != 302 for one in small), "in a pack"
        assert reader.get(f"/blobs/{other}?log={folder}&id={id}")[0] == 404
        served.tokens.revoke("reader")
        assert reader.get(where)[0] == 401
        time.sleep(max(began + 5 - time.monotonic(), 0))
        assert _answered(location)[0] == 403, "its time is over"
        records = [one for one in Audit(served.state).records() if one.operation == "download" and one.outcome == "302"]
        assert [(one.token, one.project, one.subject) for one in records] == [("reader", "local/vision", "data:v0")]


def _small(reader: Asking, folder: str, id: str) -> list[tuple[str, int, str]]:
    """(path, size, digest) of the small files of a version."""
    _, listed = reader.post("/listing", folder=folder, id=id)
    return [(path, size, digest.hex()) for path, _, size, digest in listed[:-1] if size and size < 1 << 20]


def _paths(server: SeaweedFS, name: str) -> list[str]:
    """The path of each object in this part of the bucket, as addresses have it."""
    status, told = ask_signed(server.endpoint, "GET", f"/{server.bucket}?list-type=2&prefix={name}")
    assert status == 200
    return [f"/{server.bucket}/{key}" for key in re.findall("<Key>(.*?)</Key>", told.decode())]


def test_what_another_host_serves_is_not_served_again(cli: Cli, repo: Repository) -> None:
    (Path(repo.root) / "config").write_text('[remote "team"]\nurl = https://artifacts.example.org\n')
    for command in (("serve",), ("token", "ls"), ("token", "create", "ci", "--role", "admin"), ("audit",)):
        for place in ("team", "https://artifacts.example.org"):
            answer = cli(*command, "--from", place)
            assert answer.code == 3 and "is served by another host" in answer.err, (command, answer)


def test_the_path_of_large_files_is_for_a_folder(cli: Cli, bucket: Bucket, tmp_path: Path) -> None:
    Repository.init(str(tmp_path / ".artifacts")).close()
    bucket.fill(tmp_path / ".artifacts")
    answer = cli("serve", "--from", "bucket", "--accel", "/stored", **bucket.keys)
    assert (answer.code, answer.err) == (
        3, "error: a proxy sends files of a folder, not of a bucket\nhint: leave out --accel\n",
    )  # fmt: skip


@pytest.mark.long
def test_each_role_may_do_over_a_bucket_what_it_may_over_a_folder(tmp_path: Path, bucket: Bucket) -> None:
    two_projects(tmp_path)
    bucket.fill(tmp_path / ".artifacts")
    with serving(tmp_path) as folder, bucket.served(tmp_path) as served:
        for role in (None, *Role):
            answers = [_answers(one, role) for one in (folder, served)]
            assert answers[0] == answers[1], role


def _answers(server: Server, role: Role | None) -> dict[tuple[str, str], Any]:
    """What a role is answered by each operation, about each project."""
    known = Known(server.token(f"root{role}", Role.ADMIN))
    asker = server.stranger() if role is None else server.token(f"one{role}", role, "local/vision")
    found: dict[tuple[str, str], Any] = {}
    for operation in ALL:
        for project in PROJECTS:
            writes = role is not None and role >= Role.WRITER
            transaction = asker.begin() if writes else "0" * 32
            path, body = REQUESTS[name_of(operation)](known, project, transaction)
            asking = asker._replace(prefix=prefix_of(operation))
            status, told = asking.ask(operation.method, path, body, Artstore_Transaction=transaction)
            if role in (None, Role.VIEWER):
                assert SECRET.decode() not in str(told), (operation, project)
            status = 200 if status == 302 else status  # the bucket gives large blobs itself
            found[name_of(operation), project] = status, told if status >= 400 else None
            if writes:
                asker.ask("DELETE", f"/transactions/{transaction}")
    return found


@pytest.mark.long
def test_every_page_over_a_bucket_answers_by_role(tmp_path: Path, bucket: Bucket) -> None:
    told = environment(tmp_path)
    command = [sys.executable, "-m", "tests.support.team", str(tmp_path)]
    subprocess.run(command, check=True, env=told, cwd=Path(__file__).parents[2])
    bucket.fill(tmp_path / ".artifacts")
    secrets = {
        needle: of
        for needle, of in needles(tmp_path / ".artifacts").items()
        if needle.decode("latin-1") not in str(tmp_path)
    }
    with bucket.served(tmp_path) as served, Team(served) as team:
        for role in (Role.VIEWER, Role.READER):
            who, wrong = team.visitor(str(role), role, "local/seen", "local/registry-shared"), []
            for page, address in everything(tmp_path / ".artifacts"):
                answer = who.get(address)
                if not as_expected(page, address, answer, looks=role == Role.VIEWER):
                    wrong.append((address, str(answer.status)))
                if role == Role.VIEWER:
                    wrong += [
                        (address, of) for needle, of in secrets.items()
                        if needle in answer.whole() and needle not in address.encode()
                    ]  # fmt: skip
            assert wrong == []
        admin = team.visitor("root", Role.ADMIN)
        assert admin.get("/storage").status == 200 and b"zquser" in admin.get("/runs").body


def test_a_list_of_runs_costs_few_requests_of_the_bucket_unless_there_are_new_entries(
    tmp_path: Path, server: SeaweedFS, bucket: Bucket
) -> None:
    with Repository.init(str(tmp_path / ".artifacts")) as mine:
        for number in range(20):
            start(mine.root, id=f"r{number}").finish(0, {})
    with S3Proxy(server.endpoint) as proxy:
        bucket = Bucket(server, tmp_path.name, proxy.endpoint)
        bucket.fill(tmp_path / ".artifacts")
        with bucket.served(tmp_path) as served, Team(served) as team:
            admin = team.visitor("root", Role.ADMIN)
            assert b"r19" in admin.get("/runs").body
            proxy.reset()
            assert b"r19" in admin.get("/runs").body and len(proxy.requests) <= 8
            proxy.reset()
            one = team.visitor("one", Role.VIEWER, "local/uncategorized")
            assert b"r19" in one.get("/runs").body and len(proxy.requests) <= 8, "they were read for others"
            with Repository(str(tmp_path / ".artifacts")) as mine:
                start(mine.root, id="later").finish(0, {})
                mine.push("bucket")
            proxy.reset()
            assert b"later" in admin.get("/runs").body and len(proxy.requests) <= 16


def _answered(location: str, method: str = "GET") -> tuple[int, str | None]:
    """The status and media type of a request without any credentials but those in the address."""
    parts = urlsplit(location)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request(method, f"{parts.path}?{parts.query}", b"x" if method in ("PUT", "POST") else None)
    with closing(connection):
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"]


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
