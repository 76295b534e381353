"""What a run records of its surroundings: console output, machine, packages, code and system metrics."""
