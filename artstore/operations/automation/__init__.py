"""Automation: a change meets its user's rules and starts an action."""
