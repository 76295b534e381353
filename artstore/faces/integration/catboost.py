"""The face of `artstore.adapters.frameworks.catboost`, for users' imports."""

from artstore.adapters.frameworks.catboost import *  # noqa: F403  a face
