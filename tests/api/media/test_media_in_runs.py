"""Media in what a run logs, and in its summary: files of the run, and W&B's JSON of them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PIL

import artstore as wandb
from artstore.api.media import logged
from tests.support.commands import Cli
from tests.support.media import one_of_each, overlays, pixels, run_files, wav
from tests.support.runs import rows


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged, "_said", set())


def told_of(value: Any, key: str = "k") -> Any:
    """What is recorded of a value that a run logs."""
    with wandb.init(id="r") as run:
        run.log({key: value})
    (row,) = rows("r")
    assert wandb.Api().run("r").summary[key] == row[key]
    return row[key]


def check_file(told: dict[str, Any], start: str, ending: str) -> bytes:
    """The file that is recorded is one of the run, with this name and the size and digest that are recorded."""
    data = run_files()[told["path"]]
    sha256 = hashlib.sha256(data).hexdigest()
    assert told["path"] == f"{start}_{sha256[:20]}{ending}"
    assert (told["sha256"], told["size"]) == (sha256, len(data))
    return data


PLACES = {
    "image": ("media/images/k_0", ".png"),
    "plain image": ("media/images/k_0", ".png"),
    "audio": ("media/audio/k_0", ".wav"),
    "video": ("media/videos/k_0", ".gif"),
    "html": ("media/html/k_0", ".html"),
    "points": ("media/object3D/k_0", ".pts.json"),
    "scene": ("media/object3D/k_0", ".obj"),
    "plot": ("media/plotly/k_0", ".plotly.json"),
    "mask": ("media/images/mask/k_0", ".mask.png"),
}


@pytest.mark.parametrize("name", PLACES)
def test_an_object_that_is_logged_is_a_file_of_the_run(name: str) -> None:
    media = one_of_each()[name]
    told = told_of(media)
    assert told["_type"] == media.type_name and told.get("caption") == media.caption
    check_file(told, *PLACES[name])


def test_an_image_with_everything_is_recorded_as_in_wandb() -> None:
    told = told_of(wandb.Image(pixels(), caption="both", **overlays()))
    assert (told["width"], told["height"], told["format"]) == (6, 8, "png") and "classes" not in told
    mask, boxes = told["masks"]["said"], told["boxes"]["true"]
    assert (mask["_type"], boxes["_type"]) == ("mask", "boxes2D")
    check_file(mask, "media/images/mask/k_0", ".mask.png")
    data = json.loads(check_file(boxes, "media/metadata/boxes2D/k_0", ".boxes2D.json"))
    assert data["class_labels"] == {"2": "dog"} and mask["class_labels"] == {"0": "none", "1": "cat"}
    assert data["box_data"][0]["box_caption"] == "a dog"


def test_a_histogram_is_recorded_in_the_row() -> None:
    assert told_of(wandb.Histogram(np_histogram=([1, 2], [0, 1, 2]))) == {
        "_type": "histogram", "values": [1, 2], "bins": [0, 1, 2],
    }  # fmt: skip


def test_a_list_of_images_is_one_value_as_in_wandb() -> None:
    images = [wandb.Image(pixels(n), caption=f"{n}", grouping=1) for n in range(3)]
    told = told_of([*images, wandb.Image(pixels(), **overlays())])
    masks, boxes = told.pop("all_masks"), told.pop("all_boxes")
    assert masks[:3] == boxes[:3] == [None] * 3 and masks[3]["said"]["_type"] == "mask"
    names = told.pop("filenames")
    assert names[:3] == [f"media/images/k_0_{image.content.sha256[:20]}.png" for image in images]
    assert names[3] == names[0] and set(names) < set(run_files())
    assert told == {
        "_type": "images/separated", "width": 6, "height": 8, "format": "png", "count": 4,
        "captions": ["0", "1", "2", None], "groupings": [1, 1, 1, None],
    }  # fmt: skip


def test_more_images_than_wandb_takes_are_all_kept() -> None:
    told = told_of([wandb.Image(np.full((1, 1), n, dtype="u1")) for n in range(120)])
    assert told["count"] == 120 and len(run_files()) == 120


def test_lists_of_other_kinds_are_recorded_as_in_wandb() -> None:
    made = one_of_each()
    lists: dict[str, Any] = {
        "audio": [made["audio"], wandb.Audio(wav("b.wav"))], "videos": [made["video"]], "html": [made["html"]] * 2,
        "object3D": [made["points"], made["scene"]],
    }  # fmt: skip
    with wandb.init(id="r") as run:
        run.log({**lists, "mixed": [made["html"], made["image"], 3], "counts": [made["histogram"]]})
    (row,) = rows("r")
    assert {key: (row[key]["_type"], row[key]["count"]) for key in lists} == {
        "audio": ("audio", 2), "videos": ("videos", 1), "html": ("html", 2), "object3D": ("object3D", 2),
    }  # fmt: skip
    assert row["audio"]["captions"] == ["a bell", None] and row["videos"]["captions"] == ["steps"]
    assert [name.endswith((".pts.json", ".obj")) for name in row["object3D"]["filenames"]] == [True, True]
    assert [each if each == 3 else each["_type"] for each in row["mixed"]] == ["html-file", "image-file", 3]
    assert row["counts"][0]["_type"] == "histogram"


def test_media_in_dicts_and_below_folders_of_keys_are_stored() -> None:
    image = wandb.Image(pixels())
    name = f"_0_{image.content.sha256[:20]}.png"
    with wandb.init(id="r") as run:
        run.log({"a": {"b": {"im": image}}, "val/x": image, "../up": image, "n" * 300: image})
    (row,) = rows("r")
    assert row["a"]["b"]["im"]["path"] == f"media/images/im{name}"
    assert row["val/x"]["path"] == f"media/images/val/x{name}" and row["../up"]["path"] == f"media/images/up{name}"
    assert len(run_files()) == 4


def test_a_key_of_several_steps_keeps_the_files_of_all() -> None:
    with wandb.init(id="r") as run:
        for n in range(3):
            run.log({"k": wandb.Image(pixels(n))})
        run.log({"k": wandb.Image(pixels(9))}, step=7, commit=True)
        run.log({"k": wandb.Image(pixels(10))}, commit=False)
        run.log({"more": 1})
    paths = [row["k"]["path"] for row in rows("r")]
    assert [path.split("_")[1] for path in paths] == ["0", "1", "2", "7", "8"] and set(paths) == set(run_files())


def test_the_summary_takes_media() -> None:
    with wandb.init(id="r") as run:
        run.summary["best"] = wandb.Image(pixels(), caption="x")
        run.summary.update({"page": wandb.Html("x"), "n": 1})
        assert run.summary["best"]["_type"] == "image-file"
    summary = wandb.Api().run("r").summary
    check_file(summary["best"], "media/images/best_summary", ".png")
    check_file(summary["page"], "media/html/page_summary", ".html")


def test_figures_and_pictures_are_images_and_plots() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    with wandb.init(id="r") as run:
        run.log({"figure": figure, "pyplot": pyplot, "axes": axes, "picture": PIL.fromarray(pixels())})
    pyplot.close(figure)
    (row,) = rows("r")
    assert {row[key]["_type"] for key in ("figure", "pyplot", "axes", "picture")} == {"image-file"}
    graphs = pytest.importorskip("plotly.graph_objects")
    with wandb.init(id="p") as run:
        run.log({"k": graphs.Figure(data=[graphs.Scatter(y=[1, 2])])})
    assert rows("p")[0]["k"]["_type"] == "plotly-file"


def test_a_data_frame_is_logged_as_a_table() -> None:
    told = told_of(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    assert (told["_type"], told["ncols"], told["nrows"]) == ("table-file", 2, 2)
    (artifact,) = wandb.Api().run("r").logged_artifacts()
    assert artifact.get("k").data == [[1, "x"], [2, "y"]]


def test_a_data_frame_that_is_no_table_is_text_with_two_warnings() -> None:
    with wandb.init(id="r") as run, pytest.warns(UserWarning) as said:
        run.log({"k": pd.DataFrame({"b": [b"bytes"]})})
    assert [str(each.message).partition(":")[0] for each in said] == [
        "'k' can't be logged as a table", "recorded 'k' as text",
    ]  # fmt: skip
    assert "bytes" in rows("r")[0]["k"]


def test_a_table_of_images_is_logged_with_its_files() -> None:
    table = wandb.Table(columns=["im"], data=[[wandb.Image(pixels())]])
    assert told_of(table)["_type"] == "table-file"
    (artifact,) = wandb.Api().run("r").logged_artifacts()
    assert artifact.get("k") == table


class Odd:
    """Something that has no form of its own."""


@pytest.mark.filterwarnings("ignore:artstore doesn't store Molecule values")
def test_objects_of_unknown_kinds_are_one_warning_that_names_key_and_type() -> None:
    with wandb.init(id="r") as run, pytest.warns(UserWarning) as said:
        for n in range(3):
            run.log({"odd": Odd(), "mol": [wandb.Molecule("a.pdb"), 1], "n": n, "path": Path("x")})
    about = [each for each in said if str(each.message).startswith(("recorded", "dropped"))]
    assert [str(each.message) for each in about] == [
        f"recorded 'odd' as text: artstore has no form for {__name__}.Odd values",
        "dropped 'mol': artstore doesn't store Molecule values; log_artifact() stores files",
    ]
    assert {each.filename for each in about} == {__file__}
    assert [row["mol"] for row in rows("r")] == [[1]] * 3 and rows("r")[0]["path"] == "x"


def test_a_disabled_run_takes_media_and_stores_nothing() -> None:
    run = wandb.init(mode="disabled")
    run.log({"k": wandb.Image(pixels()), "t": wandb.Table(columns=["a"])})
    run.summary["k"] = wandb.Html("x")
    run.finish()
    assert not Path(".artifacts").exists()


def test_a_local_file_that_changed_since_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from artstore.api.media import content

    monkeypatch.setattr(content, "_COPIED", 10)
    first, second = wandb.Audio(wav("a.wav")), wandb.Audio(wav("b.wav", 0.02))
    Path("a.wav").write_bytes(b"another")
    with wandb.init(id="r") as run:
        with pytest.raises(ValueError, match="changed after a media object was made of it"):
            run.log({"k": first})
        run.log({"k": second})
    assert run_files()[rows("r")[0]["k"]["path"]] == Path("b.wav").read_bytes()


def test_an_object_of_an_artifact_can_be_logged() -> None:
    draft = wandb.Artifact("data", "dataset")
    draft.add(wandb.Image(pixels(), caption="x"), "im")
    draft.save()
    told = told_of(draft.get("im"))
    assert told["caption"] == "x"
    check_file(told, "media/images/k_0", ".png")


def test_commands_show_media_of_a_run_in_few_words(here: Path, cli: Cli) -> None:
    image = wandb.Image(pixels())
    with wandb.init(id="r", name="first") as run:
        run.log({"im": image, "ims": [image, image], "h": wandb.Histogram([1]), "n": 1, "d": {"_type": 3}})
        run.log({"t": wandb.Table(columns=["a", "b"], data=[[1, 2]])})
    with wandb.init(id="other") as run:
        run.log({"im": wandb.Image(pixels(1))})
    name = f"image media/images/im_0_{image.content.sha256[:20]}.png"
    shown = cli("runs", "show", "r", cwd=here).out
    for line in (
        f"im = {name}",
        "ims = 2 images",
        "h = histogram of 64 ranges",
        "n = 1",
        "t = table 1 × 2",
        'd = {"_type": 3}',
    ):
        assert line in shown
    assert name in cli("runs", "ls", "--columns", "im", cwd=here).out
    assert name in cli("runs", "diff", "r", "other", cwd=here).out
    assert "image-file" in cli("runs", "show", "r", "--json", cwd=here).out
