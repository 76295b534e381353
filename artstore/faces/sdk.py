"""W&B's `wandb.sdk`, for users' imports: `from artstore.sdk import …` has the names that artstore has."""

from artstore.adapters.wandb_names.modules import stand_in

stand_in(__name__, globals())
