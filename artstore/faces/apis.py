"""W&B's `wandb.apis`, for users' imports: `from artstore.apis import …` has the names that artstore has."""

from artstore.adapters.wandb_names.modules import stand_in

stand_in(__name__, globals())
