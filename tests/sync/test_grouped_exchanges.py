"""Small files in groups on their way: to folders, buckets and served remotes, and back, nobody sees how they are stored."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from artstore.domain.roles import Role
from artstore.domain.selection import Selection
from artstore.repository import Repository
from artstore.view import View, view_of
from tests.support.checks import check
from tests.support.commands import environment
from tests.support.exchange import cloned, got, put, says
from tests.support.served import serving


def text(number: int) -> bytes:
    return b"# %d\n" % number + b"a line of code that others have, too\n" * 100


FIRST = {f"{number // 20}/{number}.py": text(number) for number in range(90)} | {"empty": b""}
SECOND = FIRST | {f"new/{number}.py": text(number) for number in range(200, 230)}


def groups(view: View) -> int:
    """Frames with several objects in the packs of a repository."""
    packs = view.store.maintained().packs
    indexes = [packs.open(name).index for name in packs.refresh()]
    places = [row.offset for index in indexes if index.has_frames for row in index.rows()]
    return sum(places.count(place) > 1 for place in set(places))


@pytest.fixture
def grouped(anna: Repository) -> Repository:
    put(anna, "a", FIRST)
    put(anna, "a", SECOND)
    assert anna.pack().small_blobs == 120 and groups(anna)
    return anna


def test_what_is_in_groups_is_pushed_and_cloned(grouped: Repository, nas: Path, tmp_path: Path) -> None:
    grouped.push()
    assert says(nas) == says(grouped)
    with cloned(tmp_path, nas) as clone:
        for spec in ("a:v0", "a:v1"):
            assert got(clone, spec) == got(grouped, spec)
    check(tmp_path / "clone/.artifacts")


def test_a_push_and_a_pull_find_what_is_in_groups_on_the_other_side(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", FIRST)
    anna.push()
    with Repository(str(nas)) as remote:
        assert remote.pack().small_blobs == 90
        before = sum(size for _, size in remote.storage.below("objects"))
    put(bob, "b", FIRST)
    bob.push()
    put(anna, "a", SECOND)
    anna.push()
    with Repository(str(nas)) as remote:
        new = sum(size for _, size in remote.storage.below("objects")) - before
    assert new < 30 * 4200 + 20_000, "30 files, and trees"
    bob.pull()
    for spec in ("a:v0", "a:v1"):
        assert got(bob, spec) == got(anna, spec)


def test_a_partial_clone_fills_single_files_of_groups(grouped: Repository, nas: Path, tmp_path: Path) -> None:
    grouped.push()
    with Repository(str(nas)) as remote:
        assert remote.pack().small_blobs == 120
    with cloned(tmp_path, nas, selection=Selection("3")) as clone:
        clone.fill(clone.find("a:v1"))
        assert got(clone, "a:v1") == got(grouped, "a:v1")
    check(tmp_path / "clone/.artifacts")


def test_a_bundle_of_what_is_in_groups_is_whole(grouped: Repository, tmp_path: Path) -> None:
    grouped.create_bundle(str(tmp_path / "all.zip"), ["a"])
    with Repository.init(str(tmp_path / "far/.artifacts")) as far:
        far.apply_bundle(str(tmp_path / "all.zip"))
        assert got(far, "a:v1") == got(grouped, "a:v1")
    check(tmp_path / "far/.artifacts")


def test_the_small_files_of_a_bucket_are_grouped_and_collected(
    anna: Repository, bucket_url: str, tmp_path: Path
) -> None:
    anna.remotes.add("bucket", bucket_url, make=True)
    put(anna, "a", FIRST)
    put(anna, "a", SECOND)
    anna.push("bucket")
    with view_of(bucket_url, None, writing=True) as bucket:
        assert bucket.pack().small_blobs == 120 and groups(bucket)
        assert not bucket.fsck().problems
        bucket.gc(now=True)
    with cloned(tmp_path, bucket_url) as clone:
        for spec in ("a:v0", "a:v1"):
            assert got(clone, spec) == got(anna, spec)
    check(tmp_path / "clone/.artifacts")


_SCRIPT = """
import sys
from artstore.repository import Repository
from artstore import Api

url, place = sys.argv[1:]
with Repository.init(place + "/.artifacts") as clone:
    clone.remotes.add("origin", url)
    clone.pull("origin")
    clone.get(clone.find("a:v0"), place + "/got")
    clone.put(place + "/got", "again")
    clone.pack()
    clone.put(place + "/got/new", "third")
    clone.push("origin")
with Api(repository=url).artifact("third").get_entry("200.py").open() as file:  # type: ignore
    assert file.read().startswith(b"# 200")
"""


def test_a_served_repository_with_groups_gives_and_takes_as_before(tmp_path: Path) -> None:
    home = tmp_path / "served"
    with Repository.init(str(home / ".artifacts")) as repository:
        put(repository, "a", SECOND)
        assert repository.pack().small_blobs == 120
    with serving(home) as server:
        names = environment(
            tmp_path, ARTSTORE_TOKEN=server.token("ann", Role.WRITER).secret or "", ARTSTORE_URL=server.url
        )
        script = tmp_path / "script.py"
        script.write_text(_SCRIPT)
        arguments = [sys.executable, str(script), server.url, str(tmp_path / "clone")]
        subprocess.run(arguments, env=os.environ | names, cwd=tmp_path, check=True, timeout=60)
    check(home / ".artifacts")
    check(tmp_path / "clone/.artifacts")
