"""The Python interface, shaped as W&B's."""
