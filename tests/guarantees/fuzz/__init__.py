"""Fuzzing of everything that decodes bytes which somebody else may have written: `python -m tests.guarantees.fuzz`."""
