"""W&B's `wandb.data_types`, for users' imports: `from artstore.data_types import …` has the names that artstore has."""

from artstore.adapters.wandb_names.modules import stand_in

stand_in(__name__, globals())
