"""Lock files: which versions a project uses and where to get them, as text that git keeps beside its code."""

import json
import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from artstore.backends.files import replace_file
from artstore.backends.places import KINDS
from artstore.backends.storage import is_url
from artstore.domain.digest import is_hex
from artstore.domain.names import LOCK_FILE, check_name, is_protected, parse_path, parse_spec, printable
from artstore.domain.wording import typed
from artstore.errors import InvalidValue, NotFound, translated
from artstore.store.settings import FOLDER, folders_above, is_strangers, working_folder

_FORMS = (1, 2)
"""Versions of the format. The second one has remotes; a file without remotes is written in the first."""
_HEAD = "# Written by `artstore lock`; `artstore get --locked` restores exactly this.\n"
_LONGEST = 1 << 22
"""Characters. A longer lock file is refused."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?|\'[^\']*+\'?')
"""A string in one line. One without an end takes the rest of the line: TOML refuses it, and looking for it is linear."""
_LONGEST_LINE, _LONGEST_URL = 4096, 2048
"""Characters."""
_MOST_DOTS = 16
"""Dots outside of quotes in a line: tomllib takes quadratic time and memory for a key such as `a.a.a.…`."""
_SCHEMES = [scheme for kind in KINDS if kind.lasts for scheme in kind.schemes]
"""The schemes that a remote's URL may have."""


class Locked(NamedTuple):
    """One folder and the version that belongs in it."""

    path: str
    """relative to the lock file's folder"""
    spec: str
    """as `entity/project/name:vN`, for people: the version is found by its id"""
    id: str
    digest: str
    """of the root tree"""
    remote: str | None = None
    """name of a remote that has the version; None if none was known to have it"""
    url: str | None = None
    """that remote's URL or path, which may be relative to the lock file's folder"""


def written(locked: Iterable[Locked]) -> str:
    """The text of a lock file. The order of the entries doesn't matter: they are sorted by path.

    Raises InvalidValue for entries that could not be read again.
    """
    locked = sorted(locked, key=lambda one: one.path)
    _check(locked, "the new lock file")
    for one in locked:
        _check_remote(one, "the new lock file")
    form = _FORMS[any(one.url is not None for one in locked)]
    parts = [_HEAD, f"version = {form}\n"]
    for one in locked:
        # A JSON string without escaped slashes is a basic string of TOML (TOML 1.0, "String"), except for U+007F.
        known = {key: value for key, value in one._asdict().items() if value is not None}
        fields = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in known.items())
        fields = fields.replace("\x7f", "\\u007f").replace("'''", "''\\u0027")
        parts.append(f"\n[[artifact]]\n{fields}")
    text = "".join(parts)
    _check_lines(text, "the new lock file")
    return text


def parsed(text: str, what: str) -> list[Locked]:
    """The entries of a lock file's text. Raises InvalidValue if it isn't one, or if a path leads out of its folder.

    `what` names the file in messages.
    """
    import tomllib

    _check_lines(text, what)
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{what} is not a lock file: {error}", hint="`artstore lock` writes one") from None
    if value.get("version") not in _FORMS or type(value["version"]) is not int:
        known = " and ".join(map(str, _FORMS))
        raise InvalidValue(f"{what} has version {value.get('version')!r:.40}; this artstore reads {known}")
    entries = value.get("artifact", [])
    if value.keys() - {"version", "artifact"} or not isinstance(entries, list):
        raise InvalidValue(f"{what} contains something other than artifacts")
    found = [_locked_of(entry, what) for entry in entries]
    _check(found, what)
    return found


def _check_lines(text: str, what: str) -> None:
    """Raise InvalidValue for a line that is too long or, in a text of others, costly to parse."""
    for line in text.split("\n"):  # as TOML does: other line ends may be in a string
        if len(line) > _LONGEST_LINE:
            raise InvalidValue(f"{what} has a line of more than {_LONGEST_LINE:,} characters")
        if line.count(".") <= _MOST_DOTS:
            continue
        is_clear = '"""' not in line and "'''" not in line  # such a string may begin or end in another line
        if not is_clear or _QUOTED.sub("", line).count(".") > _MOST_DOTS:
            raise InvalidValue(
                f"{what} is not a lock file: a key has too many parts", hint="`artstore lock` writes one"
            )


def _check(locked: list[Locked], what: str) -> None:
    """Raise InvalidValue unless each entry has a folder of its own, below the lock file's folder.

    `get --locked` removes files that are not in the version. So no folder may hold another one, or be protected.
    """
    before: tuple[bytes, ...] = ()
    for path, parts in sorted(((one.path, _parts(one.path)) for one in locked), key=lambda pair: pair[1]):
        if any(map(is_protected, parts)):
            raise InvalidValue(f"{what}: '{printable(path)}' is in a protected folder", hint="choose another --root")
        if before and parts[: len(before)] == before:
            outer = printable(b"/".join(before))
            twice = f"names '{outer}' twice" if parts == before else f"names '{printable(path)}', which is in '{outer}'"
            raise InvalidValue(f"{what} {twice}", hint="lock folders that are not in one another")
        before = parts


def _parts(path: str) -> tuple[bytes, ...]:
    try:
        path.encode()
    except UnicodeEncodeError:
        hint = "rename the folder"
        raise InvalidValue(f"'{printable(path)}' can't be locked: its name is not UTF-8", hint=hint) from None
    return tuple(parse_path(path))


def _locked_of(value: Any, what: str) -> Locked:
    if not isinstance(value, dict) or value.keys() - {"remote", "url"} != {"path", "spec", "id", "digest"}:
        raise InvalidValue(
            f"{what}: an artifact must have a path, a spec, an id and a digest, may have a remote and a url, and nothing else"
        )
    if ("remote" in value) != ("url" in value):
        raise InvalidValue(f"{what}: an artifact must have both a remote and a url, or neither")
    one = Locked(**value)
    if not all(isinstance(text, str) for text in value.values()) or not (is_hex(one.id) and is_hex(one.digest)):
        raise InvalidValue(f"{what}: the artifact at '{printable(str(one.path))}' is malformed")
    if parse_spec(one.spec).number is None:
        raise InvalidValue(f"{what}: '{printable(one.spec)}' doesn't name a version by its number")
    _parts(one.path)  # refuses absolute paths, and paths that lead upwards
    _check_remote(one, what)
    return one


def _check_remote(one: Locked, what: str) -> None:
    """Raise InvalidValue unless the remote's name and URL are valid, if there is one."""
    if one.remote is not None and one.url is not None:
        check_remote(one.remote, one.url, what)


def check_remote(name: str, url: str, what: str) -> None:
    """Raise InvalidValue unless a remote's name and URL may be in a file that others read, which `what` names.

    A URL with a secret is refused; the message doesn't repeat it.
    """
    check_name(name, f"{what}: remote name")
    if not url.strip() or url != url.strip() or printable(url) != url:
        message = f"{what}: the url of remote '{name}' is empty, has spaces around it, or can't be printed"
        raise InvalidValue(message)
    if not is_url(url):
        return
    if len(url) > _LONGEST_URL:
        raise InvalidValue(f"{what}: the url of remote '{name}' is longer than {_LONGEST_URL:,} characters")
    scheme = url.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        hint = f"such a file names remotes by path, or by {', '.join(f'{known}://' for known in _SCHEMES)}"
        raise InvalidValue(f"{what}: remote '{name}' can't be a {scheme}:// URL", hint=hint)
    if _has_secret(url):
        hint = "credentials come from the environment"
        raise InvalidValue(f"{what}: the url of remote '{name}' holds credentials", hint=hint)


def _has_secret(url: str) -> bool:
    from urllib.parse import unquote  # loaded only for URLs: most lock files have none

    from artstore.domain.redaction import redacted, secret_in_uri

    try:
        forms = url, unquote(url)
        return any(re.search(r"://[^/?#]*@", form) or redacted(form) != form or secret_in_uri(form) for form in forms)
    except ValueError:  # not a valid URL: opening it will fail
        return redacted(url) != url


def read(path: str) -> list[Locked]:
    """Read a lock file. Raises NotFound if there is none, InvalidValue if it isn't one."""
    try:
        with translated(f"read {printable(path)}"), open(path, encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{printable(path)} is not a lock file: it is not UTF-8") from error
    if len(text) > _LONGEST:
        raise InvalidValue(f"{printable(path)} is longer than {_LONGEST:,} characters")
    return parsed(text, printable(path))


def write(path: str, locked: Iterable[Locked]) -> None:
    """Write a lock file, atomically: readers see the old one or the new one."""
    with translated(f"write {printable(path)}"):
        replace_file(path, written(locked).encode(), f"{path}.{os.urandom(4).hex()}", sync=False)


def nearest() -> str:
    """The path of the project's lock file: the nearest one, here or above; without one, where it would be made here.

    As for git's `.git`, the search ends at $HOME and at a file system's border, and at the first folder that has a
    repository, of git or of ours: the lock file above belongs to another project. A stranger's file above is skipped.
    """
    here = working_folder()
    for folder in folders_above(here):
        path = os.path.join(folder, LOCK_FILE)
        if os.path.isfile(path) and (folder == here or not is_strangers(path)):
            return os.path.relpath(path)
        if any(os.path.lexists(os.path.join(folder, name)) for name in (".git", FOLDER)):
            break
    return LOCK_FILE


def require(path: str) -> list[Locked]:
    """Read a lock file that must exist. If there is none, the hint of NotFound names the command that writes one."""
    if not os.path.isfile(path):
        raise NotFound(f"there is no {printable(path)}", hint=f"{typed('lock')} writes one")
    return read(path)


def url_for(place: str, relative: bool, lock: str) -> str:
    """The URL or path of a remote for a lock file. A `relative` path is made relative to the lock file's folder."""
    return os.path.relpath(place, os.path.dirname(os.path.abspath(lock))) if relative else place


def remote_place(url: str, lock: str) -> str:
    """The URL or absolute path of a remote, from the URL or path in a lock file."""
    return url if is_url(url) else os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(lock)), url))


def folder_of(one: Locked, lock: str) -> str:
    """The absolute path of an entry's folder. Raises InvalidValue if a symlink leads out of the lock file's folder."""
    above = os.path.realpath(os.path.dirname(os.path.abspath(lock)))
    folder = os.path.join(above, one.path)
    if os.path.commonpath([above, os.path.realpath(folder)]) != above:
        raise InvalidValue(f"'{printable(one.path)}' leads out of {printable(above)}: a link is in the way")
    return folder
