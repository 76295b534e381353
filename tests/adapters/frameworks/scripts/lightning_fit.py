"""Lightning's WandbLogger with `log_model="all"`, a table and a picture."""

import lightning
import numpy
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger


class Line(lightning.LightningModule):
    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        loss = (self.layer(batch[0]) - batch[1]).square().mean()
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", (self.layer(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)


lightning.seed_everything(0)
data = torch.utils.data.TensorDataset(torch.randn(32, 2), torch.randn(32, 1))
loader = torch.utils.data.DataLoader(data, batch_size=8)
logger = WandbLogger(project="lines", name="first", log_model="all", id="fit-1")
logger.watch(torch.nn.Linear(1, 1))
checkpoint = ModelCheckpoint(monitor="val_loss", save_top_k=2, dirpath="checkpoints")
trainer = lightning.Trainer(
    max_epochs=3, logger=logger, callbacks=[checkpoint], accelerator="cpu", log_every_n_steps=1, enable_progress_bar=False,
    enable_model_summary=False,
)  # fmt: skip
trainer.fit(Line(), loader, loader)
logger.log_table("samples", columns=["a", "b"], data=[[1, "x"], [2, "y"]])
logger.log_image("pictures", [numpy.zeros((4, 4, 3), "uint8")], caption=["black"])
logger.experiment.finish()
logger.download_artifact("lines/model-fit-1:best", save_dir="again", use_artifact=False)
