"""Lineage: which runs and versions a version came from, and its picture."""
