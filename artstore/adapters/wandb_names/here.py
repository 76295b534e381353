"""Taking the name `wandb` in this process and in those that it starts."""

import importlib
import sys

from artstore.adapters.wandb_names.folder import folder_of_names
from artstore.errors import Refused
from artstore.store.variables import set_for_children

_LOOKED = ("accelerate", "lightning", "pytorch_lightning", "transformers")
"""Packages that look for wandb when they are imported, and keep the answer."""


def install_as_wandb() -> None:
    """Let `import wandb` mean artstore, in this process and in processes that it starts. A second call changes nothing.

    Call it before a framework is imported. `artstore run COMMAND` does the same for a whole command.

    Raises:
        Refused: If W&B's package, or a framework that has looked for it, is already imported.

    Example:
        >>> wandb.install_as_wandb()
        >>> from wandb.sdk.wandb_run import Run
        >>> Run is wandb.Run
        True
    """
    folder = folder_of_names()
    known = sys.modules.get("wandb")
    if known is not None and not hasattr(known, "stand_in"):
        raise Refused("W&B's package wandb is already imported", hint="call artstore.install_as_wandb() before that")
    looked = [] if known is not None else [name for name in _LOOKED if name in sys.modules]
    if looked:
        raise Refused(
            f"{looked[0]} is already imported, and has looked for wandb",
            hint="call artstore.install_as_wandb() before that",
        )
    if folder not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
    set_for_children(folder)
