"""artstore: versions of what machine-learning runs read and write, in a folder, without a server."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artstore.errors import ArtstoreError
    from artstore.repository import Repository

__version__ = "0.1.0"
__all__ = ["ArtstoreError", "Repository", "__version__"]

_HOMES = {"ArtstoreError": "artstore.errors", "Repository": "artstore.repository"}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: `import artstore` itself does no work."""
    if name not in _HOMES:
        raise AttributeError(f"module 'artstore' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
