"""The page of a repository: a local, read-only web server; needs the extra `ui`."""
