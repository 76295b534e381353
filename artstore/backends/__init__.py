"""Backends: the kinds of place that hold files: folders, buckets, the operating system, URIs."""
