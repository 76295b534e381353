"""Packed blobs on their way: to folders, buckets and served remotes, and back, nobody sees how they are stored."""

import os
import random
import shutil
import subprocess
import sys
import threading
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from artstore.domain.digest import RECIPE
from artstore.domain.recipes import Recipe, decode_recipe, encode_recipe
from artstore.domain.roles import Role
from artstore.domain.selection import Selection
from artstore.errors import DamagedObject
from artstore.repository import Repository
from artstore.store.framed import FramedWriter
from artstore.store.paths import pack_path
from artstore.view import view_of
from tests.support.checks import check
from tests.support.commands import environment
from tests.support.exchange import cloned, got, put, says
from tests.support.maintenance import spoil_packed
from tests.support.served import serving

MIB = 1 << 20


@cache
def _lines(seed: int) -> bytes:
    return random.Random(seed).randbytes(256 << 10).hex().encode()


def numbers(*seeds: int) -> bytes:
    """Half a MiB of hex digits for each seed: it shrinks, and equal seeds give equal parts."""
    return b"".join(map(_lines, seeds))


FILES = {"model.txt": numbers(1, 2, 3, 4, 5), "a.txt": "small"}
NEXT = {"model.txt": numbers(1, 2, 3, 4, 6), "a.txt": "small"}


def stored_as_files(repository: Repository) -> int:
    return len(list(repository.store.maintained().large.files()))


@pytest.fixture
def packed(anna: Repository) -> Repository:
    put(anna, "a", FILES)
    put(anna, "a", NEXT)
    assert anna.pack().blobs == 2 and not stored_as_files(anna)
    return anna


def test_what_is_packed_is_pushed_and_cloned(packed: Repository, nas: Path, tmp_path: Path) -> None:
    packed.push()
    assert says(nas) == says(packed)
    with cloned(tmp_path, nas) as clone:
        for spec in ("a:v0", "a:v1"):
            assert got(clone, spec) == got(packed, spec)
    check(tmp_path / "clone/.artifacts")


def test_a_remote_can_be_packed_and_pulled_from(anna: Repository, bob: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "a", NEXT)
    anna.push()
    with Repository(str(nas)) as remote:
        assert remote.pack().blobs == 2
    bob.pull()
    for spec in ("a:v0", "a:v1"):
        assert got(bob, spec) == got(anna, spec)
    anna.push()
    with Repository(str(nas)) as remote:
        assert not stored_as_files(remote), "nothing was sent again"


def test_a_push_finds_what_is_packed_at_the_remote(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    with Repository(str(nas)) as remote:
        remote.pack()
    put(bob, "b", FILES)
    bob.push()
    with Repository(str(nas)) as remote:
        assert not stored_as_files(remote), "bob's blob was found among the packs"


def test_a_partial_clone_of_a_packed_remote_fills_what_is_asked_for(
    packed: Repository, nas: Path, tmp_path: Path
) -> None:
    packed.push()
    with Repository(str(nas)) as remote:
        remote.pack()
    with cloned(tmp_path, nas, selection=Selection("a.txt")) as clone:
        assert not stored_as_files(clone)
        found = clone.find("a:v1")
        clone.fill(found)
        assert got(clone, "a:v1") == got(packed, "a:v1")
    check(tmp_path / "clone/.artifacts")


def test_a_bundle_of_what_is_packed_is_whole(packed: Repository, tmp_path: Path) -> None:
    packed.create_bundle(str(tmp_path / "all.zip"), ["a"])
    with Repository.init(str(tmp_path / "far/.artifacts")) as far:
        far.apply_bundle(str(tmp_path / "all.zip"))
        assert got(far, "a:v0") == got(packed, "a:v0")
    check(tmp_path / "far/.artifacts")


def test_a_bucket_can_be_packed_and_collected(anna: Repository, bucket_url: str, tmp_path: Path) -> None:
    anna.remotes.add("bucket", bucket_url, make=True)
    put(anna, "a", FILES)
    put(anna, "a", NEXT)
    anna.push("bucket")
    with view_of(bucket_url, None, writing=True) as bucket:
        assert bucket.pack().blobs == 2
        assert not bucket.fsck().problems
        bucket.gc(now=True)
    with cloned(tmp_path, bucket_url) as clone:
        for spec in ("a:v0", "a:v1"):
            assert got(clone, spec) == got(anna, spec)
    check(tmp_path / "clone/.artifacts")


def test_a_served_repository_that_is_packed_gives_and_takes_as_before(tmp_path: Path) -> None:
    home = tmp_path / "served"
    with Repository.init(str(home / ".artifacts")) as repository:
        put(repository, "a", FILES)
        put(repository, "a", NEXT)
        repository.pack()
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


_SCRIPT = """
import sys
from artstore.repository import Repository
from artstore.view import view_of
from artstore import Api

url, place = sys.argv[1:]
with Repository.init(place + "/.artifacts") as clone:
    clone.remotes.add("origin", url)
    clone.pull("origin")
    found = clone.find("a:v1")
    with clone.open(clone.entry(found, "model.txt")) as file:
        content = file.read()
    open(place + "/model.txt", "wb").write(content)
    clone.put(place + "/model.txt", "again")
    clone.pack()
    clone.put(place + "/model.txt", "third")
    clone.push("origin")
with Api(repository=url).artifact("third").get_entry("model.txt").open() as file:  # type: ignore
    assert file.read() == content
"""


def test_versions_can_be_got_while_they_are_packed_and_collected(anna: Repository, tmp_path: Path) -> None:
    """Three checkpoints are packed one after the other, while they are read all the time."""
    for number in range(3):
        put(anna, "a", {"model.txt": numbers(1, 2, 3, 10 + number)})
    wanted = {number: got(anna, f"a:v{number}") for number in range(3)}
    failed, ended = list[str](), threading.Event()

    def read() -> None:
        with Repository(str(anna.root)) as reader:
            while not ended.is_set():
                for number, content in wanted.items():
                    if got(reader, f"a:v{number}") != content:
                        failed.append(f"v{number}")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(3):
            anna.pack()
            anna.gc(now=True)
            put(anna, "a", {"model.txt": numbers(1, 2, 3, random.randrange(100, 10**6))})
    finally:
        ended.set()
        thread.join()
    assert not failed


# -- only what is new goes ---------------------------------------------------------------------


def stored_bytes(repository: Repository) -> int:
    return sum(size for _, size in repository.storage.below("objects"))


def test_a_push_and_a_pull_of_the_next_checkpoint_send_only_the_segments_that_are_new(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"model.txt": numbers(*range(20))})
    anna.pack()
    anna.push()
    bob.pull()
    before = [stored_bytes(place) for place in (anna, Repository(str(nas)), bob)]
    put(anna, "a", {"model.txt": numbers(*range(19), 99)})
    anna.pack()
    anna.push()
    bob.pull()
    grown = [stored_bytes(place) - was for place, was in zip((anna, Repository(str(nas)), bob), before, strict=True)]
    assert grown[1] <= 1.1 * grown[0] and grown[2] <= 1.1 * grown[0], "a push and a pull bring a pack for each file"
    assert not stored_as_files(bob)
    assert got(bob, "a:v1") == got(anna, "a:v1")


@pytest.mark.damaged
def test_a_recipe_of_others_that_is_wrong_is_refused(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    """Its check is right, and each of its segments is there: only as a whole it is another blob."""
    put(anna, "a", FILES)
    put(anna, "a", NEXT)
    anna.pack()
    anna.push()
    (tmp_path / "unchecked").touch()
    with Repository(str(nas)) as remote:
        packs = remote.objects.packs
        (name,) = [name for name in packs.refresh() if packs.open(name).index.has_frames]
        pack = packs.open(name)
        with closing(FramedWriter(str(tmp_path / "forged"))) as writer:
            for row in pack.index.rows():
                if row.kind == RECIPE:
                    recipe = decode_recipe(pack.object(row) or b"")
                    turned = Recipe(recipe.size, recipe.segments[::-1])
                    writer.add(RECIPE, row.digest, encode_recipe(turned))
                else:
                    writer.copy(row, memoryview(pack.read_range(row.offset, row.length)))
            forged = writer.finish().hex()
    (nas / pack_path(name)).unlink()
    (tmp_path / "forged").rename(nas / pack_path(forged))
    with pytest.raises(DamagedObject, match="its recipe is wrong"):
        bob.pull().whole()
    assert not list(bob.collections())


@pytest.mark.damaged
def test_a_segment_that_is_damaged_here_is_not_pushed(packed: Repository, nas: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(tmp_path / "anna", tmp_path / "damaged")) / ".artifacts"
    spoil_packed(damaged, 100_000)
    with Repository(str(damaged)) as again:
        with pytest.raises(DamagedObject, match="segment"):
            again.push().whole()
        assert not (nas / "refs").exists() or not list((nas / "refs").rglob("*.json"))


def test_a_bundle_that_builds_on_a_packed_version_can_be_applied_where_that_is_a_file(
    packed: Repository, tmp_path: Path
) -> None:
    packed.create_bundle(str(tmp_path / "first.zip"), ["a:v0"])
    packed.create_bundle(str(tmp_path / "second.zip"), ["a:v1"], base=["a:v0"])
    with Repository.init(str(tmp_path / "far/.artifacts")) as far:
        put(far, "mine", FILES)
        far.apply_bundle(str(tmp_path / "first.zip"))
        far.apply_bundle(str(tmp_path / "second.zip"))
        assert got(far, "a:v1") == got(packed, "a:v1")
    check(tmp_path / "far/.artifacts")
