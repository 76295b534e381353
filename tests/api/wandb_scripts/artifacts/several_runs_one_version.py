"""Let three runs add files to one version, and finish it.

After: docs, artifacts, distributed runs
Runs.
"""

import artstore as wandb


def part(number):
    artifact = wandb.Artifact("album", "pictures")
    with artifact.new_file(f"image{number}.txt") as file:
        file.write(str(number))
    return artifact


for number in (1, 2):
    with wandb.init(project="parts", group="album-1") as run:
        run.upsert_artifact(part(number), distributed_id="my-album")
assert not wandb.Api().artifact_exists("parts/album:v0")
with wandb.init(project="parts", group="album-1") as run:
    run.finish_artifact(part(3), distributed_id="my-album")

artifact = wandb.Api().artifact("parts/album:latest")
assert sorted(artifact.manifest.entries) == ["image1.txt", "image2.txt", "image3.txt"]
