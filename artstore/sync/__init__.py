"""Sync: what two repositories tell each other."""
