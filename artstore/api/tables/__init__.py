"""Tables: rows of values in named columns, and their files."""
