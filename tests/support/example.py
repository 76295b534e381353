"""The example project: what the page is tested with, and what docs/pages.md shows.

python -m tests.support.example FOLDER
"""

import json
import math
import os
import random
import struct
import sys
import zlib
from pathlib import Path

HOSTILE = '<img src="x" onerror="alert(1)">'


def png(path: Path, seed: int, size: int = 64) -> None:
    """A picture, by the format's own rules (ISO/IEC 15948)."""
    rows = b"".join(
        b"\0"
        + bytes(
            int(127 + 120 * math.sin((x + colour * 9) / 9 + seed) * math.cos(y / 7))
            for x in range(size)
            for colour in range(3)
        )
        for y in range(size)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def make(folder: Path) -> None:
    """Runs that prepare, train and evaluate, below `folder`, which has a repository of its own afterwards."""
    os.chdir(folder)
    os.environ["ARTSTORE_DIR"] = str(folder / ".artifacts")
    import artstore as wandb

    rnd = random.Random(1)
    images = folder / "data/images"
    images.mkdir(parents=True)
    for number in range(12):
        png(images / f"{number:02}.png", number)
    (folder / "data/labels.csv").write_text(
        "image,digit,area\n" + "".join(f"{i:02}.png,{i % 10},{i * 37 % 91}\n" for i in range(250))
    )
    (folder / "data/README.md").write_text(
        "# Digits\n\nScanned in **May**.\n\n| split | images |\n|---|---|\n| train | 10 |\n\n<script>alert(1)</script>\n"
    )
    (folder / "data/meta.json").write_text(json.dumps({"classes": list(range(10)), "size": [64, 64]}))
    (folder / "data/page.html").write_text("<script>alert(1)</script>")
    (folder / "data/drawing.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><circle r="9"/></svg>'
    )
    (folder / "data" / HOSTILE.replace("/", "-")).write_text(HOSTILE)
    description = f"Scanned digits, **area** in mm².\n\n- 12 images\n\n{HOSTILE} [a link](javascript:alert(1))"
    with wandb.init(project="digits", job_type="prepare", id="prepare-1") as run:
        artifact = wandb.Artifact(
            "images", "dataset", description=description, metadata={"scanner": {"dpi": 300}, HOSTILE: HOSTILE}
        )
        artifact.add_dir("data")
        artifact.get_entry("images/00.png").extra |= {"label": {"digit": 7}, HOSTILE: HOSTILE}
        run.log_artifact(artifact, aliases=["raw"])
    png(images / "00.png", 99)
    (images / "11.png").unlink()
    with wandb.init(project="digits", job_type="prepare", id="prepare-2") as run:
        artifact = wandb.Artifact("images", "dataset", metadata={"scanner": {"dpi": 600}})
        artifact.add_dir("data")
        run.log_artifact(artifact, aliases=["clean"], tags=["checked"])
    for number, rate in enumerate((0.1, 0.03, 0.01), 1):
        config = {"lr": rate, "model": {"layers": number * 2, "width": 64}}
        with wandb.init(
            project="digits",
            job_type="train",
            id=f"train-{number}",
            config=config,
            notes="One of a *sweep*",
            tags=["sweep"],
        ) as run:
            run.use_artifact("images:clean" if number > 1 else "images:raw")
            for step in range(200):
                run.log(
                    {
                        "loss": math.exp(-step * rate / 8) + rnd.random() * 0.03,
                        "accuracy": 1 - math.exp(-step * rate / 6) * 0.9,
                    }
                )
            model = wandb.Artifact("model", "model", metadata={"loss": run.summary["loss"], "lr": rate})
            with model.new_file("weights.bin", "wb") as file:
                file.write(rnd.randbytes(2 << 20))
            run.log_artifact(model)
    for number, wrong in ((1, 7), (2, 8)):
        with wandb.init(project="digits", job_type="evaluate", id=f"evaluate-{number}") as run:
            model = run.use_artifact("model:latest")
            rows = [[i, i % 10, i % wrong != 0, round(math.sin(i) ** 2, 3)] for i in range(500)]
            report = wandb.Artifact("report", "evaluation")
            report.add(wandb.Table(columns=["image", "digit", "right", "confidence"], data=rows), "results")
            run.log_artifact(report)
            run.link_artifact(model, "registry-models/digits", aliases=["prod"])


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
