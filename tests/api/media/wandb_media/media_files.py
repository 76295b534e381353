"""Media of the real wandb package: written as an artifact's files, and read from them.

    python media_files.py write FOLDER     the files of an artifact that has one object of each kind, and a table of them
    python media_files.py log              an offline run here
    python media_files.py read FOLDER      one line of JSON: what wandb reads from such a folder

It needs wandb (of any year), numpy, pillow and soundfile, and nothing of artstore. `written/` was written by wandb 0.22.3, which needs pillow
before 11.3 for masks.
"""

import json
import os
import shutil
import sys

import numpy as np

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

import wandb

PIXELS = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)
MASK = (np.arange(8 * 6) % 3).astype(np.uint8).reshape(8, 6)
BOX = {
    "position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4},
    "class_id": 2, "box_caption": "a dog", "scores": {"sure": 0.5},
}  # fmt: skip
CLASSES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
POINTS = np.arange(12.0).reshape(4, 3)
SOUND = np.sin(np.arange(80) / 5) / 2
COLUMNS = ["full", "image", "audio", "html", "points", "histogram"]


def full(package):
    """An image with everything, of wandb or of a package in its place."""
    return package.Image(
        PIXELS,
        caption="both",
        classes=package.Classes(CLASSES),
        masks={"said": {"mask_data": MASK.copy(), "class_labels": {1: "cat"}}},
        boxes={"true": {"box_data": [dict(BOX)], "class_labels": {2: "dog"}}},
    )


def row(package):
    """A row of the table."""
    return [
        full(package),
        package.Image(PIXELS[:, :, 0]),
        package.Audio(SOUND, sample_rate=8000, caption="a bell"),
        package.Html("<p>x</p>"),
        package.Object3D(POINTS),
        package.Histogram(np_histogram=([1, 2], [0.0, 0.5, 1.0])),
    ]


def add_all(package, artifact):
    """Add a table, and each object that wandb takes on its own."""
    first = row(package)
    artifact.add(package.Table(columns=COLUMNS, data=[first, [None] * len(COLUMNS)]), "sub/table")
    for name, media in zip(COLUMNS, first, strict=True):
        if name != "histogram":
            artifact.add(media, name)
    artifact.add(package.Classes(CLASSES), "classes")


def write(folder):
    """Write the files of an artifact."""
    artifact = wandb.Artifact("media", type="dataset")
    add_all(wandb, artifact)
    for path, entry in artifact.manifest.entries.items():
        target = os.path.join(folder, *path.split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(entry.local_path, target)


def log_all(package):
    """Log each object, a list of images and one of sounds, and an object in the summary, in two steps."""
    made = dict(zip(COLUMNS, row(package), strict=True))
    with package.init(project="media", id="logged") as run:
        run.log({**made, "some": [package.Image(PIXELS, caption="a"), package.Image(PIXELS[::-1], caption="b")]})
        run.log({"below/image": package.Image(PIXELS), "sounds": [package.Audio(SOUND, sample_rate=8000)]})
        run.summary["best"] = package.Image(PIXELS)


class _Entry:
    def __init__(self, path):
        self._path = path

    def download(self):
        return self._path


class Source:
    """What wandb asks an artifact for."""

    def __init__(self, root):
        self.root = root

    def get_entry(self, name):
        return _Entry(os.path.join(self.root, *name.split("/")))

    def get(self, name):
        """The object in a file."""
        with open(self.get_entry(name).download(), encoding="utf-8") as file:
            return _made(json.load(file), self)


def _made(told, source):
    kinds = {
        "table": wandb.Table, "image-file": wandb.Image, "audio-file": wandb.Audio, "html-file": wandb.Html,
        "object3D-file": wandb.Object3D, "classes": wandb.Classes,
    }  # fmt: skip
    return kinds[told["_type"]].from_json(told, source)


def _content(path):
    with open(path, "rb") as file:
        return file.read().hex()


def described(media):
    """What an object of wandb holds, as JSON."""
    kind = type(media).__name__
    if kind == "Image":
        return [
            kind, media._caption, np.array(media.image).tolist(), media._classes and list(media._classes._class_set),
            {key: boxes._val for key, boxes in (media._boxes or {}).items()},
            {key: _content(mask._path) for key, mask in (media._masks or {}).items()},
        ]  # fmt: skip
    if kind == "Html":
        return [kind, media.html]
    if kind == "Classes":
        return [kind, list(media._class_set)]
    if kind in ("Audio", "Object3D"):
        return [kind, media._caption, _content(media._path)]
    return media


def read(folder):
    """What wandb reads of a folder. It can't read histograms, which it writes."""
    source = Source(folder)
    with open(os.path.join(folder, "sub", "table.table.json"), encoding="utf-8") as file:
        told = json.load(file)
    at = told["columns"].index("histogram")
    histograms = [cells.pop(at) for cells in told["data"]]
    told["columns"].pop(at)
    told["column_types"]["params"]["type_map"].pop("histogram")
    table = _made(told, source)
    endings = {"audio": "audio-file", "html": "html-file", "points": "object3D-file", "classes": "classes"}
    names = [*(name for name in COLUMNS if name != "histogram"), "classes"]
    objects = {name: described(source.get(f"{name}.{endings.get(name, 'image-file')}.json")) for name in names}
    return {
        "version": wandb.__version__,
        "rows": [[described(cell) for cell in cells] for cells in table.data],
        "objects": objects,
        "histograms": histograms,
    }


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2])
    elif sys.argv[1] == "log":
        log_all(wandb)
    else:
        print(json.dumps(read(sys.argv[2])))
