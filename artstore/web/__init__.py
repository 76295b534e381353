"""The pages of `artstore ui`, which only read."""
