"""What W&B's users call and artstore doesn't need, or can't do: accepted without an effect, or refused with the reason."""

import enum
from collections.abc import Sequence
from typing import Any, NoReturn

from artstore.api.recording import session
from artstore.errors import NoActiveRun, UnsupportedError


class AlertLevel(enum.Enum):
    """How serious an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class BeforeInit:
    """W&B's `config` and `summary` before a run is started: any use says that `init` comes first."""

    def __init__(self, name: str) -> None:
        vars(self)["_name"] = name

    def _refuse(self, use: str) -> NoReturn:
        what = f"You must call wandb.init() before wandb.{vars(self)['_name']}{use}"
        raise NoActiveRun(what, hint="artstore.init() starts a run")

    def __getattr__(self, key: str) -> NoReturn:
        self._refuse(f".{key}")

    def __setattr__(self, key: str, value: Any) -> None:
        self._refuse(f".{key}")

    def __getitem__(self, key: str) -> NoReturn:
        self._refuse(f"['{key}']")

    def __setitem__(self, key: str, value: Any) -> None:
        self[key]


def require(requirement: Any = None, *_: Any, **__: Any) -> None:
    """Accepted as in W&B: artstore has no features that are off."""


def ensure_configured() -> None:
    """Accepted as in W&B: there is nothing to configure."""


def mark_preempting(*_: Any, **__: Any) -> None:
    """Accepted as in W&B: a run that was killed reads as crashed, and its id continues it."""


def pin_config_keys(keys: Sequence[str] = ()) -> None:
    """Accepted as in W&B: pages list all config values."""


def teardown(exit_code: int | None = None) -> None:
    """End all runs that are active."""
    for run in session.active:
        run.finish(exit_code)


def sweep(*_: Any, **__: Any) -> NoReturn:
    """Refused: artstore has no sweeps.

    Raises:
        UnsupportedError: Always.
    """
    raise UnsupportedError(
        "artstore has no sweeps: it has no server that hands out parameters",
        hint="start the script once for each set of parameters; `artstore runs ls` sorts the runs by a metric",
    )


agent = controller = sweep


class _DeprecatedApi:
    """W&B's `wandb.api`, which frameworks ask whether somebody is logged in."""

    api_key = "artstore-needs-no-key"
    """Never a key of W&B's, which artstore doesn't read."""
    default_entity = None

    def viewer(self) -> dict[str, Any]:
        """Nobody: there are no accounts."""
        return {}


old_api = _DeprecatedApi()
