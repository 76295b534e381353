"""Buckets that lose replies, fail, lie about their keys, or hold hostile packs."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.codec import encode_rows
from artstore.domain.digest import TREE, digest_of
from artstore.errors import (
    ArtstoreError,
    Damage,
    InvalidValue,
    NoSpace,
    StorageError,
    UnknownOutcome,
)
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.folders import make_tree, snapshot
from tests.support.forge import EMPTY, Forger, file
from tests.support.hostile_remotes import FILES, state_of
from tests.support.marks import long, mostly_long
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
    Action,
    Request,
    S3Proxy,
    SeaweedFS,
    changed,
)

ENTRY = r"/refs/[^?]*\.json$"


@pytest.fixture
def proxy(server: SeaweedFS) -> Iterator[S3Proxy]:
    with S3Proxy(server.endpoint) as proxy:
        yield proxy


class Bucket:
    """A repository and its remote in a bucket behind a proxy; a push of one small pack and one large blob is due."""

    def __init__(self, tmp_path: Path, proxy: S3Proxy) -> None:
        self.tmp_path, self.proxy = tmp_path, proxy
        self.url = f"s3://{SeaweedFS.bucket}/{os.urandom(8).hex()}?endpoint={proxy.endpoint}&region=us-east-1"
        self.root = str(tmp_path / "here")
        self.source = make_tree(tmp_path / "source", FILES)
        with Repository.init(self.root) as repository:
            repository.remotes.add("origin", self.url, make=True)
            repository.put(str(self.source), "good")
        proxy.reset()

    def push(self) -> None:
        with Repository(self.root) as repository:
            assert repository.push().refused == []

    def clone(self) -> Path:
        root = self.tmp_path / f"clone-{os.urandom(4).hex()}"
        clone, done = Repository.clone(self.url, str(root))
        with clone:
            done.whole()
            clone.get(clone.find("good:v0"), f"{root}-out")
        assert snapshot(Path(f"{root}-out")) == snapshot(self.source)
        check(root)
        return root

    def is_whole(self) -> None:
        self.proxy.rule = lambda request, number: PASS
        self.push()
        root = self.clone()
        entries = list(root.glob("remotes/origin/refs/local/uncategorized/good/*.json"))
        assert len(entries) == 1, "told twice"


@pytest.fixture
def bucket(tmp_path: Path, proxy: S3Proxy, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """With less patience than it has in life."""
    pytest.importorskip("obstore")
    from datetime import timedelta

    from artstore.backends.bucket import calls, opening

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    real: Any = vars(opening)["S3Store"]

    def impatient(name: str, **options: Any) -> Any:
        options["retry_config"] = {
            "max_retries": 2,
            "retry_timeout": timedelta(seconds=6),
            "backoff": {
                "init_backoff": timedelta(milliseconds=5),
                "max_backoff": timedelta(milliseconds=20),
                "base": 2,
            },
        }
        options["client_options"] |= {"timeout": timedelta(seconds=2), "read_timeout": timedelta(seconds=1)}
        return real(name, **options)

    monkeypatch.setattr(opening, "S3Store", impatient)
    monkeypatch.setattr(calls, "WAITS", (0.01, 0.02))
    monkeypatch.setattr(calls, "LONG_WAITS", (0.01, 0.02))
    return Bucket(tmp_path, proxy)


def only(pattern: str, action: Action, times: int = 10**9, method: str = "PUT") -> Callable[[Request, int], Action]:
    """The action for the first so many requests whose path matches."""
    left, lock = [times], threading.Lock()

    def rule(request: Request, number: int) -> Action:
        if re.search(pattern, request.path) and request.method == method:
            with lock:
                left[0] -= 1
                if left[0] >= 0:
                    return action
        return PASS

    return rule


@pytest.mark.parametrize("times", [1, 3])
def test_an_entry_that_was_written_and_whose_reply_was_lost_is_ours(bucket: Bucket, times: int) -> None:
    """Case 30: the second try is refused, and read back."""
    bucket.proxy.rule = only(ENTRY, DROP_REPLY, times)
    bucket.push()
    bucket.is_whole()


@pytest.mark.parametrize("pattern", [r"/tmp/[^/]*/\.claim", "/objects/packs/", "/objects/blobs/"])
def test_any_other_write_whose_reply_was_lost_is_made_again(bucket: Bucket, pattern: str) -> None:
    """Case 30: also that of the transaction's own mark."""
    bucket.proxy.rule = only(pattern, DROP_REPLY, 1)
    bucket.push()
    bucket.is_whole()


@pytest.mark.parametrize(
    "action",
    [DROP_REPLY, REFUSE(503), REFUSE(500), pytest.param(HANG(9), marks=long)],
    ids=["dropped", "503", "500", "hang"],
)
def test_an_entry_of_which_nobody_knows_is_told_as_such_and_nothing_is_removed(bucket: Bucket, action: Action) -> None:
    """Case 31: neither the write nor the reading back is answered; the next push finds what was done."""

    def rule(request: Request, number: int) -> Action:
        return action if re.search(ENTRY, request.path) and request.method in ("PUT", "GET") else PASS

    bucket.proxy.rule = rule
    with pytest.raises(UnknownOutcome) as caught, Repository(bucket.root) as repository:
        repository.push()
    assert "run the same command again" in (caught.value.hint or "")
    bucket.proxy.rule = lambda request, number: PASS
    assert not [request for request in bucket.proxy.requests if request[0] == "DELETE" and "/objects/" in request[1]]
    bucket.is_whole()


def test_a_gateway_without_conditional_writes_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    """Case 32: tried when the remote is added; nothing is noted of it."""
    bucket.proxy.rule = lambda request, number: IGNORE_CONDITION
    with Repository.init(str(tmp_path / "second")) as repository:
        with pytest.raises(InvalidValue, match="lets a second writer replace"):
            repository.remotes.add("origin", bucket.url)
        assert repository.remotes.all() == {}
        with pytest.raises(InvalidValue):
            repository.remotes.add(
                "origin", f"s3://{SeaweedFS.bucket}/{os.urandom(4).hex()}?{bucket.url.partition('?')[2]}", make=True
            )
        assert repository.remotes.all() == {}


@pytest.mark.diagonal("place", "action", "times")
@pytest.mark.parametrize("action", [TRUNCATE, LONGER, FLIP, CUT], ids=["truncated", "longer", "flipped", "cut"])
@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "always"])
@pytest.mark.parametrize("place", ["/objects/packs/", "/objects/blobs/", ENTRY, "/format"])
def test_bytes_that_change_on_their_way_are_never_taken_for_right(
    bucket: Bucket, tmp_path: Path, action: Action, times: int, place: str
) -> None:
    """Case 24, 25: one damaged reply is mended by asking again, or refused; what always comes so is refused."""
    bucket.push()
    bucket.proxy.rule = only(place, action, times, "GET")
    root = tmp_path / "clone"
    try:
        bucket.clone()
    except ArtstoreError as error:
        assert isinstance(error, (Damage, StorageError)) or place == "/format", repr(error)
        if root.exists():
            check(root)
    else:
        assert times == 1, "damaged bytes were taken"
    bucket.proxy.rule = lambda request, number: PASS
    bucket.clone()


def test_a_proxy_that_compresses_is_refused_or_seen_through(bucket: Bucket) -> None:
    """Case 25: bodies in gzip, without and with a header that says so."""
    import gzip

    bucket.push()
    bucket.proxy.rule = only("/objects/", changed(gzip.compress), method="GET")
    with pytest.raises((Damage, StorageError)):
        bucket.clone()
    bucket.is_whole()


HOSTILE_KEYS = ["refs/../../x/00000001.json", "objects/packs/../../../x", "../x", "refs//a/b/00000001.json", "refs/a/b/../c/00000001.json",
                "/etc/x", "refs/a\\..\\..\\x/b/c/00000001.json", "objects/blobs/../../x", "tmp/../../../x/y"]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_listing_with_keys_that_climb_is_refused_or_passed_over(bucket: Bucket, tmp_path: Path, key: str) -> None:
    """Case 29: keys are parsed, never joined to a path."""
    bucket.push()
    prefix = bucket.url.partition("?")[0].removeprefix(f"s3://{SeaweedFS.bucket}/")
    item = (
        f"<Contents><Key>{prefix}/{key}</Key><Size>3</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        "<ETag>&quot;x&quot;</ETag><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
    )
    bucket.proxy.rule = only(
        "list-type=2", changed(lambda body: body.replace(b"</ListBucketResult>", item.encode())), method="GET"
    )
    before = set(tmp_path.rglob("*"))
    root = tmp_path / "clone/deep/down/.artifacts"
    try:
        clone, _ = Repository.clone(bucket.url, str(root))
        clone.close()
    except ArtstoreError:
        pass
    outside = {p for p in tmp_path.rglob("*") if root not in p.parents and p not in before}
    assert outside <= {root, *root.parents}, outside
    if root.exists():
        check(root)
        mirrored = {str(p.relative_to(root / "remotes/origin")) for p in (root / "remotes/origin").rglob("*.json")}
        assert not [path for path in mirrored if "x" in path.split("/")], mirrored
    bucket.is_whole()


@pytest.mark.parametrize("action", [REFUSE(503), REFUSE(500), REFUSE(429), CUT, DROP_REPLY, pytest.param(HANG(1.5), marks=long)],
                         ids=["503", "500", "429", "cut", "dropped", "hang"])  # fmt: skip
def test_a_server_that_fails_now_and_then_is_asked_again(bucket: Bucket, action: Action) -> None:
    """Case 36: every fourth request; the push may fail, but then the next goes on, and nothing is lost."""
    bucket.proxy.rule = lambda request, number: action if number % 4 == 0 else PASS
    for _ in range(4):
        try:
            bucket.push()
            break
        except StorageError:
            continue
    else:
        pytest.fail("four pushes failed")
    bucket.is_whole()


@pytest.mark.parametrize("action", [REFUSE(503), pytest.param(HANG(9), marks=long), CUT], ids=["503", "hang", "cut"])
def test_a_server_that_is_gone_ends_every_command(bucket: Bucket, action: Action) -> None:
    """Case 36: bounded tries, one sentence."""
    bucket.push()
    bucket.proxy.rule = lambda request, number: action
    with Repository(bucket.root) as repository:
        for act in (repository.push, repository.pull, repository.fetch):
            with pytest.raises(StorageError):
                act()
    bucket.is_whole()


@pytest.mark.diagonal("number", "action")
@pytest.mark.parametrize("number", mostly_long(range(1, 31), *range(1, 31, 2)))
@pytest.mark.parametrize("action", [REFUSE(403), DROP_REPLY, REFUSE(507)], ids=["403", "dropped", "507"])
def test_a_push_that_fails_at_any_request_is_done_by_the_next(bucket: Bucket, number: int, action: Action) -> None:
    """Case 35, 37: credentials that expire, replies that are lost, no space, at this request and (but for one) all later ones."""
    stays = action is not DROP_REPLY
    bucket.proxy.rule = lambda request, n: action if (n >= number if stays else n == number) else PASS
    try:
        bucket.push()
    except ArtstoreError as error:
        assert isinstance(error, StorageError), repr(error)
        assert stays, f"one lost reply is no reason to fail: {error!r}"
    bucket.is_whole()


def test_expired_credentials_are_told(bucket: Bucket) -> None:
    """Case 37: in the middle of a push."""
    bucket.proxy.rule = only("/objects/blobs/", REFUSE(403))
    with pytest.raises(StorageError) as caught, Repository(bucket.root) as repository:
        repository.push()
    assert "credentials have expired" in str(caught.value) and "log in" in (caught.value.hint or "")
    bucket.is_whole()


def test_a_bucket_without_space_is_told(bucket: Bucket) -> None:
    """Case 35: no entry is made, and the next push goes on."""
    bucket.proxy.rule = only("/objects/packs/", REFUSE(507))
    with pytest.raises(NoSpace), Repository(bucket.root) as repository:
        repository.push()
    assert not [path for method, path, _ in bucket.proxy.requests if method == "PUT" and re.search(ENTRY, path)]
    bucket.is_whole()


def test_a_hostile_pack_in_a_bucket_is_refused(tmp_path: Path) -> None:
    """Case 24: its index names ranges behind its end."""
    pytest.importorskip("obstore")
    from artstore.backends.places import open_storage
    from artstore.domain.digest import pack_digest
    from artstore.store.packs import END, FOOTER, MAGIC, ROW

    url = f"memory://{os.urandom(8).hex()}/x"
    tree = encode_rows([file(b"f", EMPTY, 0)])
    with Repository.init(str(tmp_path / "author")) as author:
        author.remotes.add("origin", url, make=True)
        author.put(str(make_tree(tmp_path / "source", FILES)), "good")
        author.push()
    with Repository.init(str(tmp_path / "forged")) as forged:
        forger = Forger(Path(forged.root))
        forger.blob(b"")
        forger.version("evil", digest_of(TREE, tree), 0, 1)
    storage = open_storage(url, scratch=str(tmp_path))
    for path in (tmp_path / "forged/objects/packs").iterdir():
        storage.publish(str(path), f"objects/packs/{path.name}")
    storage.create("refs/local/uncategorized/evil/00000001.json", next(forger.folder("evil").iterdir()).read_bytes())
    header = MAGIC + os.urandom(16)
    for offset, length in ((1 << 40, 100), (24, 1 << 30), ((1 << 63) - 1, 1 << 31)):
        row = ROW.pack(digest_of(TREE, tree), TREE, 0, 0, length, offset)
        name = pack_digest(header, row)
        data = header + tree + row + FOOTER.pack(1, len(header + tree), name, END)
        (tmp_path / "evil").write_bytes(data)
        storage.publish(str(tmp_path / "evil"), f"objects/packs/{name.hex()}.pack")
        with Repository.init(str(tmp_path / "reader")) as reader:
            if not reader.remotes.all():
                reader.remotes.add("origin", url)
            before = state_of(reader.root)
            with pytest.raises((Damage, StorageError)):
                reader.pull(specs=["evil"]).whole()
            assert state_of(reader.root) == before
        header = MAGIC + os.urandom(16)
    check(tmp_path / "reader")
