"""Changing: names, properties and links of versions and collections; deletion."""
