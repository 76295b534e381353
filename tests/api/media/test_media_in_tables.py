"""Media in the cells of tables."""

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PIL

import artstore as wandb
from artstore.api.tables import typed as tables
from artstore.errors import Damage
from tests.support.artifacts import log, paths
from tests.support.commands import Cli
from tests.support.media import BOX, KINDS, one_of_each, overlays, pixels
from tests.support.tables import cells, column, through

IN_CELLS = [name for name in KINDS if name != "boxes"]


@pytest.mark.parametrize("name", IN_CELLS)
def test_an_object_in_a_cell_comes_back_equal(name: str) -> None:
    media = one_of_each()[name]
    table = column(media, None, media)
    found = through(table)
    assert cells(found) == [media, None, media] and found == table
    assert type(cells(found)[0]) is type(media)
    again = through(found)
    assert again == table and copy.deepcopy(again) == table


def test_the_types_of_columns_are_wandbs() -> None:
    draft = wandb.Artifact("data", "dataset")
    made = one_of_each()
    names = ["image", "plain image", "audio", "video", "html", "points", "plot", "histogram"]
    draft.add(wandb.Table(columns=names, data=[[made[name] for name in names]]), "sub/t")
    artifact = log(draft)
    told = json.loads(Path(artifact.get_entry("sub/t").download()).read_text())
    types = {name: kind["params"]["allowed_types"] for name, kind in told["column_types"]["params"]["type_map"].items()}
    none = {"wb_type": "none"}
    plain = types.pop("plain image")
    assert plain[1] == none and {key: value["params"] for key, value in plain[0]["params"].items()} == {
        "box_class_maps": {"is_set": False, "val": {}},
        "box_layers": {"is_set": False, "val": {}},
        "box_score_keys": {"is_set": True, "val": []},
        "class_map": {"is_set": False, "val": {}},
        "mask_class_maps": {"is_set": False, "val": {}},
        "mask_layers": {"is_set": False, "val": {}},
    }
    full = types.pop("image")
    assert {key: value["params"]["val"] for key, value in full[0]["params"].items()} == {
        "box_class_maps": {"true": {"2": "dog"}},
        "box_layers": {"true": [2]},
        "box_score_keys": ["sure"],
        "class_map": {"0": "none", "1": "cat", "2": "dog"},
        "mask_class_maps": {"said": {"0": "none", "1": "cat"}},
        "mask_layers": {"said": [0, 1]},
    }
    assert types == {
        "audio": [{"wb_type": "audio-file"}, none],
        "video": [none, {"wb_type": "video-file"}],
        "html": [{"wb_type": "html-file"}, none],
        "points": [none, {"wb_type": "object3D-file"}],
        "plot": [none, {"wb_type": "pythonObject", "params": {"class_name": "Plotly"}}],
        "histogram": [none, {"wb_type": "pythonObject", "params": {"class_name": "Histogram"}}],
    }
    (row,) = told["data"]
    assert all(cell["path"] in paths(artifact) for cell in row if "path" in cell)


def test_the_type_of_a_column_joins_the_layers_of_all_its_images() -> None:
    other = {
        "classes": [{"id": 7, "name": "bird"}],
        "boxes": {"other": {"box_data": [BOX | {"class_id": 7}], "class_labels": {7: "bird"}}},
    }
    table = column(wandb.Image(pixels(), **overlays()), wandb.Image(pixels(1), **other))
    for each in (table, through(table)):
        kind = each.types_of(each.data)[0]["c"]["params"]["allowed_types"][0]
        assert kind["params"]["box_layers"]["params"]["val"] == {"true": [2], "other": [7]}
        assert kind["params"]["box_class_maps"]["params"]["val"] == {"true": {"2": "dog"}, "other": {"7": "bird"}}
        assert kind["params"]["mask_class_maps"]["params"]["val"] == {"said": {"0": "none", "1": "cat"}}


def test_lists_and_dicts_of_media_come_back() -> None:
    one, two = wandb.Image(pixels(), caption="1"), wandb.Html("x")
    for table in (
        column([one, one], [one], None),
        column({"a": one, "b": [two]}, {"a": one, "b": [two]}),
        column(one, "text", 3, [two, "x"], {"k": one}, allow_mixed_types=True),
    ):
        assert through(table) == table and through(through(table)) == table


def test_equal_media_in_many_cells_are_one_file_and_share_their_classes() -> None:
    draft = wandb.Artifact("data", "dataset")
    draft.add(column(*[wandb.Image(pixels(), caption=str(n), **overlays()) for n in range(5)]), "t")
    kept = [path for path in paths(log(draft)) if path.startswith("media/")]
    assert [path.rpartition("/")[0] for path in kept] == ["media/classes", "media/images", "media/images/mask"]


def test_a_column_of_images_takes_nothing_else() -> None:
    table = column(wandb.Image(pixels()))
    with pytest.raises(TypeError, match="column 'c' holds images: 'x' does not fit"):
        table.add_data("x")
    with pytest.raises(TypeError, match="column 'c' holds images"):
        table.add_data(wandb.Html("x"))
    counts = column(wandb.Histogram([1]))
    with pytest.raises(TypeError, match="column 'c' holds Histogram objects"):
        counts.add_data(wandb.Plotly(Path("p.json").write_text("{}") and "p.json"))


def test_boxes_alone_figures_and_pictures_are_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match="boxes can't be stored in a table on their own"):
        column(one_of_each()["boxes"])
    with pytest.raises(TypeError, match="Image can't be stored in a table") as said:
        column(PIL.fromarray(pixels()))
    assert said.value.hint == "store an image: wandb.Image(value)"
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = pyplot.figure()
    with pytest.raises(TypeError, match="Figure can't be stored in a table") as said:
        column(figure)
    assert said.value.hint == "store an image: wandb.Image(value)"
    pyplot.close(figure)


def test_a_dict_that_would_come_back_as_media_is_refused_in_a_column_of_any_type() -> None:
    with pytest.raises(TypeError, match="would not come back equal"):
        column({"k": {"_type": "histogram"}}, allow_mixed_types=True)
    typed = column({"_type": "histogram", "bins": [0, 1], "values": [1]})
    assert through(typed) == typed and isinstance(cells(through(typed))[0], dict)


def test_a_table_on_disk_keeps_its_media(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "IN_MEMORY", 3)
    images = [wandb.Image(np.full((2, 2), n), caption=str(n)) for n in range(7)]
    table = wandb.Table(columns=["n", "im", "more"], data=[[n, im, [im]] for n, im in enumerate(images)])
    assert not isinstance(table.data, list)
    found = through(table)
    assert found == table and [row[1] for row in found.data] == images and found.data[4][2] == [images[4]]


def test_columns_and_frames_have_the_objects() -> None:
    images = [wandb.Image(pixels(n)) for n in range(3)]
    found = through(wandb.Table(columns=["im"], data=[[image] for image in images]))
    assert found.get_column("im") == images
    arrays = found.get_column("im", convert_to="numpy")  # W&B gives the pixels
    assert [one.tolist() for one in arrays] == [pixels(n).tolist() for n in range(3)]
    frame = found.get_dataframe()
    assert isinstance(frame, pd.DataFrame) and list(frame["im"]) == images
    assert wandb.Table(dataframe=frame) == found
    assert "image media/images/" in found._repr_html_()


def test_the_difference_of_two_tables_sees_changed_images() -> None:
    def table(*seeds: int) -> wandb.Table:
        return through(
            wandb.Table(columns=["k", "im"], data=[[n, wandb.Image(pixels(s))] for n, s in enumerate(seeds)])
        )

    old, new = table(1, 2, 3), table(1, 9, 3)
    assert old != new and old.diff(new, "k").changed == [[1]] and not old.diff(table(1, 2, 3), "k")


def test_media_of_another_artifact_in_a_new_table_are_not_copied() -> None:
    first = wandb.Artifact("first", "dataset")
    first.add(column(wandb.Image(pixels(), **overlays())), "t")
    got = log(first).get("t")
    draft = wandb.Artifact("second", "dataset")
    draft.add(got, "same")
    draft.add(wandb.Table(columns=["im", "n"], data=[[cells(got)[0], 1]]), "more")
    second = log(draft)
    refs = {entry.path: entry.ref for entry in second.manifest.entries.values()}
    assert refs["same.table.json"] is not None and refs["more.table.json"] is None
    assert all(ref for path, ref in refs.items() if path.startswith("media/images/"))
    assert second.get("same") == got


def test_an_image_in_a_table_that_is_no_image_is_damage() -> None:
    draft = wandb.Artifact("data", "dataset")
    draft.add(column(wandb.Image(pixels())), "t")
    told = log(draft).get_entry("t").open("r").read()
    broken = wandb.Artifact("broken", "dataset")
    with broken.new_file("t.table.json") as file:
        file.write(told.replace('"path": "media', '"path": 3, "x": "media'))
    with pytest.raises(Damage):
        log(broken).get("t")


def test_lists_of_any_depth_in_a_file_of_a_table_are_read() -> None:
    draft = wandb.Artifact("deep", "dataset")
    deep = "[" * 900 + "]" * 900
    with draft.new_file("t.table.json") as file:
        file.write(f'{{"columns": ["a"], "column_types": null, "data": [[{deep}]], "_type": "table"}}')
    (found,) = cells(log(draft).get("t"))
    for _ in range(899):
        (found,) = found
    assert found == []


def test_commands_show_media_as_a_short_text(here: Path, cli: Cli) -> None:
    for seed in (1, 2):
        draft = wandb.Artifact("data", "dataset")
        image = wandb.Image(pixels(seed), caption="c")
        draft.add(wandb.Table(columns=["k", "im", "h"], data=[["a", image, wandb.Histogram([1])]]), "t")
        log(draft)
    shown = cli("cat", "data:v1", "t.table.json", cwd=here).out
    assert f"image media/images/{image.content.sha256[:20]}.png" in shown and "histogram of 64 ranges" in shown
    assert "M  k=a" in cli("diff", "data:v0", "data:v1", "--table", "t", "--key", "k", cwd=here).out
