"""The Python interface, shaped like W&B's."""
