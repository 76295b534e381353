"""Adapters: other tools' ways to reach a repository, and their stores to import."""
