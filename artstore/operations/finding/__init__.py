"""Finding: versions and collections by their names, by filters and by runs."""
