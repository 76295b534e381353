"""Restoring: a version becomes files, and is compared with files."""
