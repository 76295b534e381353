"""`artstore pack`: the next step of a training is stored as what differs from the step before."""

import os
import random
from contextlib import closing
from pathlib import Path

import pytest

from artstore.domain.digest import DELTA
from artstore.domain.recipes import Recipe, encode_recipe
from artstore.errors import DamagedObject
from artstore.operations.upkeep import anew
from artstore.operations.upkeep.merge import publish
from artstore.repository import Repository
from artstore.store.framed import FramedWriter
from artstore.store.transaction import Transaction
from tests.support.folders import make_tree, snapshot
from tests.support.maintenance import gc
from tests.support.packing import (
    MIB,
    STEPS,
    deltas,
    model,
    out,
    packed_of,
    steps,
    stored_bytes,
    stored_files,
    tensor,
    trained,
)


def save(repo: Repository, tmp_path: Path, name: str, files: dict[str, bytes], number: int) -> Path:
    source = make_tree(tmp_path / f"{name}{number}", dict(files))
    repo.put(str(source), name)
    return source


@pytest.fixture
def trains(repo: Repository, tmp_path: Path) -> Repository:
    """A model after each of four steps, packed."""
    for number, data in enumerate(steps()):
        save(repo, tmp_path, "model", {"model.safetensors": data}, number)
    assert repo.pack().blobs == STEPS
    return repo


def test_each_step_is_stored_beside_the_first_and_takes_a_fifth_of_it(trains: Repository, tmp_path: Path) -> None:
    assert not stored_files(trains)
    assert [deltas(trains, f"model:v{number}") for number in range(STEPS)] == [0, 2, 2, 2]
    bases = {segment.base for number in (1, 2, 3) for segment in packed_of(trains, f"model:v{number}").segments}
    first = {segment.digest for segment in packed_of(trains, "model:v0").segments}
    assert bases - {None} < first, "no base is a delta"
    assert stored_bytes(trains) < 0.57 * 2 * MIB + 3 * 0.2 * 2 * MIB


def test_every_step_comes_back_as_it_was(trains: Repository, tmp_path: Path) -> None:
    for number, data in enumerate(steps()):
        assert out(trains, f"model:v{number}", tmp_path / f"out{number}") == {"model.safetensors": (False, data)}


def test_a_range_of_a_step_is_read(trains: Repository) -> None:
    data = steps()[3]
    packed = packed_of(trains, "model:v3")
    with trains.objects.large.packed.open(packed) as content:
        for offset in (0, 100, MIB - 5, len(data) - 9):
            assert content.read(offset, 5000) == data[offset : offset + 5000]


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_step_that_is_packed_later_finds_the_base_in_another_pack(
    repo: Repository, tmp_path: Path, step: int
) -> None:
    """Also when the step before it is a delta itself."""
    for number, data in enumerate(steps()[: step + 1]):
        save(repo, tmp_path, "model", {"model.safetensors": data}, number)
        repo.pack()
    assert deltas(repo, f"model:v{step}") == 2
    assert out(repo, f"model:v{step}", tmp_path / "out") == snapshot(tmp_path / f"model{step}")


def test_a_checkpoint_under_another_name_is_found_by_its_size_and_ending(repo: Repository, tmp_path: Path) -> None:
    for number, data in enumerate(steps(2)):
        save(repo, tmp_path, "run", {f"checkpoint-{number}/model.safetensors": data}, number)
    repo.pack()
    assert deltas(repo, "run:v1", "checkpoint-1/model.safetensors") == 2


def test_a_fine_tuned_model_is_stored_beside_the_one_that_its_run_used(
    repo: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import artstore

    monkeypatch.setenv("ARTSTORE_DIR", str(root))
    before, after = steps(2)
    save(repo, tmp_path, "base", {"model.safetensors": before}, 0)
    source = make_tree(tmp_path / "tuned", {"model.safetensors": after})
    with artstore.init(project="uncategorized") as run:
        run.use_artifact("base:latest")
        tuned = artstore.Artifact("tuned", "model")
        tuned.add_dir(str(source))
        run.log_artifact(tuned)
    repo.pack()
    assert deltas(repo, "tuned:v0") == 2


def test_a_model_trained_anew_is_stored_by_itself(repo: Repository, tmp_path: Path) -> None:
    save(repo, tmp_path, "model", {"model.safetensors": model(tensor(1), tensor(2))}, 0)
    save(repo, tmp_path, "model", {"model.safetensors": model(tensor(8), tensor(9))}, 1)
    repo.pack()
    assert deltas(repo, "model:v1") == 0


def test_a_tensor_that_changed_much_is_whole_and_the_base_from_there_on(repo: Repository, tmp_path: Path) -> None:
    first, other = tensor(1), tensor(7)
    states = [
        model(first, tensor(2)),
        model(trained(first, 1), other),
        model(trained(first, 2), trained(other, 3)),
    ]
    for number, data in enumerate(states):
        save(repo, tmp_path, "model", {"model.safetensors": data}, number)
    repo.pack()
    assert deltas(repo, "model:v1") == 1
    last = packed_of(repo, "model:v2").segments
    assert [segment.base for segment in last[-2:]] == [
        packed_of(repo, "model:v0").segments[-2].digest,
        packed_of(repo, "model:v1").segments[-1].digest,
    ]


def table(*changed: int) -> bytes:
    """A text of 3 MiB; some of its rows have changed, and are longer."""
    numbers = random.Random(4)
    rows = (f"{n},{numbers.randbytes(9).hex()}{' changed' if n in changed else ''}" for n in range(126_000))
    return "\n".join(rows).encode()


TEXTS = {
    "scattered changes": table(*range(0, 126_000, 200)),
    "rows in front": b"new,row\n" * 5000 + table(),
    "rows in the middle": table()[: 3 << 19] + b"new,row\n" * 5000 + table()[3 << 19 :],
    "rows deleted": table()[: 1 << 20] + table()[(1 << 20) + 100_000 :],
    "appended": table() + b"new,row\n" * 9,
}


@pytest.mark.parametrize("change", TEXTS)
def test_a_text_that_changed_takes_little_more_than_the_change(repo: Repository, tmp_path: Path, change: str) -> None:
    save(repo, tmp_path, "data", {"table.csv": table()}, 0)
    repo.pack()
    before = stored_bytes(repo)
    save(repo, tmp_path, "data", {"table.csv": TEXTS[change]}, 1)
    repo.pack()
    assert stored_bytes(repo) - before < 0.015 * 3 * MIB
    assert out(repo, "data:v1", tmp_path / "out") == snapshot(tmp_path / "data1")


def test_a_blob_of_one_segment_may_be_a_delta_and_is_stored_anew(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "_WORTH", 0.0)
    before = b"".join(b"a row of a table,%d\n" % (n * n % 997) for n in range(60_000))
    for number, data in enumerate((before, before[:-100] + b"changed")):
        save(repo, tmp_path, "data", {"table.csv": data}, number)
    repo.pack()
    assert not stored_files(repo) and len(packed_of(repo, "data:v1", "table.csv").segments) == 1
    assert deltas(repo, "data:v1", "table.csv") == 1
    assert out(repo, "data:v1", tmp_path / "packed") == snapshot(tmp_path / "data1")
    repo.delete("data:v0")
    gc(repo)
    assert deltas(repo, "data:v1", "table.csv") == 0
    assert out(repo, "data:v1", tmp_path / "out") == snapshot(tmp_path / "data1")
    after = stored_bytes(repo)
    gc(repo)
    assert stored_bytes(repo) == after


def test_a_text_is_read_in_ranges_beside_its_base(repo: Repository, tmp_path: Path) -> None:
    for number, data in enumerate((table(), TEXTS["scattered changes"])):
        save(repo, tmp_path, "data", {"table.csv": data}, number)
    repo.pack()
    with repo.objects.large.packed.open(packed_of(repo, "data:v1", "table.csv")) as content:
        for offset in (0, MIB - 7, 2 * MIB + 3):
            assert content.read(offset, 3000) == TEXTS["scattered changes"][offset : offset + 3000]


def test_a_base_stays_when_its_version_is_deleted(trains: Repository, tmp_path: Path) -> None:
    trains.delete("model:v0")
    gc(trains)
    gc(trains)
    assert out(trains, "model:v2", tmp_path / "out") == snapshot(tmp_path / "model2")


def test_the_last_step_is_stored_whole_when_nothing_else_needs_its_base(repo: Repository, tmp_path: Path) -> None:
    """Then the base and the deltas go: two models of 2 MiB are no reason to keep three."""
    for number, data in enumerate(steps(2)):
        save(repo, tmp_path, "model", {"model.safetensors": data}, number)
    repo.pack()
    before = stored_bytes(repo)
    repo.delete("model:v0")
    gc(repo)
    assert deltas(repo, "model:v1") == 0 and stored_bytes(repo) < before - 0.06 * 2 * MIB
    assert out(repo, "model:v1", tmp_path / "out") == snapshot(tmp_path / "model1")
    kinds = {row.kind for name in repo.objects.packs.refresh() for row in repo.objects.packs.open(name).index.rows()}
    assert DELTA not in kinds
    after = stored_bytes(repo)
    gc(repo)
    assert stored_bytes(repo) == after, "a second run finds nothing to do"


def test_a_recipe_without_deltas_of_which_a_part_is_missing_is_no_reason_to_let_another_go(
    trains: Repository, tmp_path: Path
) -> None:
    """Somebody's pack names the segments of a step whole, and has none of them."""
    packed = packed_of(trains, "model:v1")
    recipe = encode_recipe(Recipe(packed.size, tuple(segment.whole for segment in packed.segments)))
    with Transaction(trains.objects) as tx, closing(FramedWriter(tx.staged())) as writer:
        writer.add_recipe(packed.digest, recipe)
        publish(tx, writer)
    gc(trains)
    gc(trains)
    assert out(trains, "model:v1", tmp_path / "out") == snapshot(tmp_path / "model1")


def test_bases_stay_while_several_steps_need_them(trains: Repository) -> None:
    trains.delete("model:v0")
    before = stored_bytes(trains)
    gc(trains)
    assert [deltas(trains, f"model:v{number}") for number in (1, 2, 3)] == [2, 2, 2]
    assert stored_bytes(trains) <= before


def test_nothing_is_left_when_all_versions_are_deleted(trains: Repository) -> None:
    trains.delete_collection("model")
    gc(trains)
    gc(trains)
    assert stored_bytes(trains) < 10_000


@pytest.mark.damaged
@pytest.mark.parametrize("what", ["delta", "base"])
def test_a_damaged_part_is_told_and_repaired_from_a_folder(
    trains: Repository, root: Path, tmp_path: Path, what: str
) -> None:
    trains.get(trains.find("model:v2"), str(tmp_path / "out"))  # a checkout from which it can be repaired
    packed = packed_of(trains, "model:v2")
    base, delta = packed.segments[-1].parts
    name, row = packed.places[base if what == "base" else delta]
    path = root / f"objects/packs/{name}.pack"
    os.chmod(path, 0o600)
    with path.open("r+b") as file:
        file.seek(row.offset + row.length // 2)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    with Repository(str(root)) as fresh, pytest.raises(DamagedObject):
        fresh.get(fresh.find("model:v2"), str(tmp_path / "out2"))
    with Repository(str(root)) as fresh:
        assert fresh.fsck().problems
        fresh.fsck(repair=True)
    with Repository(str(root)) as fresh:
        fresh.get(fresh.find("model:v2"), str(tmp_path / "out3"))
        assert snapshot(tmp_path / "out3") == snapshot(tmp_path / "model2")


def test_what_a_step_takes_is_its_deltas_and_the_bases_that_it_shares(trains: Repository) -> None:
    first, second = (trains.usage_of(trains.find(f"model:v{number}")) for number in (0, 1))
    assert first.disk_bytes < 0.57 * 2 * MIB and first.own_bytes < 2000
    assert second.own_bytes < 0.2 * 2 * MIB < second.shared_bytes < first.disk_bytes
    usage = trains.usage()
    assert usage.packed_bytes < stored_bytes(trains) and usage.saved_bytes > 6.5 * 2 * MIB / 2


def test_a_lying_delta_is_damage_and_no_content(trains: Repository, root: Path) -> None:
    """Another pack's delta has the right name, and gives something else than the segment."""
    packed = packed_of(trains, "model:v2")
    with trains.objects.large.packed.open(packed) as content:
        segment = packed.segments[-1]
        wrong = segment._replace(digest=packed.segments[-2].digest)
        assert content._decoded(wrong) is None and content._decoded(segment) is not None
    assert {
        row.kind for name in trains.objects.packs.names() for row in trains.objects.packs.open(name).index.rows()
    } > {DELTA}
