"""The face of `artstore.adapters.frameworks.lightgbm`, for users' imports."""

from artstore.adapters.frameworks.lightgbm import *  # noqa: F403  a face
