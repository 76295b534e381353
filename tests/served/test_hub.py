"""Reading in the shape of the Hugging Face hub, by hand: files, revisions, lists, ranges, refusals, and the audit."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from artstore.backends.references import find
from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.audit import Audit
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.served import Asking, Server, serving

CONFIG, WEIGHTS = b'{"model_type": "tiny"}', b"weights\n" * 200_000
SECRET = b"the label of nobody\n"
HUB_TOKEN = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
MANY = 2300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hub")
    elsewhere = folder / "elsewhere.bin"
    elsewhere.write_bytes(b"bytes of the host")
    files = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "deep/a b": "1", "empty": ""}
    make_tree(folder / "model", files)
    make_tree(folder / "many", {"a.txt": "a", "b/z": "z", "c": "c"} | {f"b/{n:04}": f"{n}" for n in range(MANY)})
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put(str(folder / "model"), "vision/net", type="model", aliases=("prod",))
        (folder / "model/config.json").write_bytes(b"{}")
        repository.put(str(folder / "model"), "vision/net")
        repository.put(str(folder / "many"), "vision/rows", type="dataset")
        repository.put(str(make_tree(folder / "hidden", {"config.json": SECRET})), "hidden/net")
        repository.put(str(folder / "model"), "hidden/old")
        repository.rename("hidden/old", "vision/moved")
        repository.put(str(folder / "model"), "team/vision/net")
        for project in ("version", "resolve"):
            repository.put(str(folder / "model"), f"{project}/net")
        _put_reference(repository, elsewhere)
    with serving(folder) as server:
        yield server
    check(folder / ".artifacts")


def _put_reference(repository: Repository, target: Path) -> None:
    with repository.draft() as draft:
        draft.add_references(target.name, find(target.as_uri()))
        draft.save(repository.path_of("vision/far")[0])


@pytest.fixture(scope="module")
def reader(server: Server) -> Asking:
    return server.token("reader", Role.READER, "local/vision")._replace(prefix="")


def _commit(reader: Asking, of: str = "vision/net", revision: str = "prod") -> str:
    status, told = reader.get(f"/api/models/{of}/revision/{revision}")
    assert status == 200, told
    return str(told["sha"])


def _codes(headers: Message) -> tuple[str | None, str | None]:
    return headers["x-error-code"], headers["x-repo-commit"]


def test_a_file_is_read_by_each_name_of_its_version(reader: Asking) -> None:
    old, new = _commit(reader), _commit(reader, revision="main")
    assert old != new and re.fullmatch("[0-9a-f]{40}", old)
    for revision, commit, data in (
        ("prod", old, CONFIG), ("v0", old, CONFIG), (old, old, CONFIG),
        ("main", new, b"{}"), ("latest", new, b"{}"), ("v1", new, b"{}"), (new, new, b"{}"),
    ):  # fmt: skip
        path = f"/vision/net/resolve/{revision}/config.json"
        status, headers, nothing = reader.whole("HEAD", path)
        assert (status, nothing, headers["x-repo-commit"]) == (200, b"", commit)
        assert headers["content-length"] == str(len(data)) and headers["accept-ranges"] == "bytes"
        status, also, body = reader.whole("GET", path, Accept_Encoding="gzip")
        assert (status, body, also["etag"]) == (200, data, headers["etag"])
        assert also["content-encoding"] is None and also["x-content-type-options"] == "nosniff"
    status, headers, body = reader.whole("GET", "/datasets/vision/net/resolve/prod/model.safetensors")
    assert (status, body, headers["content-length"]) == (200, WEIGHTS, str(len(WEIGHTS)))
    assert reader.get("/vision/net/resolve/prod/deep/a%20b") == (200, b"1")
    assert reader.get("/vision/net/resolve/prod/empty") == (200, b"")


@pytest.mark.parametrize(("path", "data"), [("config.json", CONFIG), ("model.safetensors", WEIGHTS)])
def test_a_request_gets_one_range_or_all(reader: Asking, path: str, data: bytes) -> None:
    size, where = len(data), f"/vision/net/resolve/prod/{path}"
    for asked, status, length in (
        ("bytes=0-0", 206, 1), ("bytes=4-", 206, size - 4), ("bytes=-5", 206, 5), (f"bytes=3-{size}9", 206, size - 3),
        (f"bytes={size}-", 416, 0), ("bytes=-0", 416, 0),
        ("bytes=0-0,1-1", 200, size), ("bytes=" + ",".join(["0-0"] * 1000), 200, size), ("bytes=x", 200, size),
    ):  # fmt: skip
        answer, headers, body = reader.whole("GET", where, Range=asked)
        assert (answer, len(body)) == (status, length), asked
        if status == 206:
            first, last = map(int, re.findall(r"\d+", headers["content-range"])[:2])
            assert body == data[first : last + 1] and headers["content-range"].endswith(f"/{size}")
        elif status == 416:
            assert headers["content-range"] == f"bytes */{size}"


def test_what_is_not_there_has_the_name_that_the_hub_has_for_it(reader: Asking) -> None:
    commit = _commit(reader)
    for path, code, known in (
        ("/vision/none/resolve/main/config.json", "RepoNotFound", None),
        ("/hidden/net/resolve/main/config.json", "RepoNotFound", None),
        ("/vision/NET/resolve/main/config.json", "RepoNotFound", None),
        ("/vision/net:v0/resolve/main/config.json", "RepoNotFound", None),
        ("/../net/resolve/main/config.json", "RepoNotFound", None),
        ("/vision/net/resolve/none/config.json", "RevisionNotFound", None),
        ("/vision/net/resolve/v7/config.json", "RevisionNotFound", None),
        ("/vision/net/resolve/refs%2Fpr%2F1/config.json", "RevisionNotFound", None),
        ("/vision/net/resolve/..%2F..%2Fhidden/config.json", "RevisionNotFound", None),
        (f"/vision/net/resolve/{'0' * 40}/config.json", "RevisionNotFound", None),
        ("/vision/net/resolve/prod/none.json", "EntryNotFound", commit),
        ("/vision/net/resolve/prod/deep", "EntryNotFound", commit),
        ("/vision/net/resolve/prod/../net/config.json", "EntryNotFound", commit),
        ("/vision/net/resolve/prod/%2e%2e%2fconfig.json", "EntryNotFound", commit),
        ("/vision/net/resolve/prod//config.json", "EntryNotFound", commit),
        ("/vision/net/resolve/prod/deep%00", "EntryNotFound", commit),
    ):
        for method in ("HEAD", "GET"):
            status, headers, _ = reader.whole(method, path)
            assert (status, *_codes(headers)) == (404, code, known), (method, path)
    for path in ("vision/net/revision/refs%2Fpr%2F1", "vision/net/revision/x", "vision/net/tree/x"):
        assert _codes(reader.whole("GET", f"/api/models/{path}")[1])[0] == "RevisionNotFound"
    assert _codes(reader.whole("GET", "/api/models/vision/net/tree/prod/none")[1]) == ("EntryNotFound", commit)
    message = reader.whole("GET", "/api/models/vision/net/revision/prot")[1]["x-error-message"]
    assert "no alias 'prot'" in message and "prod" in message


def test_a_viewer_gets_no_byte_digest_or_commit(server: Server) -> None:
    viewer = server.token("viewer", Role.VIEWER, "local/vision")._replace(prefix="")
    digests = re.compile("[0-9a-f]{40}")
    for method, path in (
        ("HEAD", "/vision/net/resolve/prod/config.json"), ("GET", "/vision/net/resolve/prod/config.json"),
        ("HEAD", "/vision/net/resolve/prod/none"), ("GET", "/api/models/vision/net"),
        ("GET", "/api/models/vision/net/tree/main"), ("GET", "/api/models/hidden/net"),
    ):  # fmt: skip
        status, headers, body = viewer.whole(method, path)
        assert (status, *_codes(headers)) == (403, "GatedRepo", None)
        assert "takes 'reader'" in headers["x-error-message"]
        assert not digests.search(f"{headers}{body!r}") and headers["etag"] is None


def test_a_token_of_the_hub_is_refused_and_written_down_nowhere(server: Server, reader: Asking) -> None:
    for secret in (HUB_TOKEN, None):
        for method, path in (("GET", "/api/models/vision/net"), ("HEAD", "/vision/net/resolve/prod/config.json")):
            status, headers, body = reader._replace(secret=secret).whole(method, path)
            assert status == 401 and headers["x-error-message"] == "Invalid credentials in Authorization header"
            assert HUB_TOKEN not in f"{headers}{body!r}"
    for path in Path(server.state).rglob("*"):
        assert not path.is_file() or HUB_TOKEN.encode() not in path.read_bytes()


def test_a_download_is_written_down_with_the_names_of_its_version(server: Server) -> None:
    noted = server.token("noted", Role.READER, "local/vision")._replace(prefix="")
    noted.whole("HEAD", "/vision/net/resolve/prod/config.json")
    noted.get("/vision/net/resolve/v0/config.json")
    noted.get("/vision/net/resolve/main/model.safetensors", Range="bytes=0-9")
    noted.get("/hidden/net/resolve/main/config.json")
    told = [
        (record.operation, record.project, record.subject, record.outcome)
        for record in Audit(server.state).records()
        if record.token == "noted"
    ]
    assert told == [
        ("download", "local/vision", "net:v0 (prod) config.json", "200"),
        ("download", "local/vision", "net:v1 model.safetensors", "206"),
        ("download", None, None, "404"),
    ]


def test_what_is_told_of_a_version_has_its_files_and_times(reader: Asking) -> None:
    _, told = reader.get("/api/models/vision/net")
    assert told["id"] == "vision/net" and told["private"] and told["sha"] == _commit(reader, revision="main")
    assert [one["rfilename"] for one in told["siblings"]] == ["config.json", "deep/a b", "empty", "model.safetensors"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", told["lastModified"])
    _, refs = reader.get("/api/models/vision/net/refs")
    assert {one["name"] for one in refs["branches"]} == {"main", "latest", "prod"}
    assert {one["name"]: one["targetCommit"] for one in refs["tags"]}["v0"] == _commit(reader)
    assert reader.get("/api/whoami-v2")[1]["name"] == "reader"


def _listed(reader: Asking, path: str) -> tuple[list[dict[str, Any]], int]:
    """All entries of a list, and the number of its pages."""
    found, pages = [], 0
    following: str | None = path
    while following is not None:
        status, headers, body = reader.whole("GET", following)
        assert status == 200, body
        found += json.loads(body)
        pages += 1
        parts = urlsplit(re.sub(r"^<(.*)>; rel=\"next\"$", r"\1", headers["link"] or ""))
        following = f"{parts.path}?{parts.query}" if headers["link"] else None
    return found, pages


def test_a_long_list_comes_in_pages(reader: Asking) -> None:
    below = [f"b/{n:04}" for n in range(MANY)]
    found, pages = _listed(reader, "/api/datasets/vision/rows/tree/main?recursive=True&expand=False")
    assert [one["path"] for one in found] == ["a.txt", "b", *below, "b/z", "c"] and pages == 3
    assert {one["path"] for one in found if one["type"] == "directory"} == {"b"}
    found, pages = _listed(reader, "/api/datasets/vision/rows/tree/v0/b?expand=true")
    assert [one["path"] for one in found] == [*below, "b/z"] and pages == 3
    assert found[0]["lastCommit"]["title"] == "rows:v0"
    assert [one["path"] for one in _listed(reader, "/api/datasets/vision/rows/tree/main")[0]] == ["a.txt", "b", "c"]


def test_the_address_of_the_next_page_is_plain_http_on_this_host_only(reader: Asking) -> None:
    path = "/api/datasets/vision/rows/tree/main?recursive=1"
    for host, scheme in (("127.0.0.1:8650", "http"), ("localhost", "http"), ("team.example", "https")):
        assert reader.whole("GET", path, Host=host)[1]["link"].startswith(f"<{scheme}://{host}/api/")


def test_some_paths_are_looked_up_by_a_form(reader: Asking) -> None:
    where = "/api/models/vision/net/paths-info/prod"
    status, found = reader.ask("POST", where, b"paths=config.json&paths=deep&paths=none&paths=..%2Fx&expand=False")
    assert status == 200 and [(one["type"], one["path"]) for one in found] == [
        ("file", "config.json"),
        ("directory", "deep"),
    ]
    assert reader.ask("POST", where, b"&".join([b"paths=x"] * 5000))[0] == 400


def test_a_file_that_is_stored_elsewhere_is_never_opened(reader: Asking) -> None:
    listed, _ = _listed(reader, "/api/models/vision/far/tree/main")
    assert [(one["path"], one["oid"]) for one in listed] == [("elsewhere.bin", "0" * 40)]
    for method in ("HEAD", "GET"):
        status, headers, body = reader.whole(method, "/vision/far/resolve/main/elsewhere.bin")
        assert (status, headers["x-error-code"]) == (404, "EntryNotFound")
        assert "stored elsewhere" in headers["x-error-message"] and b"bytes of the host" not in body


def test_another_entity_is_named_before_the_rest_of_the_address(server: Server, reader: Asking) -> None:
    team = server.token("team", Role.READER, "team/*")._replace(prefix="/entity/team")
    assert team.get("/vision/net/resolve/main/config.json") == (200, b"{}")
    assert team.get("/api/models/vision/net")[0] == 200
    assert team._replace(prefix="").get("/api/models/vision/net")[0] == 404
    assert reader._replace(prefix="/entity/team").get("/api/models/vision/net")[0] == 404
    assert reader._replace(prefix="/entity/local").get("/api/models/vision/net")[0] == 200


def test_an_artifact_is_found_under_an_old_name_by_who_may_read_both(server: Server, reader: Asking) -> None:
    assert reader.get("/api/models/vision/moved")[0] == 200
    assert reader.get("/api/models/hidden/old")[0] == 404, "the old name is in a project that they don't see"
    both = server.token("both", Role.READER, "local/vision", "local/hidden")._replace(prefix="")
    assert both.get("/api/models/hidden/old")[1]["id"] == "vision/moved"


def test_pages_keep_their_addresses_and_projects_may_have_the_names_of_pages(server: Server) -> None:
    admin = server.token("admin", Role.ADMIN)._replace(prefix="")
    nobody = admin._replace(secret=None)
    assert admin.get("/version/net/resolve/main/config.json") == (200, b"{}")
    assert admin.get("/resolve/net/resolve/main/config.json") == (200, b"{}")
    status, headers, _ = nobody.whole("GET", "/version/local/resolve/net/0")
    assert status == 303 and headers["location"].startswith("/login?next="), "a page, for who logs in"
    assert nobody.get("/vision/net/resolve/main/config.json")[0] == 401


def test_nothing_is_written_in_this_way(reader: Asking) -> None:
    for method, path in (
        ("POST", "/api/repos/create"), ("DELETE", "/api/repos/delete"), ("POST", "/api/models/vision/net/commit/main"),
        ("POST", "/api/models/vision/net/preupload/main"), ("PUT", "/api/models/vision/net/settings"),
    ):  # fmt: skip
        status, headers, _ = reader.whole(method, path, b"{}")
        assert status == 403 and "artstore push" in headers["x-error-message"] and headers["x-error-code"] is None
    assert reader.get("/api/models")[0] == 404


def test_a_proxy_sends_large_files_itself(tmp_path: Path) -> None:
    make_tree(tmp_path / "model", {"large": WEIGHTS, "small": "1"})
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.put(str(tmp_path / "model"), "vision/net")
    with serving(tmp_path, "--accel", "/stored") as server:
        reader = server.token("reader", Role.READER)._replace(prefix="")
        status, headers, body = reader.whole("GET", "/vision/net/resolve/main/large")
        digest = headers["etag"].strip('"')
        assert (status, body) == (200, b"")
        assert headers["x-accel-redirect"] == f"/stored/objects/blobs/{digest[:2]}/{digest}"
        assert reader.whole("HEAD", "/vision/net/resolve/main/large")[1]["content-length"] == str(len(WEIGHTS))
        assert reader.get("/vision/net/resolve/main/small") == (200, b"1")


def test_no_odd_request_is_answered_with_more_than_a_refusal(server: Server, reader: Asking) -> None:
    odd = random.Random(1)
    words = [
        "vision",
        "hidden",
        "net",
        "rows",
        "resolve",
        "main",
        "v0",
        "..",
        "%2e%2e",
        "%2F",
        "%00",
        "%ff",
        "%0d%0a",
        "",
    ]
    words += [
        "config.json",
        "tree",
        "revision",
        "refs",
        "paths-info",
        "api",
        "models",
        "datasets",
        "deep",
        "a" * 300,
        "\\",
    ]
    queries = ["", "?recursive=true&cursor=%ff", "?expand=1&cursor=b/9", "?blobs=true", "?cursor=" + "a/" * 300]
    known = ["/vision/net/resolve/main/config.json", "/hidden/net/resolve/main/config.json"]
    known += [f"/api/models/{project}/net/{what}" for project in ("vision", "hidden") for what in ("tree/main", "refs")]
    seen: Counter[int] = Counter()
    for _ in range(150):
        parts = odd.choice(known).split("/")[1:]
        for _ in range(odd.randint(0, 3)):
            parts[odd.randrange(len(parts))] = odd.choice(words)
        method, ranged = (
            odd.choice(["GET", "HEAD", "POST", "PUT"]),
            odd.choice(["bytes=0-1", "bytes=-", "bytes=9" * 90]),
        )
        path, body = (
            "/" + "/".join(parts) + odd.choice(queries),
            odd.choice([None, b"paths=%ff&paths=..", b"\xff" * 99]),
        )
        status, headers, data = reader.whole(method, path, body, Range=ranged)
        assert status < 500 and SECRET not in data + str(headers).encode(), (method, path)
        seen[status] += 1
    assert {200, 206, 404} <= seen.keys(), seen
