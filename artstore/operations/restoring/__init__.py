"""Restoring: writing a version's files to a folder, and comparing a folder with a version."""
