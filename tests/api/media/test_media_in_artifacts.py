"""Media in artifacts: their files and places, and how they come back."""

import copy
import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import Damage
from tests.support.artifacts import log, paths
from tests.support.media import CLASSES, KINDS, one_of_each, overlays, pixels, wav

FILES = {
    "image": ("x.image-file.json", r"media/images/[0-9a-f]{20}\.png"),
    "plain image": ("x.image-file.json", r"media/images/[0-9a-f]{20}\.png"),
    "audio": ("x.audio-file.json", r"media/audio/[0-9a-f]{20}/bell\.wav"),
    "video": ("x.video-file.json", r"media/videos/[0-9a-f]{20}/steps\.gif"),
    "html": ("x.html-file.json", r"media/html/[0-9a-f]{20}\.html"),
    "points": ("x.object3D-file.json", r"media/object3D/[0-9a-f]{20}\.pts\.json"),
    "scene": ("x.object3D-file.json", r"media/object3D/[0-9a-f]{20}\.obj"),
    "plot": ("x.plotly-file.json", r"media/plotly/[0-9a-f]{20}/loss\.plotly\.json"),
    "histogram": ("x.histogram.json", None),
    "classes": ("x.classes.json", None),
    "mask": ("x.mask.json", r"media/images/mask/[0-9a-f]{20}\.mask\.png"),
    "boxes": ("x.bounding-boxes.json", None),
}
"""Where an object that is added as `sub/x` is stored, and its own file. All is relative to the artifact's root."""


def added(media: Any, name: str = "x", artifact: str = "data") -> wandb.Artifact:
    draft = wandb.Artifact(artifact, "dataset")
    draft.add(media, name)
    return log(draft)


@pytest.mark.parametrize("name", KINDS)
def test_an_object_is_stored_at_wandbs_places_and_comes_back_equal(name: str) -> None:
    media = one_of_each()[name]
    artifact = added(media, "sub/x")
    told, file = FILES[name]
    assert f"sub/{told}" in paths(artifact)
    if file is not None:
        (path,) = [path for path in paths(artifact) if re.fullmatch(file, path)]
        assert media.content.sha256[:20] in path
    for asked in ("sub/x", f"sub/{told}"):
        found = artifact.get(asked)
        assert type(found) is type(media) and found == media and found.caption == media.caption
        assert artifact[asked] == media and artifact.get_entry(asked).path == f"sub/{told}"
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert other == media
    assert artifact.get("sub") is None and artifact.get("nothing") is None


def test_the_file_of_an_image_says_what_wandb_needs() -> None:
    artifact = added(one_of_each()["image"])
    told = json.loads(Path(artifact.get_entry("x").download()).read_text())
    assert list(told) == sorted(told)
    for path in (told.pop("path"), told["masks"]["said"].pop("path")):
        assert path in paths(artifact)
    sha256 = told.pop("sha256")
    assert len(sha256) == 64 and len(told["masks"]["said"].pop("sha256")) == 64
    assert told.pop("boxes") == {"true": one_of_each()["boxes"].box_data}
    assert told == {
        "_type": "image-file", "caption": "both", "format": "png", "grouping": 3, "height": 8, "width": 6,
        "masks": {"said": {"_type": "mask"}},
        "classes": {
            "type": "classes-file", "path": next(path for path in paths(artifact) if "_cls" in path),
            "digest": told["classes"]["digest"],
        },
    }  # fmt: skip
    assert re.fullmatch(r"[A-Za-z0-9+/]{22}==", told["classes"]["digest"])


def test_an_image_that_comes_back_has_its_pixels_classes_boxes_and_masks() -> None:
    found = added(one_of_each()["image"]).get("x")
    assert (found.width, found.height, found.grouping, found.image.size) == (6, 8, 3, (6, 8))
    assert found.classes.labels() == {0: "none", 1: "cat", 2: "dog"}
    assert found.boxes["true"].class_labels == {2: "dog"} and found.boxes["true"].key == "true"
    assert found.masks["said"].mask_data.max() == 2 and found.masks["said"].key == "said"


def test_equal_images_are_one_file() -> None:
    draft = wandb.Artifact("data", "dataset")
    for name in ("a", "b"):
        draft.add(wandb.Image(pixels(), caption=name), name)
    assert len([path for path in paths(log(draft)) if path.startswith("media/images/")]) == 1


def test_a_taken_name_is_refused_and_nothing_is_added() -> None:
    draft = wandb.Artifact("data", "dataset")
    draft.add(wandb.Html("one"), "x")
    before = paths(draft)
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        draft.add(wandb.Html("two"), "x")
    assert paths(draft) == before
    draft.add(wandb.Html("two"), "x", overwrite=True)
    assert log(draft).get("x") == wandb.Html("two")


def test_boxes_and_masks_without_classes_are_refused_as_in_wandb() -> None:
    given = overlays() | {"classes": None}
    given["boxes"]["true"]["class_labels"] = {}
    image = wandb.Image(pixels(), boxes=given["boxes"])
    with pytest.raises(ValueError, match="classes must be passed to wandb.Image which have masks or bounding boxes"):
        wandb.Artifact("data", "dataset").add(image, "x")


@pytest.mark.parametrize("name", KINDS)
def test_an_object_of_another_artifact_shares_its_files_and_records_where_they_are_from(name: str) -> None:
    media = one_of_each()[name]
    first = added(media, artifact="first")
    second = added(first.get("x"), "y", artifact="second")
    assert second.get("y") == media
    refs = {entry.path: entry.ref for entry in second.manifest.entries.values()}
    own = [path for path in refs if path.startswith(("media/images", "media/a", "media/v", "media/h", "media/o"))]
    for path in (second.get_entry("y").path, *own):
        assert refs[path] is not None and f"/first@{first.id}/" in refs[path]
    assert set(own) == {path for path in paths(first) if path in own}


def test_an_image_with_another_caption_is_not_the_object_of_the_other_artifact_but_its_file_is() -> None:
    first = added(wandb.Image(pixels(), caption="one"), artifact="first")
    second = added(wandb.Image(first.get("x"), caption="two"), artifact="second")
    assert second.get_entry("x").ref is None and second.get("x").caption == "two"
    (file,) = [entry for entry in second.manifest.entries.values() if entry.path.endswith(".png")]
    assert file.ref is not None


def test_an_object_of_another_repository_is_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARTSTORE_DIR", str(tmp_path / "other"))
    found = added(one_of_each()["image"]).get("x")
    monkeypatch.delenv("ARTSTORE_DIR")
    artifact = added(found, artifact="here")
    shutil.rmtree(tmp_path / "other")
    assert artifact.get("x").image.size == (6, 8) and artifact.get_entry("x").ref is None


def test_a_large_file_is_added_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from artstore.api import objects
    from artstore.api.media import content

    monkeypatch.setattr(content, "_COPIED", 10)
    monkeypatch.setattr(objects, "_AT_ONCE", 10)
    sound = wandb.Audio(wav("bell.wav", 1))
    page = wandb.Html("x" * 100)
    for media in (sound, page):
        assert added(media).get("x") == media


def test_a_reference_is_stored_as_a_reference() -> None:
    Path("cat.png").write_bytes(b"")
    draft = wandb.Artifact("data", "dataset")
    image = wandb.Image("s3://nowhere/cat.png?x=1")
    assert (image.width, image.ending()) == (None, ".png")
    with pytest.raises(TypeError, match="can't be read or added to a run"):
        image.image  # noqa: B018 - it raises
    assert image == wandb.Image("s3://nowhere/cat.png?x=1") != wandb.Image("s3://nowhere/dog.png")
    assert list(draft.manifest.entries) == []


BROKEN: dict[str, tuple[str, Any]] = {
    "no JSON": ("x.image-file.json", "{"),
    "a number": ("x.image-file.json", 3),
    "another kind": ("x.image-file.json", {"_type": "html-file", "path": "f", "sha256": "0"}),
    "no kind": ("x.image-file.json", {"path": "f"}),
    "no path": ("x.image-file.json", {"_type": "image-file"}),
    "a path that is a number": ("x.html-file.json", {"_type": "html-file", "path": 3}),
    "a caption that is a list": ("x.audio-file.json", {"_type": "audio-file", "path": "f", "caption": []}),
    "a width that is text": ("x.image-file.json", {"_type": "image-file", "path": "f", "width": "6"}),
    "boxes that are text": ("x.image-file.json", {"_type": "image-file", "path": "f", "boxes": {"k": "x"}}),
    "boxes without a place": ("x.bounding-boxes.json", [{"class_id": 1}]),
    "masks that are text": ("x.image-file.json", {"_type": "image-file", "path": "f", "masks": {"k": "x"}}),
    "classes without a file": ("x.image-file.json", {"_type": "image-file", "path": "f", "classes": {"path": 1}}),
    "classes that are text": ("x.classes.json", {"_type": "classes", "class_set": "x"}),
    "classes without a name": ("x.classes.json", {"_type": "classes", "class_set": [{"id": 1}]}),
    "counts that are text": ("x.histogram.json", {"_type": "histogram", "bins": "ab", "values": "a"}),
    "too few edges": ("x.histogram.json", {"_type": "histogram", "bins": [1], "values": [1]}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_records_no_such_object_is_damage(name: str) -> None:
    path, told = BROKEN[name]
    draft = wandb.Artifact("data", "dataset")
    with draft.new_file(path) as file:
        file.write(told if isinstance(told, str) else json.dumps(told))
    artifact = log(draft)
    with pytest.raises(Damage):
        artifact.get("x")


def test_an_object_without_its_file_can_be_looked_at_and_says_which_file_is_missing() -> None:
    draft = wandb.Artifact("data", "dataset")
    with draft.new_file("x.html-file.json") as file:
        file.write('{"_type": "html-file", "path": "media/html/gone.html", "sha256": "00"}')
    found = log(draft).get("x")
    assert str(found) == "html media/html/gone.html"
    with pytest.raises(KeyError, match=re.escape("media/html/gone.html")):
        found.html  # noqa: B018 - it raises


def test_classes_are_objects_of_their_own() -> None:
    assert added(wandb.Classes(CLASSES)).get("x").class_set == CLASSES
