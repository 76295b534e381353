"""Fault injection: what kills, errors and power cuts at any moment leave behind."""
