"""Compare two versions by the digests of their entries.

After: docs, reference, ArtifactManifest
Runs.
"""

import artstore as wandb


def log(run, files):
    artifact = wandb.Artifact("notes", type="text")
    for name, text in files.items():
        with artifact.new_file(name) as file:
            file.write(text)
    run.log_artifact(artifact)


with wandb.init(project="compare") as run:
    log(run, {"same.txt": "same", "changed.txt": "old", "removed.txt": "gone"})
    log(run, {"same.txt": "same", "changed.txt": "new", "added.txt": "here"})

api = wandb.Api()
old, new = (api.artifact(f"compare/notes:{version}").manifest.entries for version in ("v0", "v1"))
assert set(new) - set(old) == {"added.txt"} and set(old) - set(new) == {"removed.txt"}
assert [path for path in set(old) & set(new) if old[path].digest != new[path].digest] == ["changed.txt"]
