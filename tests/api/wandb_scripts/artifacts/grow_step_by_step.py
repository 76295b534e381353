"""Let each run add files to what the last version has, with `incremental=True`.

After: docs, reference, Artifact(incremental=True)
Runs.
"""

import artstore as wandb

for day in range(3):
    with wandb.init(project="growing") as run:
        artifact = wandb.Artifact("diary", type="text", incremental=True)
        with artifact.new_file(f"day-{day}.txt") as file:
            file.write(f"day {day}")
        run.log_artifact(artifact)

artifact = wandb.Api().artifact("growing/diary:latest")
assert artifact.version == "v2"
assert sorted(artifact.manifest.entries) == ["day-0.txt", "day-1.txt", "day-2.txt"]
