"""The face of `artstore.adapters.frameworks.sb3`, for users' imports."""

from artstore.adapters.frameworks.sb3 import *  # noqa: F403  a face
