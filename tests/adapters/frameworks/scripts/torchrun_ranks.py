"""Two processes of torchrun. Each finds artstore as wandb; the first one logs, as trainers do."""

import torch
import torch.distributed as together
import wandb
from wandb.sdk.wandb_run import Run

import artstore

assert Run is artstore.Run
together.init_process_group("gloo")
run = wandb.init(project="ranks", config={"ranks": together.get_world_size()}) if together.get_rank() == 0 else None
for step in range(3):
    value = torch.tensor(float((step + 1) * together.get_rank()))
    together.all_reduce(value)
    if run is not None:
        run.log({"sum": value.item()})
together.destroy_process_group()
if run is not None:
    run.finish()
