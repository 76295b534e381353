"""Upkeep: merging, collecting, checking, repairing, pruning."""
