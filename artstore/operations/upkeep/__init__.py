"""Upkeep: merging packs, collecting garbage, checking, repairing, pruning."""
