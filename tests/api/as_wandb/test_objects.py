"""Tables and media in several artifacts, and what their classes tell of several objects."""

import datetime
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from tests.support.artifacts import log

np = pytest.importorskip("numpy")


def image(seed: int = 0) -> wandb.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype="uint8")
    return wandb.Image(pixels, classes=[{"id": 0, "name": "cat"}])


def artifact_of(name: str, **objects: Any) -> wandb.Artifact:
    artifact = wandb.Artifact(name, "results")
    for path, each in objects.items():
        artifact.add(each, path)
    return log(artifact)


@pytest.mark.parametrize("of", [lambda: wandb.Table(["a"], [[1]]), image])
def test_an_object_that_a_logged_artifact_has_is_a_reference_to_it_in_the_next(here: Path, of: Any) -> None:
    made = of()
    first = artifact_of("first", x=made)
    second = wandb.Artifact("second", "results")
    entry = second.add(made, "y")
    assert entry.ref == next(one for path, one in first.manifest.entries.items() if path.startswith("x.")).ref_url()
    assert first.manifest.entries[next(path for path in first.manifest.entries if path.startswith("x."))].ref is None
    made = of() if isinstance(made, wandb.Image) else wandb.Table(["a"], [[2]])
    assert wandb.Artifact("third", "results").add(made, "z").ref is None


def test_a_joined_table_of_entries_has_the_media_of_the_tables(here: Path) -> None:
    one, two = (wandb.Table(["id", "image"], [[1, image(seed)]]) for seed in (0, 1))
    source = artifact_of("tables", one=one, two=two)
    joined = wandb.JoinedTable(source.get_entry("one"), source.get_entry("two"), "id")
    found = artifact_of("joined", both=joined).get("both")
    assert found.tables == (one, two)


def test_a_partitioned_table_of_another_artifact_has_the_media_of_its_parts(here: Path) -> None:
    parts = {f"days/{day}": wandb.Table(["image"], [[image(day)]]) for day in (1, 2)}
    source = artifact_of("days", **parts, week=wandb.PartitionedTable("days"))
    found = artifact_of("weeks", week=source.get("week")).get("week")
    assert [row for _, row in found.iterrows()] == [[image(1)], [image(2)]]


def test_a_table_with_a_key_may_get_more_columns_and_stays_its_own_key(here: Path) -> None:
    table = wandb.Table(["name"], [["a"], ["b"]])
    table.set_pk("name")
    table.add_column("size", [1, 2])
    table.add_computed_columns(lambda number, row: {"double": row["size"] * 2})
    assert table.data == [["a", 1, 2], ["b", 2, 4]]
    assert all(row[0].table is table and row[0]._table is table and row[0]._col_name == "name" for row in table.data)


def test_to_json_of_a_table_has_its_times_in_milliseconds(here: Path) -> None:
    day = datetime.datetime(2000, 12, 1)
    told = wandb.Table(["t", "d"], [[day, day.date()]]).to_json(wandb.Artifact("a", "b"))
    assert (told["_type"], told["data"]) == ("table", [[975628800000, 975628800000]])


def test_a_column_of_ids_of_classes_takes_no_others(here: Path) -> None:
    table = wandb.Table(["class"], [[1]])
    table.cast("class", wandb.Classes([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]).get_type())
    table.add_data(2)
    with pytest.raises(TypeError):
        table.add_data(4)


def test_captions_rates_and_durations_of_several(here: Path) -> None:
    pytest.importorskip("soundfile")
    sounds = [wandb.Audio(np.zeros(count), 100, caption=caption) for count, caption in ((100, None), (200, "long"))]
    assert (wandb.Audio.captions(sounds), wandb.Audio.captions(sounds[:1])) == (["", "long"], False)
    assert (wandb.Audio.sample_rates(sounds), wandb.Audio.durations(sounds)) == ([100, 100], [1.0, 2.0])
    shown = [wandb.Image(np.zeros((2, 2)), caption=caption) for caption in ("a", "b")]
    assert wandb.Image.all_captions(shown) == ["a", "b"]


def test_what_a_recorded_run_logs_and_uses_is_listed_at_once(here: Path) -> None:
    table = artifact_of("first", x=wandb.Table(["a"], [[1]]))
    with wandb.init() as run:
        pass
    record = wandb.Api().run(run.path)
    record.log_artifact(table)
    record.use_artifact(table)
    assert list(record.logged_artifacts()) == list(record.used_artifacts()) == [table]
    assert wandb.Api().runs().objects == list(wandb.Api().runs())
