"""timm's models in a loop, with the summary that its training script writes, and resumed from the artifact."""

from pathlib import Path

import timm
import torch
import wandb
from timm.models import load_checkpoint
from timm.optim import create_optimizer_v2
from timm.utils import CheckpointSaver, update_summary

torch.manual_seed(0)
with wandb.init(project="pictures", id="timm", config={"model": "test_vit"}) as run:
    model = timm.create_model("test_vit", num_classes=2)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3)
    Path("out").mkdir()
    saver = CheckpointSaver(model, optimizer, checkpoint_dir="out", recovery_dir="out", decreasing=True)
    for epoch in range(2):
        x, y = torch.randn(4, 3, 160, 160), torch.tensor([0, 1, 0, 1])
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        update_summary(
            epoch, {"loss": loss.item()}, {"loss": loss.item(), "top1": 50.0}, "out/summary.csv", lr=1e-3,
            write_header=epoch == 0, log_wandb=True,
        )  # fmt: skip
        saver.save_checkpoint(epoch, metric=loss.item())
    run.log_model("out/last.pth.tar", name="vit", aliases=["last"])
with wandb.init(project="pictures", id="timm-again", job_type="resume") as run:
    file = run.use_model("vit:last")
    model = timm.create_model("test_vit", num_classes=2)
    load_checkpoint(model, file)
    run.summary["size"] = Path(file).stat().st_size
