"""References, for users' imports: `register` teaches another scheme."""

from artstore.backends.references import *  # noqa: F403  a face
