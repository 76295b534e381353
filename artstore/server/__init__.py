"""A served repository: who may do what, what was done, and the answers."""
