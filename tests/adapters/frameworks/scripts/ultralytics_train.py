"""Ultralytics' own training of a small YOLO over pictures made here, with its callbacks for wandb."""

import random
from pathlib import Path

import numpy
from PIL import Image
from ultralytics import YOLO, settings

settings.update({"wandb": True})
random.seed(0)
for part, count in (("train", 8), ("val", 4)):
    for kind in ("images", "labels"):
        Path("data", kind, part).mkdir(parents=True)
    for number in range(count):
        pixels, size = numpy.full((64, 64, 3), 255, "uint8"), random.randint(16, 32)
        x, y, kind = random.randint(0, 63 - size), random.randint(0, 63 - size), number % 2
        pixels[y : y + size, x : x + size] = (255, 0, 0) if kind else (0, 0, 255)
        Image.fromarray(pixels).save(f"data/images/{part}/{number}.png")
        middle = ((x + size / 2) / 64, (y + size / 2) / 64, size / 64, size / 64)
        Path(f"data/labels/{part}/{number}.txt").write_text(" ".join(map(str, (kind, *middle))))
Path("data.yaml").write_text(
    f"path: {Path('data').absolute()}\ntrain: images/train\nval: images/val\nnames: [blue, red]\n"
)
model = YOLO("yolov8n.yaml")
model.train(
    data="data.yaml", project="boxes", name="small", epochs=2, imgsz=64, batch=4, workers=0, device="cpu", seed=0
)
