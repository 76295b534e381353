"""W&B's `wandb.util`, for users' imports: `from artstore.util import …` has the names that artstore has."""

from artstore.adapters.wandb_names.modules import stand_in

stand_in(__name__, globals())
