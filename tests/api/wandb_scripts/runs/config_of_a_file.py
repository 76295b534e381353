"""Take the config from a YAML file.

After: docs, track, configure experiments: file-based configs
Needs: yaml
Runs.
"""

from pathlib import Path

import yaml

import artstore as wandb

Path("model.yaml").write_text("batch_size:\n  desc: Size of each mini-batch\n  value: 32\nlr:\n  value: 0.5\n")
with wandb.init(project="files", config="model.yaml") as run:
    assert run.config["batch_size"] == 32 and run.config.lr == 0.5
Path("plain.yaml").write_text("epochs: 3\nsizes: [1, 2]\n")
nested = {"yaml": yaml.safe_load(Path("plain.yaml").read_text()), "params": {"dropout": 0.5}}
with wandb.init(project="files", config=nested) as run:
    assert run.config["yaml"]["sizes"] == [1, 2]
