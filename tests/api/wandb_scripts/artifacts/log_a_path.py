"""Log a file or a folder by its path alone.

After: docs, reference, Run.log_artifact
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("out").mkdir()
Path("out/a.txt").write_text("a")
Path("out/b.txt").write_text("b")
with wandb.init(project="paths", id="r1") as run:
    file = run.log_artifact("out/a.txt", name="one", type="text")
    folder = run.log_artifact("out", name="both", type="text", aliases=["first"])
    assert run.use_artifact("both:first").name == folder.name
assert sorted(folder.manifest.entries) == ["a.txt", "b.txt"]
assert sorted(file.manifest.entries) == ["a.txt"]
