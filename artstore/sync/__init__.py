"""Sync: exchanging versions between two repositories: push, pull, fetch, bundles."""
