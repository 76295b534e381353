"""The doctor: whether this machine and its file systems are fit for a repository."""
