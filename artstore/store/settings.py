"""Settings: `config` files, and the repository's place. Variables of the environment override them."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from artstore.backends.addresses import path_here
from artstore.backends.files import is_own, open_regular, replace_file
from artstore.backends.homes import config_folder
from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage, is_url
from artstore.domain.names import DEFAULT_ENTITY, DEFAULT_PROJECT, as_project, check_name, check_project, printable
from artstore.domain.wording import near
from artstore.errors import InvalidValue, NotFound, Refused, storage_error, translated
from artstore.store.lines import with_line, without_section
from artstore.store.variables import variable

FOLDER = ".artifacts"
ORIGIN = "origin"
"""The name of the remote that a clone came from, and the default remote."""
_LONGEST = 1 << 20
"""Most characters of a `config` file."""
_BLANKS = re.compile(r"[^\S\n]{200}")
"""Blanks in a row, for which the parser of settings takes quadratic time."""
GRACE_LOCAL = 24 * 3600
GRACE_NETWORK = 14 * 24 * 3600
"""Seconds for which a collected object stays in the trash.

A day on local file systems. On network file systems, whose clients may use old listings, far longer than any
cache lives.
"""


class Setting(NamedTuple):
    """A setting that can be in `config`: its default, as shown to users, and the rule for its value."""

    default: str
    check: Callable[[str], object]


def _on_or_off(value: str) -> bool:
    if value.lower() not in _ON and value.lower() not in _OFF:
        raise InvalidValue(f"'{printable(value)}' is neither on nor off")
    return value.lower() in _ON


def _duration(value: str) -> float:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhd])", value, re.ASCII)
    if match is None:
        raise InvalidValue(f"'{printable(value)}' is not a time such as 12h or 7d")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _auto_or_off(value: str) -> str:
    if value.lower() not in ("auto", "off"):
        raise InvalidValue(f"'{printable(value)}' is neither auto nor off")
    return value.lower()


_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
KEYS = {
    "core.entity": Setting(DEFAULT_ENTITY, lambda value: check_project(value, "entity")),
    "core.project": Setting(DEFAULT_PROJECT, check_project),
    "core.identity": Setting("on", _on_or_off),
    "core.auto_fetch": Setting("off", _on_or_off),
    "core.pack": Setting("auto, off if shared or served", _auto_or_off),
    "gc.grace": Setting("24h, on a network file system 14d", _duration),
}


def noted_path(root: str, place: str) -> str:
    """An absolute path as the repository at `root` notes it: relative to the project if it is below that.

    The project is the folder that holds the repository. So the note stays right if the project is moved.
    """
    project = os.path.dirname(root)
    is_below = os.path.isabs(place) and f"{place}/".startswith(f"{project}/")
    return os.path.relpath(place, project) if is_below else place


def path_noted(root: str, text: str) -> str:
    """The absolute path that `noted_path` noted."""
    return os.path.normpath(os.path.join(os.path.dirname(root), text))


def text_of_place(place: str) -> str:
    """A remote's place as files record it, whatever this locale's encoding is: a path as UTF-8.

    Raises InvalidValue for a path that isn't UTF-8.
    """
    try:
        return place if is_url(place) else os.fsencode(place).decode()
    except UnicodeDecodeError as error:
        what = f"the path {printable(place)} can't be recorded for a remote, because it is not UTF-8"
        raise InvalidValue(what, hint="rename the folder") from error


class RemoteSettings(NamedTuple):
    """A remote's settings in `config`."""

    url: str
    partial: bool = False
    """whether blobs that the remote has may be absent here"""
    relative: bool = False
    """whether it was given as a path relative to the project: lock files then use that path"""


class Settings:
    """The settings of one repository: its `config` file, in INI format. Environment variables override it."""

    def __init__(self, root: str | None) -> None:
        """Without a repository (None) there are only the environment and the defaults."""
        self._root = root or ""
        self._path = os.path.join(self._root, "config")
        self._values = self._parsed(self._text()) if root is not None else {}
        self.given: set[tuple[str, str]] = set()
        """(name, place) of remotes that the user gave to this handle: it contacts them, whoever may write `config`"""
        self.typed: set[str] = set()
        """places of remotes that the user named in this process: a token of the environment may be sent there"""

    def _text(self) -> str:
        """The text of `config`, or "" if there is none."""
        try:
            with open(open_regular(self._path), encoding="utf-8") as file:
                text = file.read(_LONGEST + 1)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise storage_error(error, f"read {printable(self._path)}") from error
        except UnicodeDecodeError as error:
            raise InvalidValue(f"{printable(self._path)} is not UTF-8 text", hint="mend or remove it") from error
        if len(text) > _LONGEST or _BLANKS.search(text):
            what = "is too long for settings" if len(text) > _LONGEST else "has 200 or more blanks in a row"
            raise InvalidValue(f"{printable(self._path)} {what}", hint="mend or remove it")
        return text

    def _parsed(self, text: str) -> dict[str, dict[str, str]]:
        if not text:
            return {}
        import configparser  # 5 ms, and most repositories have no config

        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error as error:
            what = f"is not a valid settings file: {str(error).splitlines()[0]}"
            raise InvalidValue(f"{printable(self._path)} {what}", hint="mend or remove it") from error
        return {section: dict(parser[section]) for section in parser.sections()}

    def value(self, key: str) -> str | None:
        """The value of a setting such as `core.project` in `config`, or None.

        Raises NotFound for an unknown setting.
        """
        if key not in KEYS:
            hint = near(key, KEYS) or f"there are {', '.join(KEYS)}"
            raise NotFound(f"there is no setting '{printable(key)}'", hint=hint)
        section, _, name = key.partition(".")
        return self._values.get(section, {}).get(name)

    def _checked(self, key: str) -> Any:
        """The value of a setting as its rule returns it, or None if it isn't set. Raises InvalidValue."""
        value = self.value(key)
        try:
            return None if value is None else KEYS[key].check(value)
        except InvalidValue as error:
            hint = f"`artstore config {key} VALUE` mends it"
            raise InvalidValue(f"{key} in {printable(self._path)}: {error}", hint=hint) from None

    def set(self, key: str, value: str | None) -> None:
        """Write one setting, or remove it (None). Other lines and comments stay as they are. Raises InvalidValue."""
        self.value(key)
        if value is not None:
            if "\n" in value or value != value.strip():
                raise InvalidValue(f"'{printable(value)}' can't be a setting: it has spaces around it or several lines")
            try:
                KEYS[key].check(value)
            except InvalidValue as error:
                raise InvalidValue(f"{key}: {error}") from None
        section, _, name = key.partition(".")
        self._change(section, {name: value})

    def _change(self, section: str, values: dict[str, str | None] | None) -> None:
        """Write values of a section, and remove those that are None, or remove the whole section (`values` None).

        Raises InvalidValue if the new file wouldn't be read as exactly this change: people can write the file in ways
        that we don't.
        """
        text = self._text()
        lines, wanted = text.removesuffix("\n").split("\n") if text else [], self._parsed(text)
        if values is None:
            lines, wanted[section] = without_section(lines, section), {}
        for name, value in (values or {}).items():
            lines = with_line(lines, section, name, value)
            others = {key: kept for key, kept in wanted.get(section, {}).items() if key != name}
            wanted[section] = others if value is None else {**others, name: value}
        text = "".join(f"{line}\n" for line in lines)
        if _said(self._parsed(text)) != _said(wanted):
            what = "is written in a way that can't be changed by a command"
            raise InvalidValue(f"{printable(self._path)} {what}", hint="edit it by hand")
        FolderStorage(self._root).replace("config", text.encode(), sync=True)
        self._values = self._parsed(self._text())

    def check(self) -> None:
        """Raise InvalidValue for the first setting, or variable that overrides one, that breaks its rule."""
        for key in KEYS:
            self._checked(key)
        _ = self.entity, self.project
        self.remotes()

    # -- remotes --

    def remotes(self) -> dict[str, "RemoteSettings"]:
        """The remotes in `config`, by name. Raises InvalidValue for one without a URL."""
        found: dict[str, RemoteSettings] = {}
        for section, values in self._values.items():
            match = re.fullmatch(r'remote "([^"\\]+)"', section)
            if match is None:
                continue
            if "url" not in values:
                raise InvalidValue(f"remote '{printable(match[1])}' in {printable(self._path)} has no url")
            flags = (_on_or_off(values.get(name, "off")) for name in ("partial", "relative"))
            url = values["url"]
            url = url if is_url(url) else path_noted(self._root, os.fsdecode(url.encode()))
            found[match[1]] = RemoteSettings(url, *flags)
        return found

    def set_remote(self, name: str, settings: "RemoteSettings | None") -> None:
        """Write one remote's settings, or remove it (None)."""
        check_name(name, "remote name")
        section = f'remote "{name}"'
        if settings is None:
            self._change(section, None)
        else:
            flags = {name: "true" if getattr(settings, name) else None for name in ("partial", "relative")}
            self._change(section, {"url": text_of_place(noted_path(self._root, settings.url)), **flags})

    def doubt(self) -> str | None:
        """Why this repository's remotes must not be contacted, or None if they may be.

        They must not if others can have written `config`, unless the user has allowed it (`remote allow`, like
        git's `safe.directory`).
        """
        try:
            folder, config = os.stat(self._root), os.stat(self._path)
        except OSError:
            return None  # no config, no remotes
        if os.path.realpath(self._root) in _allowed():
            return None
        if {folder.st_uid, config.st_uid} != {os.geteuid()}:
            return "this repository belongs to somebody else"
        return None if is_own(config) else "others may write to this repository's config"

    def allow_contact(self) -> None:
        """Note that this user allows contacting the repository's remotes."""
        path = _allowed_path()
        known = _allowed()
        with translated(f"write {printable(path)}"):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            text = "".join(f"{root}\n" for root in sorted(known | {os.path.realpath(self._root)}))
            replace_file(path, text.encode(errors="surrogateescape"), f"{path}.{this_process()}", sync=True)

    @property
    def entity(self) -> str:
        return _checked_environment("ENTITY", "entity") or self._checked("core.entity") or DEFAULT_ENTITY

    @property
    def project(self) -> str:
        chosen = _checked_environment("PROJECT", "project") or self._checked("core.project")
        return as_project(chosen or DEFAULT_PROJECT)

    def identity(self) -> tuple[str | None, str | None]:
        """(host, user) to record in entries; both None with `core.identity = off`."""
        if self._checked("core.identity") is False:
            return None, None
        host, user = os.uname().nodename, _user()
        return printable(host), printable(user) if user is not None else None

    @property
    def auto_fetch(self) -> bool:
        """Whether a version that is only at a remote is pulled when it is used."""
        return self._checked("core.auto_fetch") is True

    @property
    def pack(self) -> str | None:
        """`auto` or `off`: whether large files are packed in the background after saves. None if it isn't set."""
        value: str | None = self._checked("core.pack")
        return value

    def grace(self, local: bool) -> float:
        """Seconds for which collected objects stay in the trash."""
        value: float | None = self._checked("gc.grace")
        return value if value is not None else GRACE_LOCAL if local else GRACE_NETWORK


def _checked_environment(name: str, what: str) -> str | None:
    for full in (f"ARTSTORE_{name}", f"WANDB_{name}"):
        if value := variable(full):
            try:
                return check_project(value, what)
            except InvalidValue as error:
                raise InvalidValue(f"{full} of the environment: {error}") from None
    return None


def _said(values: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The settings without empty sections."""
    return {section: found for section, found in values.items() if found}


def rules_path() -> str:
    """The file of this user's automations."""
    return os.path.join(config_folder(), "automations.json")


DEPTH = "ARTSTORE_AUTOMATION_DEPTH"
"""The variable that counts how many automations have started one another."""


def automation_depth() -> int:
    depth = os.environ.get(DEPTH, "")
    return int(depth) if depth.isdecimal() else 0


def environment_value(name: str | None) -> str | None:
    """The value of an environment variable that a setting names, such as a secret; None if it isn't set."""
    return os.environ.get(name) if name else None


def _allowed_path() -> str:
    return os.path.join(config_folder(), "allowed")


def _allowed() -> set[str]:
    """The repositories whose remotes this user has allowed to contact."""
    try:
        with open(_allowed_path(), errors="surrogateescape") as lines:
            return {line.rstrip("\n") for line in lines}
    except OSError:
        return set()


def _folder_of_environment(*names: str) -> str | None:
    """A folder that a variable names. A `~` that no shell has expanded (of an .env file, a unit, a container) is HOME."""
    for name in names:
        if value := os.environ.get(name):
            try:
                return path_here(value)
            except InvalidValue as error:
                raise InvalidValue(f"{name} of the environment: {error}", hint=error.hint) from None
    return None


def working_folder() -> str:
    """The working folder. Raises NotFound if it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise NotFound("the working folder was deleted", hint="`cd` to a folder that exists") from error


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # this user doesn't exist in the container
        return None


def debugging() -> bool:
    """Whether a traceback should be shown for a bug (ARTSTORE_DEBUG)."""
    return bool(variable("ARTSTORE_DEBUG"))


def colours_wanted() -> bool:
    """Whether output may be coloured. NO_COLOR turns colours off, as https://no-color.org describes."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def server_root(root: str) -> str:
    """The folder beside a repository in which its tokens and audit are kept while it is served."""
    return f"{os.path.realpath(root)}.server"


def is_repository(root: str) -> bool:
    """Whether a folder is a repository, or perhaps one that we may not enter: opening that one says so."""
    try:
        return stat.S_ISREG(os.stat(f"{root}/format").st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def find_root(start: str | None = None, *, environment: bool = True) -> str | None:
    """The repository's folder, or None: ARTSTORE_DIR itself, or the nearest `.artifacts/` in this folder or above.

    As for git's `.git`, the search ends at $HOME and at a file system's border. A repository that a stranger left there
    is skipped.
    """
    if environment and (chosen := _folder_of_environment("ARTSTORE_DIR")):
        return os.path.abspath(chosen)
    return next((root for root in _roots_above(start or working_folder()) if not is_strangers(root)), None)


def _roots_above(start: str) -> Iterator[str]:
    """The repositories in a folder and in the folders above it, the nearest first."""
    for folder in folders_above(start):
        root = f"{folder.rstrip('/')}/{FOLDER}"
        if os.path.isdir(root) and is_repository(root):
            yield root


def folders_above(start: str) -> Iterator[str]:
    """A folder and those above it, up to $HOME or a file system's border."""
    here = os.path.abspath(start)
    if not os.path.isdir(here):
        return
    home, device = os.path.expanduser("~"), os.stat(here).st_dev
    while True:
        yield here
        parent = os.path.dirname(here)
        if here == home or parent == here or os.stat(parent).st_dev != device:
            return
        here = parent


def is_strangers(root: str) -> bool:
    """Whether a stranger left a repository, or a file, in a folder that isn't theirs, as anybody can in /tmp.

    Saving in it would give them our files. A repository that is shared with the folder's group may be anybody's.
    """
    folder = os.stat(os.path.dirname(root))
    for status in (os.stat(root), os.lstat(root)):
        shared = status.st_mode & 0o2020 == 0o2020 and folder.st_mode & 0o020 and status.st_gid == folder.st_gid
        if status.st_uid not in (os.geteuid(), 0, folder.st_uid) and not shared:
            return True
    return False


def root_to_create(start: str | None = None, *, top: str | None = None) -> str:
    """The folder of the repository that is found, else the one in which `init` and the first `put` make one.

    That is in WANDB_DIR (where W&B would keep its files), in the project's `top`, or in the working folder. Frameworks
    begin each run in a folder `start` of its own: a repository that is found there is used, but a new one is made there
    only if the working folder can't be written to, so that runs find each other's artifacts.
    """
    logs = _folder_of_environment("WANDB_DIR")
    found = find_root() or next(filter(None, (find_root(folder) for folder in (start, logs) if folder)), None)
    if found is not None:
        return found
    place = logs or top or working_folder()
    if start and not os.access(place, os.W_OK):
        place = start
    root = os.path.join(os.path.abspath(path_here(place)), FOLDER)
    if is_repository(root) and is_strangers(root):  # or else another process has just made it
        raise Refused(
            f"{printable(root)} was left there by somebody else, in a folder that isn't theirs",
            hint=f"if you trust them, ARTSTORE_DIR={printable(root)} uses it; else work in a folder of your own",
        )
    return root


def require_root() -> str:
    root = root_to_create()
    if not is_repository(root):
        where = root if variable("ARTSTORE_DIR") else f"{working_folder()} or above"
        hint = "`artstore init` makes one here; ARTSTORE_DIR names one elsewhere"
        if passed := next(filter(is_strangers, _roots_above(working_folder())), None):
            left = printable(passed)
            hint = f"somebody else left {left}: if you trust them, ARTSTORE_DIR={left} uses it"
        if is_repository(f"{root}/{FOLDER}"):
            hint = f"ARTSTORE_DIR is the repository's own folder: did you mean {root}/{FOLDER}?"
        raise NotFound(f"there is no repository in {where}", hint=hint)
    return root


DOWNLOADS: dict[str, str] = {}
"""By repository: where this process restores its versions by default, if not to `./artifacts`."""


def download_folder(name: str, root: str | None = None) -> str:
    """The folder into which `get` restores a version by default, of the repository `root`."""
    if root in DOWNLOADS:
        return os.path.join(DOWNLOADS[root], name)
    base = _folder_of_environment("ARTSTORE_ARTIFACT_DIR", "WANDB_ARTIFACT_DIR") or "artifacts"
    if not os.path.isabs(base):
        working_folder()  # or it is gone
    return os.path.join(base, name)


def run_folder(id: str, start: str | None = None) -> str:
    """The folder of a run's own files, beside the downloads: in `start`, in WANDB_DIR or in the working folder."""
    base = start or _folder_of_environment("WANDB_DIR")
    return os.path.join(base or "", download_folder(f"run-{id}"))
