"""The face of `artstore.adapters.frameworks.xgboost`, for users' imports."""

from artstore.adapters.frameworks.xgboost import *  # noqa: F403  a face
