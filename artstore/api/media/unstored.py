"""Kinds of W&B's that are accepted, so that scripts run, but not stored."""

from typing import Any

from artstore.backends.callers import warn_caller


class Unstored:
    """Accepts the arguments of W&B's class, and keeps none of them. Says so once for each class."""

    _warned = False

    def __init__(self, *_: Any, **__: Any) -> None:
        kind = type(self)
        if not kind._warned:
            kind._warned = True
            warn_caller(f"artstore doesn't store {kind.__name__} values; log_artifact() stores files")


class Molecule(Unstored):
    """A molecule, as W&B's class. It isn't stored."""

    @classmethod
    def from_rdkit(cls, *_: Any, **__: Any) -> "Molecule":
        """A molecule, which isn't stored."""
        return cls()

    from_smiles = from_rdkit


class Bokeh(Unstored):
    """A plot of Bokeh, as W&B's class. It isn't stored."""
