"""Automation: rules of a user that start an action after a change."""
