"""The doctor: checks whether this machine and its file systems are fit for a repository."""
