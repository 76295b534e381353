"""Automations, for users' imports: `artstore.api.automations` under the name that W&B's users know."""

from artstore.api.automations import *  # noqa: F403  a face
