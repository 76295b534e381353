"""Media for tests: one object of each kind, and files as other programs write them."""

import io
import math
import struct
import wave
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from tests.support.runs import root

np = pytest.importorskip("numpy")
PIL = pytest.importorskip("PIL.Image")

CLASSES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
BOX = {
    "position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4},
    "class_id": 2, "box_caption": "a dog", "scores": {"sure": 0.5},
}  # fmt: skip


def pixels(seed: int = 0, height: int = 8, width: int = 6) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mask(height: int = 8, width: int = 6) -> Any:
    return (np.arange(height * width).reshape(height, width) % 3).astype(np.uint8)


def overlays() -> dict[str, Any]:
    """Arguments of an image with classes, a mask and a box."""
    return {
        "classes": CLASSES,
        "masks": {"said": {"mask_data": mask(), "class_labels": {0: "none", 1: "cat"}}},
        "boxes": {"true": {"box_data": [BOX], "class_labels": {2: "dog"}}},
    }


def wav(path: str, seconds: float = 0.01) -> str:
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        count = int(8000 * seconds)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 5))) for i in range(count)))
    return path


def gif(path: str) -> str:
    frames = [PIL.fromarray(pixels(seed)) for seed in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def plot(path: str) -> str:
    Path(path).write_text('{"data": [{"y": [2, 1], "type": "scatter"}], "layout": {}}')
    return path


def one_of_each() -> dict[str, Any]:
    """An object of each kind, by a name for it."""
    image = wandb.Image(pixels(), caption="both", grouping=3, **overlays())
    assert image.masks is not None and image.boxes is not None
    return {
        "image": image,
        "plain image": wandb.Image(pixels(1)),
        "audio": wandb.Audio(wav("bell.wav"), caption="a bell"),
        "video": wandb.Video(gif("steps.gif"), caption="steps"),
        "html": wandb.Html("<p>x</p>"),
        "points": wandb.Object3D(np.arange(12.0).reshape(4, 3)),
        "scene": wandb.Object3D(io.StringIO("o cube"), file_type="obj"),
        "plot": wandb.Plotly(plot("loss.plotly.json")),
        "histogram": wandb.Histogram([1, 2, 2, 5], num_bins=4),
        "classes": wandb.Classes(CLASSES),
        "mask": image.masks["said"],
        "boxes": image.boxes["true"],
    }


def run_files(id: str = "r") -> dict[str, bytes]:
    """The files of a run."""
    repository = opened(root())
    state = next(state for state in repository.runs.all() if state.path.id == id)
    found = {}
    for path in repository.run_files(state):
        with repository.open_run_file(state, path) as file:
            found[path] = file.read()
    return found


KINDS = (
    "image", "plain image", "audio", "video", "html", "points", "scene", "plot", "histogram", "classes", "mask", "boxes",
)  # fmt: skip
