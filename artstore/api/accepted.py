"""What W&B's users call and artstore doesn't need, or can't do: accepted without an effect, or refused with the reason."""

import enum
from collections.abc import Sequence
from typing import Any, NoReturn

from artstore.api.recording import session
from artstore.api.run import Run
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

    def __getattr__(self, key: str) -> NoReturn:
        what = f"{vars(self)['_name']}.{key}"
        raise NoActiveRun(f"You must call wandb.init() before wandb.{what}", hint="artstore.init() starts a run")

    def __setattr__(self, key: str, value: Any) -> None:
        self.__getattr__(key)

    def __getitem__(self, key: str) -> NoReturn:
        self.__getattr__(f"__getitem__ of '{key}'")

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


def attach(attach_id: str | None = None, run_id: str | None = None, **_: Any) -> Run:
    """The active run, or the one with this id or `entity/project/id`, which is continued.

    Raises:
        NotFound: If there is no such run.
    """
    from artstore.api.session import init

    *parents, wanted = (attach_id or run_id or "").split("/")
    for run in session.active:
        if run.id == wanted:
            return run
    if session.run is not None and not wanted:
        return session.run
    entity, project = parents if len(parents) == 2 else (None, None)
    return init(project, entity=entity, id=wanted or None, resume="must")


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
