"""Take the config from a namespace, a dataclass and flags of absl's shape.

After: docs, track, configure experiments: absl.FLAGS
Runs.
"""

from dataclasses import asdict, dataclass
from types import SimpleNamespace

import artstore as wandb


@dataclass
class Config:
    layers: int = 2
    optimizer: str = "sgd"


with wandb.init(project="objects", config=SimpleNamespace(lr=0.1, seed=7)) as run:
    run.config.update(asdict(Config()))
    assert run.config.lr == 0.1 and run.config.layers == 2
assert dict(wandb.Api().run(run.path).config) == {"lr": 0.1, "seed": 7, "layers": 2, "optimizer": "sgd"}
