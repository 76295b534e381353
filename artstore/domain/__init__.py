"""The domain: the values that a repository stores and the rules for them, without I/O."""
