"""Find the defaults of a config in `config-defaults.yaml`.

After: docs, track, configure experiments: file-based configs
Needs: yaml
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("config-defaults.yaml").write_text("epochs:\n  desc: rounds\n  value: 10\nbatch_size:\n  value: 32\n")
with wandb.init(project="defaults", config={"epochs": 200}) as run:
    assert run.config["epochs"] == 200
    assert run.config["batch_size"] == 32
