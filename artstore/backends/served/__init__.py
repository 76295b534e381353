"""A served remote, as a client sees it: the requests of its protocol, and its logs as a storage."""
