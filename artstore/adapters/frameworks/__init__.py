"""Callbacks for frameworks that have none of their own for W&B, with the names that W&B's package gives them."""
