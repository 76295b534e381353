"""Deltas on their way: one goes where its base is, or goes too; elsewhere the segment arrives whole."""

import random
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from artstore.domain.deltas import decode_delta, delta_digest
from artstore.domain.digest import DELTA, RECIPE, Digest
from artstore.domain.recipes import Recipe, Segment, decode_recipe, encode_recipe
from artstore.domain.selection import Selection
from artstore.errors import DamagedObject
from artstore.repository import Repository
from artstore.store.framed import FramedWriter
from artstore.store.paths import pack_path
from artstore.view import view_of
from tests.support.checks import check
from tests.support.exchange import cloned, got, put
from tests.support.packing import MIB, deltas, model, steps, stored_bytes, stored_files, tensor, trained

STEP = 0.2 * 2 * MIB
"""Bytes that a step takes beside another one."""
WHOLE = 0.55 * 2 * MIB


@pytest.fixture
def packed(anna: Repository) -> Repository:
    """Three steps of a training, of which two are deltas."""
    for data in steps(3):
        put(anna, "a", {"model.safetensors": data})
    anna.pack()
    assert [deltas(anna, f"a:v{number}") for number in range(3)] == [0, 2, 2]
    return anna


def assert_equal(one: Repository, other: Repository, *specs: str) -> None:
    for spec in specs:
        assert got(one, spec) == got(other, spec)
    check(Path(one.root))


def test_steps_are_pushed_and_cloned_as_they_are_stored(packed: Repository, nas: Path, tmp_path: Path) -> None:
    packed.push()
    with Repository(str(nas)) as remote:
        assert deltas(remote, "a:v2") == 2 and not stored_files(remote)
        assert stored_bytes(remote) < 1.05 * stored_bytes(packed)
    with cloned(tmp_path, nas) as clone:
        assert deltas(clone, "a:v1") == 2
        assert_equal(clone, packed, "a:v0", "a:v1", "a:v2")


def test_the_next_step_takes_a_delta_to_where_its_base_is(anna: Repository, bob: Repository, nas: Path) -> None:
    for number, data in enumerate(steps(3)):
        put(anna, "a", {"model.safetensors": data})
        anna.pack()
        before = stored_bytes(Repository(str(nas))), stored_bytes(bob)
        anna.push()
        bob.pull()
        grown = stored_bytes(Repository(str(nas))) - before[0], stored_bytes(bob) - before[1]
        assert max(grown) < (STEP if number else WHOLE)
    assert_equal(bob, anna, "a:v0", "a:v1", "a:v2")


def test_a_step_alone_arrives_whole(packed: Repository, tmp_path: Path) -> None:
    packed.create_bundle(str(tmp_path / "last.zip"), ["a:v2"])
    with Repository.init(str(tmp_path / "far/.artifacts")) as far:
        far.apply_bundle(str(tmp_path / "last.zip"))
        assert deltas(far, "a:latest") == 0 and not stored_files(far)
        assert got(far, "a:latest") == got(packed, "a:v2")
    check(tmp_path / "far/.artifacts")


def test_two_steps_without_their_base_arrive_whole(packed: Repository, bob: Repository, nas: Path) -> None:
    packed.delete("a:v0")
    packed.push()
    bob.pull()
    with Repository(str(nas)) as remote:
        assert deltas(remote, "a:v2") == 0 and not stored_files(remote)
    assert_equal(bob, packed, "a:v1", "a:v2")


def test_a_step_stays_a_delta_of_a_segment_that_another_blob_brings(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    first = tensor(1)
    put(anna, "a", {"model.safetensors": model(first, tensor(2))})
    put(anna, "a", {"model.safetensors": model(trained(first, 1), tensor(2))})
    put(anna, "b", {"model.safetensors": model(first, tensor(9))})
    anna.pack()
    anna.delete("a:v0")
    anna.push()
    bob.pull()
    with Repository(str(nas)) as remote:
        assert deltas(remote, "a:v1") == 1
    assert_equal(bob, anna, "a:v1", "b:v0")


def test_a_partial_clone_fills_a_step_whose_base_it_lacks(packed: Repository, nas: Path, tmp_path: Path) -> None:
    packed.push()
    with cloned(tmp_path, nas, selection=Selection("nothing.txt")) as clone:
        clone.fill(clone.find("a:v2"))
        assert got(clone, "a:v2") == got(packed, "a:v2")
    check(tmp_path / "clone/.artifacts")


def test_steps_go_through_a_bucket(packed: Repository, bucket_url: str, tmp_path: Path) -> None:
    packed.remotes.add("bucket", bucket_url, make=True)
    packed.push("bucket")
    with view_of(bucket_url, None, writing=True) as bucket:
        assert not bucket.fsck().problems
        bucket.gc(now=True)
        assert not bucket.fsck().problems
    with cloned(tmp_path, bucket_url) as clone:
        assert deltas(clone, "a:v2") == 2
        assert_equal(clone, packed, "a:v0", "a:v1", "a:v2")


# -- deltas of others --


def _forged(nas: Path, scratch: Path, forge: Callable[[bytes], bytes]) -> None:
    """Write each pack of frames at a remote anew, with other deltas."""
    with Repository(str(nas)) as remote:
        packs = remote.objects.packs
        for name in [name for name in packs.refresh() if packs.open(name).index.has_frames]:
            pack = packs.open(name)
            rows = list(pack.index.rows())
            made = {row.digest: forge(pack.object(row) or b"") for row in rows if row.kind == DELTA}
            with closing(FramedWriter(str(scratch / name))) as writer:
                for row in rows:
                    data = pack.object(row) or b""
                    if row.kind == DELTA:
                        writer.add(DELTA, delta_digest(made[row.digest]), made[row.digest])
                    elif row.kind == RECIPE:
                        writer.add(RECIPE, row.digest, _renamed(data, made))
                    else:
                        writer.copy(row, memoryview(pack.read_range(row.offset, row.length)))
                forged = writer.finish().hex()
            (nas / pack_path(name)).unlink()
            (scratch / name).rename(nas / pack_path(forged))


def _renamed(data: bytes, made: dict[Digest, bytes]) -> bytes:
    recipe = decode_recipe(data)

    def renamed(segment: Segment) -> Segment:
        return segment._replace(delta=delta_digest(made[segment.delta])) if segment.delta in made else segment

    return encode_recipe(Recipe(recipe.size, tuple(map(renamed, recipe.segments))))


def _other_bits(delta: bytes) -> bytes:
    """A right delta, of something else."""
    codec, width, stored = decode_delta(delta).difference
    return delta[:64] + struct.pack(">BBH", codec, width, 0) + stored[:-1] + bytes([stored[-1] ^ 1])


def _cut(delta: bytes) -> bytes:
    return delta[: len(delta) // 2]


def _noise(delta: bytes) -> bytes:
    return delta[:64] + random.Random(5).randbytes(500)


def _of_itself(delta: bytes) -> bytes:
    """It names its own segment as its base."""
    return delta[:32] * 2 + delta[64:]


@pytest.mark.damaged
@pytest.mark.parametrize("forge", [_other_bits, _cut, _noise, _of_itself])
def test_deltas_of_others_that_are_wrong_are_refused_before_anything_is_published(
    packed: Repository, bob: Repository, nas: Path, tmp_path: Path, forge: Callable[[bytes], bytes]
) -> None:
    """Each has the digest by which it is found. What it gives isn't the segment."""
    packed.push()
    (tmp_path / "unchecked").touch()
    _forged(nas, tmp_path, forge)
    with pytest.raises(DamagedObject):
        bob.pull().whole()
    assert not list(bob.collections()) and not stored_files(bob)
