"""Automations, for users' imports: `artstore.api.automations` under the name that W&B's users know."""

from typing import Any

from artstore.api.absent import absent
from artstore.api.automations import *  # noqa: F403  a face


def __getattr__(name: str) -> Any:
    raise absent("automations", name)
