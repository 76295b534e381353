"""Finding: versions and collections by name, by filter, by run."""
