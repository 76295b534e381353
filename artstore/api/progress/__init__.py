"""Progress of long operations, shown on a terminal or in a notebook."""
