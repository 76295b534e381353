"""Golden repositories: one of each feature of the format, made once by `make`, and never edited."""
