"""Saving: a folder or a draft becomes a version."""
