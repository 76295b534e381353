"""Lock files: which versions a project uses, by id and digest, as text that git keeps beside its code."""

import json
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from artstore.digest import is_hex
from artstore.errors import InvalidValue, NotFound, translated
from artstore.files import replace_file
from artstore.hints import typed
from artstore.names import parse_path, parse_spec, printable

NAME = "artstore.lock"
_FORM = 1
_HEAD = "# Written by `artstore lock`; `artstore get --locked` restores exactly this.\n"
_LONGEST = 1 << 24
"""Bytes of a lock file that are read."""


class Locked(NamedTuple):
    """One folder and the version that belongs in it."""

    path: str
    """relative to the lock file's folder"""
    spec: str
    """as `entity/project/name:vN`, for people: the id decides"""
    id: str
    digest: str
    """of the root tree"""


def written(locked: Iterable[Locked]) -> str:
    """The text of a lock file, entries by path: the same for the same content."""
    parts = [_HEAD, f"version = {_FORM}\n"]
    for one in sorted(locked):
        # JSON's strings without escaped slashes are TOML's basic strings (TOML 1.0, "String").
        fields = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in one._asdict().items())
        parts.append(f"\n[[artifact]]\n{fields}")
    return "".join(parts)


def parsed(text: str, what: str) -> list[Locked]:
    """Raises InvalidValue for what is no lock file, or leads out of its folder."""
    import tomllib

    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{what} is no lock file: {error}", hint="`artstore lock` writes one") from error
    if value.get("version") != _FORM:
        raise InvalidValue(f"{what} has version {value.get('version')!r:.40}; this artstore reads {_FORM}")
    found = [_locked_of(entry, what) for entry in _entries(value, what)]
    paths = [one.path for one in found]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise InvalidValue(f"{what} names '{printable(twice[0])}' twice")
    return found


def _entries(value: dict[str, Any], what: str) -> list[Any]:
    entries = value.get("artifact", [])
    if value.keys() - {"version", "artifact"} or not isinstance(entries, list):
        raise InvalidValue(f"{what} holds something else than artifacts")
    return entries


def _locked_of(value: Any, what: str) -> Locked:
    if not isinstance(value, dict) or value.keys() != set(Locked._fields):
        raise InvalidValue(f"{what}: an artifact has a path, a spec, an id and a digest, and nothing else")
    one = Locked(**value)
    if not all(isinstance(text, str) for text in one) or not (is_hex(one.id) and is_hex(one.digest)):
        raise InvalidValue(f"{what}: the artifact at '{printable(str(one.path))}' is malformed")
    parse_spec(one.spec)
    if one.path != ".":
        parse_path(one.path)  # refuses what is absolute, or leads upwards
    return one


def read(path: str) -> list[Locked]:
    """Raises NotFound where there is none, InvalidValue for what is none."""
    try:
        with translated(f"read {printable(path)}"), open(path, encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{printable(path)} is no lock file: it is not UTF-8") from error
    if len(text) > _LONGEST:
        raise InvalidValue(f"{printable(path)} is longer than {_LONGEST} characters")
    return parsed(text, printable(path))


def write(path: str, locked: Iterable[Locked]) -> None:
    """Replace it whole."""
    with translated(f"write {printable(path)}"):
        replace_file(path, written(locked).encode(), f"{path}.{os.urandom(4).hex()}", sync=False)


def require(path: str) -> list[Locked]:
    """As `read`, with what to do where there is none."""
    if not os.path.isfile(path):
        raise NotFound(f"there is no {printable(path)}", hint=f"{typed('lock')} writes one")
    return read(path)


def place_of(one: Locked, lock: str) -> str:
    """The folder of an entry, below the lock file's own. Raises InvalidValue where a link leads out of that."""
    above = os.path.realpath(os.path.dirname(os.path.abspath(lock)))
    place = os.path.join(above, one.path) if one.path != "." else above
    if os.path.commonpath([above, os.path.realpath(place)]) != above:
        raise InvalidValue(f"'{printable(one.path)}' leads out of {printable(above)}: a link is in the way")
    return place
