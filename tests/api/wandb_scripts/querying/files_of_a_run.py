"""List, download, upload and delete the files of a run.

After: docs, track, public API: download all files from a run
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="files", id="f") as run:
    for name in ("model.h5", "picture.png", "notes.txt"):
        Path(name).write_text(name)
        run.save(name)

api = wandb.Api()
run = api.run("local/files/f")
run.file("model.h5").download(root="one")
assert Path("one/model.h5").read_text() == "model.h5"
for file in run.files():
    file.download(root="all", replace=True)
assert Path("all/notes.txt").exists()
Path("more.txt").write_text("later")
run.upload_file("more.txt")
extension = ".png"
for file in run.files():
    if file.name.endswith(extension):
        file.delete()
names = [file.name for file in wandb.Api().run("files/f").files()]
assert {"model.h5", "more.txt"} <= set(names) and "picture.png" not in names
