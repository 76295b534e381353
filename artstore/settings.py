"""Settings, the environment and where the repository is: the only module that reads the environment."""

import os
import re

from artstore.errors import InvalidValue, NotFound, storage_error
from artstore.files import open_regular
from artstore.names import DEFAULT_ENTITY, DEFAULT_PROJECT, check_project, printable

FOLDER = ".artifacts"
GRACE_LOCAL = 24 * 3600
GRACE_NETWORK = 14 * 24 * 3600
"""Seconds that a taken-away object stays in the trash: a day locally; on network file systems, whose clients may
believe old listings, far longer than any cache lives.
"""


class Settings:
    """One repository's settings: its `config` file (INI) over which the environment wins."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._values: dict[str, dict[str, str]] = {}
        path = os.path.join(root, "config")
        try:
            with open(open_regular(path), encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, f"read {path}") from error
        except UnicodeDecodeError as error:
            raise InvalidValue(f"{path} is not UTF-8 text", hint="mend or remove it") from error
        import configparser  # 5 ms, and most repositories have no config

        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error as error:
            raise InvalidValue(
                f"{path} is not a valid settings file: {str(error).splitlines()[0]}", hint="mend or remove it"
            ) from error
        self._values = {section: dict(parser[section]) for section in parser.sections()}

    def get(self, section: str, key: str) -> str | None:
        return self._values.get(section, {}).get(key.lower())

    @property
    def entity(self) -> str:
        return check_project(
            _environment("ARTSTORE_ENTITY", "WANDB_ENTITY") or self.get("core", "entity") or DEFAULT_ENTITY, "entity"
        )

    @property
    def project(self) -> str:
        return check_project(
            _environment("ARTSTORE_PROJECT", "WANDB_PROJECT") or self.get("core", "project") or DEFAULT_PROJECT
        )

    def identity(self) -> tuple[str | None, str | None]:
        """(host, user) as entries record them; both None with `core.identity = off`."""
        if (self.get("core", "identity") or "on").lower() in ("off", "false", "no", "0"):
            return None, None
        return os.uname().nodename, _user()

    def grace(self, local: bool) -> float:
        """Seconds for which the trash is kept."""
        value = self.get("gc", "grace")
        if value is None:
            return GRACE_LOCAL if local else GRACE_NETWORK
        match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhd])", value, re.ASCII)
        if match is None:
            raise InvalidValue(f"gc.grace = {printable(value)} is not a time such as 12h or 7d")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _environment(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return None


def run_id() -> str | None:
    """The run that the environment asks to record."""
    return _environment("ARTSTORE_RUN_ID", "WANDB_RUN_ID")


def run_mode() -> str | None:
    return _environment("ARTSTORE_MODE", "WANDB_MODE")


def find_root(start: str | None = None, *, environment: bool = True) -> str | None:
    """The repository's folder: ARTSTORE_DIR itself, or the nearest `.artifacts/` upwards, as git finds `.git`: not past
    $HOME nor a file-system border.
    """
    if environment and (chosen := _environment("ARTSTORE_DIR")):
        return os.path.abspath(chosen)
    here = os.path.abspath(start or _start())
    if not os.path.isdir(here):
        return None
    home, device = os.path.expanduser("~"), os.stat(here).st_dev
    while True:
        if os.path.isfile(f"{here}/{FOLDER}/format"):
            return f"{here.rstrip('/')}/{FOLDER}"
        parent = os.path.dirname(here)
        if here == home or parent == here or os.stat(parent).st_dev != device:
            return None
        here = parent


def _start() -> str:
    """Where the search begins: WANDB_DIR, in which W&B would keep its files, or here."""
    return _environment("WANDB_DIR") or os.getcwd()


def root_to_create(start: str | None = None) -> str:
    """Where `init` and the first `put` make a repository."""
    return find_root(start) or os.path.join(os.path.abspath(start or _start()), FOLDER)


def require_root() -> str:
    root = find_root()
    if root is None or not os.path.isfile(f"{root}/format"):
        where = root or f"{_start()} or above"
        hint = "`artstore init` makes one here; ARTSTORE_DIR names one elsewhere"
        if root and os.path.isfile(f"{root}/{FOLDER}/format"):
            hint = f"ARTSTORE_DIR is the repository's own folder: did you mean {root}/{FOLDER}?"
        raise NotFound(f"there is no repository in {where}", hint=hint)
    return root


def download_folder(name: str) -> str:
    """Where `get` puts a version when it isn't told."""
    base = _environment("ARTSTORE_ARTIFACT_DIR", "WANDB_ARTIFACT_DIR") or "artifacts"
    return os.path.join(base, name)
