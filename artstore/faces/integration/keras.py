"""The face of `artstore.adapters.frameworks.keras`, for users' imports."""

from artstore.adapters.frameworks.keras import *  # noqa: F403  a face
