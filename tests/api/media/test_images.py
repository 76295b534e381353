"""Images: what they are made of, and which pixels that gives."""

import copy
import os
import pickle
import struct
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PIL

import artstore as wandb
from artstore.api.media.value import MediaSource
from artstore.errors import ArtstoreError, InvalidValue, NotFound
from tests.support.media import BOX, CLASSES, mask, overlays, pixels

RGB = pixels()


def pixels_of(image: Any) -> Any:
    return np.array(image.image)


GIVEN: dict[str, tuple[Any, Any]] = {
    "colours": (RGB, RGB),
    "grey": (RGB[:, :, 0], RGB[:, :, 0]),
    "grey with a channel": (RGB[:, :, :1], RGB[:, :, 0]),
    "grey with a channel in front": (RGB[None, :, :, 0], RGB[:, :, 0]),
    "colours and transparency": (np.dstack([RGB, RGB[:, :, 0]]), np.dstack([RGB, RGB[:, :, 0]])),
    "a batch of one": (RGB[None], RGB),
    "one row": (RGB[:1], RGB[:1]),
    "booleans": (np.array([[True, False]]), np.array([[255, 0]])),
    "floats from 0 to 1": (np.array([[0.0, 0.5, 1.0]]), np.array([[0, 127, 255]])),
    "floats from -1 to 1": (np.array([[-1.0, 0.0, 1.0]]), np.array([[0, 127, 255]])),
    "floats from 0 to 255": (np.array([[0.0, 127.0, 255.0]], dtype="f4"), np.array([[0, 127, 255]])),
    "floats with NaN": (np.array([[0.0, np.nan, 200.0]]), np.array([[0, 0, 200]])),
    "whole numbers of 64 bits": (np.array([[0, 255]]), np.array([[0, 255]])),
    "bytes of 0 and 1": (np.array([[0, 1]], dtype="u1"), np.array([[0, 1]])),
    "numbers that are no bytes": (np.array([[-5, 300]]), np.array([[0, 255]])),
    "an image of Pillow": (PIL.fromarray(RGB), RGB),
    "an image of Pillow with floats": (PIL.fromarray(np.ones((2, 2), "f4") * 9), np.full((2, 2, 3), 9)),
}


@pytest.mark.parametrize("name", GIVEN)
def test_an_image_has_the_pixels_that_it_was_given(name: str) -> None:
    given, wanted = GIVEN[name]
    image = wandb.Image(given)
    assert np.array_equal(pixels_of(image), wanted)
    assert (image.height, image.width, image.format) == (*wanted.shape[:2], "png")


def test_without_normalize_floats_and_booleans_stay_as_they_are() -> None:
    assert pixels_of(wandb.Image(np.array([[0.0, 1.0]]), normalize=False)).tolist() == [[0, 1]]
    assert pixels_of(wandb.Image(np.array([[False, True]]), normalize=False)).tolist() == [[0, 1]]


class _Tensor:
    """What artstore needs of a tensor of torch, which the tests have not."""

    def __init__(self, array: Any) -> None:
        self._array, self.ndim, self.dtype = array, array.ndim, f"torch.{array.dtype}"

    def detach(self) -> "_Tensor":
        return self

    cpu = detach

    def numpy(self) -> Any:
        return self._array


_Tensor.__module__ = "torch"


def test_a_tensor_of_torch_has_its_channels_first() -> None:
    assert np.array_equal(pixels_of(wandb.Image(_Tensor(RGB.transpose(2, 0, 1)))), RGB)
    assert np.array_equal(pixels_of(wandb.Image(_Tensor(RGB[:, :, 0]))), RGB[:, :, 0])
    assert np.array_equal(pixels_of(wandb.Image(_Tensor(RGB[None, :, :, 0] / 255.0))), RGB[:, :, 0])


@pytest.mark.parametrize("file_type", ["png", "jpg", "jpeg", "bmp"])
def test_an_image_is_stored_as_the_type_that_is_asked_for(file_type: str) -> None:
    for given in (RGB, np.dstack([RGB, RGB[:, :, 0]]), PIL.fromarray(RGB).convert("RGBA"), RGB[:, :, 0]):
        image = wandb.Image(given, file_type=file_type)
        assert image.image.format == {"jpg": "JPEG"}.get(file_type, file_type.upper())
        assert image.ending() == f".{file_type}"


def test_a_mode_of_pillow_is_applied_to_an_array() -> None:
    assert wandb.Image(RGB, mode="L").image.mode == "L"


@pytest.mark.parametrize("kind", [str, Path])
def test_the_bytes_of_a_file_are_kept_as_they_are_when_the_image_is_made(kind: Any) -> None:
    PIL.fromarray(RGB).save("cat.jpg")
    before = Path("cat.jpg").read_bytes()
    image = wandb.Image(kind("cat.jpg"))
    Path("cat.jpg").write_bytes(b"the next image of a loop")
    with image.content.open() as file:
        assert file.read() == before
    assert (image.width, image.height, image.format) == (6, 8, "jpg")


def test_a_large_file_is_refused_when_it_has_changed_since(monkeypatch: pytest.MonkeyPatch) -> None:
    from artstore.api.media import content

    monkeypatch.setattr(content, "_COPIED", 10)
    PIL.fromarray(RGB).save("cat.png")
    image = wandb.Image("cat.png")
    PIL.fromarray(RGB[::-1]).save("cat.png")
    draft = wandb.Artifact("a", "t")
    with pytest.raises(ValueError, match="changed after a media object was made of it"):
        draft.add(image, "im")
    assert list(draft.manifest.entries) == []


def test_figures_of_matplotlib_and_pyplot_are_images() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(2, 1))
    (line,) = axes.plot([1, 2])
    images = [wandb.Image(given) for given in (figure, axes, line, pyplot)]
    pyplot.close(figure)
    assert [(image.width, image.height) for image in images] == [(200, 100)] * 4
    with pytest.raises(ValueError, match="Only matplotlib"):
        wandb.Image(matplotlib.transforms.Bbox.unit())


def test_an_image_of_an_image_copies_all_but_boxes_and_masks() -> None:
    first = wandb.Image(RGB, caption="one", grouping=2, **overlays())
    second = wandb.Image(first)
    assert (second.caption, second.grouping, second.boxes, second.masks) == ("one", 2, None, None)
    assert second.classes == first.classes and np.array_equal(pixels_of(second), RGB)
    assert wandb.Image(first, caption="two").caption == "two"


def test_images_are_equal_by_their_pixels_and_by_what_is_said_of_them() -> None:
    PIL.fromarray(RGB).save("slow.png", compress_level=9)
    PIL.fromarray(RGB).save("fast.png", compress_level=0)
    assert wandb.Image("slow.png") == wandb.Image("fast.png") == wandb.Image(RGB)
    assert hash(wandb.Image("slow.png")) == hash(wandb.Image(RGB))
    full = wandb.Image(RGB, caption="x", **overlays())
    assert full == wandb.Image(RGB, caption="x", **overlays())
    others = [
        wandb.Image(RGB, caption="y", **overlays()),
        wandb.Image(RGB, caption="x", grouping=1, **overlays()),
        wandb.Image(RGB[::-1], caption="x", **overlays()),
        wandb.Image(RGB, caption="x", **overlays() | {"boxes": None}),
        wandb.Image(RGB, caption="x", **overlays() | {"masks": {"said": {"mask_data": mask() * 0}}}),
        "image",
    ]
    assert [other for other in others if other == full] == []


def test_images_pickle_and_copy() -> None:
    image = wandb.Image(RGB, caption="x", **overlays())
    for other in (pickle.loads(pickle.dumps(image)), copy.deepcopy(image), copy.copy(image)):
        assert other == image and other.masks["said"].class_labels == {0: "none", 1: "cat"}


def test_boxes_and_masks_get_names_of_classes_where_none_are_given() -> None:
    image = wandb.Image(RGB, masks={"m": {"mask_data": mask()}}, boxes={"b": {"box_data": [BOX]}})
    assert image.masks["m"].class_labels == {0: "class_0", 1: "class_1", 2: "class_2"}
    assert image.boxes["b"].class_labels == {2: "class_2"}
    assert image.classes.labels() == {0: "class_0", 1: "class_1", 2: "class_2"}
    assert np.array_equal(image.masks["m"].mask_data, mask())


def test_boxes_may_be_of_numpy_values() -> None:
    box = {"position": {"middle": np.array([1, 2]), "width": np.float32(0.5), "height": 1}, "class_id": np.int64(3)}
    boxes = wandb.BoundingBoxes2D({"box_data": [box]}, "k")
    assert boxes.box_data == [{"position": {"middle": [1, 2], "width": 0.5, "height": 1}, "class_id": 3}]


def _box(**more: Any) -> Any:
    return wandb.BoundingBoxes2D({"box_data": [BOX | more]}, "k")


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a shape": (lambda: wandb.Image(np.ones((2, 2, 7))), ValueError, "Un-supported shape"),
    "a row": (lambda: wandb.Image(np.ones(5)), ValueError, "Un-supported shape"),
    "no pixels": (lambda: wandb.Image(np.ones((0, 5))), ValueError, "Un-supported shape"),
    "text": (lambda: wandb.Image(np.array([["a"]])), TypeError, "can't be made of ndarray values"),
    "an object": (lambda: wandb.Image(object()), TypeError, "can't be made of object values"),
    "a type": (lambda: wandb.Image(RGB, file_type="gif"), ValueError, "file_type must be one of"),
    "no file": (lambda: wandb.Image("nothing.png"), FileNotFoundError, "nothing.png can't be read: No such file"),
    "a folder": (lambda: wandb.Image("/"), ValueError, "can't be read: Is a directory"),
    "no image": (lambda: wandb.Image(__file__), ValueError, "is not an image that Pillow can read"),
    "a caption": (lambda: wandb.Image(RGB, caption=3), TypeError, "a caption must be text, not 3"),
    "masks": (lambda: wandb.Image(RGB, masks=[1]), ValueError, 'Images "masks" argument must be a dictionary'),
    "boxes": (lambda: wandb.Image(RGB, boxes=[1]), ValueError, 'Images "boxes" argument must be a dictionary'),
    "a box": (
        lambda: wandb.Image(RGB, boxes={"a": 1}),
        TypeError,
        "boxes must hold dicts or BoundingBoxes2D objects, not int",
    ),
    "classes": (lambda: wandb.Classes([{"id": 1}]), AssertionError, "each class must have an 'id' and a 'name'"),
    "no mask": (lambda: wandb.ImageMask({}, "k"), TypeError, 'Missing key "mask_data"'),
    "a mask of 3": (lambda: wandb.ImageMask({"mask_data": RGB}, "k"), TypeError, "mask_data must be a 2D array"),
    "a large id": (lambda: wandb.ImageMask({"mask_data": mask() + 300.0}, "k"), TypeError, "between 0 and 255"),
    "labels": (
        lambda: wandb.ImageMask({"mask_data": mask(), "class_labels": {"a": "b"}}, "k"),
        TypeError,
        "Class labels must be a dictionary of numbers to strings",
    ),
    "no list": (lambda: wandb.BoundingBoxes2D({"box_data": {}}, "k"), TypeError, "Boxes must be a list"),
    "no position": (lambda: _box(position={"minX": 1}), TypeError, "Each box must contain a position with"),
    "a middle": (lambda: _box(position={"middle": [1], "width": 1, "height": 1}), TypeError, "Each box must contain"),
    "scores": (lambda: _box(scores=[1]), TypeError, "Box scores must be a dictionary"),
    "a score": (lambda: _box(scores={"a": "b"}), TypeError, "A score value must be a number"),
    "a score's key": (lambda: _box(scores={1: 2}), TypeError, "A score key must be a string"),
    "a class": (lambda: _box(class_id=1.5), TypeError, "A box's class_id must be an integer"),
    "a text": (lambda: _box(box_caption=1), TypeError, "A box's caption must be a string"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_is_refused_as_in_wandb(name: str) -> None:
    make, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words) as said:
        make()
    assert isinstance(said.value, ArtstoreError)


def test_without_pillow_the_error_has_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(NotFound, match="an Image needs pillow, which is not installed here") as said:
        wandb.Image(RGB)
    assert said.value.hint == "`pip install pillow`"


def test_importing_artstore_imports_no_library_of_media() -> None:
    import subprocess

    script = (
        "import sys, artstore as w; w.Table, w.Image, w.Artifact;"
        "print([m for m in ('PIL', 'numpy', 'soundfile', 'matplotlib', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_notebook_shows_the_image_and_its_caption_as_text() -> None:
    shown = wandb.Image(RGB, caption="<b>x</b>")._repr_html_()
    assert '<img src="data:image/png;base64,' in shown and "&lt;b&gt;x" in shown and "<b>x" not in shown
    big = wandb.Image(np.random.default_rng(0).integers(0, 256, (400, 400, 3)))
    assert "<img" not in big._repr_html_() and repr(big) == "<Image 400 × 400 png>"


def test_rows_of_pixels_are_given_as_w_and_b_does() -> None:
    assert wandb.Image(np.array([[1, 2], [3, 4]])).to_data_array() == [[1, 2], [3, 4]]


def test_a_forked_child_makes_images_of_its_own() -> None:
    first = wandb.Image(RGB)
    if (pid := os.fork()) == 0:
        same = wandb.Image(RGB[::-1]) == wandb.Image(RGB[::-1]) and np.array_equal(pixels_of(first), RGB)
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert np.array_equal(pixels_of(first), RGB) and np.array_equal(pixels_of(wandb.Image(RGB[:4])), RGB[:4])


def test_classes_are_given_as_objects_or_dicts() -> None:
    assert wandb.Image(RGB, classes=CLASSES).classes == wandb.Image(RGB, classes=wandb.Classes(CLASSES)).classes
    assert isinstance(types.SimpleNamespace(c=wandb.Classes(CLASSES)).c, wandb.Classes)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [(_png(10**9, 10**9), "decompression bomb"), (POSTSCRIPT, "it is PostScript")],
    ids=["bomb", "postscript"],
)
def test_a_stored_file_that_poses_as_an_image_is_refused_and_nothing_runs_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, why: str
) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("PostScript was run"))
    Path("x.png").write_bytes(data)
    told = {"_type": "image-file", "path": "x.png", "sha256": "0" * 64}
    source = MediaSource(lambda path: open(path, "rb"))
    image, shown = wandb.Image.from_json(told, source), wandb.ImageMask.from_json(told, source)
    for copied in (
        image,
        pickle.loads(pickle.dumps(image)),
        pickle.loads(pickle.dumps(copy.deepcopy(wandb.Image(image)))),
    ):
        with pytest.raises(InvalidValue, match=why):
            copied.to_data_array()
        with pytest.raises(InvalidValue, match=why):
            pickle.loads(pickle.dumps(copied)).to_data_array()
    assert repr(image) == "<Image png x.png>"
    for look in (lambda: image.width, lambda: image.to_data_array(), lambda: shown.mask_data):
        with pytest.raises(InvalidValue, match=why):
            look()
