"""artstore: versions of what machine-learning runs read and write, in a folder, without a server.

`import artstore as wandb` runs code that was written for W&B's artifacts.
"""

import importlib
from typing import TYPE_CHECKING, Any

from artstore._version import __version__

if TYPE_CHECKING:
    from artstore import automations, errors, references
    from artstore.adapters.wandb_names.here import install_as_wandb
    from artstore.api.accepted import (
        AlertLevel,
        agent,
        controller,
        mark_preempting,
        pin_config_keys,
        require,
        sweep,
        teardown,
    )
    from artstore.api.artifact import Artifact
    from artstore.api.described import ArtifactTTL
    from artstore.api.media.audio import Audio
    from artstore.api.media.histogram import Histogram
    from artstore.api.media.html import Html
    from artstore.api.media.image import Image
    from artstore.api.media.object3d import Object3D, box3d
    from artstore.api.media.overlays import BoundingBoxes2D, Classes, ImageMask
    from artstore.api.media.plotly import Plotly
    from artstore.api.media.unstored import Bokeh, Molecule
    from artstore.api.media.video import Video
    from artstore.api.plots.chart import plot_table, visualize
    from artstore.api.query import Api
    from artstore.api.run import Run
    from artstore.api.session import (
        alert,
        attach,
        define_metric,
        finish,
        finish_artifact,
        init,
        join,
        link_artifact,
        link_model,
        log,
        log_artifact,
        log_code,
        log_model,
        login,
        restore,
        save,
        setup,
        unwatch,
        upsert_artifact,
        use_artifact,
        use_model,
        watch,
    )
    from artstore.api.settings import Settings
    from artstore.api.tables.evaluated import EvalTable
    from artstore.api.tables.joined import JoinedTable, PartitionedTable
    from artstore.api.tables.table import Table
    from artstore.api.terminal import termerror, termlog, termsetup, termwarn
    from artstore.api.values import Values
    from artstore.errors import ArtstoreError, CommError, Error, UnsupportedError, UsageError
    from artstore.faces import plot, sklearn
    from artstore.repository import Repository

    run: Run | None
    config: Values
    summary: Values

__all__ = [
    "AlertLevel", "Api", "Artifact", "ArtifactTTL", "ArtstoreError", "Audio", "Bokeh", "BoundingBoxes2D",
    "Classes", "CommError", "Error", "EvalTable", "Histogram", "Html", "Image", "ImageMask", "JoinedTable", "Molecule",
    "Object3D", "PartitionedTable", "Plotly", "Repository", "Run", "Settings", "Table", "UnsupportedError", "UsageError", "Video",
    "__version__", "agent", "alert", "attach", "automations", "box3d", "config", "controller", "define_metric", "errors",
    "finish", "finish_artifact", "init", "install_as_wandb", "join", "link_artifact", "link_model", "log",
    "log_artifact", "log_code", "log_model", "login", "mark_preempting", "pin_config_keys", "plot", "plot_table",
    "references", "require", "restore", "run", "save", "setup", "sklearn", "summary", "sweep", "teardown", "termerror",
    "termlog", "termsetup", "termwarn", "unwatch", "upsert_artifact", "use_artifact", "use_model", "visualize", "watch",
]  # fmt: skip

__path__.append(f"{__path__[0]}/faces")  # `artstore.plot` is in faces/plot.py

_HOMES = {
    "adapters.wandb_names.here": ("install_as_wandb",),
    "api.accepted": (
        "AlertLevel", "agent", "controller", "mark_preempting", "pin_config_keys", "require", "sweep", "teardown",
    ),
    "api.plots.chart": ("plot_table", "visualize"),
    "api.query": ("Api",),
    "api.artifact": ("Artifact",),
    "api.described": ("ArtifactTTL",),
    "errors": ("ArtstoreError", "CommError", "Error", "UnsupportedError", "UsageError"),
    "api.media.audio": ("Audio",),
    "api.media.histogram": ("Histogram",),
    "api.media.html": ("Html",),
    "api.media.image": ("Image",),
    "api.media.object3d": ("Object3D", "box3d"),
    "api.media.overlays": ("BoundingBoxes2D", "Classes", "ImageMask"),
    "api.media.plotly": ("Plotly",),
    "api.media.unstored": ("Bokeh", "Molecule"),
    "api.media.video": ("Video",),
    "repository": ("Repository",),
    "api.run": ("Run",),
    "api.settings": ("Settings",),
    "api.session": (
        "alert", "attach", "define_metric", "finish", "finish_artifact", "init", "link_artifact", "link_model", "log",
        "join", "log_artifact", "log_code", "log_model", "login", "restore", "save", "setup", "unwatch", "upsert_artifact",
        "use_artifact", "use_model", "watch",
    ),
    "api.tables.evaluated": ("EvalTable",),
    "api.tables.joined": ("JoinedTable", "PartitionedTable"),
    "api.tables.table": ("Table",),
    "api.terminal": ("termerror", "termlog", "termsetup", "termwarn"),
}  # fmt: skip
_MODULES = (
    "apis", "automations", "data_types", "env", "errors", "integration", "plot", "references", "sdk", "sklearn", "util",
)  # fmt: skip
_HOME_OF = {name: f"artstore.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: `import artstore` itself does no work. `run`, `config` and
    `summary` are the active run's each time.
    """
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name in ("run", "config", "summary"):
        session = importlib.import_module("artstore.api.recording").session
        if name == "run" or session.run is not None:
            return session.run if name == "run" else getattr(session.run, name)
        return importlib.import_module("artstore.api.accepted").BeforeInit(name)
    if name in _MODULES:
        return importlib.import_module(f"artstore.{name}")
    raise importlib.import_module("artstore.api.absent").absent("artstore", name)


def __dir__() -> list[str]:
    return __all__
