"""A view of a repository: finding, reading, restoring and maintaining its versions. It may be here, or a remote."""

from artstore.view.opening import view_of
from artstore.view.view import View

__all__ = ["View", "view_of"]
