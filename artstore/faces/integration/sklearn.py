"""W&B's `wandb.integration.sklearn`, for users' imports: the names of `artstore.sklearn`."""

from artstore.adapters.wandb_names.modules import stand_in

stand_in(__name__, globals())
