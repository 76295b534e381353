"""Each answer of a bucket's service gets its cause and a way out that is true; no answer gets a word, and an end."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.backends import parallel
from artstore.errors import ArtstoreError, SourceError, StorageError
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.references import referring
from tests.support.servers import HANG, REFUSE, Exchange, S3Proxy, SeaweedFS
from tests.support.web import web_server

pytest.importorskip("obstore")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """A service that answers by its rule alone; nobody is behind it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with S3Proxy("http://127.0.0.1:1") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.mark.parametrize(
    ("status", "code", "reason", "hint"),
    [
        (400, "ExpiredToken", "the credentials have expired", "log in again"),
        (400, "InvalidToken", "the session token is not known there", "AWS_SESSION_TOKEN"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong, or the server's", "set this machine's clock"),
        (403, "InvalidAccessKeyId", "the access key is not known there", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "the secret key does not belong", "AWS_SECRET_ACCESS_KEY"),
        (403, "AccessDenied", "refused to let us", "check the credentials"),
        (400, "AuthorizationHeaderMalformed", "in another region", "AWS_REGION"),
        (301, "PermanentRedirect", "in another region", "AWS_REGION"),
        (400, "InvalidBucketName", "can't be a bucket's name", "mend the URL"),
        (
            400,
            "InvalidRequest",
            "it answered 400 (InvalidRequest)",
            "check the credentials (or log in again), the region",
        ),
        (501, "NotImplemented", "the service lacks what was asked for (501)", "conditional writes"),
    ],
)
def test_what_a_service_refuses_is_told_once_by_its_cause(
    repo: Repository, service: S3Proxy, status: int, code: str, reason: str, hint: str
) -> None:
    service.rule = lambda request, number: REFUSE(404 if request.method != "PUT" else status, code if request.method == "PUT" else "NoSuchKey")  # fmt: skip
    with pytest.raises(StorageError) as refused:
        repo.remotes.add("r", "s3://bucket/path", make=True)
    assert reason in refused.value.message and hint in (refused.value.hint or "")
    assert "network" not in (refused.value.hint or "") and "hunter2" not in str(refused.value)
    assert sum(method == "PUT" for method, _, _ in service.requests) == 1, "asked again in vain"


def test_an_overloaded_server_is_asked_again_and_told_as_that(
    repo: Repository, service: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artstore.backends.bucket import calls

    monkeypatch.setattr(calls, "LONG_WAITS", (0.01, 0.01))
    service.rule = lambda request, number: REFUSE(503 if request.method == "PUT" else 404)
    with pytest.raises(StorageError, match=r"503 \(SlowDown\)"):
        repo.remotes.add("r", "s3://bucket/path", make=True)
    assert sum(method == "PUT" for method, _, _ in service.requests) == 3


# -- silence ---------------------------------------------------------------------------------------


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits as in life, each a fiftieth."""
    from artstore.backends.bucket import opening

    real: Any = opening.S3Store

    def store(name: str, **options: Any) -> Any:
        options["client_options"]["read_timeout"] /= 50
        options["retry_config"]["retry_timeout"] /= 50
        return real(name, **options)

    monkeypatch.setattr(opening, "S3Store", store)
    monkeypatch.setattr(parallel, "SILENCE", parallel.SILENCE / 50)
    monkeypatch.setattr(parallel, "MOST_SECONDS", parallel.MOST_SECONDS / 50)


@pytest.mark.usefixtures("hurried")
def test_a_bucket_that_never_answers_is_reported_and_given_up(repo: Repository, service: S3Proxy) -> None:
    service.rule = lambda request, number: HANG(30)
    for use in (
        lambda: repo.remotes.add("r", "s3://bucket/path"),
        lambda: referring("s3://bucket/key"),
        lambda: referring("s3://bucket/below/"),
    ):
        begun = time.monotonic()
        silent = rf"s3://bucket.* \({service.endpoint}\): it did not answer in time"
        with (
            pytest.warns(UserWarning, match="s3://bucket.* has not answered for 0 seconds; waiting"),
            pytest.raises(StorageError, match=silent),
        ):
            use()
        assert time.monotonic() - begun < 20


@pytest.mark.usefixtures("hurried")
def test_a_bucket_that_falls_silent_is_given_up_while_references_are_fetched(
    server: SeaweedFS, tmp_path: Path, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    from artstore.backends.bucket.opening import store_of

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    with S3Proxy(server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        name = f"s3://{server.bucket}/{os.urandom(6).hex()}"
        obstore.put(store_of(name), "object", b"1")
        repo.put(f"{name}/object", "one")
        proxy.rule = lambda request, number: HANG(30)
        with (
            pytest.warns(UserWarning, match="has not answered"),
            pytest.raises(StorageError, match="it did not answer in time"),
        ):
            repo.get(repo.find("one"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_web_server_that_never_answers_is_reported_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.backends.references.http._TIMEOUT", 0.3)
    monkeypatch.setattr(parallel, "SILENCE", 0.1)
    monkeypatch.setattr(parallel, "MOST_SECONDS", 0.5)
    with (
        web_server() as web,
        pytest.warns(UserWarning, match="127.0.0.1 has not answered"),
        pytest.raises(StorageError, match="timed out"),
    ):
        referring(web.serve("/slow", b"1", seconds=1))


@pytest.mark.long
def test_every_command_ends_in_about_a_minute_where_nobody_answers(
    cli: Cli, process_cli: Cli, service: S3Proxy, tmp_path: Path
) -> None:
    service.rule = lambda request, number: HANG(600)
    cli("init")
    given = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for command in ("remote add r s3://bucket/x", "ls --from s3://bucket/x", "put s3://bucket/x -n x"):
        begun = time.monotonic()
        done = process_cli(*command.split(), **given)
        assert done.code == 9 and "has not answered for 10 seconds; waiting" in done.err, command
        assert time.monotonic() - begun < 90 and "it did not answer in time" in done.err


# -- keys ------------------------------------------------------------------------------------------


def listing(*keys: str) -> Any:
    """A listing of objects, as S3 gives it."""
    contents = "".join(
        f'<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>"x"</ETag><Size>1</Size></Contents>'
        for key in keys
    )
    text = f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>'

    def action(exchange: Exchange) -> None:
        exchange.begin(200, [("Content-Length", str(len(text)))])
        exchange.wfile.write(text.encode())

    return action


@pytest.mark.parametrize("key", ["p/x//y", "p/../z", "p/./q", "p//"])
def test_one_odd_key_below_a_prefix_is_named(repo: Repository, service: S3Proxy, key: str) -> None:
    service.rule = lambda request, number: listing("p/a", key, "p/b") if "list-type" in request.path else REFUSE(404)
    with pytest.raises(SourceError, match="can't be referenced") as refused:
        referring("s3://bucket/p/")
    ((named, reason),) = refused.value.problems
    assert named == f"s3://bucket/{key}" and "empty part" in reason and "network" not in (refused.value.hint or "")


def test_a_strangers_odd_key_in_a_remote_is_named(repo: Repository, service: S3Proxy) -> None:
    from artstore.backends.places import open_storage

    service.rule = lambda request, number: listing("path/refs/x//y")
    with pytest.raises(ArtstoreError, match="it has the key 'path/refs/x//y', which has an empty part") as refused:
        open_storage("s3://bucket/path").below("refs")
    assert "rename or remove that object" in (refused.value.hint or "")


def test_without_checksum_nothing_is_asked(here: Path, service: S3Proxy) -> None:
    artifact = referring()
    uris = ("s3://bucket/key", "s3://bucket/a/b c", "s3://bucket/v?versionId=7", "s3://bucket/folder/", "s3://bucket")
    for uri in uris:
        artifact.add_reference(uri, checksum=False)
    artifact.add_reference("s3://bucket/a/", "named", checksum=False)
    entries = artifact.manifest.entries
    assert {path: entry.ref for path, entry in entries.items()} == {
        "key": "s3://bucket/key", "a/b c": "s3://bucket/a/b c", "v": "s3://bucket/v",
        "folder": "s3://bucket/folder/", "bucket": "s3://bucket/", "named": "s3://bucket/a/",
    }  # fmt: skip
    assert service.requests == []


def test_a_client_is_opened_once_for_all_objects_of_a_bucket(service: S3Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    from artstore.backends.bucket import opening

    opened = []
    real: Any = opening.S3Store
    monkeypatch.setattr(opening, "S3Store", lambda name, **options: opened.append(name) or real(name, **options))
    first = opening.kept_store_of("s3://bucket")
    assert opening.kept_store_of("s3://bucket") is first and opened == ["bucket"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert opening.kept_store_of("s3://bucket") is not first, "who asks is another now"


# -- what the environment lacks --------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["az://container/path", "gs://bucket/path", "s3://bucket/path", "s3://b[x", "az://[::1/x", "s3://"])  # fmt: skip
def test_no_foreign_exception_comes_of_an_environment_that_fits_no_service(cli: Cli, tmp_path: Path, uri: str) -> None:
    wrong = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "\udcff",
        "AWS_REGION": "here and there", "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json"),
        "AZURE_STORAGE_ACCOUNT_KEY": "not base64", "AZURE_STORAGE_ENDPOINT": "http://[",
    }  # fmt: skip
    for command in (["remote", "add", "z", uri], ["put", uri, "-n", "x"], ["ls", "--from", uri]):
        for more in (wrong, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "x", "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none")}):  # fmt: skip
            done = cli(*command, **more)
            assert done.code in (3, 4, 8, 9), (command, done.err)
