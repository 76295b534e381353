"""Benchmarks: whole processes, each timed in alternation with its floor, and other tools beside them."""
