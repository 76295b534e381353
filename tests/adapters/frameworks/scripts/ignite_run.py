"""Ignite's WandBLogger."""

from ignite.engine import Engine, Events
from ignite.handlers.wandb_logger import WandBLogger

engine = Engine(lambda engine, batch: batch / 2)
logger = WandBLogger(project="engines", id="ignite", config={"batches": 4})
logger.attach_output_handler(
    engine, Events.ITERATION_COMPLETED, tag="training", output_transform=lambda loss: {"loss": loss}
)
engine.run([4.0, 2.0, 1.0, 0.5], max_epochs=1)
logger.close()
