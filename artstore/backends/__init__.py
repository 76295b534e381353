"""Backends: folders, buckets and URIs as places for files, and what artstore needs from the operating system."""
