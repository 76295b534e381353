"""Keep the code of a run.

After: examples, colabs, saving code
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("src/lib").mkdir(parents=True)
for name in ("src/train.py", "src/lib/data.py", "src/readme.md", "src/lib/setup.cfg"):
    Path(name).write_text(name)
with wandb.init(project="code", id="c") as run:
    run.log_code("src")
    run.log_code("src", name="all", include_fn=lambda path: path.endswith((".py", ".cfg")))
names = {artifact.name: sorted(artifact.manifest.entries) for artifact in run.logged_artifacts()}
assert names["all:v0"] == ["lib/data.py", "lib/setup.cfg", "train.py"]
assert ["lib/data.py", "train.py"] in names.values()
