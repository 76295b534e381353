"""Track files by name alone, without reading them.

After: docs, artifacts, track external files
Runs.
"""

import artstore as wandb

with wandb.init(project="references") as run:
    artifact = wandb.Artifact("lake", type="dataset")
    artifact.add_reference("s3://a-bucket/rows/part-0.parquet", checksum=False)
    artifact.add_reference("gs://b-bucket/rows/part-1.parquet", name="part-1.parquet", checksum=False)
    run.log_artifact(artifact)

artifact = wandb.Api().artifact("references/lake:latest")
assert sorted(entry.ref for entry in artifact.manifest.entries.values()) == [
    "gs://b-bucket/rows/part-1.parquet",
    "s3://a-bucket/rows/part-0.parquet",
]
assert artifact.get_entry("part-1.parquet").ref_target() == "gs://b-bucket/rows/part-1.parquet"
