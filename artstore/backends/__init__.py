"""Backends: folders, buckets and URIs as places for files, and what is needed of the operating system."""
