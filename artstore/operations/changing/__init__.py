"""Changing: names, properties, links, deletion."""
