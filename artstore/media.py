"""Media of W&B's that are not kept: accepted, so that a script that logs them runs, and left out with one warning."""

import warnings
from typing import Any

LEFT_OUT = "<left out>"
"""Stands for a value that is not recorded."""
_said: set[str] = set()


class Media:
    """Takes whatever W&B's class takes."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def say_once(self, key: str) -> None:
        """Warn that a value of this kind is left out; once for each kind."""
        kind = type(self).__name__
        if kind not in _said:
            _said.add(kind)
            warnings.warn(
                f"artstore keeps no {kind} in a run's history: '{key}' is left out; log_artifact() keeps its file",
                stacklevel=4,
            )


class Image(Media):
    pass


class Audio(Media):
    pass


class Video(Media):
    pass


class Histogram(Media):
    pass


class Html(Media):
    pass


class Object3D(Media):
    pass


class Molecule(Media):
    pass


class Plotly(Media):
    pass
