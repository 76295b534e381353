"""Save files by a pattern, below the folder that they are in.

After: tests of wandb, save with a glob
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("results/fold-1").mkdir(parents=True)
for name in ("a.txt", "b.txt", "fold-1/c.txt"):
    Path("results", name).write_text(name)
with wandb.init(project="globs", id="g") as run:
    run.save("results/*.txt", base_path=".")
    run.save("results/fold-1/*.txt", base_path="results", policy="now")
    Path(run.dir, "notes.md").write_text("# Notes")
names = [file.name for file in wandb.Api().run("globs/g").files()]
assert {"results/a.txt", "results/b.txt", "fold-1/c.txt", "notes.md"} <= set(names)
